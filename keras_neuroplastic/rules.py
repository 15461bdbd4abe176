"""The NeuroPlastic update as pure functions on the tensors of one variable.

The symbols are those of the paper (arXiv 2604.26297, section 3): gradient `g`,
activity trace `a`, momentum `m`, variance `v`, plasticity coefficient `alpha`,
update `u = alpha * g`. Everything is elementwise; means and norms run over all
elements of the one variable, or over `axis`, where each row of a matrix is a variable.
Traces and decays are plain tensors and floats, so these functions serve every backend
and every caller.
"""

import math

from keras import ops
from keras.backend import backend, standardize_dtype

if backend() == "jax":
    from keras_neuroplastic import _jax
elif backend() == "torch":
    from keras_neuroplastic import _torch_compiled

# Sums are held below this: the largest power of two whose reciprocal is a normal
# number, for XLA divides by multiplying with the reciprocal and flushes subnormals.
LARGEST = {"float32": 2.0**126, "float64": 2.0**1022}
# On JAX, the signals of at most so many elements are summed by one operation.
SMALL = 2**12
# From so many elements on a sum has two stages, the first over at most so many rows.
LARGE = 2**15
ROWS = 16


def step_dtype(dtype):
    """The dtype in which a variable of `dtype` is stepped and traced.

    A moving average stalls in 16 bits, where adding 1 % of a value is rounded
    away; hence float32 for float16 and bfloat16.
    """
    return "float64" if standardize_dtype(dtype) == "float64" else "float32"


def _clip(x, low, high):
    # Limits in the dtype of x: Keras would round them to its default dtype.
    low, high = (ops.convert_to_tensor(limit, x.dtype) for limit in (low, high))
    return ops.clip(x, low, high)


def _saturate(x):
    """x >= 0, with infinity and what is close to it brought down to `LARGEST`."""
    # Not ops.minimum, which rounds float64 to float32 on PyTorch.
    return _clip(x, 0.0, LARGEST[standardize_dtype(x.dtype)])


def _size(x, axis):
    return max(math.prod(x.shape) if axis is None else x.shape[axis], 1)


def _sum(x, axis):
    # Means are made of this: ops.mean rounds float64 to float32 on JAX and PyTorch.
    return ops.sum(x, axis, keepdims=axis is not None)


def _sum_of_magnitudes(x, axis):
    """The sum of x >= 0.

    XLA on a CPU leaves the sum of a large array to a library, which has to find it in
    memory. In two stages, of which the first is no plain sum, |g| or u² is summed as
    it is made.
    """
    size = _size(x, axis)
    rows = math.gcd(size, ROWS)
    if axis is None and rows > 1 and size >= LARGE:
        if backend() == "tensorflow":
            sums = ops.sum(ops.reshape(x, (rows, -1)), 0)
            x = ops.maximum(sums, 0.0)  # else XLA makes one plain sum of the two
        elif backend() == "jax":
            x = _jax.summed_as_made(x, rows)
    return _sum(x, axis)


def stored(x):
    """x, or a copy that `torch.compile` makes here, and not anew for each reader."""
    return _torch_compiled.stored(x) if backend() == "torch" else x


def trace(old, value, decay):
    """Exponential moving average without bias correction.

    `old <- decay * old + (1 - decay) * value`
    """
    return decay * old + (1 - decay) * value


def update_traces(old, g, activity_decay, beta_1, beta_2):
    """The traces after a step with gradient g.

    `old` maps "activity", or "momentum" and "variance", or all or none of them to
    the traces before the step; the result has the same names.
    """
    new = {}
    if "activity" in old:
        new["activity"] = trace(old["activity"], ops.abs(g), activity_decay)
    if "momentum" in old:
        new["momentum"] = trace(old["momentum"], g, beta_1)
        # An infinite trace would never recover. Not the trace itself is limited: XLA
        # computes a limit anew wherever it is read, which takes a copy of the old one.
        new["variance"] = trace(old["variance"], _saturate(ops.square(g)), beta_2)
    return new


