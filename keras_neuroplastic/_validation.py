"""Checks of the arguments: each returns the value in its plain Python type.

A failed check names the argument, the value and the allowed range.
"""

import inspect
import math
import re
from functools import partial
from numbers import Integral, Real
from os import PathLike

from keras import Variable, ops
from keras.optimizers.schedules import LearningRateSchedule

# Smaller ones would be zero in float32, and 0 / (0 + ε) not a number.
SMALLEST_EPSILON = 1e-37
# Of the three signals.
WEIGHTS = "activity_weight", "gradient_weight", "memory_weight"
# The largest number of an int32, in which schedules count.
LARGEST_COUNT = 2**31 - 1


def real(
    name,
    value,
    low,
    high=math.inf,
    exclude_low=False,
    exclude_high=False,
    alternative="",
):
    """A finite float in the range given, from any real number but a bool."""
    opening, closing = "(" if exclude_low else "[", ")" if exclude_high else "]"
    allowed = f"a finite number in {opening}{low}, {high}{closing}"
    if high == math.inf:
        allowed = f"a finite number {'>' if exclude_low else '>='} {low}{alternative}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be {allowed}. Received: {name}={value!r}")
    try:
        number = float(value)
    except OverflowError:  # of an integer or a fraction
        number = math.inf
    below = number <= low if exclude_low else number < low
    above = number >= high if exclude_high else number > high
    if below or above or not math.isfinite(number):
        raise ValueError(f"`{name}` must be {allowed}. Received: {name}={value!r}")
    return number


