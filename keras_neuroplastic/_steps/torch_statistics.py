"""The statistics of a step in place, of PyTorch's variables on the CPU.

As in `statistics.py`, but by NumPy, whose operations on so few elements take a third
of the time of PyTorch's and a tenth of Keras's; and the plasticity of all variables is
found at once, from samples of what it follows.
"""

import math

import numpy as np

from keras_neuroplastic import statistics


class Watch:
    """Samples of the variables of a step, a row for each, and their numbers."""

    def __init__(self, optimizer):
        self.rule = optimizer._plasticity
        self.sizes, self.grids = optimizer._sizes, optimizer._grids
        self.dtype = optimizer._weights.dtype
        # Kept from step to step; of a variable that is not stepped nothing is read.
        self.kept = optimizer.__dict__.setdefault("_watched", {})
        self.samples, self.stepped = set(), []

    def add(self, row, means, numbers, **arrays):
        """Takes samples of arrays of a variable that has just moved."""
        self.stepped.append(row)
        self.matrix("means", len(means))[row] = means
        self.matrix("numbers", len(numbers))[row] = numbers
        for name, x in arrays.items():
            self.samples.add(name)
            target, slices = self.part(name, row)
            target[...] = array(x)[slices]

    def matrix(self, name, width):
        if name not in self.kept:
            self.kept[name] = np.zeros((len(self.sizes), width), self.dtype)
        return self.kept[name]

    def part(self, name, row):
        """Where samples of a variable go, and what they are slices of."""
        if (name, row) not in self.kept:
            whole = self.matrix(name, statistics.width(self.sizes))
            grid = self.grids[row]
            target = whole[row, : self.sizes[row]].reshape(grid.counts)
            self.kept[name, row] = target, grid.slices
        return self.kept[name, row]

    def of_stepped(self, name):
        """A matrix, of whose rows a copy is only made where some are missing."""
        matrix = self.kept[name]
        return matrix if len(self.stepped) == len(matrix) else matrix[self.stepped]

    def seen(self, scale):
        """The rows of the variables stepped, and `statistics.Seen` of them."""
        self.stepped.sort()
        means = self.of_stepped("means").T[..., None]
        gains = 1 / (means + self.rule.epsilon)
        found = {name: self.of_stepped(name) for name in self.samples}
        values = self.values(found) if self.rule.per_parameter else means
        alpha, alpha_gradient = self.plasticity(values, gains, scale)
        if not self.rule.per_parameter:
            shape = found["gradient"].shape
            alpha, alpha_gradient = (
                np.broadcast_to(x, shape) for x in (alpha, alpha_gradient)
            )
        if "plastic" in found:
            plastic, update = found["plastic"], found["update"]
        else:
            h = found["gradient"] * gains[0]
            plastic, update = (alpha - alpha_gradient) * h, alpha * h
        numbers = self.of_stepped("numbers")
        moved = np.ones((len(numbers), 1), self.dtype)
        seen = statistics.Seen(alpha, plastic, update, numbers, moved)
        return self.stepped, seen

    def values(self, found):
        """What α follows, as in `rules.values`."""
        values = [np.abs(found["gradient"])]
        if "activity" in found:
            values.append(found["activity"])
        if "momentum" in found:
            root = np.sqrt(found["variance"]) + self.rule.epsilon
            values.append(np.abs(found["momentum"]) / root)
        return values

    def plasticity(self, values, gains, scale):
        """α and α_gradient, as in `rules.plasticity`."""
        p = self.rule
        limits = p.min_alpha, p.max_alpha
        parts = zip(values, p.signal_weights, gains, strict=True)
        first, *others = [x * (weight * gain) for x, weight, gain in parts]
        alpha = sum(others, first).clip(*limits)
        alpha_gradient = (values[0] * gains[0]).clip(*limits)
        if scale != 1:
            alpha = alpha_gradient + scale * (alpha - alpha_gradient)
        return alpha, alpha_gradient


def collect(optimizer):
    """`optimizer.collect_step()`."""
    seen = rows(optimizer._seen, optimizer._sizes, optimizer._weights.dtype)
    slots = [x._value.numpy() for x in (optimizer._totals, optimizer._sample)]
    with np.errstate(all="ignore"):  # a NaN shows in the statistics
        settings = optimizer._plasticity, seen, optimizer._weights
        new = statistics.collect(*slots, *settings, xp=np)
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


def array(x):
    """Of a tensor, in 32 bits if it is in 16."""
    return (x.float() if x.dtype.itemsize == 2 else x).numpy()


def ratio(x, y):
    """x / y, and 0 where y is; a NaN stays one."""
    return x / y if y else 0.0 if y == 0 else math.nan
