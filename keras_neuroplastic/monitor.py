"""A callback that watches what plasticity does, epoch by epoch."""

from os import PathLike
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_neuroplastic import _validation, _variables
from keras_neuroplastic._types import Patterns
from keras_neuroplastic._variables import matches
from keras_neuroplastic.reading import (
    begin_anew,
    for_logs,
    optimizers_within,
    plasticity_statistics,
    watched_paths,
)

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class PlasticityMonitor(keras.callbacks.Callback):
    """Watches what plasticity does to each variable, and says so once an epoch.

    The statistics are those of `plasticity_statistics`, collected within the compiled
    step. The optimizer of the model is a `NeuroPlastic` or `PlasticityModulated`, or
    has some within, as `LossScaleOptimizer` and `MultiOptimizer` have. From the first
    `fit` with a monitor on it collects them, in two more variables of its own, which
    are not saved.

    To the logs of an epoch it adds four numbers, for `History`, `CSVLogger` and, if
    they come after it in the list, callbacks that monitor one:
    `plasticity_alpha_std` and `plasticity_at_bounds`, the standard deviation of α
    within variables and the share of elements at one of its bounds;
    `plasticity_clipped`, the share of steps in which `max_update_norm` acted;
    `plasticity_update_to_weight`, η ‖u‖ / ‖θ‖. The first two are of all elements, the
    others means over variables. All are NaN in an epoch without an update.

    Args:
        log_dir: String or path, or None. Where to write series and histograms for
            TensorBoard, which takes the package tensorboardX. Defaults to None.
        layers: Regular expression or list of them. Only variables whose `path`
            contains a match are watched. None: all. Defaults to None.
        histograms: Boolean. Whether TensorBoard gets histograms of α, too. Defaults
            to True.

    Attributes:
        epochs: List of the epochs watched.
        history: By the path of a variable, a dict of NumPy arrays, one element an
            epoch, or NaN: the statistics but for the sample of α; its quantiles at
            0, 5, 25, 50, 75, 95 and 100 % are in `alpha_quantiles`.

    Raises:
        TypeError, ValueError: An argument has the wrong type, a pattern of `layers`
            matches nothing, or the optimizer has no plasticity.
        ImportError: `log_dir` is given, and tensorboardX is not installed.

    Examples:
        >>> import keras, numpy as np
        >>> from keras_neuroplastic import NeuroPlastic, PlasticityMonitor
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile(optimizer=NeuroPlastic(), loss="mse")
        >>> monitor = PlasticityMonitor()
        >>> x, y = np.ones((8, 3)), np.ones((8, 1))
        >>> _ = model.fit(x, y, callbacks=[monitor], verbose=0)
        >>> [kernel, bias] = monitor.history.values()
        >>> kernel["alpha_mean"].shape
        (1,)
    """

    def __init__(
        self,
        log_dir: str | PathLike[str] | None = None,
        layers: Patterns | None = None,
        histograms: bool = True,
    ) -> None:
        super().__init__()
        self.log_dir = _validation.optional(_validation.path)("log_dir", log_dir)
        self.layers = _validation.optional(_validation.some_patterns)("layers", layers)
        self.histograms = _validation.boolean("histograms", histograms)
        self.epochs, self._statistics, self._logs = [], [], []
        self._writer = None
        if log_dir is not None:
            _summary_writer()  # says at once what is missing

    def set_model(self, model):
        super().set_model(model)
        found = optimizers_within(getattr(model, "optimizer", None))
        if not found:
            raise ValueError(
                "PlasticityMonitor watches NeuroPlastic and PlasticityModulated: "
                "compile the model with one of them. Received: a model with "
                f"optimizer={getattr(model, 'optimizer', None)!r}"
            )
        if all(optimizer.collects_statistics for optimizer in found):
            return
        for optimizer in found:
            optimizer.collect_statistics()
        if getattr(model, "train_function", None) is not None:
            model.make_train_function(force=True)  # the compiled one collects nothing

    def on_train_begin(self, logs=None):
        self._check_layers(watched_paths(self.model.optimizer))
        if self.log_dir is not None:
            self._writer = _summary_writer()(str(self.log_dir))

    def on_epoch_begin(self, epoch, logs=None):
        # What was collected before is no part of the epoch.
        begin_anew(self.model.optimizer)

    def on_epoch_end(self, epoch, logs=None):
        # Not an optimizer kept since: `self.model` sees to it that the state is there.
        # Another monitor may want to read, too.
        found = plasticity_statistics(self.model.optimizer, reset=False)
        # Once more, for TensorFlow builds the optimizer late.
        self._check_layers(watched_paths(self.model.optimizer))
        if self.layers is not None:
            found = {p: s for p, s in found.items() if matches(p, self.layers)}
        self.epochs.append(epoch)
        self._statistics.append({p: with_quantiles(s) for p, s in found.items()})
        if logs is not None:
            logs.update(for_logs(found))
        self._logs.append(dict(logs or {}))
        if self._writer is not None and found:
            self._write(epoch, found)

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _check_layers(self, paths):
        kind = "a variable that the optimizer modulates"
        _variables.check_matches("layers", self.layers or (), paths, kind)

    def _write(self, epoch, found):
        for path, statistics in found.items():
            for name, value in statistics.items():
                if name == "alpha_sample":
                    if self.histograms and np.all(np.isfinite(value)):
                        self._writer.add_histogram(f"alpha/{path}", value, epoch)
                elif name not in ("steps", "size"):
                    self._writer.add_scalar(f"plasticity_{name}/{path}", value, epoch)
        for name, value in for_logs(found).items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    @property
    def history(self) -> dict[str, dict[str, np.ndarray]]:
        paths = dict.fromkeys(path for found in self._statistics for path in found)
        return {path: self._series(path) for path in paths}

    def _series(self, path):
        rows = [found.get(path, {}) for found in self._statistics]
        names = next(list(row) for row in rows if row)
        nothing = {"alpha_quantiles": np.full(len(QUANTILES), np.nan)}
        return {
            name: np.array([row.get(name, nothing.get(name, np.nan)) for row in rows])
            for name in names
        }

    def to_dataframe(self) -> "pandas.DataFrame":
        """The statistics as a pandas DataFrame: one row an epoch and variable."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                "`to_dataframe` takes pandas: pip install pandas"
            ) from error
        rows = [
            {"epoch": epoch, "variable": path, **statistics}
            for epoch, found in zip(self.epochs, self._statistics, strict=True)
            for path, statistics in found.items()
        ]
        return pandas.DataFrame(rows).drop(columns="alpha_quantiles", errors="ignore")

    def plot(self, path: str | PathLike[str] | None = None) -> "Figure":
        """One page of what happened: α, saturation, clipped steps, updates, loss.

        It shows at most 40 variables, and the distribution of α for 6 of them: weights
        rather than biases, from first to last.

        Args:
            path: Where to save it, with a suffix that matplotlib knows. None: nowhere.

        Returns:
            The picture.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: No epoch has been watched yet.
        """
        from keras_neuroplastic import _plot

        if not self.epochs:
            raise ValueError("`plot` needs an epoch: call `fit` with this callback.")
        if not self.history:
            raise ValueError(
                "`plot` needs a step: in the epochs watched, the optimizer moved no "
                "variable."
            )
        figure = _plot.page(self.epochs, self.history, self._logs)
        if path is not None:
            figure.savefig(path)
        return figure


def with_quantiles(statistics):
    """The quantiles in place of the sample, of which there is one each epoch."""
    kept = dict(statistics)
    kept["alpha_quantiles"] = np.quantile(kept.pop("alpha_sample"), QUANTILES)
    return kept


def _summary_writer():
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "`log_dir` takes tensorboardX, which writes for TensorBoard on every "
            "backend: pip install tensorboardX"
        ) from error
    return SummaryWriter
