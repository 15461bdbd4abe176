"""The statistics of a step of all variables of a GPU together.

As in `statistics.py`, of the rows of matrices: one for each variable.
"""

import math
from collections import defaultdict

import torch

from keras_neuroplastic import rules, statistics
from keras_neuroplastic._steps.torch_scratch import remembered
from keras_neuroplastic._sums import where

# So many variables of one shape, with at most so many elements each, are cheaper copied
# as one than as a kernel each.
FEWEST, SMALL = 4, 2**12


class Watch:
    """Sees the step of variables with certain rows among the statistics."""

    def __init__(self, optimizer, rows, dtype):
        self.p, self.dtype = optimizer._plasticity, dtype
        self.grids = [optimizer._grids[row] for row in rows]
        self.width = statistics.width(optimizer._sizes)
        self.kept = optimizer.__dict__.setdefault("_watched", {})
        self.key = tuple(rows)
        self.moved = None  # by each variable, where some steps may be skipped

    def see(self, found, traces, g, scale, stable, unit, rate, made=None):
        """Keeps `statistics.Seen`.

        `stable`, `unit` and `rate` are as in `statistics.seen`; `made` are lists of the
        plastic part and of the update, where those are not made of α.
        """
        seen = {k: self.sample(k, tensors) for k, tensors in traces.items()}
        h = self.sample("gradient", g)
        gains = [gain[:, None] for gain in torch.stack(list(found.gains)).unbind()]
        values = rules.values(seen, h, self.p)
        found = rules.Signals(values, found.means[..., None], gains)
        alpha = rules.plasticity(found, self.p, scale) + torch.zeros_like(h)
        if made is None:
            h = h * gains[0]
            plastic = (alpha - rules.gradient_plasticity(found, self.p)) * h
            update = alpha * h
        else:
            plastic, update = map(self.sample, ("plastic", "update"), made)
        self.seen = statistics.seen(
            alpha,
            plastic,
            update,
            stable._replace(
                length=column(stable.length),
                factor=column(stable.factor),
                clipped=column(stable.clipped),
                gain=column(stable.gain),
            ),
            column(unit),
            column(lengths(g)),
            column(rate),
        )
        if self.moved is not None:
            self.seen = self.seen._replace(moved=self.moved[:, None])

    def sample(self, name, tensors):
        """A matrix of what is looked at of each tensor."""

        def make():
            shape, device = (len(tensors), self.width), tensors[0].device
            matrix = torch.zeros(shape, dtype=self.dtype, device=device)
            return matrix, self.parts(matrix)

        key = name, self.key, self.dtype
        matrix, parts = remembered(self.kept, key, make)
        for grid, rows, targets, index in parts:
            found = [tensors[row] for row in rows]
            if index is None:
                torch._foreach_copy_(targets, [x[grid.slices] for x in found])
            else:
                stacked = torch.stack(found)[(slice(None), *grid.slices)]
                targets.index_copy_(0, index, stacked.reshape(len(rows), -1))
        return matrix

    def parts(self, matrix):
        """Of each shape its grid, its rows, where they go, and which rows those are.

        Variables of one shape are put together first if they are many and small.
        """
        by_grid, parts = defaultdict(list), []
        for row, grid in enumerate(self.grids):
            by_grid[grid].append(row)
        for grid, rows in by_grid.items():
            size = math.prod(grid.counts)
            if len(rows) >= FEWEST and math.prod(grid.shape) <= SMALL:
                index = torch.tensor(rows, device=matrix.device)
                parts.append((grid, rows, matrix[:, :size], index))
            else:
                targets = [matrix[row, :size].view(grid.counts) for row in rows]
                parts.append((grid, rows, targets, None))
        return parts


def lengths(tensors):
    """The norm of each, whatever the size of its elements in float32."""
    return torch.stack(torch._foreach_norm(tensors, 2, dtype=torch.float64))


def rate(eta, theta):
    """η / ‖θ‖ of each, and 0 where θ is."""
    length = lengths(theta)
    some = length > 0
    return where(some, eta / where(some, length, 1.0), 0.0)


def column(x):
    """A vector as a matrix; a number as it is."""
    return x[:, None] if isinstance(x, torch.Tensor) and x.ndim else x
