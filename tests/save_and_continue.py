"""Trains one epoch, saves the model, trains another, saves the weights.

For each of several optimizers, in a folder: NAME.keras and NAME.npz. Of every other one
the model alone, with numbers in its variables that tell where they come from.
"""

import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
from test_modulated import INNER
from toy import fit, make_model, weights
from user_optimizers import UserAdamW

from keras_neuroplastic import NeuroPlastic, PlasticityModulated, PlasticityWarmup


def neuroplastic():
    scale = PlasticityWarmup(10, 2.0)
    return NeuroPlastic(plasticity_scale=scale, weight_decay=0.01)


def modulated(cls, **arguments):
    """One with all traces and a strength that rises."""
    return PlasticityModulated(
        cls(0.01, weight_decay=0.01, **arguments),
        strength=PlasticityWarmup(10, 2.0),
        max_ratio=0.5,
        activity_weight=0.5,
        gradient_weight=0.3,
        memory_weight=0.2,
    )


def around(name):
    return PlasticityModulated(INNER[name]())


OPTIMIZERS = {
    "neuroplastic": neuroplastic,
    "adam": partial(modulated, keras.optimizers.Adam),
    "sgd": partial(modulated, keras.optimizers.SGD, momentum=0.9),
    "muon": partial(modulated, keras.optimizers.Muon),
    "nadam": partial(modulated, keras.optimizers.Nadam),
    "user": partial(modulated, UserAdamW),
}

EVERY = {f"every {name}": partial(around, name) for name in INNER}


def numbers(optimizer):
    """Those that the variables of an optimizer have in its file."""
    return [
        (np.arange(np.prod(v.shape)) + 10 * i).reshape(v.shape).astype(v.dtype)
        for i, v in enumerate(optimizer.variables)
    ]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, make in OPTIMIZERS.items():
        model = fit(make_model(make()))
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", *weights(fit(model)))
    for name, make in EVERY.items():
        model = make_model(make())
        model.optimizer.build(model.trainable_variables)
        model.optimizer.set_weights(numbers(model.optimizer))
        model.save(folder / f"{name}.keras")
