"""The NeuroPlastic update as pure functions on the tensors of one variable.

The symbols are those of the paper (arXiv 2604.26297, section 3): gradient `g`,
activity trace `a`, momentum `m`, variance `v`, plasticity coefficient `alpha`,
update `u = alpha * g`. Everything is elementwise; means and norms run over all
elements of the one variable, or over `axis`, where each row of a matrix is a variable.
Traces and decays are plain tensors and floats, so these functions serve every backend
and every caller.
"""

from typing import Any, NamedTuple

from keras import ops

from keras_neuroplastic import _sums, statistics
from keras_neuroplastic._dtypes import in_step_dtype, saturate
from keras_neuroplastic._sums import clip, stored, where

# 1. Traces


def trace(old, value, decay):
    """Exponential moving average without bias correction.

    `old <- decay * old + (1 - decay) * value`
    """
    return decay * old + (1 - decay) * value


def update_traces(old, g, p):
    """The traces after a step with gradient g.

    `old` maps "activity", or "momentum" and "variance", or all or none of them to
    the traces before the step; the result has the same names.
    """
    new = {}
    if "activity" in old:
        new["activity"] = trace(old["activity"], ops.abs(g), p.activity_decay)
    if "momentum" in old:
        new["momentum"] = trace(old["momentum"], g, p.beta_1)
        # An infinite trace would never recover. Not the trace itself is limited: XLA
        # computes a limit anew wherever it is read, which takes a copy of the old one.
        new["variance"] = trace(old["variance"], saturate(ops.square(g)), p.beta_2)
    return new


# 2. Signals


class Signals(NamedTuple):
    """What α follows: |g|, then a and |m| / (√v + ε) where they have traces."""

    values: list
    means: Any  # stacked: one operation on them serves all
    gains: list  # what makes each mean 1: N(x) = x · gain, gain = 1 / (mean + ε)


def values(traces, g, p):
    """What α follows, from the gradient of a step and the traces after it."""
    found = [ops.abs(g)]
    if "activity" in traces:
        found.append(traces["activity"])
    if "momentum" in traces:
        root = _sums.root(traces["variance"])
        found.append(stored(ops.abs(traces["momentum"]) / (root + p.epsilon)))
    return found


def signals(traces, g, p, axis=None):
    """The signals after a step, from its gradient and the traces after it."""
    followed = values(traces, g, p)
    means = saturate(_sums.of_signals(followed, axis) / _sums.size(g, axis))
    # One division a variable, where a compiler might make one an element.
    gains = ops.unstack(stored(1 / (means + p.epsilon)), len(followed))
    return Signals(followed, means, gains)


# 3. Plasticity coefficient


def gradient_plasticity(signals, p):
    """α_gradient = clip(N(|g|), α_min, α_max)."""
    [value, *_] = followed(signals, p)
    return clip(value * signals.gains[0], p.min_alpha, p.max_alpha)


def plasticity(signals, p, scale):
    """The plasticity coefficient α; κ is `scale`, a float or a tensor.

    ```
    α_full = clip(w_a N(a) + w_g N(|g|) + w_m N(|m| / (√v + ε)), α_min, α_max)
    α = α_gradient + κ (α_full - α_gradient)
    ```

    It is not clipped again: κ > 1 extrapolates beyond the range on purpose.
    """
    parts = zip(followed(signals, p), p.signal_weights, signals.gains, strict=True)
    # In this order: w · gain may be so small that XLA takes it for 0.
    first, *others = [x * gain * w for x, w, gain in parts]
    alpha_full = clip(sum(others, first), p.min_alpha, p.max_alpha)
    if isinstance(scale, float) and scale == 1.0:
        return alpha_full
    alpha_gradient = gradient_plasticity(signals, p)
    return alpha_gradient + scale * (alpha_full - alpha_gradient)


def followed(signals, p):
    """The values of the signals, or their means where a variable has one α."""
    return signals.values if p.per_parameter else ops.unstack(signals.means)


# 4. Homeostatic stabilisation


def norm(x, axis=None):
    """‖x‖, of x whose squares neither overflow nor vanish."""
    return _sums.root(_sums.of_magnitudes(ops.square(x), axis))


def norms(values, axis=None):
    """The norm of each of several arrays of one shape."""
    squares = _sums.of_several([ops.square(x) for x in values], axis)
    return ops.unstack(_sums.root(squares), len(values))


class Stabilized(NamedTuple):
    """An update, and what has been done to it."""

    update: Any
    length: Any  # before, in units of `unit`; None where nothing was stabilised
    factor: Any  # what one of these units has become
    clipped: Any  # whether the norm limit acted
    gain: Any  # of the last correction


