"""The hyperparameters of a step as one value, for the functions that need them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plasticity:
    """The hyperparameters of a step that stay the same, by their public names.

    Its equals make equal steps, and may share what is compiled.
    """

    activity_weight: float  # w_a
    gradient_weight: float  # w_g
    memory_weight: float  # w_m
    min_alpha: float  # α_min
    max_alpha: float  # α_max
    per_parameter: bool
    activity_decay: float  # δ
    beta_1: float  # β₁
    beta_2: float  # β₂
    max_update_norm: float | None  # c
    target_rms: float  # r*
    adaptation_rate: float  # ρ
    epsilon: float  # ε

    @property
    def stabilizes(self):
        """Whether anything becomes of an update in section 4."""
        return self.max_update_norm is not None or bool(self.adaptation_rate)

    @property
    def signal_weights(self):
        """The weight of |g|, then those of the signals that have any."""
        others = [w for w in (self.activity_weight, self.memory_weight) if w]
        return [self.gradient_weight, *others]

    @property
    def slot_names(self):
        """The traces of the signals that have weight."""
        names = ["activity"] if self.activity_weight else []
        return names + (["momentum", "variance"] if self.memory_weight else [])


@dataclass(frozen=True)
class Update(Plasticity):
    """With those that only an update of our own has."""

    skip_nonfinite: bool = False
    residual: Any = None
