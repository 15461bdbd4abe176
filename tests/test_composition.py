"""Optimizers together with what Keras wraps around them: the weights by hand.

Over the line-up of lineup.py, with Adam as the control that shows the tests fair.
"""

import json

import keras
import numpy as np
import pytest
from lineup import LINEUP, AdamReference, assert_weights, stepper, tensors, value
from toy import JIT

from keras_neuroplastic import NeuroPlastic

BACKEND = keras.backend.backend()
RATE = 0.05
INITIAL = [
    np.array([[1.0, -2.0], [3.0, 4.0]], "float32"),
    np.array([0.5, -0.5, 2.0], "float32"),
]
RNG = np.random.default_rng(41)
# Of sizes from 0.01 to 10, so that limits bind in some steps and not in others.
GRADIENTS = [
    [(size * RNG.normal(size=x.shape)).astype("float32") for x in INITIAL]
    for size in (0.1, 10.0, 0.01, 1.0, 0.3, 3.0)
]

needs_multi_optimizer = pytest.mark.skipif(
    not hasattr(keras.optimizers, "MultiOptimizer"),
    reason="this Keras has no MultiOptimizer yet",
)


# One of each kind where XLA compiles the whole step, for seconds.
NAMES = ["default", "adam", "modulated_sgd"] if JIT is True else list(LINEUP)


@pytest.fixture(params=NAMES)
def entry(request):
    return LINEUP[request.param]


def twins(entry, **arguments):
    return [entry.twin(x, learning_rate=RATE, **arguments) for x in INITIAL]


def assert_all(variables, expected, initial, error):
    for v, twin, x in zip(variables, expected, initial, strict=True):
        assert_weights(value(v), twin.theta, x, error)


# Limits on gradients and weights


def norm(*arrays):
    return np.sqrt(sum(np.sum(a.astype("float64") ** 2) for a in arrays))


CLIPS = {
    "clipnorm": lambda gs: [g * min(1, 0.5 / norm(g)) for g in gs],
    "clipvalue": lambda gs: [np.clip(g, -0.5, 0.5) for g in gs],
    "global_clipnorm": lambda gs: [g * min(1, 0.5 / norm(*gs)) for g in gs],
}


@pytest.mark.parametrize("clip", CLIPS)
def test_clipping(entry, clip):
    """Each norm by itself, or that of all gradients together."""
    optimizer = entry.optimizer(learning_rate=RATE, **{clip: 0.5})
    variables = [keras.Variable(x) for x in INITIAL]
    expected = {name: twins(entry) for name in CLIPS}
    step = stepper(optimizer, variables)
    for gradients in GRADIENTS:
        step(gradients)
        for name in CLIPS:
            for twin, g in zip(expected[name], CLIPS[name](gradients), strict=True):
                twin.step(g)
        assert_all(variables, expected[clip], INITIAL, entry.error)
    for name in set(CLIPS) - {clip}:
        with pytest.raises(AssertionError):
            assert_all(variables, expected[name], INITIAL, entry.error)


def max_norm(x):
    norms = np.sqrt(np.sum(x**2, axis=0))
    return x * np.minimum(norms, 3.0) / norms


@pytest.mark.parametrize(
    ("constraint", "by_hand"),
    [
        (keras.constraints.NonNeg(), lambda x: np.maximum(x, 0)),
        (keras.constraints.MaxNorm(3.0), max_norm),
    ],
    ids=["NonNeg", "MaxNorm"],
)
def test_constraints(entry, constraint, by_hand):
    """Hold after every step, whose traces know nothing of them."""
    optimizer = entry.optimizer(learning_rate=RATE)
    variables = [keras.Variable(x) for x in INITIAL]
    variables[0].constraint = constraint
    expected = twins(entry)
    step = stepper(optimizer, variables)
    for gradients in GRADIENTS:
        step(gradients)
        for twin, g in zip(expected, gradients, strict=True):
            twin.step(g)
        expected[0].theta = by_hand(expected[0].theta)
        assert_all(variables, expected, INITIAL, entry.error)


