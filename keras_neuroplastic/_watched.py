"""An optimizer's statistics: two variables, and what every step adds to them."""

import math
from contextlib import nullcontext

from keras import ops

from keras_neuroplastic import collecting, rules, statistics
from keras_neuroplastic._dtypes import step_dtype


class Watched:
    """What collects the statistics of the steps of an optimizer that has traces."""

    def _begin_unwatched(self):
        self._collects, self._totals, self._sample = False, None, None
        # What was seen of a step, or of several, until it is collected; not for Keras
        # to track.
        vars(self).update({"_seen": [], "_waiting": {}})

    def collect_statistics(self) -> None:
        """Has every step from now on collect statistics; `plasticity_statistics` reads.

        They take two more variables of the optimizer, which are not saved and, on a
        GPU under PyTorch, are up to date once the statistics are read. A step that has
        been compiled must be compiled again: where `PlasticityMonitor` calls this, it
        sees to that; by yourself, call `model.make_train_function(force=True)`. One
        that `torch.compile` has made cannot be differentiated while it is watched.
        """
        if not self._collects and self._stepped is not None:
            strategy = getattr(self, "_distribution_strategy", None)  # TensorFlow's
            with strategy.scope() if strategy else nullcontext():
                self._add_statistics()
        self._collects = True

    @property
    def collects_statistics(self) -> bool:
        """Whether steps collect statistics."""
        return self._collects

    def _add_statistics(self):
        grids = statistics.grids(variable.shape for variable in self._stepped)
        sizes = [math.prod(grid.counts) for grid in grids]
        dtypes = {step_dtype(variable.dtype) for variable in self._stepped}
        dtype = "float64" if "float64" in dtypes else "float32"
        weights = collecting.weights(sizes).astype(dtype)
        kept = {"_grids": grids, "_sizes": sizes, "_weights": weights}
        vars(self).update(kept)  # not for Keras to track
        for name, width in (
            ("totals", len(collecting.TOTALS)),
            ("sample", statistics.width(sizes)),
        ):
            shape, path = (len(sizes), width), f"plasticity_{name}"
            slot = self.add_variable(shape, dtype=dtype, name=path)
            setattr(self, f"_{name}", slot)

    def _without_statistics(self, variables):
        return [v for v in variables if v is not self._totals and v is not self._sample]

    def grid(self, index):
        """Which elements of a variable statistics look at, if they are collected."""
        return self._grids[self._row(index)] if self._collects else None

    def see(self, indices, seen):
        """Keeps what was seen of a step of variables until it is collected."""
        self._seen.append(([self._row(index) for index in indices], seen))

    def collect_step(self, weights=None):
        """Adds what was seen of a step to the statistics; `weights` may lie ready."""
        positions, parts = zip(*self._seen, strict=True)
        seen = statistics.rows(parts, positions, self._sizes, self._totals.dtype)
        weights = self._weights if weights is None else weights
        weights = ops.convert_to_tensor(weights, self._totals.dtype)
        old = map(ops.convert_to_tensor, (self._totals, self._sample))
        new = collecting.collect(*old, self._plasticity, seen, weights)
        for slot, value in zip((self._totals, self._sample), new, strict=True):
            self.assign(slot, rules.stored(value))
