"""Trains one epoch, saves the model, trains another, saves the weights.

For each of several optimizers, in a folder: NAME.keras and NAME.npz.
"""

import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
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


OPTIMIZERS = {
    "neuroplastic": neuroplastic,
    "adam": partial(modulated, keras.optimizers.Adam),
    "sgd": partial(modulated, keras.optimizers.SGD, momentum=0.9),
    "muon": partial(modulated, keras.optimizers.Muon),
    "nadam": partial(modulated, keras.optimizers.Nadam),
    "user": partial(modulated, UserAdamW),
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, make in OPTIMIZERS.items():
        model = fit(make_model(make()))
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", *weights(fit(model)))
