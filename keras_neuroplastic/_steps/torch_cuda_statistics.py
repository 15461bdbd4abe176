"""The statistics of a step of all variables of a GPU together.

As in `statistics.py`, of the rows of matrices: one for each variable.
"""

import math

import torch

from keras_neuroplastic import rules, statistics
from keras_neuroplastic._sums import where


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
        values = [h.abs()]
        if "activity" in seen:
            values.append(seen["activity"])
        if "momentum" in seen:
            root = seen["variance"].sqrt().add_(self.p.epsilon)
            values.append(seen["momentum"].abs() / root)
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
        key = name, self.key, self.dtype
        if key not in self.kept:
            shape = len(tensors), self.width
            matrix = torch.zeros(shape, dtype=self.dtype, device=tensors[0].device)
            rows = [
                row[: math.prod(grid.counts)].view(grid.counts)
                for row, grid in zip(matrix, self.grids, strict=True)
            ]
            self.kept[key] = matrix, rows
        matrix, rows = self.kept[key]
        pairs = zip(tensors, self.grids, strict=True)
        torch._foreach_copy_(rows, [x[grid.slices] for x, grid in pairs])
        return matrix


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
