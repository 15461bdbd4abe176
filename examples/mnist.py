"""MNIST in the setting of the paper: an MLP, ten epochs, seeds 41, 42 and 43.

    python -m examples.mnist --optimizer neuroplastic

Each finished run is appended as one line of JSON to the file given by --results, and
the mean and range of the final test accuracies are printed. "neuroplastic" is the
paper's locked configuration, "neuroplastic-default" NeuroPlastic() without arguments.
"""

import argparse
import json
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import keras
from keras import layers

from examples import data
from keras_neuroplastic import NeuroPlastic, __version__

OPTIMIZERS = {
    "neuroplastic": NeuroPlastic.paper,
    "neuroplastic-default": lambda steps: NeuroPlastic(),
    "gradient-only": lambda steps: NeuroPlastic.gradient_only(0.1),
    "sgd": lambda steps: keras.optimizers.SGD(0.1),
    "momentum": lambda steps: keras.optimizers.SGD(0.01, momentum=0.9),
    "adam": lambda steps: keras.optimizers.Adam(0.001),
    "adamw": lambda steps: keras.optimizers.AdamW(0.001),
}


def mlp():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(10),
        ]
    )


def convnet():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


MODELS = {"mlp": mlp, "convnet": convnet}


def run(args, seed, train, test):
    """Trains once; what there is to know about it, as a dict for JSON."""
    keras.utils.set_random_seed(seed)
    model = MODELS[args.model]()
    steps_per_epoch = -(-len(train[0]) // args.batch_size)
    model.compile(
        optimizer=OPTIMIZERS[args.optimizer](steps_per_epoch),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    history = model.fit(
        *train,
        batch_size=args.batch_size,
        epochs=args.epochs,
        validation_data=test,
        verbose=2,
    )
    return {
        "experiment": "mnist",
        "optimizer": args.optimizer,
        "model": args.model,
        "seed": seed,
        "batch_size": args.batch_size,
        "epochs": args.epochs,
        "test_accuracy": history.history["val_accuracy"],
        "test_loss": history.history["val_loss"],
        "train_loss": history.history["loss"],
        "seconds": round(time.perf_counter() - start, 2),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "keras_neuroplastic": __version__,
        "machine": platform.machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="neuroplastic")
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--seeds", type=int, nargs="+", default=[41, 42, 43])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--samples", type=int, help="train on the first so many only")
    parser.add_argument("--results", type=Path, default=Path("results/mnist.jsonl"))
    args = parser.parse_args()

    train, test = data.load("mnist")
    train = tuple(part[: args.samples] for part in train)
    args.results.parent.mkdir(parents=True, exist_ok=True)
    final = []
    for seed in args.seeds:
        result = run(args, seed, train, test)
        with args.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        final.append(result["test_accuracy"][-1])
    mean = sum(final) / len(final)
    print(
        f"{args.optimizer}, final test accuracy over {len(final)} seeds: "
        f"mean {mean:.4f}, range {min(final):.4f} to {max(final):.4f}"
    )


if __name__ == "__main__":
    main()
