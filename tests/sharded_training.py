"""Training with weights, slots and samples over devices ends where it does on one.

test_transformations.py runs this file in a process of its own, on four devices.
"""

from functools import cache

import jax
import keras
import numpy as np
import pytest
from jax import numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from lineup import assert_weights

from keras_neuroplastic import NeuroPlastic, PlasticityModulated, PlasticityMonitor

STEPS = 3
BATCH = 32


def data(batches=1):
    rng = np.random.default_rng(9)
    x = rng.normal(size=(BATCH * batches, 256)).astype("float32")
    return x, rng.normal(size=(BATCH * batches, 8)).astype("float32")


def make_model():
    keras.utils.set_random_seed(3)
    layers = [keras.Input((256,)), keras.layers.Dense(512), keras.layers.Dense(8)]
    return keras.Sequential(layers)


def assert_trained(got, want):
    initial = make_model().get_weights()
    for a, b, x in zip(got, want, initial, strict=True):
        assert_weights(a, b, x, error=2e-6)


def train(x, y, put=lambda arrays: arrays):
    """Weights and slots after some steps on one batch, and their shardings kept."""
    model, optimizer = make_model(), NeuroPlastic()
    optimizer.build(model.trainable_variables)

    def loss(weights, x, y):
        return jnp.mean((model.stateless_call(weights, [], x)[0] - y) ** 2)

    def step(weights, state, x, y):
        gradients = jax.grad(loss)(weights, x, y)
        return optimizer.stateless_apply(state, gradients, weights)

    weights = put([v.value for v in model.trainable_variables])
    state = put([v.value for v in optimizer.variables])
    x, y = put([jnp.asarray(x), jnp.asarray(y)])
    layout = jax.tree.map(lambda array: array.sharding, (weights, state))
    step = jax.jit(step, donate_argnums=(0, 1), out_shardings=layout)
    for _ in range(STEPS):
        weights, state = step(weights, state, x, y)
    return weights, state


def quarters(arrays):
    """A quarter of the rows of each array on each device."""
    mesh = jax.make_mesh((4,), ("d",), axis_types=(AxisType.Auto,))
    return [
        jax.device_put(x, NamedSharding(mesh, P("d") if x.ndim else P()))
        for x in arrays
    ]


def test_fully_sharded():
    weights, state = train(*data(), quarters)
    for array in [*weights, *state[2:]]:
        assert array.addressable_shards[0].data.size == array.size // 4
    assert_trained(weights, train(*data())[0])


def test_training_on_samples_of_one_device_is_noticed():
    x, y = data()
    with pytest.raises(AssertionError):
        assert_trained(train(x[: BATCH // 4], y[: BATCH // 4])[0], train(x, y)[0])


def fit(model, optimizer):
    model.compile(optimizer, loss="mse")
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    model.fit(*data(batches=STEPS), **options)
    return model.get_weights()


@pytest.mark.parametrize("kernel", [("model", None), (None, "model")])
def test_a_model_built_for_devices_is_fitted_where_nothing_says_so(kernel):
    devices = np.array(keras.distribution.list_devices("cpu")).reshape(2, 2)
    mesh = keras.distribution.DeviceMesh((2, 2), ["batch", "model"], devices)
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*kernel"] = kernel
    with keras.distribution.ModelParallel(layout_map=layouts).scope():
        model = make_model()
    assert keras.distribution.distribution() is None
    got = fit(model, NeuroPlastic())
    slot = model.optimizer.variables[2].value
    assert slot.addressable_shards[0].data.size == slot.size // 2
    assert_trained(got, fit(make_model(), NeuroPlastic()))


def in_parallel(model_axis):
    """DataParallel, or ModelParallel with kernels cut along an axis."""
    devices = keras.distribution.list_devices("cpu")
    if model_axis is None:
        return keras.distribution.DataParallel(devices=devices)
    devices = np.array(devices).reshape(2, 2)
    mesh = keras.distribution.DeviceMesh((2, 2), ["batch", "model"], devices)
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*kernel"] = (None, "model") if model_axis else ("model", None)
    return keras.distribution.ModelParallel(layout_map=layouts)


@cache
def watch_on_one_device(make):
    return watch(make)


def watch(make, distribution=None):
    """What a monitor tells of two fits."""
    monitors = [PlasticityMonitor(), PlasticityMonitor()]
    keras.distribution.set_distribution(distribution)
    try:
        model = make_model()
        model.compile(make(), loss="mse")
        for monitor in monitors:
            options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
            model.fit(*data(batches=STEPS), callbacks=[monitor], **options)
    finally:
        keras.distribution.set_distribution(None)
    return [list(monitor.history.values()) for monitor in monitors]


@pytest.mark.parametrize("model_axis", [None, 0, 1])
@pytest.mark.parametrize(
    "make", [NeuroPlastic, lambda: PlasticityModulated(keras.optimizers.SGD(0.1))]
)
def test_a_monitor_tells_what_it_does_on_one_device(make, model_axis):
    got, want = watch(make, in_parallel(model_axis)), watch_on_one_device(make)
    for of_fit, of_one in zip(got, want, strict=True):
        for variable, alone in zip(of_fit, of_one, strict=True):
            assert variable["steps"] == STEPS
            for name in variable:
                # A share may differ by the one element of a thousand at its bound.
                slack = 2e-3 if name.startswith("share") else 1e-5
                np.testing.assert_allclose(
                    variable[name], alone[name], 1e-4, slack, err_msg=name
                )
