"""The step of the TensorFlow backend: compiled by XLA, also where the model is not.

Keras leaves a model uncompiled on a CPU, where every operation of the rules would run
by itself. Here the step of a variable is one compiled function, which variables of one
shape share.
"""

from functools import cache, partial

import keras
import tensorflow as tf


def choose_step(optimizer, otherwise):
    """`step`, or what is given for distributed variables and without XLA."""
    distributed = (
        tf.distribute.has_strategy()
        or optimizer._distribution_strategy is not tf.distribute.get_strategy()
    )
    return otherwise if distributed or not has_xla() else partial(step, optimizer)


@cache
def has_xla():
    """Whether this build of TensorFlow has it."""
    with tf.init_scope():
        try:
            tf.function(tf.ones, jit_compile=True)(())
        except tf.errors.OpError:
            return False
    return True


def step(optimizer, gradients, variables, learning_rate):
    """Does what `optimizer.update_step` does, for each variable."""
    functions = optimizer.__dict__.setdefault("_compiled", {})
    learning_rate = tf.convert_to_tensor(learning_rate)
    scale = optimizer.current_scale()
    if callable(optimizer.plasticity_scale):  # else it is a constant to compile
        scale = tf.convert_to_tensor(scale)
    for gradient, variable in zip(gradients, variables, strict=True):
        gradient = tf.convert_to_tensor(gradient)
        index = optimizer._get_variable_index(variable)
        decayed = optimizer._decayed[index]
        theta = variable.value if isinstance(variable, keras.Variable) else variable
        slots = {k: slot.value for k, slot in optimizer._slots(index).items()}
        # One function for each kind, or TensorFlow would warn of so many traces.
        kind = theta.shape, theta.dtype, theta.device, gradient.dtype, decayed
        if kind not in functions:
            functions[kind] = tf.function(
                partial(optimizer.move, decayed=decayed), jit_compile=True
            )
        with tf.device(theta.device):
            functions[kind](gradient, theta, slots, learning_rate, scale)
