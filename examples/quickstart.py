"""NeuroPlastic beside its gradient-only ablation and Adam, on real digits.

    python -m examples.quickstart

Trains a small network on scikit-learn's bundled digits (1,797 real images of 8 by 8
pixels, no download). Each optimizer begins at its own default learning rate, which
falls to zero along half a cosine, for all alike. Prints the test accuracies, saves
their course to quickstart.png, and to plasticity.png what plasticity did. Under a
minute on two cores.
"""

import math
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from examples import arguments
from keras_neuroplastic import NeuroPlastic, PlasticityMonitor

matplotlib.use("Agg")  # a picture in a file, on machines without a screen too
import matplotlib.pyplot as plt

BATCH_SIZE = 64
# An optimizer, and its default learning rate.
OPTIMIZERS = {
    "NeuroPlastic": (NeuroPlastic, 0.1),
    "gradient only": (NeuroPlastic.gradient_only, 0.1),
    "Adam": (keras.optimizers.Adam, 0.001),
}


def load_data():
    """Training and test images in [-0.5, 0.5] with their labels."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16 - 0.5).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, labels, test_size=0.25, stratify=labels, random_state=0
    )
    return (x, y), (x_test, y_test)


def make_model():
    dense = keras.layers.Dense
    hidden = [dense(128, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((64,)), *hidden, dense(10, "softmax")])


def train(make_optimizer, rate, seed, epochs, train_data, test_data, callbacks):
    """The test accuracy after each epoch."""
    keras.utils.set_random_seed(seed)
    model = make_model()
    steps = epochs * math.ceil(len(train_data[0]) / BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(
        optimizer=make_optimizer(schedule),  # the one line that differs
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    options = {"validation_data": test_data, "callbacks": callbacks, "verbose": 0}
    history = model.fit(*train_data, BATCH_SIZE, epochs, **options)
    return history.history["val_accuracy"]


def plot(accuracies, path):
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, runs in accuracies.items():
        epochs = np.arange(1, runs.shape[1] + 1)
        [line] = axes.plot(epochs, 100 * runs.mean(axis=0), label=name)
        low, high = 100 * runs.min(axis=0), 100 * runs.max(axis=0)
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", ylim=(80, 100))
    axes.set_title("Digits, mean and range over the seeds")
    axes.legend(loc="lower right")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def main(argv=None):
    parser = arguments.Parser(description=__doc__.split("\n")[0])
    add, file = parser.add_argument, arguments.picture_file
    add("--epochs", type=arguments.count, default=20, help="default: 20")
    seeds = {"type": arguments.seed, "nargs": "+", "default": [41, 42, 43]}
    add("--seeds", **seeds, help="one run for each (default: 41 42 43)")
    add("--plot", type=file, default="quickstart.png", help="of the accuracies")
    add("--page", type=file, default="plasticity.png", help="of what plasticity did")
    args = parser.parse_args(argv)

    digits = load_data()
    total = len(OPTIMIZERS) * len(args.seeds) * args.epochs
    print(f"{total} epochs on the {keras.backend.backend()} backend")
    progress = keras.utils.Progbar(total, unit_name="epoch")
    tick = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: progress.add(1))
    accuracies, monitor = {}, PlasticityMonitor()
    for name, (make, rate) in OPTIMIZERS.items():
        runs = []
        for seed in args.seeds:
            watched = name == "NeuroPlastic" and seed == args.seeds[0]
            callbacks = [tick, monitor] if watched else [tick]
            runs.append(train(make, rate, seed, args.epochs, *digits, callbacks))
        accuracies[name] = np.array(runs)

    print(f"\n{'test accuracy (%)':<20}{'mean':>8}{'lowest':>8}{'highest':>8}")
    for name, runs in accuracies.items():
        final = 100 * runs[:, -1]
        print(f"{name:<20}{final.mean():8.2f}{final.min():8.2f}{final.max():8.2f}")
    plot(accuracies, args.plot)
    monitor.plot(args.page)
    print(f"The course of training is drawn in {args.plot},")
    print(f"and what plasticity did in the first run in {args.page}")


if __name__ == "__main__":
    main()
