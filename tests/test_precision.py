"""Sixteen bits, eight bits and sixty-four: slots, steps and loss scaling."""

from functools import cache, partial

import keras
import numpy as np
import pytest
from keras import ops
from lineup import UNCOMPILED, assert_weights, stepper, value
from reference import Reference
from toy import JIT, assert_close, assert_identical, data, fit, make_model, weights

from keras_neuroplastic import (
    NeuroPlastic,
    OrthogonalResidual,
    PlasticityModulated,
    rules,
)

BACKEND = keras.backend.backend()
TENSORFLOW = BACKEND == "tensorflow"


def modulated(**arguments):
    """Around SGD with momentum, with all traces."""
    return PlasticityModulated(
        keras.optimizers.SGD(0.1, momentum=0.9, **arguments),
        max_ratio=0.5,
        activity_weight=0.5,
        gradient_weight=0.3,
        memory_weight=0.2,
    )


both = pytest.mark.parametrize("make", [NeuroPlastic, modulated, *UNCOMPILED])


def slots(optimizer):
    return [slot for of_kind in optimizer._lists.values() for slot in of_kind]


@both
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_slots_are_float32(make, dtype):
    model = fit(make_model(make(), dtype))
    assert {v.dtype for v in model.trainable_variables} == {dtype}
    assert {v.dtype for v in slots(model.optimizer)} == {"float32"}
    assert all(np.all(np.isfinite(w)) for w in weights(model))


def test_limits_are_exact_whatever_the_default_dtype(float64):
    keras.config.set_floatx("float32")  # the fixture sets it once more
    x = ops.convert_to_tensor(np.array([0.0, 0.2, 1.0, np.nan]), "float64")
    clipped = ops.convert_to_numpy(rules.clip(x, 0.1, 0.3))
    np.testing.assert_array_equal(clipped, [0.1, 0.2, 0.3, np.nan])
    if BACKEND == "torch":  # what they would be otherwise
        assert ops.convert_to_numpy(ops.clip(x, 0.1, 0.3))[0] != 0.1


@both
def test_slots_of_float64_are_float64(make, float64):
    model = fit(make_model(make(), "float64"))
    assert {v.dtype for v in slots(model.optimizer)} == {"float64"}


def test_schedules_of_another_dtype_than_the_variables(float64):
    """Schedules give tensors of the default dtype."""
    keras.config.set_floatx("float32")  # the fixture sets it once more
    got = []
    for make in float, lambda x: keras.optimizers.schedules.PolynomialDecay(x, 9, x):
        variable = keras.Variable(np.arange(6.0).reshape(3, 2), dtype="float64")
        residual = OrthogonalResidual(make(0.5))
        optimizer = NeuroPlastic(residual=residual, plasticity_scale=make(0.5))
        step = stepper(optimizer, [variable], "float64")
        for g in np.random.default_rng(0).normal(size=(3, 3, 2)):
            step([g])
        got.append([value(v) for v in (variable, *slots(optimizer))])
    assert_identical(*got)


@cache
def in_float32(make):
    return weights(fit(make_model(make()), epochs=3))


@both
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_follows_float32(make, policy):
    """Within what rounding the activations to 8 or 11 bits does to the gradients."""
    mixed, full = weights(fit(make_model(make(), policy), epochs=3)), in_float32(make)
    assert_close(mixed, full, 0.02)
    assert any(np.any(a != b) for a, b in zip(mixed, full, strict=True))


def test_a_bfloat16_trace_does_not_stall():
    """A thousand steps of decay 0.99: within 1 % of the exact trace, and far closer."""
    rng = np.random.default_rng(0)
    optimizer = NeuroPlastic(learning_rate=0.0)
    variable = keras.Variable(np.ones(4), dtype="bfloat16")
    twin = Reference(np.ones(4), learning_rate=0.0)
    step = stepper(optimizer, [variable], "bfloat16")
    for _ in range(1000):
        g = rng.integers(-256, 257, size=4) / 64  # exact in bfloat16
        step([g])
        twin.step(g)
    for slot, exact in [
        (optimizer._variances[0], twin.variance),
        (optimizer._activities[0], twin.activity),
    ]:
        np.testing.assert_allclose(slot.numpy(), exact, rtol=1e-5)

    # What a bfloat16 slot would have come to.
    stalled = ops.zeros(4, "bfloat16")
    for _ in range(1000):
        stalled = stalled * 0.99 + 0.01 * ops.ones(4, "bfloat16")
    exact = 1 - 0.99**1000
    assert np.all(ops.convert_to_numpy(ops.cast(stalled, "float32")) < 0.99 * exact)