def integer(name, value, low, high=math.inf):
    """An int in the range given, from any integer but a bool."""
    allowed = f"an integer >= {low}"
    if high != math.inf:
        allowed = f"an integer in [{low}, {high}]"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` must be {allowed}. Received: {name}={value!r}")
    if not low <= value <= high:
        raise ValueError(f"`{name}` must be {allowed}. Received: {name}={value!r}")
    return int(value)


# A number of updates that a schedule can compare with theirs.
count = partial(integer, high=LARGEST_COUNT)


def boolean(name, value):
    """A bool, from a Python or NumPy one."""
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return bool(value)


def text(name, value):
    """A non-empty string."""
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be a string. Received: {name}={value!r}")
    if not value:
        raise ValueError(f"`{name}` must not be empty. Received: {name}={value!r}")
    return value


def path(name, value):
    """A string or a path, as it is."""
    if not isinstance(value, (str, PathLike)):
        raise TypeError(f"`{name}` must be a path. Received: {name}={value!r}")
    if not str(value):
        raise ValueError(f"`{name}` must not be empty. Received: {name}={value!r}")
    return value


def one_of(name, value, choices):
    """One of several strings."""
    if value not in choices:
        allowed = " or ".join(map(repr, choices))
        raise ValueError(f"`{name}` must be {allowed}. Received: {name}={value!r}")
    return value


def some_patterns(name, value):
    """A tuple of regular expressions, at least one: none would choose nothing."""
    if not (found := patterns(name, value)):
        raise ValueError(
            f"`{name}` must hold a regular expression; None stands for all variables. "
            f"Received: {name}={value!r}"
        )
    return found


def patterns(name, value):
    """A tuple of regular expressions, from one or several."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(
        isinstance(item, str) for item in items
    ):
        raise TypeError(
            f"`{name}` must be a regular expression or a list of them. "
            f"Received: {name}={value!r}"
        )
    for item in items:
        try:
            re.compile(item)
        except re.error as error:
            raise ValueError(
                f"`{name}` must hold regular expressions; {item!r} is none "
                f"({error}). Received: {name}={value!r}"
            ) from error
    return tuple(items)


def scheduled(name, value):
    """A finite float >= 0, or a schedule of one."""
    if isinstance(value, LearningRateSchedule):
        return value
    return real(name, value, 0, alternative=" or a LearningRateSchedule")


def residual(name, value):
    """A residual form, of which nothing is asked but what a step needs.

    It is a part of what compiled steps are known by, so that it has to be hashable.
    """
    usable = callable(getattr(value, "update", None)) and value.__hash__ is not None
    if not usable or isinstance(value, (type, dict)):
        raise TypeError(
            f"`{name}` must be a BoundedResidual, an OrthogonalResidual or None. "
            f"Received: {name}={value!r}"
        )
    return value


def learning_rate(name, value):
    """A finite float >= 0; schedules, callables, variables and tensors pass unread."""
    if isinstance(value, (LearningRateSchedule, Variable)) or ops.is_tensor(value):
        return value
    if callable(value):
        return callable_rate(name, value)
    if getattr(value, "shape", None) == () and not isinstance(value, Real):
        value = value.item()  # of a NumPy array without dimensions
    return real(name, value, 0, alternative=", a schedule or a callable")


def callable_rate(name, value):
    """A function of no arguments, which is what Keras calls in every step."""
    try:
        if isinstance(value, type):
            raise TypeError("it is a class, not made yet")
        inspect.signature(value).bind()
    except TypeError as error:
        raise TypeError(
            f"`{name}` must be a number, a LearningRateSchedule or a function without "
            f"arguments: {error}. Received: {name}={value!r}"
        ) from error
    except ValueError:  # it does not tell what it takes
        pass
    return value


def optional(check, *limits, **options):
    """A check that lets None pass."""

    def check_unless_none(name, value):
        return None if value is None else check(name, value, *limits, **options)

    return check_unless_none


_fraction = partial(real, low=0, high=1)
_decay = partial(real, low=0, high=1, exclude_high=True)
_at_least_zero = partial(real, low=0)
_positive_or_none = optional(real, 0, exclude_low=True)

# The arguments of every Keras optimizer.
OF_KERAS = {
    "learning_rate": learning_rate,
    "weight_decay": optional(real, 0),
    "clipnorm": _positive_or_none,
    "clipvalue": _positive_or_none,
    "global_clipnorm": _positive_or_none,
    "use_ema": boolean,
    "ema_momentum": _fraction,
    "ema_overwrite_frequency": optional(count, 1),
    "loss_scale_factor": _positive_or_none,
    "gradient_accumulation_steps": optional(count, 2),
    "name": optional(text),
}
# Every argument that is checked wherever it is set, also as an attribute.
CHECKS = OF_KERAS | {
    "strength": scheduled,
    "max_ratio": optional(scheduled),
    "target": partial(one_of, choices=("gain", "trust")),
    "modulate": optional(some_patterns),
    "activity_weight": _fraction,
    "gradient_weight": _fraction,
    "memory_weight": _fraction,
    "plasticity_scale": scheduled,
    "min_alpha": _at_least_zero,
    "max_alpha": _at_least_zero,
    "per_parameter": boolean,
    "activity_decay": _decay,
    "beta_1": _decay,
    "beta_2": _decay,
    "max_update_norm": _positive_or_none,
    "target_rms": _at_least_zero,
    "adaptation_rate": _at_least_zero,
    "residual": optional(residual),
    "epsilon": partial(real, low=SMALLEST_EPSILON),
    "skip_nonfinite": boolean,
    "weight_decay_exclude": optional(patterns),
    "jit_compile": boolean,
}


def check_together(optimizer):
    """The conditions that tie arguments to each other."""
    weights = [getattr(optimizer, name) for name in WEIGHTS]
    if abs(sum(weights) - 1) > 1e-6:
        received = ", ".join(f"{n}={w}" for n, w in zip(WEIGHTS, weights, strict=True))
        raise ValueError(
            "`activity_weight`, `gradient_weight` and `memory_weight` must sum to 1. "
            f"Received: {received}, which sum to {sum(weights)}"
        )
    if optimizer.min_alpha > optimizer.max_alpha:
        raise ValueError(
            "`min_alpha` must not be greater than `max_alpha`. Received: "
            f"min_alpha={optimizer.min_alpha}, max_alpha={optimizer.max_alpha}"
        )