def test_all_at_once(entry):
    """Unscaled, then clipped, then decayed and stepped, then constrained."""
    optimizer = entry.optimizer(
        learning_rate=RATE, weight_decay=0.3, clipnorm=0.5, loss_scale_factor=8.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    variables = [
        keras.Variable(x, name=name)
        for x, name in zip(INITIAL, ("kernel", "bias"), strict=True)
    ]
    variables[0].constraint = keras.constraints.NonNeg()
    expected = twins(entry, weight_decay=0.3)
    expected[1].options["weight_decay"] = 0.0
    step = stepper(optimizer, variables)
    for gradients in GRADIENTS:
        step([8 * g for g in gradients])
        clipped = CLIPS["clipnorm"](gradients)
        for twin, g in zip(expected, clipped, strict=True):
            twin.step(g)
        expected[0].theta = np.maximum(expected[0].theta, 0)
        assert_all(variables, expected, INITIAL, entry.error)


# Variables of other kinds


def test_overwrite_with_gradient(entry):
    """The gradient is the new value: not scaled, clipped, decayed or traced."""
    optimizer = entry.optimizer(
        learning_rate=RATE, weight_decay=0.3, clipvalue=0.5, loss_scale_factor=8.0
    )
    variables = [keras.Variable(x) for x in INITIAL]
    variables[0].overwrite_with_gradient = True
    twin = twins(entry, weight_decay=0.3)[1]
    step = stepper(optimizer, variables)
    for gradients in GRADIENTS:
        step([gradients[0], 8 * gradients[1]])
        np.testing.assert_array_equal(value(variables[0]), gradients[0])
        want = twin.step(np.clip(gradients[1], -0.5, 0.5))
        assert_weights(value(variables[1]), want, INITIAL[1], entry.error)
    # The step count and the learning rate, and the slots of the second alone.
    assert {v.shape for v in optimizer.variables} <= {(), INITIAL[1].shape}


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.Variable is TensorFlow's")
def test_tensorflow_variables_beside_keras_variables(entry):
    import tensorflow as tf

    optimizer = entry.optimizer(learning_rate=RATE, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    variables = [
        keras.Variable(INITIAL[0], name="kernel"),
        tf.Variable(INITIAL[1], name="bias"),
    ]
    expected = twins(entry, weight_decay=0.3)
    expected[1].options["weight_decay"] = 0.0
    for gradients in GRADIENTS:
        optimizer.apply(tensors(*gradients), variables)
        for twin, g in zip(expected, gradients, strict=True):
            twin.step(g)
    assert_all(variables, expected, INITIAL, entry.error)
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        optimizer.apply([*tensors(GRADIENTS[0][0]), None], variables)
    assert_weights(value(variables[1]), twin.theta, INITIAL[1], entry.error)
    stranger = tf.Variable(INITIAL[1])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply(tensors(GRADIENTS[0][1]), [stranger])
    np.testing.assert_array_equal(stranger.numpy(), INITIAL[1])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.Variable is TensorFlow's")
def test_patterns_reach_tensorflow_variables():
    import tensorflow as tf

    optimizer = NeuroPlastic(weight_decay=0.3, weight_decay_exclude="^bias")
    variables = [tf.Variable(INITIAL[0], name=name) for name in ("kernel", "bias")]
    optimizer.apply(tensors(*[np.zeros_like(INITIAL[0])] * 2), variables)
    np.testing.assert_allclose(
        variables[0].numpy(), (1 - 0.1 * 0.3) * INITIAL[0], rtol=2**-22
    )
    np.testing.assert_array_equal(variables[1].numpy(), INITIAL[0])


# LossScaleOptimizer


def scaled(entry, **arguments):
    """A LossScaleOptimizer around the entry, its variables and their twins."""
    # The scale of the inner optimizer must not interfere.
    inner = entry.optimizer(learning_rate=RATE, loss_scale_factor=100.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, **arguments)
    return optimizer, [keras.Variable(x) for x in INITIAL], twins(entry)


def test_dynamic_loss_scale(entry):
    """Grows after finite steps, halves at an overflow, which changes nothing else."""
    optimizer, variables, expected = scaled(
        entry, initial_scale=8.0, dynamic_growth_steps=2
    )
    scale = 8.0
    step = stepper(optimizer, variables)
    for count, gradients in enumerate(GRADIENTS):
        assert float(optimizer.scale_loss(1.0)) == scale
        step([scale * g for g in gradients])
        scale = scale * 2 if count % 2 else scale
        for v, twin, g, x in zip(variables, expected, gradients, INITIAL, strict=True):
            assert_weights(value(v), twin.step(g), x, entry.error)
    assert int(optimizer.iterations) == len(GRADIENTS)
    for bad in (np.inf, np.nan):
        before = [value(v) for v in [*variables, *optimizer.inner_optimizer.variables]]
        overflow = [np.full_like(GRADIENTS[0][0], bad), GRADIENTS[0][1]]
        step(overflow)
        scale /= 2
        assert float(optimizer.scale_loss(1.0)) == scale
        after = [*variables, *optimizer.inner_optimizer.variables]
        for v, old in zip(after, before, strict=True):
            np.testing.assert_array_equal(value(v), old)


@pytest.mark.skipif(
    keras.__version__.startswith("3.10."),
    reason="Keras 3.10 unscales them too, whatever the inner optimizer",
)
def test_dynamic_loss_scale_spares_overwritten_variables(entry):
    optimizer, variables, expected = scaled(entry, initial_scale=8.0)
    variables[0].overwrite_with_gradient = True
    overwriting, stepping = GRADIENTS[0]
    stepper(optimizer, variables)([overwriting, 8 * stepping])
    np.testing.assert_array_equal(value(variables[0]), overwriting)
    want = expected[1].step(stepping)
    assert_weights(value(variables[1]), want, INITIAL[1], entry.error)


def test_loss_scale_config(entry):
    optimizer, _, _ = scaled(entry, initial_scale=8.0, dynamic_growth_steps=2)
    text = json.dumps(keras.optimizers.serialize(optimizer))
    revived = keras.optimizers.deserialize(json.loads(text))
    assert json.dumps(revived.get_config()) == json.dumps(optimizer.get_config())
    assert type(revived.inner_optimizer) is type(optimizer.inner_optimizer)


# MultiOptimizer


def network(**options):
    """Two linear layers, whose gradients fit on a page."""
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, name="first", **options),
            keras.layers.Dense(2, name="second", **options),
        ]
    )


