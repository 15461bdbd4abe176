"""What to write instead of wrong names, and of rates that lead nowhere."""

import inspect
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from numbers import Real

import numpy as np
from keras import optimizers
from keras.optimizers.schedules import LearningRateSchedule

from keras_neuroplastic._validation import WEIGHTS

# What other libraries and the published code call it.
ELSEWHERE = {
    "betas": "beta_1=..., beta_2=...",
    "decay": "weight_decay",
    "eps": "epsilon",
    "lr": "learning_rate",
    "parameterwise": "per_parameter",
    "warmup_epochs": "plasticity_scale=PlasticityWarmup(...)",
}
# Where that differs: for NeuroPlastic,
BY_ITSELF = ELSEWHERE | {
    "bounded_residual": "residual=BoundedResidual()",
    "decoupled_weight_decay": "weight_decay, which always is decoupled",
    "hybrid_base": "PlasticityModulated(...) around that optimizer",
    "layer_scope": "PlasticityModulated(..., modulate=...)",
    "modulation_max_ratio": "PlasticityModulated(..., max_ratio=...)",
    "modulation_strength": "PlasticityModulated(..., strength=...)",
    "modulation_target": "PlasticityModulated(..., target=...)",
    "momentum": "PlasticityModulated(SGD(momentum=...))",
    "orthogonal_residual": "residual=OrthogonalResidual()",
    "residual_max_ratio": "residual=BoundedResidual(max_ratio=...)",
}
# and for PlasticityModulated.
AROUND_ANOTHER = ELSEWHERE | {
    "decoupled_weight_decay": "weight_decay of the optimizer within",
    "hybrid_base": "optimizer",
    "layer_scope": "modulate",
    "modulation_max_ratio": "max_ratio",
    "modulation_strength": "strength",
    "modulation_target": "target",
    "momentum": "that of the optimizer within",
}
# The shortest way in a step that a rate may be meant for.
SHORTEST = 1e-3

_loading = ContextVar("loading", default=False)


@contextmanager
def loading(saved=True):
    """Within, if saved, a rate may be one that has decayed in earlier training."""
    token = _loading.set(saved or _loading.get())
    try:
        yield
    finally:
        _loading.reset(token)


def refuse_arguments(cls, arguments, elsewhere):
    """A TypeError for arguments that a class lacks, by their names elsewhere."""
    known = argument_names(cls)
    for name, value in arguments.items():
        close = get_close_matches(name, known, 1)
        instead = elsewhere.get(name, close[0] if close else None)
        advice = f": write {instead}" if instead else ""
        raise TypeError(
            f"`{name}` is no argument of {cls.__name__}{advice}. "
            f"Received: {name}={value!r}"
        )


def argument_names(cls):
    """Those of a class, and of what it is derived from as far as that is not Keras."""
    ours = cls.__mro__[: cls.__mro__.index(optimizers.Optimizer)]
    arguments = [p for c in ours for p in inspect.signature(c).parameters.values()]
    several = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return [p.name for p in arguments if p.kind not in several]


def refuse_weights(method, arguments):
    """A TypeError for weights of signals where a method has fixed them."""
    for name in WEIGHTS:
        if name in arguments:
            raise TypeError(
                f"`{name}` is no argument of NeuroPlastic.{method}, which is one "
                "choice of weights: write NeuroPlastic(...). Received: "
                f"{name}={arguments[name]!r}"
            )


def needs_nothing(cls):
    """Whether it can be made without arguments, as a name is all there is."""
    try:
        inspect.signature(cls).bind()
    except TypeError:
        return False
    return True


def similar_optimizer(name):
    """The name of an optimizer that is like this one, or that of Adam."""
    classes = {n: c for n, c in vars(optimizers).items() if isinstance(c, type)}
    # One that Keras does not find by its name, and one that updates nothing.
    others = {n: c for n, c in classes.items() if n not in ("Lamb", "Optimizer")}
    known = {n.lower(): n.lower() for n, c in others.items() if needs_nothing(c)}
    known["neuroplastic"] = "keras_neuroplastic>NeuroPlastic"
    close = get_close_matches(name.lower().split(">")[-1], known, 1)
    return known[close[0]] if close else "adam"


def warn_of_small_rate(optimizer, learning_rate):
    """A warning where no variable can get anywhere, as at a rate of Adam's.

    Its text is always the same, so that Python shows it once for a line of code.
    """
    largest = largest_rate(learning_rate)
    if _loading.get() or not largest or optimizer.max_update_norm is None:
        return
    if largest * max(optimizer.max_update_norm, 1.0) < SHORTEST:
        warnings.warn(
            f"`learning_rate` of NeuroPlastic is below {SHORTEST}, as Adam's may be, "
            "but it is the length of a whole variable's step: training hardly moves. "
            "Write NeuroPlastic(0.1), the default, or search from 0.01 to 0.3.",
            stacklevel=3,
        )


def warn_of_small_strength(inner, strength):
    """A warning where a learning rate stands in its place."""
    number = isinstance(strength, Real) and not _loading.get()
    if number and 0 < strength < 0.01:
        warnings.warn(
            f"`strength` changes hardly anything at {strength:g}. If that is meant for "
            "the learning rate, write it within, as in "
            f"PlasticityModulated(keras.optimizers.{type(inner).__name__}({strength:g})).",
            stacklevel=3,
        )


def largest_rate(learning_rate):
    """The largest rate of a number or one of Keras's schedules; None if not known."""
    if isinstance(learning_rate, LearningRateSchedule):
        names = "initial_learning_rate", "warmup_target", "end_learning_rate"
        rates = [getattr(learning_rate, name, None) for name in names]
        values = getattr(learning_rate, "values", None)
        rates.extend(values if isinstance(values, (list, tuple, np.ndarray)) else [])
    else:
        rates = [learning_rate]
    known = [float(rate) for rate in rates if isinstance(rate, Real)]
    return max(known, default=None)