@both
def test_an_overflowing_batch_leaves_every_slot_untouched(make):
    optimizer = keras.optimizers.LossScaleOptimizer(make(weight_decay=0.1))
    model = fit(make_model(optimizer, "mixed_float16"))
    inner = optimizer.inner_optimizer
    before = [v.numpy() for v in inner.variables] + weights(model)
    scale = float(optimizer.dynamic_scale)
    x, y = data()
    model.train_on_batch(x * 1e30, y)
    assert_identical([v.numpy() for v in inner.variables] + weights(model), before)
    assert float(optimizer.dynamic_scale) == scale / 2
    model.train_on_batch(x, y)
    assert all(
        np.any(v.numpy() != old)
        for v, old in zip(inner.variables, before, strict=False)
        if v is not inner._learning_rate
    )


@both
def test_a_fixed_loss_scale_changes_nothing(make):
    """A power of two: not one bit, unless a product is subnormal."""
    scaled = weights(fit(make_model(make(loss_scale_factor=1024.0)), epochs=3))
    assert_close(scaled, in_float32(make), 1e-6)


@both
def test_float8(make):
    """What is overwritten has no traces; `test_the_rules` is without averages."""
    model = make_model()
    for layer in model.layers:
        layer.quantize("float8")
    model.compile(make(use_ema=True), loss="mse")
    fit(model)
    traced = [v for v in model.optimizer._activities if v is not None]
    stepped = [
        v
        for v in model.trainable_variables
        if not getattr(v, "overwrite_with_gradient", False)
    ]
    assert [v.shape for v in traced] == [v.shape for v in stepped]
    assert 0 < len(stepped) < len(model.trainable_variables)
    before = weights(model)
    fit(model)
    assert all(np.all(np.isfinite(w)) for w in weights(model))
    assert any(np.any(a != b) for a, b in zip(weights(model), before, strict=True))


@pytest.mark.skipif(BACKEND != "jax", reason="Keras overwrites them elsewhere")
def test_float8_with_overwriting_averages_is_refused():
    model = make_model()
    model.layers[0].quantize("float8")
    model.compile(NeuroPlastic(use_ema=True, ema_overwrite_frequency=2), loss="mse")
    with pytest.raises(ValueError, match="`ema_overwrite_frequency` must be None"):
        fit(model)


@both
def test_lora(make):
    model = prepared("int8 lora")
    model.compile(make(), loss="mse")
    kernel = np.array(model.layers[0]._kernel.numpy())
    before = [v.numpy() for v in model.layers[0].trainable_variables]
    fit(model)
    np.testing.assert_array_equal(model.layers[0]._kernel.numpy(), kernel)
    after = [v.numpy() for v in model.layers[0].trainable_variables]
    assert all(np.any(a != b) for a, b in zip(after, before, strict=True))


def prepared(kind):
    """The small model with variables of eight bits, or with LoRA, or both."""
    model = make_model()
    for layer in model.layers:
        if kind != "lora":
            layer.quantize(kind.split()[0])
    if kind.endswith("lora"):
        model.layers[0].enable_lora(2)
    return model


@pytest.mark.parametrize("kind", ["float8", "lora", "int8 lora"])
def test_the_rules_are_followed_beside_eight_bits(kind):
    """Every variable but the overwritten ones, with the gradients that it was given."""
    gradients = {}

    class Recording(NeuroPlastic):
        def update_step(self, gradient, variable, learning_rate):
            record = partial(self.record, self._get_variable_index(variable))
            if TENSORFLOW:  # where Keras's float8 layers have no eager gradients
                import tensorflow as tf

                tf.py_function(record, [gradient], [])
            else:
                record(gradient)
            super().update_step(gradient, variable, learning_rate)

        def record(self, index, gradient):
            gradients.setdefault(index, []).append(value(gradient))

    model = prepared(kind)
    model.compile(
        Recording(), loss="mse", run_eagerly=not TENSORFLOW, jit_compile=False
    )
    initial = [value(v) for v in model.trainable_variables]
    fit(model, epochs=2)
    for index, variable in enumerate(model.trainable_variables):
        overwritten = getattr(variable, "overwrite_with_gradient", False)
        assert (index in gradients) != overwritten
        if not overwritten:
            exact, wrong = (
                Reference(initial[index], learning_rate=rate) for rate in (0.1, 0.101)
            )
            for g in gradients[index]:
                exact.step(g)
                wrong.step(g)
            assert_weights(value(variable), exact.theta, initial[index], 1e-6)
            with pytest.raises(AssertionError):
                assert_weights(value(variable), wrong.theta, initial[index], 1e-6)

    plain = prepared(kind)
    plain.compile(NeuroPlastic(), loss="mse", jit_compile=JIT)
    # Rounding to eight bits magnifies one of float32.
    tolerance = 1e-2 if kind == "float8" else 2e-6
    assert_close(weights(fit(plain, epochs=2)), weights(model), tolerance)
