"""A normalizing flow: the density of two moons, by affine couplings.

The model gives the logarithm of the density; the loss is its negative mean.

python -m examples.recipes.flow --tune --optimizer adam plastic-adam
"""

import math

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import make_moons

from examples.recipes import recipe

COUPLINGS = 6


def data():
    x, _ = make_moons(4000, noise=0.1, random_state=0)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
    return x, np.zeros(len(x))  # nothing to be told but the points


def coupling(x, kept):
    """One coordinate stays, by which the other is stretched and shifted."""
    hidden = layers.Dense(64, activation="relu")(x * kept)
    hidden = layers.Dense(64, activation="relu")(hidden)
    stretch = layers.Dense(2, activation="tanh")(hidden) * (1 - kept)
    shift = layers.Dense(2)(hidden) * (1 - kept)
    return x * ops.exp(stretch) + shift, ops.sum(stretch, axis=1, keepdims=True)


def make_model():
    x = points = keras.Input((2,))
    log_density = -math.log(2 * math.pi)
    for i in range(COUPLINGS):
        x, log_volume = coupling(x, np.eye(2, dtype="float32")[i % 2])
        log_density += log_volume
    log_density -= ops.sum(x**2, axis=1, keepdims=True) / 2
    return keras.Model(points, log_density)


def surprise(_, log_density):
    return -log_density


def train(run):
    (x, y), held_out = recipe.split(run, *data())
    batches = run.batches(x, y)
    model = make_model()
    model.compile(
        optimizer=run.optimizer(batches),
        loss=surprise,
    )
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        validation_data=held_out,
        validation_batch_size=len(held_out[0]),
        callbacks=recipe.callbacks(run, batches),
        verbose=0,
    )


def main(argv=None):
    recipe.main(
        "flow", train, __doc__, argv, epochs=15, batch_size=128, metric="val_loss"
    )


if __name__ == "__main__":
    main()
