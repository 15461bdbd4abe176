"""Plasticity around an update that something else has made, as pure functions.

The last two sections of the published forms: what plasticity adds to an update is a
part d, which may be at most so long beside it.
"""

from dataclasses import dataclass

from keras import ops

from keras_neuroplastic import _sums, rules, statistics
from keras_neuroplastic.hyperparameters import Plasticity

# Added to lengths that are divided by.
TINY = 1e-12


@dataclass(frozen=True)
class Modulation(Plasticity):
    """The hyperparameters of a modulated step that stay the same."""

    target: str = "gain"


def limit(d, longest, tiny, axis=None):
    """d, and where ‖d‖ > `longest`, d · longest / (‖d‖ + tiny)."""
    length = rules.norm(d, axis)
    return d * _sums.where(length > longest, longest / (length + tiny), 1.0)


def step(p, theta, traces, g, old, eta, scale, strength, max_ratio, axis=None):
    """The value of a variable and its traces after an optimizer's step and ours.

    `theta` is what the optimizer has made of `old`, by an update b = (old - θ) / η:

    ```
    d = σ (α - 1) b                                                  target "gain"
    d = σ (α - 1) (clip(‖old‖ / (‖b‖ + 10⁻¹²), 0.5, 1.5) - 1) b      target "trust"
    d <- d q ‖b‖ / (‖d‖ + 10⁻¹²)   where ‖d‖ > q ‖b‖
    u = stabilize(b + d),   θ <- old - η u
    ```

    σ = `strength`, q = `max_ratio` or None, κ = `scale`.
    """
    theta, old, g, eta, scale, strength, max_ratio = rules.in_step_dtype(
        theta.dtype, theta, old, g, eta, scale, strength, max_ratio
    )
    new = rules.update_traces(traces, g, p)
    found = rules.signals(new, g, p, axis)
    moved = old - theta  # η b
    d = strength * (rules.plasticity(found, p, scale) - 1) * moved
    watched = "totals" in traces
    limited = p.target == "trust" or max_ratio is not None
    if not (limited or p.stabilizes or watched):
        return theta - d, new
    # In units of the mean element, where squares neither overflow nor vanish.
    mean = _sums.of_magnitudes(ops.abs(moved), axis) / _sums.size(moved, axis)
    unit = _sums.where(mean > 0, mean, 1.0)
    if limited:
        length = rules.norm(moved / unit, axis)
        tiny = TINY * eta / unit
    if p.target == "trust":
        some = _sums.where(length > 0, length, 1.0)  # where it is 0, so is d
        trust = rules.norm(old, axis) / unit * eta / (some + tiny)
        d = d * (rules.clip(trust, 0.5, 1.5) - 1)
    if max_ratio is not None:
        d = limit(d / unit, max_ratio * length, tiny, axis) * unit
    if not (p.stabilizes or watched):
        return theta - d, new
    # Where η is 0 nothing moves, whatever u is.
    rate = _sums.where(eta > 0, eta, 1.0)
    raw, unit_of_u = (moved + d) / unit, unit / rate
    if p.stabilizes:
        stable = rules.stabilize(raw, unit_of_u, p, axis)
        new_theta = old - rate * stable.update
    else:
        new_theta = theta - d
    if watched:
        if not p.stabilizes:
            length = rules.norm(raw, axis)
            stable = rules.Stabilized(None, length, unit_of_u, False, 1.0)
        alpha, _ = rules.sampled_plasticity(found, p, scale, axis)
        of_g = rules.norm(g * found.gains[0], axis) * (found.means[0] + p.epsilon)
        new |= statistics.collect(
            traces,
            p,
            statistics.Seen(
                alpha, *(statistics.sample(x, axis) for x in (d / unit, raw))
            ),
            stable,
            unit_of_u,
            gradient_norm=of_g,
            rate=statistics.ratio(eta, rules.norm(old, axis)),
        )
    return new_theta, new
