"""Runs an example of distribution with PlasticityModulated in place of NeuroPlastic.

python -m modulated_example jax_model_parallel --save FILE.npz
"""

import importlib
import sys

import keras

from keras_neuroplastic import PlasticityModulated


def modulated(weight_decay=None):
    """Around SGD with momentum, with all traces and the limit."""
    return PlasticityModulated(
        keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=weight_decay),
        max_ratio=0.5,
        activity_weight=0.4,
        gradient_weight=0.4,
        memory_weight=0.2,
    )


if __name__ == "__main__":
    example = importlib.import_module(f"examples.distributed.{sys.argv.pop(1)}")
    example.NeuroPlastic = modulated
    example.main()