def network_gradients(k_1, b_1, k_2, b_2, x, y):
    """Of the mean squared error."""
    h = x @ k_1 + b_1
    residual = 2 * (h @ k_2 + b_2 - y) / y.size
    back = residual @ k_2.T
    return x.T @ back, back.sum(0), h.T @ residual, residual.sum(0)


def mixed(entry, **arguments):
    """The entry on the first layer, AdamW on the rest."""
    optimizer_map = keras.optimizers.OptimizerMap(
        default_optimizer=keras.optimizers.AdamW(0.01, weight_decay=0.004),
        optimizer_map={".*first/.*": entry.optimizer(learning_rate=RATE)},
    )
    return keras.optimizers.MultiOptimizer(optimizer_map, **arguments)


RNG_DATA = np.random.default_rng(0)
DATA = RNG_DATA.normal(size=(16, 3)), RNG_DATA.normal(size=(16, 2))


@needs_multi_optimizer
@pytest.mark.parametrize(
    ("name", "wrap"),
    [(name, "plain") for name in NAMES]
    + [(n, w) for n in ("default", "adam") for w in ("static", "dynamic", "revived")],
)
def test_multi_optimizer_fit(name, wrap):
    """Every layer ends where its own optimizer takes it."""
    entry = LINEUP[name]
    optimizer = mixed(entry, loss_scale_factor=8.0 if wrap == "static" else None)
    if wrap == "dynamic":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    if wrap == "revived":
        text = json.dumps(keras.optimizers.serialize(optimizer))
        optimizer = keras.optimizers.deserialize(json.loads(text))
    model = network()
    initial = [value(v).astype("float64") for v in model.trainable_variables]
    model.compile(optimizer, "mse", jit_compile=JIT)
    model.fit(*DATA, batch_size=4, epochs=3, shuffle=False, verbose=0)

    adam = {"learning_rate": 0.01, "weight_decay": 0.004}
    adam |= {"beta_2": 0.999, "epsilon": 1e-7}
    expected = [entry.twin(x, learning_rate=RATE) for x in initial[:2]]
    expected += [AdamReference(x, **adam) for x in initial[2:]]
    for step in range(12):
        batch = [a[4 * (step % 4) :][:4] for a in DATA]
        gradients = network_gradients(*(t.theta for t in expected), *batch)
        for twin, gradient in zip(expected, gradients, strict=True):
            twin.step(gradient)
    # Adam's error reaches the first layer through its gradient.
    assert_all(model.trainable_variables, expected, initial, 5e-4)
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for part in inner.optimizers:
        assert int(part.iterations) == 12


