"""Whole steps made faster, one file a way, and the one function that chooses.

Imported here and not in a step, where `torch.compile` could not follow.
"""

from keras.backend import backend

match backend():
    case "jax":
        from keras_neuroplastic._steps.jax import choose
    case "tensorflow":
        from keras_neuroplastic._steps.tensorflow import choose
    case "torch":
        from keras_neuroplastic._steps.torch import choose
    case _:

        def choose(optimizer, otherwise):
            return otherwise


__all__ = ["choose"]
