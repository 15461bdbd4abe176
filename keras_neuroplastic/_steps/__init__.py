"""Whole steps made faster, one file a way, and the one function that chooses.

A step is a function of gradients, variables and the learning rate, and of further
lists, one element a variable, which it hands on to `optimizer.update_step`.
"""

# Imported here and not in a step, where `torch.compile` could not follow.
from keras import ops
from keras.backend import backend


def keep_values(optimizer, variables):
    """The values of variables, which later steps do not reach."""
    return [ops.convert_to_tensor(variable) for variable in variables]


def one_by_one(optimizer, gradients, variables, learning_rate, *others):
    """The plain step: `optimizer.update_step` for each variable."""
    for gradient, variable, *other in zip(gradients, variables, *others, strict=True):
        optimizer.update_step(gradient, variable, learning_rate, *other)


def collect(optimizer):
    """Adds what was seen of a step to the statistics."""
    optimizer.collect_step()


def collect_waiting(optimizer):
    """Collects what steps have kept so far; most ways keep nothing."""


def watched(optimizer, step):
    """The step, and what the optimizer collects of it."""
    if not optimizer.collects_statistics:
        return step

    def step_and_collect(*arguments):
        optimizer._seen.clear()  # of a step that failed
        step(*arguments)
        if optimizer._seen:
            collect(optimizer)
            optimizer._seen.clear()

    return step_and_collect


match backend():
    case "jax":
        from keras_neuroplastic._steps.jax import choose
    case "tensorflow":
        from keras_neuroplastic._steps.tensorflow import (
            choose,
            keep_values,
            one_by_one,
            watched,
        )
    case "torch":
        from keras_neuroplastic._steps.torch import (
            choose,
            collect,
            collect_waiting,
            keep_values,
        )
    case _:

        def choose(optimizer, otherwise):
            return otherwise


__all__ = ["choose", "collect_waiting", "keep_values", "one_by_one", "watched"]
