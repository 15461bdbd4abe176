"""What each of many models leaves behind in one process, and its first fit.

    KERAS_BACKEND=tensorflow python -m benchmarks.many_models

Models of one shape are made, fitted for a few batches and let go, one after another,
as a search for hyperparameters does; the first model stands for itself.
"""

import argparse
import gc
import statistics
import time

import keras
import numpy as np

from benchmarks.machine import memory
from examples.mnist import mlp
from keras_neuroplastic import NeuroPlastic, PlasticityModulated

OPTIMIZERS = {
    "NeuroPlastic": NeuroPlastic,
    "PlasticityModulated(Adam)": lambda: PlasticityModulated("adam"),
    "Adam": keras.optimizers.Adam,
}


def fit_once(make, images, labels):
    """The seconds that a new model's first few batches take."""
    start = time.perf_counter()
    model = mlp()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=make(), loss=loss)
    model.fit(images, labels, batch_size=64, verbose=0)
    seconds = time.perf_counter() - start
    del model
    keras.utils.clear_session()
    gc.collect()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=12)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (256, 28, 28, 1)).astype("uint8")
    labels = rng.integers(0, 10, 256)
    print("optimizer: s of the first fit, median of the others; MiB kept a model")
    for name, make in OPTIMIZERS.items():
        seconds, kept = [], []
        for _ in range(options.models):
            before = memory("VmRSS")
            seconds.append(fit_once(make, images, labels))
            kept.append((memory("VmRSS") - before) / 2**20)
        others = statistics.median(seconds[1:])
        grown = statistics.median(kept[options.models // 3 :])
        print(f"{name:28}{seconds[0]:8.1f}{others:8.2f}{grown:8.1f}", flush=True)


if __name__ == "__main__":
    main()
