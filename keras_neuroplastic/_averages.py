"""The moving average of the weights, written over them."""

import keras
from keras import ops


def overwrite(optimizer, variables, as_keras_does):
    """As in Keras, but on JAX with copies, and without averages that are None.

    A weight and its average in one buffer cannot both be donated to the next `fit`; a
    variable that is overwritten by its gradient has no average.
    """
    averages = optimizer._model_variables_moving_average
    if len(variables) != len(averages):
        raise ValueError(
            f"The optimizer averages {len(averages)} variables. Received: "
            f"{len(variables)} variables to overwrite."
        )
    pairs = [
        (variable, average)
        for variable, average in zip(variables, averages, strict=True)
        if average is not None
    ]
    kept = [average for _, average in pairs]
    if keras.backend.backend() == "jax":
        kept = [ops.copy(average) for average in kept]
    optimizer._model_variables_moving_average = kept
    try:
        as_keras_does([variable for variable, _ in pairs])
    finally:
        optimizer._model_variables_moving_average = averages
