"""Slow NumPy twins of the residual forms, and of optimizers that are modulated.

Written from the published equations alone, in float64, as `reference.py`.
"""

from types import MappingProxyType

import numpy as np
from reference import Reference

WRONG_LIMIT = "limit left out"
WRONG_MODULATIONS = (
    WRONG_LIMIT,
    "limit of the square",
    "alpha in place of alpha - 1",
    "trace read before its update",
    "strength off by 1 %",
)
WRONG_RESIDUALS = (
    WRONG_LIMIT,
    "alpha in place of alpha - 1",
    "trace read before its update",
    "learning rate off by 1 %",
)


def limited(d, longest, tiny):
    length = np.linalg.norm(d)
    return d * (longest / (length + tiny)) if length > longest else d


class BoundedReference(Reference):
    """NeuroPlastic(residual=BoundedResidual(max_ratio))."""

    max_ratio = 0.5

    def update(self, g, alpha):
        one = 0 if self.wrong == "alpha in place of alpha - 1" else 1
        d = (alpha - one) * g
        if self.wrong != WRONG_LIMIT:
            d = limited(d, self.max_ratio * np.linalg.norm(g), 1e-12)
        return g + d


class OrthogonalReference(Reference):
    """NeuroPlastic(residual=OrthogonalResidual(strength, max_ratio, match))."""

    strength, max_ratio, match = 0.1, 0.5, False  # a strength may be a function

    def update(self, g, alpha):
        alpha_gradient = np.clip(
            self.normalize(np.abs(g)), self.min_alpha, self.max_alpha
        )
        if self.wrong == "alpha in place of alpha - 1":
            alpha_gradient = 1.0
        s, square = (alpha - alpha_gradient) * g, np.sum(g**2)
        o = s - np.sum(s * g) / (square + 1e-8) * g if square > 1e-8 else 0 * g
        if self.match and np.linalg.norm(o) > 1e-8:
            o = o * (np.sqrt(square) / (np.linalg.norm(o) + 1e-8))
        d = self.scheduled(self.strength) * o
        if self.wrong != WRONG_LIMIT:
            d = limited(d, self.max_ratio * np.sqrt(square), 1e-8)
        return g + d


class MomentumReference(Reference):
    """SGD(momentum=0.9), of which the published form has no damping either."""

    def step(self, g):
        self.momentum = 0.9 * self.momentum + np.array(g, "float64")
        eta = self.scheduled(self.learning_rate)
        decay = eta * self.weight_decay * self.theta
        self.theta = self.theta - decay - eta * self.momentum
        return self.theta


class PublishedAdamReference(Reference):
    """AdamW with epsilon added to the corrected root."""

    def step(self, g):
        g = np.array(g, "float64")
        self.steps += 1
        self.momentum = 0.9 * self.momentum + 0.1 * g
        self.variance = 0.999 * self.variance + 0.001 * g**2
        root = np.sqrt(self.variance / (1 - 0.999**self.steps))
        b = self.momentum / (1 - 0.9**self.steps) / (root + 1e-8)
        decay = self.learning_rate * self.weight_decay * self.theta
        self.theta = self.theta - decay - self.learning_rate * b
        return self.theta


class ModulatedReference(Reference):
    """PlasticityModulated around the optimizer whose twin is `inner`.

    Strength and limit may be functions of the update count.
    """

    inner, strength, max_ratio, target = None, 1.0, 0.25, "gain"
    defaults = MappingProxyType(
        {
            "weights": (1, 0, 0),
            "min_alpha": 0.0,
            "max_alpha": 5.0,
            "max_update_norm": None,
            "adaptation_rate": 0.0,
        }
    )

    def __init__(self, initial, learning_rate=0.1, weight_decay=0.0, **options):
        super().__init__(
            initial,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            **{**self.defaults, **options},
        )
        self.bare = type(self).inner(initial)

    def step(self, g):
        g = np.array(g, "float64")
        eta = self.scheduled(self.learning_rate)
        old = self.theta - eta * self.weight_decay * self.theta
        self.bare.theta, self.bare.options["learning_rate"] = old, eta
        b = (old - self.bare.step(g)) / eta
        one = 0 if self.wrong == "alpha in place of alpha - 1" else 1
        d = (self.alpha(g) - one) * b
        strength, max_ratio = map(self.scheduled, (self.strength, self.max_ratio))
        d = d * strength * (1.01 if self.wrong == "strength off by 1 %" else 1)
        length = np.linalg.norm(b)
        if self.target == "trust":
            trust = np.linalg.norm(old) / (length + 1e-12)
            d = d * (np.clip(trust, 0.5, 1.5) - 1)
        if max_ratio is not None and self.wrong != WRONG_LIMIT:
            power = 2 if self.wrong == "limit of the square" else 1
            d = limited(d, max_ratio * length**power, 1e-12)
        u = self.adapt(self.clip_norm(b + d)) if self.adaptation_rate else b + d
        self.theta = old - eta * u
        self.steps += 1
        return self.theta


def variant(cls, **attributes):
    """A twin with other settings."""
    return type(cls.__name__, (cls,), attributes)
