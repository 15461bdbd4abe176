"""The statistics of a step of all variables of a GPU together.

As in `statistics.py`, of the rows of matrices: one for each variable. An operation on
so few elements takes a GPU no longer than one on many, so a step only takes its
samples, and what was seen of several steps is collected at once.
"""

import math
from itertools import accumulate
from typing import Any, NamedTuple

import keras
import numpy as np
import torch

from keras_neuroplastic import collecting, rules, statistics
from keras_neuroplastic._steps.torch_lists import copied, lengths
from keras_neuroplastic._steps.torch_scratch import remembered
from keras_neuroplastic._steps.torch_statistics import flat
from keras_neuroplastic._sums import where

# To collect at once: more save little, and take more memory.
STEPS = 16


class Sight(NamedTuple):
    """Of a step: samples, a row for each variable, and vectors with its numbers."""

    alpha: Any  # a matrix, or a vector where each variable has one α
    magnitude: Any  # of the gradient; None where the next two are given
    plastic: Any  # as in `statistics.Seen`
    update: Any
    mean: Any  # of |g|, and what makes it 1
    normalizer: Any
    length: Any  # as in `rules.Stabilized`
    factor: Any
    clipped: Any
    gain: Any
    unit: Any
    gradient_norm: Any
    theta_norm: Any
    eta: Any
    moved: Any  # 0 where the step was skipped; None where none may be


class Watch:
    """Sees one step of the variables with certain rows among the statistics.

    Before `see`, set `alpha` (a sample, or a vector where each variable has one α), and
    `moved` where the step may be skipped.
    """

    def __init__(self, optimizer, rows):
        self.optimizer, self.rows = optimizer, tuple(rows)
        self.kept = optimizer.__dict__.setdefault("_watched", {})
        self.alpha = self.magnitude = self.moved = None

    def sample(self, whole):
        """A matrix of what is looked at, of all variables in one piece of memory."""

        def make():
            grids = [self.optimizer._grids[row] for row in self.rows]
            places = places_of(grids, statistics.width(self.optimizer._sizes))
            return torch.tensor(places, device=whole.device)

        return whole.take(remembered(self.kept, (self.rows, whole.device), make))

    def see_magnitude(self, tensors):
        """Takes a sample of |g|, of which it makes one piece of memory."""
        whole, magnitude = copied(tensors)
        self.magnitude = self.sample(whole.abs_())
        return magnitude

    def see(self, found, stable, unit, eta, g, theta, plastic=None, update=None):
        """At last keeps all until it is collected.

        `stable` and `unit` are as in `statistics.seen`; `plastic` and `update` are
        samples, where those are not made of α.
        """
        gradient_norm, theta_norm = lengths([*g, *theta]).view(2, -1).unbind()
        sight = Sight(
            *(self.alpha, self.magnitude, plastic, update),
            *(found.means[0], found.gains[0], stable.length, stable.factor),
            *(stable.clipped, stable.gain, unit, gradient_norm, theta_norm),
            *(eta.clone(), self.moved),  # a rate is set anew in place
        )
        wait(self.optimizer, self.rows, sight)


def wait(optimizer, rows, sight):
    """Keeps what was seen of a step until there are several of the same variables."""
    waiting = optimizer._waiting
    key = rows, *(x for x in sight if not isinstance(x, torch.Tensor))
    if key not in waiting:
        if any(set(rows) & set(others) for others, *_ in waiting):
            collect_waiting(optimizer)  # or these would write over the newer sample
        waiting[key] = []
    waiting[key].append(sight)
    if len(waiting[key]) == STEPS:
        collect(optimizer, rows, waiting.pop(key))


@torch.no_grad()
def collect_waiting(optimizer):
    """Collects what was kept."""
    waiting = optimizer._waiting
    while waiting:
        key = rows, *_ = next(iter(waiting))
        collect(optimizer, rows, waiting.pop(key))


def collect(optimizer, rows, sights):
    """Adds steps of the variables in these rows to the statistics."""
    p = optimizer._plasticity
    totals, sample = optimizer._totals._value, optimizer._sample._value
    # Or `ops` would move numbers to another GPU.
    with keras.device(str(sights[0].length.device)):
        made = seen(Sight(*map(stacked, zip(*sights, strict=True))), p)
    made = statistics.Seen(*(x.to(totals) for x in made))

    def make():
        chosen = np.array(rows), optimizer._weights[list(rows)]
        return [torch.tensor(x, device=totals.device) for x in chosen]

    at, weights = remembered(optimizer._watched, rows, make)
    with keras.device(str(totals.device)):
        count = (made.moved > 0).to(totals.dtype)
        found = torch.cat([count, *collecting.of_step(p, made, weights)], -1)
        while len(found) > 1:
            half = len(found) // 2
            pairs = joined(found[:half], found[half : 2 * half])
            found = torch.cat([pairs, found[2 * half :]])
        totals.index_copy_(0, at, joined(totals.index_select(0, at), found[0]))
    alpha = made.alpha[-1]
    if sights[0].moved is not None:  # of the last step that was not skipped
        alpha = sample.index_select(0, at)
        for moved, one in zip(made.moved, made.alpha, strict=True):
            alpha = where(moved > 0, one, alpha)
    sample.index_copy_(0, at, alpha)


def joined(totals, others):
    """The totals of the steps of both."""
    count, *rest = others.split([1, len(collecting.MEANS), 2], -1)
    return where(count > 0, collecting.added(totals, count, *rest), totals)


def seen(sight, p):
    """`statistics.Seen` of several steps, in a row of matrices."""
    plastic, update = sight.plastic, sight.update
    if plastic is None:
        h = sight.magnitude * sight.normalizer
        followed = [sight.magnitude], sight.mean[None], [sight.normalizer]
        first = rules.gradient_plasticity(rules.Signals(*followed), p)
        plastic, update = (sight.alpha - first) * h, sight.alpha * h
    found = statistics.seen(
        sight.alpha + torch.zeros_like(update),  # one of a variable is of all
        plastic,
        update,
        rules.Stabilized(None, sight.length, sight.factor, sight.clipped, sight.gain),
        sight.unit,
        sight.gradient_norm,
        statistics.ratio(sight.eta, sight.theta_norm),
    )
    return found if sight.moved is None else found._replace(moved=sight.moved)


def stacked(values):
    """What was kept of several steps, so that it may be multiplied with matrices."""
    if not isinstance(values[0], torch.Tensor):
        return values[0]  # or they would have been kept apart
    x = torch.stack(values)
    return x if x.ndim == 3 else x.view(len(x), -1, 1)


def places_of(grids, width):
    """Where the elements to look at lie, of variables one after another in memory."""
    starts = accumulate((math.prod(grid.shape) for grid in grids), initial=0)
    matrix = np.empty((len(grids), width), "int64")
    for row, grid, start in zip(matrix, grids, starts, strict=False):
        places = start + flat(grid)
        row[:] = places[0]  # beyond its elements, whose weights are 0
        row[: len(places)] = places
    return matrix