def signals(traces, g, epsilon):
    """What α follows: |g|, a and |m| / (√v + ε), those of them that have traces."""
    found = [ops.abs(g)]
    if "activity" in traces:
        found.append(traces["activity"])
    if "momentum" in traces:
        rms = ops.sqrt(traces["variance"])
        found.append(stored(ops.abs(traces["momentum"]) / (rms + epsilon)))
    return found


def means(signals, axis=None):
    """The means of the signals, stacked: one operation on them serves all."""
    size = _size(signals[0], axis)
    if backend() == "jax" and axis is None and size <= SMALL:
        return _saturate(_jax.sums(signals) / size)
    first, *others = signals
    sums = [_sum_of_magnitudes(first, axis), *(_sum(x, axis) for x in others)]
    return _saturate(ops.stack(sums) / size)


def gains(mean, epsilon):
    """What makes the mean of each signal 1: a list of 1 / (mean + ε)."""
    # One division a variable, where a compiler might make one an element.
    return ops.unstack(stored(1 / (mean + epsilon)), mean.shape[0])


def plasticity(
    signals, mean, gain, weights, scale, min_alpha, max_alpha, per_parameter
):
    """The plasticity coefficient α, from the signals, their means and gains.

    ```
    N(x) = x / (mean(x) + ε)
    α_gradient = clip(N(|g|), α_min, α_max)
    α_full = clip(w_a N(a) + w_g N(|g|) + w_m N(|m| / (√v + ε)), α_min, α_max)
    α = α_gradient + κ (α_full - α_gradient)
    ```

    with `weights` = (w_a, w_g, w_m) and κ = `scale`. α is not clipped again: κ > 1
    extrapolates beyond the range on purpose. With `per_parameter=False` each signal is
    its mean, and α a scalar.
    """
    activity_weight, gradient_weight, memory_weight = weights
    weights = [gradient_weight, *(w for w in (activity_weight, memory_weight) if w)]
    values = signals if per_parameter else ops.unstack(mean, len(signals))
    parts = zip(values, weights, gain, strict=True)
    first, *others = [x * (w * factor) for x, w, factor in parts]
    alpha_full = _clip(sum(others, first), min_alpha, max_alpha)
    if isinstance(scale, float) and scale == 1.0:
        return alpha_full
    alpha_gradient = _clip(values[0] * gain[0], min_alpha, max_alpha)
    return alpha_gradient + scale * (alpha_full - alpha_gradient)


def stabilize(
    alpha,
    g,
    mean,
    gain,
    max_update_norm,
    target_rms,
    adaptation_rate,
    epsilon,
    axis=None,
):
    """The homeostatically stabilised update, from u = α g.

    1. `u <- u c / (‖u‖ + ε)` where ‖u‖ > c = `max_update_norm` (None: never);
    2. `r = √(mean(u²) + ε)`;
    3. `u <- u clip(1 + ρ (r* - r), 0.5, 1.5)`, ρ = `adaptation_rate` (0: never),
       r* = `target_rms`.

    u is taken in units of the mean of |g|, the first signal, where its squares neither
    overflow nor vanish, whatever the size of the gradient. Both corrections are
    scalars, so one reduction serves them and the update is written once.
    """
    if max_update_norm is None and not adaptation_rate:
        return alpha * g
    unit = mean[0] + epsilon
    u = stored(alpha * (g * gain[0]))
    norm = ops.sqrt(_sum_of_magnitudes(ops.square(u), axis))
    scale = unit
    if max_update_norm is not None:
        clipped = max_update_norm / (norm + epsilon / unit)
        scale = ops.where(norm * unit > max_update_norm, clipped, unit)
    if adaptation_rate:
        rms = ops.sqrt(ops.square(norm * scale) / _size(g, axis) + epsilon)
        correction = 1 + adaptation_rate * (target_rms - rms)
        scale = scale * _clip(correction, 0.5, 1.5)
    return u * stored(scale)
