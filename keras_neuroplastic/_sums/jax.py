"""Sums that XLA makes for JAX, on any device and any number of them, and roots.

Which form is right is known where a step is compiled, not where it is traced: the same
program may be exported for a CPU and for a GPU. So each platform is given its own.
"""

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
    if rows(x, axis) == 1 or is_split(x):
        return plain.total(x, axis)
    return lax.platform_dependent(x, cpu=in_two_stages, default=jnp.sum)


def in_two_stages(x):
    """The sum of x >= 0; the first stage over rows is none that XLA knows for a sum."""
    from jax.extend.backend import backends  # which Keras has not loaded

    zero = np.zeros((), x.dtype)
    x = x.reshape(rows(x, None), -1)
    cpus = backends().get("cpu")
    if cpus is None or cpus.device_count() == 1:  # so no others can have a part of x
        return jnp.sum(lax.reduce(x, zero, add_magnitudes, (0,)))
    # XLA adds over devices with reducers that it knows, and with any of several arrays.
    # Nobody reads the largest elements.
    sums, _ = lax.reduce((x, x), (zero, zero), add_and_compare, (0,))
    return jnp.sum(sums)


def add_magnitudes(x, y):
    return lax.abs(x) + lax.abs(y)


def add_and_compare(x, y):
    return x[0] + y[0], lax.max(x[1], y[1])


def of_signals(values, axis):
    if axis is not None:
        return plain.of_signals(values, axis)
    otherwise = as_product if are_small(values) else one_by_one
    return lax.platform_dependent(
        *values, cuda=all_at_once, rocm=all_at_once, default=otherwise
    )


def of_several(values, axis):
    if axis is None and are_small(values):
        return lax.platform_dependent(*values, cpu=as_product, default=one_by_one)
    return plain.of_several(values, axis, of_magnitudes)


def are_small(values):
    """Whether one operation sums them all, for it would cost more to call several."""
    small = plain.size(values[0], None) <= SMALL
    return small and not any(map(is_split, values))


def as_product(*values):
    matrix = jnp.stack([x.ravel() for x in values])
    ones = np.ones(matrix.shape[1], matrix.dtype)
    return jnp.dot(matrix, ones, precision=lax.Precision.HIGHEST)


def one_by_one(*values):
    return plain.of_signals(values, None, of_magnitudes)


def all_at_once(*values):
    """One sum of tuples: on a GPU the loop that moves the traces makes it.

    XLA has one main sum a loop, and copies a trace before it is written over unless
    that sum is of it.
    """
    zeros = tuple(np.zeros((), x.dtype) for x in values)
    return jnp.stack(lax.reduce(values, zeros, add_each, range(values[0].ndim)))


def add_each(x, y):
    return tuple(a + b for a, b in zip(x, y, strict=True))


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


def after(done, x):
    """It is multiplied by one: nothing is above infinity, but XLA does not know."""
    above = jnp.abs(done[(0,) * done.ndim]) > jnp.inf
    return x * jnp.where(above, 0, 1).astype(x.dtype)
