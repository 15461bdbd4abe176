"""Plasticity around an update that something else has made, as pure functions.

The last two sections of the published forms: what plasticity adds to an update is a
part d, which may be at most so long beside it.
"""

from dataclasses import dataclass

from keras import ops

from keras_neuroplastic import _sums, rules, statistics
from keras_neuroplastic._dtypes import in_step_dtype
from keras_neuroplastic.hyperparameters import Plasticity

# Added to lengths that are divided by.
TINY = 1e-12


@dataclass(frozen=True)
class Modulation(Plasticity):
    """The hyperparameters of a modulated step that stay the same."""

    target: str = "gain"


def limit(d, longest, tiny, axis=None):
    """d, and where ‖d‖ > `longest`, d · longest / (‖d‖ + tiny)."""
    return d * share(d, longest, tiny, axis)


def share(d, longest, tiny, axis=None):
    """How much of d is left then."""
    length = rules.norm(d, axis)
    return _sums.where(length > longest, longest / (length + tiny), 1.0)


def step(
    p,
    theta,
    traces,
    g,
    old,
    eta,
    scale,
    strength,
    max_ratio,
    axis=None,
    watched=None,
):
    """The value of a variable and its traces after an optimizer's step and ours.

    `theta` is what the optimizer has made of `old`, by an update b = (old - θ) / η:

    ```
    d = σ (α - 1) b                                                  target "gain"
    d = σ (α - 1) (clip(‖old‖ / (‖b‖ + 10⁻¹²), 0.5, 1.5) - 1) b      target "trust"
    d <- d q ‖b‖ / (‖d‖ + 10⁻¹²)   where ‖d‖ > q ‖b‖
    u = stabilize(b + d),   θ <- old - η u
    ```

    σ = `strength`, q = `max_ratio` or None, κ = `scale`. Only a step that is `watched`,
    on a `statistics.Grid`, makes `statistics.Seen`, the last of what it returns.
    """
    theta, old, g, eta, scale, strength, max_ratio = in_step_dtype(
        theta.dtype, theta, old, g, eta, scale, strength, max_ratio
    )
    new = rules.update_traces(traces, g, p)
    found = rules.signals(new, g, p, axis)
    moved = old - theta  # η b
    alpha = rules.plasticity(found, p, scale)
    d = strength * (alpha - 1) * moved
    limited = p.target == "trust" or max_ratio is not None
    if not (limited or p.stabilizes or watched):
        return theta - d, new, None
    # In units of the mean element, where squares neither overflow nor vanish.
    mean = _sums.of_magnitudes(ops.abs(moved), axis) / _sums.size(moved, axis)
    unit = _sums.where(mean > 0, mean, 1.0)
    left = 1.0  # of d
    if limited:
        length = rules.norm(moved / unit, axis)
        tiny = TINY * eta / unit
    if p.target == "trust":
        some = _sums.where(length > 0, length, 1.0)  # where it is 0, so is d
        trust = rules.norm(old, axis) / unit * eta / (some + tiny)
        left = rules.clip(trust, 0.5, 1.5) - 1
        d = d * left
    if max_ratio is not None:
        short = share(d / unit, max_ratio * length, tiny, axis)
        d = d / unit * short * unit
        left = left * short
    if not (p.stabilizes or watched):
        return theta - d, new, None
    # Where η is 0 nothing moves, whatever u is.
    rate = _sums.where(eta > 0, eta, 1.0)
    raw, unit_of_u = (moved + d) / unit, unit / rate
    if p.stabilizes:
        stable = rules.stabilize(raw, unit_of_u, p, axis)
        new_theta = old - rate * stable.update
    else:
        new_theta = theta - d
    if not watched:
        return new_theta, new, None
    of_unknown_length = [old, g * found.gains[0], *([] if p.stabilizes else [raw])]
    length_of_old, of_g, *length = rules.norms(of_unknown_length, axis)
    if not p.stabilizes:
        stable = rules.Stabilized(None, *length, unit_of_u, False, 1.0)
    alpha, *_ = rules.sampled_plasticity(found, new, g, p, scale, watched, axis)
    moved = statistics.sample(moved, watched, axis) / unit
    d = strength * (alpha - 1) * moved * left
    lengths = rules.norms([d, moved + d], axis)
    # Before `old` is written over, of which they and its own length are made.
    new_theta = _sums.after(sum(lengths, length_of_old), new_theta)
    of_g = of_g * (found.means[0] + p.epsilon)
    seen = statistics.seen(
        alpha,
        *lengths,
        stable,
        unit_of_u,
        gradient_norm=of_g,
        rate=statistics.ratio(eta, length_of_old),
    )
    return new_theta, new, seen
