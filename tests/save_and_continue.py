"""Trains one epoch, saves the model, trains another, saves the weights."""

import sys

import numpy as np
from toy import fit, make_model, weights

from keras_neuroplastic import NeuroPlastic, PlasticityWarmup

if __name__ == "__main__":
    path, expected = sys.argv[1:]
    scale = PlasticityWarmup(10, 2.0)
    model = fit(make_model(NeuroPlastic(plasticity_scale=scale, weight_decay=0.01)))
    model.save(path)
    np.savez(expected, *weights(fit(model)))
