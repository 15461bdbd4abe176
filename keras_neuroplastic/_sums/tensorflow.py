"""Sums that XLA makes for TensorFlow, on a CPU or a GPU."""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import tensorflow as tf
from keras import ops

from keras_neuroplastic._sums import plain
from keras_neuroplastic._sums.two_stages import rows

try:
    from tensorflow.compiler.tf2xla.python.xla import variadic_reduce
except ImportError:  # no public name has it: sum the signals one by one then
    variadic_reduce = None

# The kind of device that XLA compiles for what is being traced, as "CPU" and "GPU";
# None where nobody has said.
_target = ContextVar("target", default=None)


@contextmanager
def compiled_for(device):
    """What is traced within is compiled by XLA for a device of that name."""
    token = _target.set(tf.DeviceSpec.from_string(device).device_type)
    try:
        yield
    finally:
        _target.reset(token)


def target():
    """Where nobody has said, a GPU is what it is all for, if there is one."""
    return _target.get() or ("GPU" if tf.config.list_logical_devices("GPU") else "CPU")


def of_magnitudes(x, axis):
    count = rows(x, axis)
    if count > 1 and target() == "CPU":
        sums = ops.sum(ops.reshape(x, (count, -1)), 0)
        x = ops.maximum(sums, 0.0)  # else XLA makes one plain sum of the two
    return plain.total(x, axis)


def of_signals(values, axis):
    if axis is None and variadic_reduce and _target.get() == "GPU":
        return all_at_once(values)
    return plain.of_signals(values, axis, of_magnitudes)


def of_several(values, axis):
    return plain.of_several(values, axis, of_magnitudes)


def all_at_once(values):
    """One sum of tuples, for which XLA copies no trace: see `jax.py`."""
    zero = tf.zeros((), values[0].dtype)
    sums = variadic_reduce(
        values,
        [zero] * len(values),
        dimensions_to_reduce=list(range(values[0].ndim)),
        reducer=add_each(len(values), zero.dtype),
    )
    return tf.stack(sums)


@cache
def add_each(count, dtype):
    """The function of two tuples that adds their elements."""

    @tf.function(autograph=False)
    def add(*sums):
        return [x + y for x, y in zip(sums[:count], sums[count:], strict=True)]

    with tf.init_scope():  # for the graphs of all steps, not for this one
        return add.get_concrete_function(*[tf.TensorSpec((), dtype)] * 2 * count)
