"""A slow NumPy twin of what the statistics say, from the definitions alone.

It watches a `Reference` step and recomputes every number in float64 from what that
step started with.
"""

import numpy as np
from reference_modulated import ModulatedReference

# One likely mistake for each statistic.
WRONG = {
    "size": "of the sample",
    "steps": "without the last",
    "alpha_mean": "of the last step alone",
    "alpha_std": "of the means of the steps",
    "alpha_min": "of the last step alone",
    "alpha_max": "of the last step alone",
    "share_at_min": "without what is near it",
    "share_at_max": "of all beyond the middle",
    "share_negative": "of all below one",
    "gradient_norm": "of the sample alone",
    "raw_update_norm": "after homeostasis",
    "update_norm": "before homeostasis",
    "share_clipped": "of steps longer than half the limit",
    "gain": "with the limit in it",
    "plastic_ratio": "relative to the gradient",
    "update_to_weight": "of the weights after the step",
    "alpha_sample": "of the step before",
}


def sample(x, most):
    """At most so many elements, on a grid that thins the longest axis first."""
    steps = np.ones(x.ndim, int)
    while x[tuple(slice(None, None, s) for s in steps)].size > most:
        counts = [len(range(0, n, s)) for n, s in zip(x.shape, steps, strict=True)]
        steps[np.argmax(counts)] += 1
    return x[tuple(slice(None, None, s) for s in steps)].ravel()


def norm(x):
    return float(np.linalg.norm(x))


def ratio(x, y):
    return x / y if y else 0.0


class Watched:
    """A twin whose steps are watched; `summary()` tells of them.

    `wrong` names the statistic that is made wrongly.
    """

    def __init__(self, twin, wrong=None, most=512):
        self.twin, self.wrong, self.most = twin, wrong, most
        self.rows, self.shifts = [], []

    def sample(self, x):
        return sample(x, self.most)

    def step(self, g):
        twin, kept = self.twin, {}
        real_alpha, real_clip, real_adapt = twin.alpha, twin.clip_norm, twin.adapt

        def alpha(g):
            kept["alpha"] = np.broadcast_to(real_alpha(g), np.shape(g))
            return kept["alpha"]

        def clip_norm(u):
            kept["raw"], kept["clipped"] = u, real_clip(u)
            return kept["clipped"]

        def adapt(u):
            kept["final"] = real_adapt(u)
            return kept["final"]

        twin.alpha, twin.clip_norm, twin.adapt = alpha, clip_norm, adapt
        g, old = np.array(g, "float64"), twin.theta
        eta = twin.scheduled(twin.learning_rate)
        if isinstance(twin, ModulatedReference):
            old = old - eta * twin.weight_decay * old
        moved = twin.step(g)
        del twin.alpha, twin.clip_norm, twin.adapt
        if isinstance(twin, ModulatedReference):
            # Without what stabilises it, b + d is known by what it did.
            kept["final"] = (old - moved) / eta
            kept.setdefault("raw", kept["final"])
            kept.setdefault("clipped", kept["raw"])
            inner = (old - twin.bare.theta) / eta
            plastic = kept["raw"] - inner
        else:
            share = np.abs(g) / (np.mean(np.abs(g)) + twin.epsilon)
            share = share if twin.per_parameter else np.mean(share)
            alone = np.clip(share, twin.min_alpha, twin.max_alpha)
            plastic = (kept["alpha"] - alone) * g
        self.keep(g, old, moved, eta, plastic, **kept)
        return moved

    def keep(self, g, old, moved, eta, plastic, alpha, raw, clipped, final):
        twin = self.twin
        seen, margin = self.sample(alpha), 0.05 * (twin.max_alpha - twin.min_alpha)

        def gain(u):
            r = np.sqrt(np.mean(u**2) + twin.epsilon)
            return np.clip(1 + twin.adaptation_rate * (twin.target_rms - r), 0.5, 1.5)

        self.shifts.append((seen - 1, (seen - 1) ** 2))
        row = {
            "alpha_min": seen.min(),
            "alpha_max": seen.max(),
            "share_at_min": np.mean(seen <= twin.min_alpha + margin),
            "share_at_max": np.mean(seen >= twin.max_alpha - margin),
            "share_negative": np.mean(seen < 0),
            "gradient_norm": norm(g),
            "raw_update_norm": norm(raw),
            "update_norm": norm(final),
            "share_clipped": float(norm(raw) > (twin.max_update_norm or np.inf)),
            "gain": gain(clipped),
            "plastic_ratio": ratio(norm(self.sample(plastic)), norm(self.sample(raw))),
            "update_to_weight": eta * ratio(norm(final), norm(old)),
            "alpha_sample": seen,
        }
        wrong = {
            "share_at_min": np.mean(seen < twin.min_alpha),
            "share_at_max": np.mean(seen >= (twin.min_alpha + twin.max_alpha) / 2),
            "share_negative": np.mean(seen < 1),
            "gradient_norm": norm(self.sample(g)),
            "raw_update_norm": norm(final),
            "update_norm": norm(raw),
            "share_clipped": float(2 * norm(raw) > (twin.max_update_norm or np.inf)),
            "gain": gain(raw),
            "plastic_ratio": ratio(norm(self.sample(plastic)), norm(self.sample(g))),
            "update_to_weight": eta * ratio(norm(final), norm(moved)),
        }
        if self.wrong in wrong:
            row[self.wrong] = wrong[self.wrong]
        self.rows.append(row)

    def summary(self):
        rows, last = self.rows, self.rows[-1]
        shift, square = (np.mean(x) for x in zip(*self.shifts, strict=True))
        found = {k: np.mean([r[k] for r in rows]) for k in last if k[:6] != "alpha_"}
        found |= {
            "size": self.twin.theta.size,
            "steps": len(rows),
            "alpha_mean": 1 + shift,
            "alpha_std": np.sqrt(square - shift**2),
            "alpha_min": min(row["alpha_min"] for row in rows),
            "alpha_max": max(row["alpha_max"] for row in rows),
            "alpha_sample": last["alpha_sample"],
        }
        wrong = {
            "size": last["alpha_sample"].size,
            "steps": len(rows) - 1,
            "alpha_mean": np.mean(last["alpha_sample"]),
            "alpha_std": np.std([np.mean(shifts) for shifts, _ in self.shifts]),
            "alpha_min": last["alpha_min"],
            "alpha_max": last["alpha_max"],
            "alpha_sample": rows[-2]["alpha_sample"],
        }
        if self.wrong in wrong:
            found[self.wrong] = wrong[self.wrong]
        return found
