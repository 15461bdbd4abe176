"""What plasticity did to a variable, as pure functions: collected step by step.

Of a variable there are two arrays: `totals` of all steps since they were last read, and
the `sample` of α in the last step. What α is like is told from a sample of a large
variable, at most `SAMPLE` elements; all of it would be made anew for each sum.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_neuroplastic._sums import where

SAMPLE = 1024
# Added up over the steps, in this order, and then the extremes.
SUMS = (
    "steps",
    "alpha_shift",  # of 1, from which a small spread is not rounded away
    "alpha_shift_square",
    "share_at_min",
    "share_at_max",
    "share_negative",
    "gradient_norm",
    "raw_update_norm",
    "update_norm",
    "share_clipped",
    "gain",
    "plastic_ratio",
    "update_to_weight",
)
TOTALS = (*SUMS, "minus_alpha_min", "alpha_max")
SLOTS = "totals", "sample"
# A coefficient is at a bound where it is so near, as a share of its range.
NEAR = 0.05


# By shape. Not lru_cache, of which torch.compile warns: `shapes` fills it beforehand.
GRIDS = {}


def grid(shape):
    """Which elements to look at."""
    shape = tuple(shape)
    if shape not in GRIDS:
        GRIDS[shape] = tuple(slice(None, None, step) for step in strides(shape))
    return GRIDS[shape]


def strides(shape):
    """One for each axis: every axis as even as may be."""
    steps = [1] * len(shape)
    counts = list(shape)
    while math.prod(counts) > SAMPLE:
        axis = counts.index(max(counts))
        steps[axis] += 1
        counts[axis] = -(-shape[axis] // steps[axis])
    return steps


def shapes(shape):
    """The shapes of both arrays of a variable of `shape`, by name."""
    counts = (len(range(n)[part]) for n, part in zip(shape, grid(shape), strict=True))
    return dict(zip(SLOTS, ((len(TOTALS),), (math.prod(counts),)), strict=True))


def sample(x, axis=None):
    """The elements of x to look at, in a row; with `axis`, the rows as they are."""
    if axis is not None:
        return x
    return ops.reshape(x[grid(x.shape)], (-1,))


def bounds(min_alpha, max_alpha):
    """Up to which α is at its minimum, and from where on at its maximum."""
    margin = NEAR * (max_alpha - min_alpha)
    return min_alpha + margin, max_alpha - margin


def share_at_bounds(found):
    """Of a summary, or of a series of them. Both bounds may be one number."""
    return np.minimum(found["share_at_min"] + found["share_at_max"], 1.0)


def ratio(x, y):
    """x / y, and 0 where y is."""
    return where(y > 0, x / where(y > 0, y, 1.0), 0.0)


class Seen(NamedTuple):
    """Samples of one variable, or of the rows of a matrix."""

    alpha: Any
    plastic: Any  # the part of the update that the other signals made
    update: Any  # before it was stabilised, in the same units


def collect(old, p, seen, stable, unit, gradient_norm, rate):
    """The totals and the sample after a step.

    Args:
        old: Both before it, by name.
        p: The hyperparameters.
        seen: `Seen`.
        stable: What `rules.stabilize` made of the update in units of `unit`.
        gradient_norm: ‖g‖.
        rate: η / ‖θ‖.
    """
    alpha, size = seen.alpha, seen.alpha.shape[-1]
    if not size:
        return {name: old[name] for name in SLOTS}
    low, high = bounds(p.min_alpha, p.max_alpha)
    shift = alpha - 1
    # One sum for all, for each operation costs more than so few elements.
    of_elements = [
        shift,
        ops.square(shift),
        ops.cast(alpha <= low, alpha.dtype),
        ops.cast(alpha >= high, alpha.dtype),
        ops.cast(alpha < 0, alpha.dtype),
        ops.square(seen.plastic),
        ops.square(seen.update),
    ]
    means = ops.sum(ops.stack(of_elements), -1, keepdims=True) / size
    *means, square, whole = ops.unstack(means, len(of_elements))
    norm = stable.length * stable.factor
    numbers = [
        1.0,
        *means,
        gradient_norm,
        stable.length * unit,
        norm,
        stable.clipped,
        stable.gain,
        ops.sqrt(ratio(square, whole)),
        norm * rate,
    ]
    like = ops.ones_like(square)
    step = ops.concatenate([like * ops.cast(x, alpha.dtype) for x in numbers], -1)
    extremes = ops.max(ops.stack([-alpha, alpha], -1), -2)
    totals, count = old["totals"], len(SUMS)
    known = totals[..., count:]
    new = (totals[..., :1] == 0) | (extremes > known)
    totals = [totals[..., :count] + step, where(new, extremes, known)]
    return {"totals": ops.concatenate(totals, -1), "sample": alpha}


def summary(totals, sample):
    """The statistics of a variable as a dict of floats, from NumPy arrays of both.

    Means over the steps, and the sample of α. None where no step has been made.
    """
    found = dict(zip(TOTALS, map(float, totals), strict=True))
    steps = found.pop("steps")
    if not steps:
        return None
    mean = {name: found[name] / steps for name in SUMS[1:]}
    shift, square = mean.pop("alpha_shift"), mean.pop("alpha_shift_square")
    return {
        "steps": int(steps),
        "alpha_mean": 1 + shift,
        "alpha_std": math.sqrt(max(square - shift**2, 0.0)),
        "alpha_min": -found["minus_alpha_min"],
        "alpha_max": found["alpha_max"],
        **mean,
        "alpha_sample": np.array(sample, "float64"),
    }
