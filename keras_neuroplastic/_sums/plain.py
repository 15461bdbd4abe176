"""What the rules ask for, in plain words.

`axis` is None for sums over all elements of x, or the axis of a matrix whose rows are
variables; it is kept, with size one.
"""

import math

from keras import ops


def size(x, axis):
    """The number of elements of a variable, at least 1."""
    return max(math.prod(x.shape) if axis is None else x.shape[axis], 1)


def total(x, axis):
    """The sum of x."""
    # Means are made of this: ops.mean rounds float64 to float32 on JAX and PyTorch.
    return ops.sum(x, axis, keepdims=axis is not None)


def of_magnitudes(x, axis):
    """The sum of x >= 0 that is computed for nothing but this sum."""
    return total(x, axis)


def of_signals(values, axis, of_first=of_magnitudes):
    """The sums of several arrays, stacked; the first is |g|, the others are traces."""
    first, *others = values
    return ops.stack([of_first(first, axis), *(total(x, axis) for x in others)])


def of_several(values, axis, of_each=of_magnitudes):
    """The sums of several such arrays of one shape, stacked."""
    return ops.stack([of_each(x, axis) for x in values])


def stored(x):
    """x, which more than one loop is going to read."""
    return x


def clip(x, low, high):
    """x within limits that have its dtype: Keras would round them to its default."""
    low, high = (ops.convert_to_tensor(limit, x.dtype) for limit in (low, high))
    return ops.clip(x, low, high)


def where(condition, x, y):
    """x where the condition holds, else y, which may be a number."""
    return ops.where(condition, x, y)


def root(x):
    """√x of a sum of squares."""
    return ops.sqrt(x)


def after(done, x):
    """x, which is not read before the array `done` is computed.

    So a compiler may write over x what is made of it.
    """
    return x
