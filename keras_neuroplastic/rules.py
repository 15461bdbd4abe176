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

# Sums are held below this: the largest power of two whose reciprocal is a normal
# number, for XLA divides by multiplying with the reciprocal and flushes subnormals.
LARGEST = {"float32": 2.0**126, "float64": 2.0**1022}


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
    return ops.sum(x, axis, keepdims=axis is not None)


def _mean(x, axis):
    # Not ops.mean, which rounds float64 to float32 on JAX and PyTorch.
    return _saturate(_sum(x, axis) / _size(x, axis))


def _sum_of_squares(x, axis):
    squares = ops.square(x)
    if backend() == "tensorflow":
        # Its XLA has a fast kernel for sums, but none for those of a bare product.
        squares = ops.maximum(squares, 0.0)
    return _sum(squares, axis)


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


def normalize(x, epsilon, per_parameter=True, axis=None, weight=1.0):
    """A signal with mean 1 over its variable, N(x) = x / (mean(x) + ε), times weight.

    With `per_parameter=False` it is the scalar mean(N(x)) = N(mean(x)), times weight.
    """
    mean = _mean(x, axis)
    # One division a variable, where a compiler might make one an element.
    return (x if per_parameter else mean) * (weight / (mean + epsilon))


def plasticity(
    traces,
    g,
    weights,
    scale,
    min_alpha,
    max_alpha,
    per_parameter,
    epsilon,
    axis=None,
):
    """The plasticity coefficient α, from the traces after the step.

    ```
    α_gradient = clip(N(|g|), α_min, α_max)
    α_full = clip(w_a N(a) + w_g N(|g|) + w_m N(|m| / (√v + ε)), α_min, α_max)
    α = α_gradient + κ (α_full - α_gradient)
    ```

    with `weights` = (w_a, w_g, w_m) and κ = `scale`. α is not clipped again: κ > 1
    extrapolates beyond the range on purpose. A scalar if not `per_parameter`.
    """
    activity_weight, gradient_weight, memory_weight = weights

    def signal(x, weight=1.0):
        return normalize(x, epsilon, per_parameter, axis, weight)

    gradient_signal = signal(ops.abs(g))
    weighted = gradient_weight * gradient_signal
    if activity_weight:
        weighted = weighted + signal(traces["activity"], activity_weight)
    if memory_weight:
        rms = ops.sqrt(traces["variance"])
        magnitude = ops.abs(traces["momentum"]) / (rms + epsilon)
        weighted = weighted + signal(magnitude, memory_weight)

    alpha_full = _clip(weighted, min_alpha, max_alpha)
    if isinstance(scale, float) and scale == 1.0:
        return alpha_full
    alpha_gradient = _clip(gradient_signal, min_alpha, max_alpha)
    return alpha_gradient + scale * (alpha_full - alpha_gradient)


def stabilize(
    alpha, g, max_update_norm, target_rms, adaptation_rate, epsilon, axis=None
):
    """The homeostatically stabilised update, from u = α g.

    1. `u <- u c / (‖u‖ + ε)` where ‖u‖ > c = `max_update_norm` (None: never);
    2. `r = √(mean(u²) + ε)`;
    3. `u <- u clip(1 + ρ (r* - r), 0.5, 1.5)`, ρ = `adaptation_rate` (0: never),
       r* = `target_rms`.

    u is taken in units of the mean of |g|, where its squares neither overflow nor
    vanish, whatever the size of the gradient. Both corrections are scalars, so one
    reduction serves them and the update is written once.
    """
    if max_update_norm is None and not adaptation_rate:
        return alpha * g
    unit = _mean(ops.abs(g), axis) + epsilon
    u = alpha * (g * (1 / unit))
    norm = ops.sqrt(_sum_of_squares(u, axis))
    scale = unit
    if max_update_norm is not None:
        clipped = max_update_norm / (norm + epsilon / unit)
        scale = ops.where(norm * unit > max_update_norm, clipped, unit)
    if adaptation_rate:
        rms = ops.sqrt(ops.square(norm * scale) / _size(g, axis) + epsilon)
        gain = 1 + adaptation_rate * (target_rms - rms)
        scale = scale * _clip(gain, 0.5, 1.5)
    return u * scale