def stabilize(u, unit, p, axis=None):
    """The homeostatically stabilised update, from one in units of `unit`.

    1. `u <- u c / (‖u‖ + ε)` where ‖u‖ > c = `max_update_norm` (None: never);
    2. `r = √(mean(u²) + ε)`;
    3. `u <- u clip(1 + ρ (r* - r), 0.5, 1.5)`, ρ = `adaptation_rate` (0: never),
       r* = `target_rms`.

    Both corrections are scalars, so one reduction serves them and the update is
    written once.
    """
    u = stored(u)
    stable = stabilizing(norm(u, axis), unit, _sums.size(u, axis), p)
    return stable._replace(update=u * stored(stable.factor))


def stabilizing(length, unit, size, p):
    """What stabilises an update of such a length in units of `unit`."""
    factor, clipped, gain = unit, False, 1.0
    if p.max_update_norm is not None:
        limited = p.max_update_norm / (length + p.epsilon / unit)
        clipped = length * unit > p.max_update_norm
        factor = where(clipped, limited, unit)
    if p.adaptation_rate:
        mean_square = ops.square(length * factor) / size
        r = _sums.root(mean_square + p.epsilon)
        gain = clip(1 + p.adaptation_rate * (p.target_rms - r), 0.5, 1.5)
        factor = factor * gain
    return Stabilized(None, length, factor, clipped, gain)


# 5. Update


def sampled_plasticity(found, traces, g, p, scale, grid, axis=None):
    """α, α_gradient and h = g / mean(|g|) of the elements that the statistics look at.

    Made anew from arrays that outlast the step, so that a compiler keeps no others.
    """
    traces = {name: statistics.sample(x, grid, axis) for name, x in traces.items()}
    g = statistics.sample(g, grid, axis)
    found = found._replace(values=values(traces, g, p))
    alphas = plasticity(found, p, scale), gradient_plasticity(found, p)
    # One α for the whole variable is that of every element.
    zeros = ops.zeros_like(g)
    return *(alpha + zeros for alpha in alphas), g * found.gains[0]


def step(
    p,
    theta,
    traces,
    g,
    eta,
    scale,
    weight_decay=0.0,
    residual_strength=None,
    axis=None,
    watched=None,
):
    """The value of a variable and its traces after a step, and what was seen of it.

    `θ <- θ - η λ θ - η u`, η = `eta`, λ = `weight_decay`, κ = `scale`. Only a step
    that is `watched`, on a `statistics.Grid`, makes `statistics.Seen`.
    """
    theta, g, eta, scale, residual_strength = in_step_dtype(
        theta.dtype, theta, g, eta, scale, residual_strength
    )
    if watched:
        length_of_theta = norm(theta, axis)
        theta = _sums.after(length_of_theta, theta)
    new = update_traces(traces, g, p)
    found = signals(new, g, p, axis)
    alpha = plasticity(found, p, scale)
    # In units of the mean of |g|, where squares neither overflow nor vanish, whatever
    # the size of the gradient.
    h, unit = g * found.gains[0], found.means[0] + p.epsilon
    if p.residual is not None:
        alpha_gradient = gradient_plasticity(found, p)
        raw = p.residual.update(h, alpha, alpha_gradient, unit, residual_strength, axis)
    elif p.stabilizes or watched:
        raw = alpha * h
    if p.stabilizes or p.residual is not None:
        stable = stabilize(raw, unit, p, axis)
    else:
        length = norm(raw, axis) if watched else None
        stable = Stabilized(alpha * g, length, unit, False, 1.0)
    new_theta = theta - eta * stable.update
    if weight_decay:
        new_theta = new_theta - eta * weight_decay * theta
    seen = None
    if watched:
        alpha, alpha_gradient, h_seen = sampled_plasticity(
            found, new, g, p, scale, watched, axis
        )
        raw_seen = alpha * h_seen
        if p.residual is not None:
            raw_seen = statistics.sample(raw, watched, axis)
        seen = statistics.seen(
            alpha,
            (alpha - alpha_gradient) * h_seen,
            raw_seen,
            stable,
            unit,
            gradient_norm=norm(h, axis) * unit,
            rate=statistics.ratio(eta, length_of_theta),
        )
    if p.skip_nonfinite:
        finite = ops.all(ops.isfinite(g), axis, keepdims=axis is not None)
        new_theta = where(finite, new_theta, theta)
        new = {name: where(finite, new[name], traces[name]) for name in new}
        if watched:
            seen = seen._replace(moved=where(finite, seen.moved, 0.0))
    return new_theta, new, seen
