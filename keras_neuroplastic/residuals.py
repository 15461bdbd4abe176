"""Residual forms: the gradient itself, and beside it what plasticity adds to it."""

from dataclasses import dataclass
from typing import Any, Protocol

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from keras_neuroplastic import _sums, _validation, rules
from keras_neuroplastic.modulation import TINY, limit

# The published constants, of lengths and of squares in the units of the gradient.
EPSILON = 1e-8


class Residual(Protocol):
    """What a residual form has, of this package or your own: it is hashable, too.

    To be saved and copied it has `get_config` and `from_config`, and is registered.
    """

    def update(self, g, alpha, alpha_gradient, unit, strength, axis=None) -> Any:
        """u of a gradient `g` in units of `unit`, in these units."""


@keras.saving.register_keras_serializable(package="keras_neuroplastic")
@dataclass(frozen=True)
class BoundedResidual:
    """The gradient, and what plasticity adds to it, of bounded length.

    ```
    d = (α - 1) g
    d <- d ρ ‖g‖ / (‖d‖ + 10⁻¹²)   where ‖d‖ > ρ ‖g‖
    u = g + d
    ```

    for each variable, in place of `u = α g`; the update is then stabilised as ever.

    Args:
        max_ratio: ρ. Float, at least 0. How long d may be, in lengths of the
            gradient. Defaults to 0.5.

    Raises:
        TypeError, ValueError: `max_ratio` has the wrong type or is out of range.

    Examples:
        >>> from keras_neuroplastic import BoundedResidual, NeuroPlastic
        >>> optimizer = NeuroPlastic(residual=BoundedResidual(max_ratio=0.3))

    Reference:

    - [NeuroPlastic](https://arxiv.org/abs/2604.26297), the published code.
    """

    max_ratio: float = 0.5

    def __post_init__(self):
        check(self, "max_ratio", _validation.real, 0)

    def update(self, g, alpha, alpha_gradient, unit, strength, axis=None):
        """u of a gradient in units of `unit`, in these units."""
        longest = self.max_ratio * rules.norm(g, axis)
        return g + limit((alpha - 1) * g, longest, TINY / unit, axis)

    def get_config(self):
        return {"max_ratio": self.max_ratio}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_neuroplastic")
@dataclass(frozen=True)
class OrthogonalResidual:
    """The gradient, and across it what the activity and memory signals add.

    ```
    s = (α - α_gradient) g
    o = s - (⟨s, g⟩ / (‖g‖² + ε)) g            0 where ‖g‖² ≤ ε
    o <- o ‖g‖ / (‖o‖ + ε)   where ‖o‖ > ε     with `match_gradient_norm`
    d = λ o
    d <- d ρ ‖g‖ / (‖d‖ + ε)   where ‖d‖ > ρ ‖g‖
    u = g + d
    ```

    for each variable, with ε = 10⁻⁸, in place of `u = α g`; the update is then
    stabilised as ever. A variable of one element has nothing across: u = g.

    Args:
        strength: λ. Float, at least 0, or a
            `keras.optimizers.schedules.LearningRateSchedule` of the number of updates
            made. Defaults to 0.1.
        max_ratio: ρ. Float, at least 0. How long d may be, in lengths of the
            gradient. Defaults to 0.5.
        match_gradient_norm: Boolean. Whether o is first made as long as the
            gradient. Defaults to False.

    Raises:
        TypeError, ValueError: An argument has the wrong type or is out of range.

    Examples:
        >>> from keras_neuroplastic import NeuroPlastic, OrthogonalResidual
        >>> optimizer = NeuroPlastic(residual=OrthogonalResidual(strength=0.4))

    Reference:

    - [NeuroPlastic](https://arxiv.org/abs/2604.26297), the published code.
    """

    strength: float | LearningRateSchedule = 0.1
    max_ratio: float = 0.5
    match_gradient_norm: bool = False

    def __post_init__(self):
        check(self, "strength", _validation.scheduled)
        check(self, "max_ratio", _validation.real, 0)
        check(self, "match_gradient_norm", _validation.boolean)

    def update(self, g, alpha, alpha_gradient, unit, strength, axis=None):
        """u of a gradient in units of `unit`, in these units; λ is `strength`."""
        square = _sums.of_magnitudes(ops.square(g), axis)
        length = _sums.root(square)
        epsilon, epsilon_of_squares = EPSILON / unit, EPSILON / unit / unit
        s = (alpha - alpha_gradient) * g
        along = _sums.total(s * g, axis) / (square + epsilon_of_squares)
        o = _sums.where(square > epsilon_of_squares, s - along * g, 0.0)
        if self.match_gradient_norm:
            across = rules.norm(o, axis)
            o = o * _sums.where(across > epsilon, length / (across + epsilon), 1.0)
        return g + limit(strength * o, self.max_ratio * length, epsilon, axis)

    def get_config(self):
        config = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if callable(self.strength):
            config["strength"] = keras.saving.serialize_keras_object(self.strength)
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if isinstance(config.get("strength"), dict):
            config["strength"] = keras.saving.deserialize_keras_object(
                config["strength"]
            )
        return cls(**config)


def check(residual, name, checked, *limits):
    """Replaces an attribute of a frozen value by what a check makes of it."""
    value = checked(name, getattr(residual, name), *limits)
    object.__setattr__(residual, name, value)
