"""How long the first step of `fit` takes, which compiles it, in a process of its own.

    KERAS_BACKEND=jax python -m benchmarks.first_step

The model has 20 dense layers, and so 40 variables. The median of several processes
for each optimizer, one after another, and of their second steps.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import keras
import numpy as np

from keras_neuroplastic import NeuroPlastic, PlasticityModulated

OPTIMIZERS = {
    "Adam": keras.optimizers.Adam,
    "NeuroPlastic": NeuroPlastic,
    "gradient-only": NeuroPlastic.gradient_only,
    "PlasticityModulated(Adam)": lambda: PlasticityModulated("adam"),
}


def measure(name):
    """Seconds of the first and of the second step."""
    width = 32
    layers = [keras.layers.Dense(width + i, activation="relu") for i in range(20)]
    model = keras.Sequential([keras.Input((width,)), *layers])
    model.compile(optimizer=OPTIMIZERS[name](), loss="mse")
    x = np.ones((64, width), "float32")
    y = np.ones((64, layers[-1].units), "float32")
    for _ in range(2):
        start = time.perf_counter()
        model.train_on_batch(x, y)
        yield time.perf_counter() - start


def in_a_process(name):
    """The same, where nothing has been compiled yet."""
    kept = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, "-m", "benchmarks.first_step", "--one", name]
    run = subprocess.run(command, env=kept, check=True, capture_output=True, text=True)
    return [float(seconds) for seconds in run.stdout.splitlines()[-1].split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", choices=OPTIMIZERS, help="measure in this process")
    options = parser.parse_args()
    if options.one:
        print(*measure(options.one))
        return
    samples = {name: [] for name in OPTIMIZERS}
    for _ in range(options.rounds):
        for name in OPTIMIZERS:
            samples[name].append(in_a_process(name))
    print("optimizer: s of the first step, of the second")
    for name, seconds in samples.items():
        first, second = map(statistics.median, zip(*seconds, strict=True))
        print(f"{name:28}{first:8.2f}{second:9.4f}")


if __name__ == "__main__":
    main()
