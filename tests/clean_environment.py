"""The installed package with one backend and nothing else: run by `make test-wheel`.

    KERAS_BACKEND=jax python -I tests/clean_environment.py

No test of pytest's, for it wants to be alone in an environment.
"""

import importlib.metadata
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

import keras_neuroplastic
from keras_neuroplastic import (
    NeuroPlastic,
    PlasticityModulated,
    PlasticityMonitor,
    plasticity_statistics,
)

BACKENDS = {"jax", "tensorflow", "torch"}


def check_environment():
    """The wheel, its one backend, and none of what the extras would bring."""
    folder = Path(keras_neuroplastic.__file__).parent
    assert folder.is_relative_to(sys.prefix), f"not installed, but {folder}"
    assert (folder / "py.typed").exists()
    version = importlib.metadata.version("keras-neuroplastic")
    assert version == keras_neuroplastic.__version__
    backend = keras.backend.backend()
    assert backend == os.environ["KERAS_BACKEND"]
    absent = BACKENDS - {backend} | {"matplotlib", "tensorboardX", "pytest"}
    there = {name for name in absent if importlib.util.find_spec(name)}
    assert not there, f"not alone: {there}"


def train(optimizer):
    """A model that has learnt something, and goes on after it was saved."""
    keras.utils.set_random_seed(41)
    x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    y = x[:, :1]
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse")
    monitor = PlasticityMonitor()
    first, *_, last = model.fit(x, y, epochs=5, callbacks=[monitor], verbose=0).history[
        "loss"
    ]
    assert last < first, (first, last)
    assert plasticity_statistics(model.optimizer, reset=False).keys()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
    assert type(loaded.optimizer) is type(model.optimizer)
    assert loaded.fit(x, y, verbose=0).history["loss"][0] < last


def main():
    check_environment()
    train(NeuroPlastic())
    train(NeuroPlastic.gradient_only())
    train(PlasticityModulated(keras.optimizers.Adam(0.01)))
    train("keras_neuroplastic>NeuroPlastic")
    print(f"keras-neuroplastic works with {keras.backend.backend()} alone")


if __name__ == "__main__":
    main()
