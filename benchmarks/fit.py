"""The time of an epoch of `model.fit` with NeuroPlastic, beside Adam.

    KERAS_BACKEND=jax python -m benchmarks.fit

Epochs of both optimizers take turns; each ratio is of two epochs in a row. Results
are added to a JSONL file, one line a model; see `python -m benchmarks.report`.
"""

import argparse
import statistics
import time
from pathlib import Path

import keras

from benchmarks.machine import append, described
from benchmarks.report import ratios
from examples import mnist
from examples.harness import data
from keras_neuroplastic import NeuroPlastic

OPTIMIZERS = {"NeuroPlastic": NeuroPlastic, "Adam": keras.optimizers.Adam}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    models = list(mnist.MODELS)
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--rounds", type=int, default=15, help="epochs of each")
    parser.add_argument("--samples", type=int, default=25_600, help="in an epoch")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--results", default="benchmarks/results/fit.jsonl", type=Path)
    return parser.parse_args()


def measure(build, images, labels, batch_size, rounds):
    """For each optimizer the seconds of its epochs, the first left out."""
    models, seconds = {}, {name: [] for name in OPTIMIZERS}
    for name, optimizer in OPTIMIZERS.items():
        models[name] = build()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        models[name].compile(optimizer=optimizer(), loss=loss)
    for round_ in range(rounds + 1):
        for name, model in models.items():
            start = time.perf_counter()
            model.fit(images, labels, batch_size=batch_size, verbose=0)
            if round_:  # the first compiles
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main():
    options = arguments()
    (images, labels), _ = data.load("mnist")
    images, labels = images[: options.samples], labels[: options.samples]
    for name in options.models:
        seconds = measure(
            mnist.MODELS[name], images, labels, options.batch_size, options.rounds
        )
        append(
            options.results,
            {
                "benchmark": "fit",
                "model": name,
                "backend": keras.backend.backend(),
                "samples": len(images),
                "batch_size": options.batch_size,
                **described(),
                "seconds": seconds,
            },
        )
        ratio, *_ = ratios(seconds["NeuroPlastic"], seconds["Adam"])
        ms = {k: round(1e3 * statistics.median(v)) for k, v in seconds.items()}
        print(f"{keras.backend.backend()}, {name}: {ms} ms, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
