"""What plasticity did to the variables, as pure functions: collected step by step.

A step of a variable tells what was `Seen` of it. All of a step are then added to two
arrays with a row for each variable: `totals` of all steps since they were last read,
and the `sample` of α in the last step. What α is like is told from a sample of a large
variable, a grid of elements; all of it would be made anew for each sum.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_neuroplastic._sums import where

# Elements to look at, of one variable and of all: a step of many small variables is to
# take little longer, too.
SAMPLE, TOGETHER = 512, 2**17
# Means over the steps, in this order after their number, and then the extremes.
OF_ALPHA = (
    "alpha_mean",
    "share_at_min",
    "share_at_max",
    "share_negative",
)
OF_UPDATES = (
    "gradient_norm",
    "raw_update_norm",
    "update_norm",
    "share_clipped",
    "gain",
    "update_to_weight",
)
MEANS = (*OF_ALPHA, "plastic_ratio", *OF_UPDATES, "alpha_variance")
TOTALS = ("steps", *MEANS, "minus_alpha_min", "alpha_max")
# A coefficient is at a bound where it is so near, as a share of its range.
NEAR = 0.05


class Grid(NamedTuple):
    """Which elements of a variable to look at."""

    shape: tuple
    steps: tuple  # along each axis

    @property
    def slices(self):
        return tuple(slice(None, None, step) for step in self.steps)

    @property
    def counts(self):
        axes = zip(self.shape, self.slices, strict=True)
        return tuple(len(range(n)[part]) for n, part in axes)


def grids(shapes):
    """The `Grid` of each variable: every axis as even as may be."""
    shapes = list(map(tuple, shapes))
    most = min(SAMPLE, max(1, TOGETHER // max(len(shapes), 1)))
    found = {}
    for shape in set(shapes):
        grid = Grid(shape, (1,) * len(shape))
        while math.prod(grid.counts) > most:
            axis = grid.counts.index(max(grid.counts))
            steps = (n + (i == axis) for i, n in enumerate(grid.steps))
            grid = Grid(shape, tuple(steps))
        found[shape] = grid
    return [found[shape] for shape in shapes]


def width(sizes):
    """Columns of a matrix with a row of so many elements for each; at least one."""
    return max(1, *sizes) if sizes else 1


def sample(x, grid, axis=None):
    """The elements of x to look at, in a row; with `axis`, of each row of x."""
    if axis is None:
        return ops.reshape(x[grid.slices], (-1,))
    rows = ops.reshape(x, (x.shape[0], *grid.shape))
    return ops.reshape(rows[(slice(None), *grid.slices)], (x.shape[0], -1))


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
    """What a step of one variable was like, or of each row of a matrix."""

    alpha: Any  # of a sample of elements, in a row
    plastic: Any  # of its elements, the part of the update that the other signals made
    update: Any  # likewise, before it was stabilised, in the same units
    numbers: Any  # `OF_UPDATES`
    moved: Any  # 1, or 0 where the step was skipped


def seen(alpha, plastic, update, stable, unit, gradient_norm, rate):
    """What `collect` takes.

    Args:
        alpha, plastic, update: As in `Seen`.
        stable: What `rules.stabilize` made of the update in units of `unit`.
        gradient_norm: ‖g‖.
        rate: η / ‖θ‖.
    """
    norm = stable.length * stable.factor
    numbers = (
        gradient_norm,
        stable.length * unit,
        norm,
        stable.clipped,
        stable.gain,
        norm * rate,
    )
    like = ops.ones_like(stable.length)
    plain = bool, float
    numbers = [
        like * (float(x) if isinstance(x, plain) else ops.cast(x, like.dtype))
        for x in numbers
    ]
    numbers = ops.stack(numbers, -1) if like.ndim == 0 else ops.concatenate(numbers, -1)
    return Seen(alpha, plastic, update, numbers, like)


def rows(parts, positions, sizes, dtype):
    """One `Seen` of matrices, a row for each variable.

    Args:
        parts: List of `Seen`, of a variable or of several that are rows.
        positions: For each part the list of its rows. What has none was not stepped.
        sizes: How many elements are looked at of each variable.
        dtype: Of the matrices.
    """
    count = len(sizes)
    at = {row: i for i, row in enumerate(row for part in positions for row in part)}
    order = [at.get(row, len(at)) for row in range(count)]

    def matrix(arrays, width):
        shaped = [
            ops.reshape(ops.cast(x, dtype), (len(part), -1))
            for x, part in zip(arrays, positions, strict=True)
        ]
        found = [
            ops.pad(x, ((0, 0), (0, width - x.shape[1]))) if x.shape[1] < width else x
            for x in shaped
        ]
        if len(at) < count:
            found.append(ops.zeros((1, width), dtype))
        found = ops.concatenate(found) if len(found) > 1 else found[0]
        in_order = order == list(range(count))
        return found if in_order else found[np.array(order, "int32")]

    widths = Seen(*[width(sizes)] * 3, len(OF_UPDATES), 1)
    return Seen(*map(matrix, zip(*parts, strict=True), widths))


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


def collect(totals, sample, p, seen, weights, xp=ops):
    """Totals and samples after a step.

    Args:
        totals, sample: Both before it.
        p: The hyperparameters.
        seen: `Seen` of matrices.
        weights: Of the elements, as `weights` says.
        xp: keras.ops, or numpy for its arrays.
    """
    either = where if xp is ops else xp.where
    low, high = bounds(p.min_alpha, p.max_alpha)
    alpha, size = seen.alpha, len(OF_ALPHA)
    shares = alpha <= low, alpha >= high, alpha < 0
    squares = seen.plastic * seen.plastic, seen.update * seen.update
    means = mean([alpha, *shares, *squares], weights, xp)
    of_alpha, square, whole = means[:, :size], means[:, size : size + 1], means[:, -1:]
    none = whole == 0  # a NaN is some
    plastic_ratio = xp.sqrt(either(none, 0.0, square / either(none, 1.0, whole)))
    apart = alpha - of_alpha[:, :1]
    variance = mean([apart * apart], weights, xp)
    step = xp.concatenate([of_alpha, plastic_ratio, seen.numbers, variance], -1)
    # A mean that moves stays as exact as a sum of many steps does not.
    steps, known = totals[:, :1] + 1, totals[:, 1 : 1 + len(MEANS)]
    moves = step - known
    between = moves[:, :1] * moves[:, :1] * ((steps - 1) / (steps * steps))
    moved_means = known + moves / steps
    variance = moved_means[:, -1:] + between
    alone = either(weights > 0, alpha, alpha[:, :1])  # a row's own elements
    extremes = xp.stack([-xp.amin(alone, -1), xp.amax(alone, -1)], -1)
    old = totals[:, 1 + len(MEANS) :]
    further = (steps == 1) | (extremes > old) | (old != old)  # or a NaN would stay
    extremes = either(further, extremes, old)
    after = xp.concatenate([steps, moved_means[:, :-1], variance, extremes], -1)
    moved = seen.moved > 0
    if xp is not ops and moved.all():
        return after, alpha
    return either(moved, after, totals), either(moved, alpha, sample)


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
