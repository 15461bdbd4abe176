"""Whole steps made faster, one file a way, and the one function that chooses.

A step is a function of gradients, variables and the learning rate, and of further
lists, one element a variable, which it hands on to `optimizer.update_step`.
"""

# Imported here and not in a step, where `torch.compile` could not follow.
from keras.backend import backend


def one_by_one(optimizer, gradients, variables, learning_rate, *others):
    """The plain step: `optimizer.update_step` for each variable."""
    for gradient, variable, *other in zip(gradients, variables, *others, strict=True):
        optimizer.update_step(gradient, variable, learning_rate, *other)


match backend():
    case "jax":
        from keras_neuroplastic._steps.jax import choose
    case "tensorflow":
        from keras_neuroplastic._steps.tensorflow import choose, one_by_one
    case "torch":
        from keras_neuroplastic._steps.torch import choose
    case _:

        def choose(optimizer, otherwise):
            return otherwise


__all__ = ["choose", "one_by_one"]
