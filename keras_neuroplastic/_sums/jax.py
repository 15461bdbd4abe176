"""Sums that XLA makes for JAX, on any number of devices, and roots with derivatives."""

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from keras_neuroplastic._sums import plain
from keras_neuroplastic._sums.two_stages import rows

# The signals of at most so many elements are summed by one operation.
SMALL = 2**12


def is_split(x):
    """Whether the type of x says that devices share it; with Auto axes none does."""
    return any(jax.typeof(x).sharding.spec)


def of_magnitudes(x, axis):
    count = rows(x, axis)
    if count > 1 and jax.default_backend() == "cpu" and not is_split(x):
        x = summed_as_made(x.reshape(count, -1))
    return plain.total(x, axis)


def summed_as_made(x):
    """The sums over the rows of x >= 0, none of them a sum that XLA knows for one."""
    zero = np.zeros((), x.dtype)
    if jax.device_count() == 1:  # so no other devices can have a part of x
        return lax.reduce(x, zero, add_magnitudes, (0,))
    # XLA adds over devices with reducers that it knows, and with any of several arrays.
    # Nobody reads the largest elements.
    sums, _ = lax.reduce((x, x), (zero, zero), add_and_compare, (0,))
    return sums


def add_magnitudes(x, y):
    return lax.abs(x) + lax.abs(y)


def add_and_compare(x, y):
    return x[0] + y[0], lax.max(x[1], y[1])


def of_signals(values, axis):
    small = axis is None and plain.size(values[0], axis) <= SMALL
    if small and not any(is_split(x) for x in values):
        matrix = jnp.stack([x.ravel() for x in values])
        ones = np.ones(matrix.shape[1], matrix.dtype)
        return jnp.dot(matrix, ones, precision=lax.Precision.HIGHEST)
    return plain.of_signals(values, axis, of_magnitudes)


@jax.custom_jvp
def root(x):
    """√x, with a derivative of 0 at 0.

    Where all gradients of an element were zero, √v has an infinite slope and v none.
    """
    return jnp.sqrt(x)


@root.defjvp
def _(primals, tangents):
    y = root(*primals)
    return y, jnp.where(y > 0, tangents[0] / jnp.where(y > 0, 2 * y, 1), 0)
