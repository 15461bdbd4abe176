"""The statistics of a step in place, of PyTorch's variables on the CPU.

As in `statistics.py`, but by NumPy, whose operations on so few elements take a third
of the time of PyTorch's and a tenth of Keras's; and α is not made anew, but looked at
while the step has it.
"""

import math
from itertools import pairwise

import numpy as np
import torch

from keras_neuroplastic import collecting, statistics
from keras_neuroplastic._steps.torch_kernels import norm


class Watch:
    """Samples of the variables of a step, a row for each, and their numbers."""

    def __init__(self, optimizer, block):
        self.rule, self.block = optimizer._plasticity, block
        self.sizes, self.grids = optimizer._sizes, optimizer._grids
        self.dtype = optimizer._weights.dtype
        # Kept from step to step; of a variable that is not stepped nothing is read.
        self.kept = optimizer.__dict__.setdefault("_watched", {})
        self.samples, self.stepped = set(), []

    def begin(self, row):
        """First, for the variable of this row; then `see_alpha` for each block."""
        self.row = row
        if ("places", row) not in self.kept:
            self.kept["places", row] = self.look_up()
        self.places, blocks = self.kept["places", row]
        self.blocks = iter(blocks)

    def see_alpha(self, alpha, base=1.0):
        """Takes a sample of the next block, in units of `base`, or its one α."""
        self.base = base
        places, target = next(self.blocks)
        target[...] = elements(alpha, places) if torch.is_tensor(alpha) else alpha

    def add(self, mean, numbers, **arrays):
        """At last takes samples of whole arrays, and what is known of the variable.

        Args:
            mean: Of |g|.
            numbers: `statistics.OF_UPDATES`.
        """
        self.stepped.append(self.row)
        known = mean, self.base, *numbers
        self.matrix("numbers", len(known))[self.row] = known
        for name, x in arrays.items():
            self.samples.add(name)
            self.part(name)[...] = elements(x, self.places)

    def matrix(self, name, width):
        if name not in self.kept:
            self.kept[name] = np.zeros((len(self.sizes), width), self.dtype)
        return self.kept[name]

    def part(self, name):
        """Where a sample of the variable goes."""
        whole = self.matrix(name, statistics.width(self.sizes))
        return whole[self.row, : self.sizes[self.row]]

    def look_up(self):
        """Which elements to look at; and for each block which of its, and a target."""
        grid, target = self.grids[self.row], self.part("alpha")
        size, places = math.prod(grid.shape), flat(grid)
        starts = range(0, max(size, 1), self.block)
        cuts = pairwise([0, *np.searchsorted(places, [*starts[1:], size])])
        parts = zip(starts, cuts, strict=True)
        return places, [(places[i:j] - start, target[i:j]) for start, (i, j) in parts]

    def of_stepped(self, name):
        """A matrix, of whose rows a copy is only made where some are missing."""
        matrix = self.kept[name]
        return matrix if len(self.stepped) == len(matrix) else matrix[self.stepped]

    @np.errstate(all="ignore")
    def seen(self, scale):
        """The rows of the variables stepped, and `statistics.Seen` of them."""
        self.stepped.sort()
        known = self.of_stepped("numbers")
        mean, base, numbers = known[:, :1], known[:, 1:2], known[:, 2:]
        limits = self.rule.min_alpha, self.rule.max_alpha
        alpha = self.of_stepped("alpha") * base
        if scale == 1:  # it was clipped in other units: or it would be beside a limit
            alpha = alpha.clip(*limits)
        if "plastic" in self.samples:
            plastic, update = map(self.of_stepped, ("plastic", "update"))
        else:
            g, gain = self.of_stepped("gradient"), 1 / (mean + self.rule.epsilon)
            value = np.abs(g) if self.rule.per_parameter else mean
            h = g * gain
            plastic, update = (alpha - (value * gain).clip(*limits)) * h, alpha * h
        moved = np.ones((len(numbers), 1), self.dtype)
        seen = statistics.Seen(alpha, plastic, update, numbers, moved)
        return self.stepped, seen


@np.errstate(all="ignore")  # a NaN shows in the statistics
def collect(optimizer):
    """`optimizer.collect_step()`."""
    seen = rows(optimizer._seen, optimizer._sizes, optimizer._weights.dtype)
    slots = [x._value.numpy() for x in (optimizer._totals, optimizer._sample)]
    settings = optimizer._plasticity, seen, optimizer._weights
    new = collecting.collect(*slots, *settings, xp=np)
    for slot, value in zip(slots, new, strict=True):
        slot[:] = value


def rows(parts, sizes, dtype):
    """`statistics.rows`, of pairs of rows and what was seen of them."""
    (stepped, first), *others = parts
    if not others and any(sizes) and stepped == list(range(len(sizes))):
        shape = len(stepped), -1
        return statistics.Seen(*(np.asarray(x).reshape(shape) for x in first))
    widths = *[statistics.width(sizes)] * 3, len(statistics.OF_UPDATES), 1
    matrices = [np.zeros((len(sizes), width), dtype) for width in widths]
    for stepped, part in parts:
        for matrix, x in zip(matrices, part, strict=True):
            x = np.asarray(x).reshape(len(stepped), -1)
            matrix[stepped, : x.shape[1]] = x
    return statistics.Seen(*matrices)


def flat(grid):
    """The places of its elements in memory."""
    shape, steps = (1, *grid.shape), (1, *grid.steps)  # a number has no axes
    axes = [np.arange(0, n, step) for n, step in zip(shape, steps, strict=True)]
    return np.ravel_multi_index(np.ix_(*axes), shape).reshape(-1)


def elements(x, places):
    """Of a tensor, counted in its memory."""
    return x.numpy().reshape(-1).take(places)


def length(x):
    """‖x‖ of a block, to six digits, by what takes least time between the sweeps."""
    dtype = torch.float32 if x.dtype.itemsize == 2 else x.dtype
    found = torch.linalg.vector_norm(x, dtype=dtype).item()
    # No square has overflowed, and none that matters is 0.
    return found if 1e-10 < found < 1e15 else norm(x)


def ratio(x, y):
    """x / y, and 0 where y is; a NaN stays one."""
    return x / y if y else 0.0 if y == 0 else math.nan
