"""A slow NumPy twin of the optimizer, close to the theory, in float64.

Written from the published equations alone. `wrong` names one deliberate mistake,
so that a test can show that it would notice it.
"""

import numpy as np

WRONG_VARIANTS = (
    "trace read before its update",
    "alpha clipped a second time",
    "epsilon left out of a mean",
    "norm taken after the gain",
    "learning rate off by 1 %",
)


class Reference:
    """One variable and its traces; `step(gradient)` moves them."""

    def __init__(
        self,
        initial,
        learning_rate=0.1,  # a float, or a function of the update count
        weights=(0.4, 0.4, 0.2),
        plasticity_scale=1.0,  # likewise
        min_alpha=0.2,
        max_alpha=2.0,
        per_parameter=True,
        activity_decay=0.95,
        beta_1=0.9,
        beta_2=0.99,
        max_update_norm=1.0,
        target_rms=0.02,
        adaptation_rate=0.01,
        epsilon=1e-8,
        weight_decay=0.0,
        wrong=None,
    ):
        self.options = {
            k: v for k, v in locals().items() if k not in ("self", "initial")
        }
        self.theta = np.array(initial, "float64")
        self.activity = np.zeros_like(self.theta)
        self.momentum = np.zeros_like(self.theta)
        self.variance = np.zeros_like(self.theta)
        self.steps = 0

    def __getattr__(self, name):
        return self.__dict__["options"][name]

    def scheduled(self, value):
        return value(self.steps) if callable(value) else value

    def normalize(self, x):
        epsilon = 0.0 if self.wrong == "epsilon left out of a mean" else self.epsilon
        return x / (np.mean(x) + epsilon)

    def alpha(self, g):
        before = self.activity, self.momentum, self.variance
        self.activity = self.activity_decay * self.activity + (
            1 - self.activity_decay
        ) * np.abs(g)
        self.momentum = self.beta_1 * self.momentum + (1 - self.beta_1) * g
        self.variance = self.beta_2 * self.variance + (1 - self.beta_2) * g**2
        after = self.activity, self.momentum, self.variance
        a, m, v = before if self.wrong == "trace read before its update" else after

        w_a, w_g, w_m = self.weights
        gradient_signal = self.normalize(np.abs(g))
        total = w_g * gradient_signal
        if w_a:
            total = total + w_a * self.normalize(a)
        if w_m:
            total = total + w_m * self.normalize(
                np.abs(m) / (np.sqrt(v) + self.epsilon)
            )
        if not self.per_parameter:
            gradient_signal, total = np.mean(gradient_signal), np.mean(total)
        alpha_gradient = np.clip(gradient_signal, self.min_alpha, self.max_alpha)
        alpha_full = np.clip(total, self.min_alpha, self.max_alpha)
        kappa = self.scheduled(self.plasticity_scale)
        alpha = alpha_gradient + kappa * (alpha_full - alpha_gradient)
        if self.wrong == "alpha clipped a second time":
            alpha = np.clip(alpha, self.min_alpha, self.max_alpha)
        return alpha

    def update(self, g, alpha):
        return alpha * g

    def clip_norm(self, u):
        norm = np.linalg.norm(u)
        if self.max_update_norm is not None and norm > self.max_update_norm:
            u = u * (self.max_update_norm / (norm + self.epsilon))
        return u

    def adapt(self, u):
        r = np.sqrt(np.mean(u**2) + self.epsilon)
        gain = 1 + self.adaptation_rate * (self.target_rms - r)
        return u * np.clip(gain, 0.5, 1.5)

    def step(self, g):
        g = np.array(g, "float64")
        with np.errstate(invalid="ignore", divide="ignore"):
            u = self.update(g, self.alpha(g))
            if self.wrong == "norm taken after the gain":
                u = self.clip_norm(self.adapt(u))
            else:
                u = self.adapt(self.clip_norm(u))
        eta = self.scheduled(self.learning_rate)
        eta *= 1.01 if self.wrong == "learning rate off by 1 %" else 1
        self.theta = self.theta - eta * self.weight_decay * self.theta - eta * u
        self.steps += 1
        return self.theta
