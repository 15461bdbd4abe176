"""What plasticity did to the variables in a step, as pure functions.

A step of a variable tells what was `Seen` of it; `collecting.py` adds it to what was
seen before. What α is like is told from a sample of a large variable, a grid of
elements; all of it would be made anew for each sum.
"""

import math
from typing import Any, NamedTuple

from keras import ops

from keras_neuroplastic._sums import where

# Elements to look at, of one variable and of all: a step of many small variables is to
# take little longer, too.
SAMPLE, TOGETHER = 512, 2**17
# What is told of an update, in this order.
OF_UPDATES = (
    "gradient_norm",
    "raw_update_norm",
    "update_norm",
    "share_clipped",
    "gain",
    "update_to_weight",
)


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


def ratio(x, y):
    """x / y, and 0 where y is."""
    return where(y > 0, x / where(y > 0, y, 1.0), 0.0)


class Seen(NamedTuple):
    """What a step of one variable was like, or of each row of a matrix."""

    alpha: Any  # of a sample of elements, in a row
    # Of the same elements, in the same units; or the lengths of the two, of which only
    # the ratio is told.
    plastic: Any  # the part of the update that the other signals made
    update: Any  # before it was stabilised
    numbers: Any  # `OF_UPDATES`
    moved: Any  # 1, or 0 where the step was skipped


def seen(alpha, plastic, update, stable, unit, gradient_norm, rate):
    """What `collecting.collect` takes.

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


def widened(matrix, width):
    """A matrix with zeros behind it, up to a width."""
    height, narrow = matrix.shape
    if narrow == width:
        return matrix
    # Not ops.pad, which counts its calls: torch.compile would compile each one anew.
    zeros = ops.zeros((height, width - narrow), matrix.dtype)
    return ops.concatenate([matrix, zeros], 1)


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
        if all(x.shape[1] == 1 for x in shaped):
            width = 1  # a length serves for every column
        found = [widened(x, width) for x in shaped]
        if len(at) < count:
            found.append(ops.zeros((1, width), dtype))
        found = ops.concatenate(found) if len(found) > 1 else found[0]
        in_order = order == list(range(count))
        return found if in_order else ops.take(found, order, axis=0)

    widths = Seen(*[width(sizes)] * 3, len(OF_UPDATES), 1)
    return Seen(*map(matrix, zip(*parts, strict=True), widths))
