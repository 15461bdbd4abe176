"""Steps within `jax.pmap` and `jax.shard_map`.

test_transformations.py runs this file in a process of its own, on four devices.
"""

from functools import cache, partial

import jax
import keras
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from lineup import assert_weights
from reference import Reference

from keras_neuroplastic import NeuroPlastic

DEVICES = 4
STEPS = 3
SHAPES = [(512, 256), (128, 256), (16, 8), (3,), ()]


def drawn(*seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def on_devices(draw):
    """What each device has drawn, stacked."""
    return jax.tree.map(lambda *of_one: np.stack(of_one), *map(draw, range(DEVICES)))


@cache
def gradients(step):
    return on_devices(lambda device: drawn(step, device))


def built(optimizer):
    """What makes a step, the weights, and the state of the optimizer."""
    optimizer.build([keras.Variable(x) for x in drawn(0)])
    state = [v.value for v in optimizer.variables]
    return optimizer.stateless_apply, drawn(0), state


def step_with_means(stateless_apply, state, gradients, weights):
    """A step with the means over the devices of their gradients."""
    means = [lax.psum(g, "device") / DEVICES for g in gradients]
    return stateless_apply(state, means, weights)


def assert_stepped_with(combine, weights):
    """The weights are NumPy's, where it combines the gradients of the devices so."""
    for i, x in enumerate(drawn(0)):
        twin = Reference(x)
        for step in range(1, 1 + STEPS):
            twin.step(combine(gradients(step)[i].astype("float64"), 0))
        assert_weights(weights[i], twin.theta, x, 1e-6)


def assert_stepped_with_means(weights):
    assert_stepped_with(np.mean, weights)
    with pytest.raises(AssertionError):
        assert_stepped_with(lambda g, axis: g[0], weights)


def test_pmap_over_samples():
    apply, weights, state = built(NeuroPlastic())
    step = jax.pmap(partial(step_with_means, apply), axis_name="device")
    weights, state = on_devices(lambda device: (weights, state))
    for i in range(1, 1 + STEPS):
        weights, state = step(state, gradients(i), weights)
    for array in jax.tree.leaves((weights, state)):
        assert np.all(np.asarray(array) == np.asarray(array[:1]))
    assert_stepped_with_means([w[0] for w in weights])


def test_pmap_over_an_ensemble():
    """Each device its own weights, slots and gradients."""
    apply, _, state = built(NeuroPlastic())
    step = jax.pmap(apply)
    initial = weights = on_devices(lambda device: drawn(0, device))
    state = on_devices(lambda device: state)
    for i in range(1, 1 + STEPS):
        weights, state = step(state, gradients(i), weights)
    for i, x in enumerate(initial):
        for device in range(DEVICES):
            twin = Reference(x[device])
            for step in range(1, 1 + STEPS):
                twin.step(gradients(step)[i][device])
            assert_weights(weights[i][device], twin.theta, x[device], 1e-6)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_shard_map_over_samples(kind):
    apply, weights, state = built(NeuroPlastic())
    mesh = jax.make_mesh((DEVICES,), ("device",), axis_types=(kind,))

    def on_device(state, gradients, weights):
        own = [g[0] for g in gradients]
        return step_with_means(apply, state, own, weights)

    specs = P(), P("device"), P()
    step = jax.shard_map(on_device, mesh=mesh, in_specs=specs, out_specs=P())
    step = jax.jit(step)
    for i in range(1, 1 + STEPS):
        shares = jax.device_put(gradients(i), NamedSharding(mesh, P("device")))
        weights, state = step(state, shares, weights)
    assert_stepped_with_means(weights)


@pytest.mark.parametrize("optimizer", [NeuroPlastic, keras.optimizers.Adam])
def test_shard_map_over_parts_of_a_variable_is_refused(optimizer):
    """By Keras, for every optimizer: no mean of a part passes for the whole's."""
    variable = keras.Variable(np.ones((8, 4)))
    optimizer = optimizer()
    optimizer.build([variable])
    mesh = jax.make_mesh((DEVICES,), ("device",), axis_types=(AxisType.Auto,))
    state = [v.value for v in optimizer.variables]
    specs = [P("device") if x.ndim else P() for x in state]
    step = jax.shard_map(
        lambda state, g, x: optimizer.stateless_apply(state, [g], [x]),
        mesh=mesh,
        in_specs=(specs, P("device"), P("device")),
        out_specs=([P("device")], specs),
    )
    with pytest.raises(ValueError, match=r"Invalid variable value in StatelessScope"):
        step(state, jnp.ones((8, 4)), variable.value)
