"""One training run: its settings, its optimizer, how it survives an interruption."""

import hashlib
import json
import math
import os
import shutil
import time

import keras
import numpy as np

from examples.harness import data
from examples.harness.optimizers import OPTIMIZERS


class Run:
    """What a script needs to train once. `run.seed` and so on are its settings.

    Attributes:
        config: Dict of settings; together they identify the run.
        folder: Where the state after an epoch is kept until the run is finished.
        save_every: Seconds after which an epoch's end keeps the state again: an
            interruption costs so much training, and short runs are not held up.
        epochs_done: How many epochs of a run that was interrupted are kept.
        metrics: Dict of lists, one number an epoch.
        notes: Dict of what else the script wants recorded.
    """

    save_every = 10

    def __init__(self, config, folder, on_epoch_end=lambda: None):
        self.config = config
        self.folder = folder
        self.on_epoch_end = on_epoch_end
        self.notes = {}
        self.metrics = {}
        if (folder / "progress.json").exists():
            progress = json.loads((folder / "progress.json").read_text())
            self.metrics, self.notes = progress["metrics"], progress["notes"]
        self.epochs_done = self.epoch_kept = len(self.metrics.get("loss", []))
        self.last_save = time.monotonic()

    def __getattr__(self, name):
        try:
            return self.__dict__["config"][name]
        except KeyError:
            raise AttributeError(f"{name!r} is not a setting of this run") from None

    @property
    def diverged(self):
        """Whether any loss was a NaN or infinite; such a run stops early."""
        losses = self.metrics.get("loss", []) + self.metrics.get("val_loss", [])
        return not all(map(is_finite, losses))

    @property
    def epochs_left(self):
        return 0 if self.diverged else self.epochs - self.epochs_done

    def load(self, name):
        """((x, y), (x_eval, y_eval)); evaluation data are never trained on."""
        return data.load(name, self.evaluate_on, self.limit)

    def batches(self, x, y):
        """Shuffled training batches, for `fit`."""
        return data.Batches(x, y, self.batch_size, self.seed)

    def optimizer(self, batches):
        """A fresh optimizer, the one named in the settings."""
        return OPTIMIZERS[self.config["optimizer"]](self.learning_rate, len(batches))

    def keep(self, name, array):
        """Keeps an array in a file beside the results, and its name in the record."""
        digest = hashlib.sha256(array.tobytes()).hexdigest()[:16]
        path = self.folder.parent / f"{name}-{digest}.npy"
        np.save(path, array)
        self.notes[name] = f"{path.parent.name}/{path.name}"

    def keep_weights(self, name, model):
        """Keeps a model's weights beside the results, and their file in the record."""
        path = self.folder.parent / f"{name}-{self.folder.name}.weights.h5"
        model.save_weights(path)
        self.notes[name] = f"{path.parent.name}/{path.name}"

    def callbacks(self, batches, first_epoch=0):
        """For `fit`, whose initial_epoch is max(run.epochs_done, first_epoch)."""
        return [Record(self, batches, first_epoch)]

    def save_if_due(self, model):
        """Keeps the state after an epoch, where that is not done too often."""
        if time.monotonic() - self.last_save >= self.save_every:
            self.save(model)
            self.last_save = time.monotonic()

    def save(self, model):
        """Keeps the state after an epoch; a kill at any moment leaves a whole one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        epoch = len(self.metrics["loss"])
        model.save_weights(self.folder / f"{epoch}.weights.h5")
        new = self.folder / "progress.new"
        new.write_text(json.dumps({"metrics": self.metrics, "notes": self.notes}))
        os.replace(new, self.folder / "progress.json")
        (self.folder / f"{self.epoch_kept}.weights.h5").unlink(missing_ok=True)
        self.epoch_kept = epoch

    def forget(self):
        """Removes the kept state."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Record(keras.callbacks.Callback):
    """Records an epoch's metrics, keeps its state, and resumes an interrupted run.

    In place of BackupAndRestore, which writes weights and epoch number one after the
    other, so that a kill between the two repeats an epoch, and which leaves out the
    random state: here everything random depends on the seed and the epoch alone.
    """

    def __init__(self, run, batches, first_epoch):
        super().__init__()
        self.run, self.batches, self.first_epoch = run, batches, first_epoch

    def on_train_begin(self, logs=None):
        epoch = self.run.epochs_done
        if self.first_epoch < epoch <= self.params["epochs"]:
            # Unbuilt, the optimizer would silently lose its state.
            self.model.optimizer.build(self.model.trainable_variables)
            self.model.load_weights(self.run.folder / f"{epoch}.weights.h5")

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.set_epoch(epoch)
        # On PyTorch dropout draws from the global generator, elsewhere from its own.
        random = np.random.default_rng([self.run.seed, 3, epoch])
        keras.utils.set_random_seed(int(random.integers(2**32)))
        for variable in self.model.variables:
            if variable.path.endswith("seed_generator_state"):  # dropout, augmentation
                seed, _ = keras.ops.convert_to_numpy(variable)
                variable.assign([seed, epoch << 20])
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs = {**logs, "seconds": round(time.perf_counter() - self.start, 2)}
        for name, value in logs.items():
            value = float(value) if is_finite(value) else None  # JSON has no NaN
            self.run.metrics.setdefault(name, []).append(value)
        self.run.save_if_due(self.model)
        if self.run.diverged:
            self.model.stop_training = True
        self.run.on_epoch_end()


def is_finite(value):
    return value is not None and math.isfinite(value)
