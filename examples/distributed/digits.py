"""What the distributed examples share: data, model, and a file of the outcome."""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits

BATCH_SIZE = 64
EPOCHS = 2


def arguments(description):
    formatting = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        description=description, formatter_class=formatting
    )
    parser.add_argument("--single", action="store_true", help="use one device")
    parser.add_argument("--save", metavar="FILE.npz", help="write weights and slots")
    return parser.parse_args()


def data():
    """1,792 images of handwritten digits, 28 full batches, and their labels."""
    x, y = load_digits(return_X_y=True)
    return (x[:1792] / 16).astype("float32"), y[:1792].astype("int32")


def classifier():
    """A small network with the same weights at every call."""
    keras.utils.set_random_seed(41)
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, activation="relu", name="hidden"),
            keras.layers.Dense(16, name="logits"),  # 10 classes, but 16 divide by 8
        ],
        name="digits",
    )


def loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def report(model, optimizer, path, **facts):
    """Prints the accuracy, and writes all variables and the `facts` to `path`."""
    x, y = data()
    guesses = np.argmax(model.predict(x, batch_size=BATCH_SIZE, verbose=0), axis=1)
    print(f"training accuracy {np.mean(guesses == y):.4f}")
    if path:
        variables = [*model.trainable_variables, *optimizer.variables]
        values = {v.path: keras.ops.convert_to_numpy(v) for v in variables}
        np.savez(path, **values, **facts)