@needs_multi_optimizer
@pytest.mark.parametrize(("outer", "scale"), [(None, 1.0), (4.0, 4.0)])
def test_multi_optimizer_alone_scales_the_loss(entry, outer, scale):
    """Whatever scale its parts were given."""
    part = entry.optimizer(loss_scale_factor=100.0)
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.AdamW(), {".*": part}),
        loss_scale_factor=outer,
    )
    assert float(optimizer.scale_loss(1.0)) == scale
    assert part.loss_scale_factor == outer
    keras.optimizers.LossScaleOptimizer(optimizer)
    assert part.loss_scale_factor is None


@needs_multi_optimizer
def test_multi_optimizer_from_a_function(entry):
    own = entry.optimizer(learning_rate=RATE)
    adam_w = keras.optimizers.AdamW(0.01)
    optimizer = keras.optimizers.MultiOptimizer(
        lambda variable: own if "kernel" in variable.path else adam_w
    )
    variables = [
        keras.Variable(x, name=name)
        for x, name in zip(INITIAL, ("kernel", "bias"), strict=True)
    ]
    twin = twins(entry)[0]
    step = stepper(optimizer, variables)
    for gradients in GRADIENTS:
        step(gradients)
        want = twin.step(gradients[0])
        assert_weights(value(variables[0]), want, INITIAL[0], entry.error)
    assert optimizer.optimizers == [own, adam_w]


@needs_multi_optimizer
@pytest.mark.parametrize("callback", ["LearningRateScheduler", "ReduceLROnPlateau"])
def test_multi_optimizer_callbacks_set_both_learning_rates(callback):
    model = network()
    model.compile(mixed(LINEUP["default"]), "mse", jit_compile=JIT)
    if callback == "LearningRateScheduler":
        callback = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    else:  # never better than infinity by `min_delta`
        callback = keras.callbacks.ReduceLROnPlateau(
            "loss", factor=0.5, patience=1, min_delta=1e9, cooldown=0
        )
    model.fit(*DATA, epochs=3, verbose=0, callbacks=[callback])
    rates = [float(part.learning_rate) for part in model.optimizer.optimizers]
    halvings = 8 if isinstance(callback, keras.callbacks.LearningRateScheduler) else 4
    np.testing.assert_allclose(rates, [RATE / halvings, 0.01 / halvings], rtol=1e-6)


@needs_multi_optimizer
def test_multi_optimizer_swaps_the_average_of_one_layer(entry):
    optimizer_map = keras.optimizers.OptimizerMap(
        default_optimizer=keras.optimizers.AdamW(0.01),
        optimizer_map={".*first/.*": entry.optimizer(use_ema=True, ema_momentum=0.9)},
    )
    model = network()
    model.compile(
        keras.optimizers.MultiOptimizer(optimizer_map), "mse", jit_compile=JIT
    )
    model.train_on_batch(*DATA)
    model.train_on_batch(*DATA)
    own = model.optimizer.optimizers[0]
    averages = [value(v) for v in own.variables if v.name.endswith("average")]
    before = [value(v) for v in model.trainable_variables]
    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(model)
    swap.on_test_begin()
    during = [value(v) for v in model.trainable_variables]
    for got, want in zip(during, [*averages, *before[2:]], strict=True):
        assert_weights(got, want, want, 0)  # TensorFlow swaps by sum and difference
    assert np.any(during[0] != before[0])
    swap.on_test_end()
    for v, want in zip(model.trainable_variables, before, strict=True):
        assert_weights(value(v), want, want, 0)


def test_frozen_layers_have_no_slots(entry):
    """What does not train is neither traced nor moved."""
    model = network()
    model.layers[0].trainable = False
    before = value(model.layers[0].kernel)
    model.compile(entry.optimizer(learning_rate=RATE), "mse", jit_compile=JIT)
    model.fit(*DATA, verbose=0)
    np.testing.assert_array_equal(value(model.layers[0].kernel), before)
    shapes = {tuple(v.shape) for v in model.optimizer.variables}
    assert shapes <= {(), *(tuple(v.shape) for v in model.layers[1].weights)}
