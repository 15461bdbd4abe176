"""What plasticity did to the variables over many steps, as pure functions.

What was `Seen` of a step is added to two arrays with a row for each variable: `totals`
of all steps since they were last read, and the `sample` of α in the last step.
"""

import math

import numpy as np
from keras import ops

from keras_neuroplastic._sums import where
from keras_neuroplastic.statistics import OF_UPDATES, width

# Means over the steps, in this order after their number, and then the extremes.
OF_ALPHA = (
    "alpha_mean",
    "share_at_min",
    "share_at_max",
    "share_negative",
)
MEANS = (*OF_ALPHA, "plastic_ratio", *OF_UPDATES, "alpha_variance")
TOTALS = ("steps", *MEANS, "minus_alpha_min", "alpha_max")
# A coefficient is at a bound where it is so near, as a share of its range.
NEAR = 0.05


def bounds(min_alpha, max_alpha):
    """Up to which α is at its minimum, and from where on at its maximum."""
    margin = NEAR * (max_alpha - min_alpha)
    return min_alpha + margin, max_alpha - margin


def share_at_bounds(found):
    """Of a summary, or of a series of them. Both bounds may be one number."""
    return np.minimum(found["share_at_min"] + found["share_at_max"], 1.0)


def weights(sizes):
    """A matrix: of each row, the share of each element in its mean."""
    columns = np.arange(width(sizes))
    sizes = np.array(sizes)[:, None]
    inside = columns < sizes
    return inside / np.maximum(sizes, 1)


def mean(arrays, weights, xp=ops):
    """The means of the rows of each array, one after another in a row."""
    # One sum for all, for each operation costs more than so few elements; in NumPy a
    # product of matrices, which a GPU might round to few digits.
    if xp is ops:
        products = [ops.cast(x, weights.dtype) * weights for x in arrays]
        return ops.sum(ops.stack(products, -2), -1)
    all_of_row = np.empty((len(weights), len(arrays), weights.shape[1]), weights.dtype)
    for i, x in enumerate(arrays):
        all_of_row[:, i] = x
    return (all_of_row @ weights[..., None])[..., 0]


def of_step(p, seen, weights, xp=ops):
    """`MEANS` of a step, and minus the minimum and the maximum of α.

    Args:
        p: The hyperparameters.
        seen: `Seen` of matrices, or of several steps in a row of matrices.
        weights: Of the elements, as `weights` says.
        xp: keras.ops, or numpy for its arrays.
    """
    either = where if xp is ops else xp.where
    low, high = bounds(p.min_alpha, p.max_alpha)
    alpha, size = seen.alpha, len(OF_ALPHA)
    shares = alpha <= low, alpha >= high, alpha < 0
    squares = seen.plastic * seen.plastic, seen.update * seen.update
    means = mean([alpha, *shares, *squares], weights, xp)
    of_alpha, square = means[..., :size], means[..., size : size + 1]
    whole = means[..., -1:]
    none = whole == 0  # a NaN is some
    plastic_ratio = xp.sqrt(either(none, 0.0, square / either(none, 1.0, whole)))
    apart = alpha - of_alpha[..., :1]
    variance = mean([apart * apart], weights, xp)
    step = xp.concatenate([of_alpha, plastic_ratio, seen.numbers, variance], -1)
    alone = either(weights > 0, alpha, alpha[..., :1])  # a row's own elements
    return step, xp.stack([-xp.amin(alone, -1), xp.amax(alone, -1)], -1)


def added(totals, count, step, extremes, xp=ops):
    """`TOTALS` of further steps put to those there are.

    Args:
        totals: Of the steps before.
        count: How many are added.
        step, extremes: What `of_step` tells of them; their means if they are several.
        xp: keras.ops, or numpy for its arrays.
    """
    either = where if xp is ops else xp.where
    steps, known = totals[..., :1] + count, totals[..., 1 : 1 + len(MEANS)]
    # A mean that moves stays as exact as a sum of many steps does not.
    moves, share = step - known, count / steps
    between = moves[..., :1] * moves[..., :1] * (share * (1 - share))
    moved_means = known + moves * share
    variance = moved_means[..., -1:] + between
    old = totals[..., 1 + len(MEANS) :]
    further = (steps == count) | (extremes > old) | (old != old)  # or a NaN would stay
    extremes = either(further, extremes, old)
    parts = [steps, moved_means[..., :-1], variance, extremes]
    return xp.concatenate(parts, -1)


def collect(totals, sample, p, seen, weights, xp=ops):
    """Totals and samples after a step; both before it, and the rest as of `of_step`."""
    either = where if xp is ops else xp.where
    after = added(totals, 1, *of_step(p, seen, weights, xp), xp)
    moved = seen.moved > 0
    if xp is not ops and moved.all():
        return after, seen.alpha
    return either(moved, after, totals), either(moved, seen.alpha, sample)


def summary(totals, sample):
    """The statistics of a variable as a dict of floats, from NumPy arrays of both.

    Means over the steps, and the sample of α. None where no step has been made.
    """
    found = dict(zip(TOTALS, map(float, totals), strict=True))
    steps = found.pop("steps")
    if not steps:
        return None
    variance, lowest = found.pop("alpha_variance"), -found.pop("minus_alpha_min")
    return {
        "steps": int(steps),
        "alpha_mean": found.pop("alpha_mean"),
        "alpha_std": math.sqrt(max(variance, 0.0)),
        "alpha_min": lowest,
        "alpha_max": found.pop("alpha_max"),
        **found,
        "alpha_sample": np.array(sample, "float64"),
    }
