"""Moving averages of the weights, gradient accumulation, and set hyperparameters."""

import keras
import numpy as np
import pytest
from keras import ops
from lineup import UNCOMPILED
from toy import BATCHES_PER_EPOCH, assert_close, assert_identical, data, fit, weights
from toy import make_model as make

from keras_neuroplastic import (
    BoundedResidual,
    NeuroPlastic,
    PlasticityModulated,
    PlasticityWarmup,
)


def modulated(plasticity_scale=1.0, **arguments):
    """Around SGD with momentum, with all traces; it has the arguments that are its."""
    return PlasticityModulated(
        keras.optimizers.SGD(0.1, momentum=0.9, **arguments),
        strength=0.5,
        max_ratio=0.25,
        activity_weight=0.5,
        gradient_weight=0.3,
        memory_weight=0.2,
        plasticity_scale=plasticity_scale,
    )


both = pytest.mark.parametrize("optimizer", [NeuroPlastic, modulated, *UNCOMPILED])


class Record(keras.callbacks.Callback):
    """The weights after each batch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(weights(self.model))


def averages(history, momentum=0.9):
    """What Keras defines: the first weights, then their moving average."""
    average = history[0]
    for step in history[1:]:
        pairs = zip(average, step, strict=True)
        average = [momentum * a + (1 - momentum) * w for a, w in pairs]
    return average


@both
def test_average_with_two_fits(optimizer):
    """The first fit ends on the average of its steps; the second goes on from there."""
    plain, record = make(optimizer()), Record()
    fit(plain, epochs=2, callbacks=[record])
    model = fit(make(optimizer(use_ema=True, ema_momentum=0.9)), epochs=2)
    assert_close(weights(model), averages(record.weights))
    with pytest.raises(AssertionError):
        assert_close(weights(model), weights(plain))

    plain.set_weights(weights(model))
    again = Record()
    fit(plain, callbacks=[again])
    fit(model)
    assert_close(weights(model), averages(record.weights + again.weights))


@both
def test_average_overwrites_every_so_often(optimizer):
    record = Record()
    model = make(optimizer(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3))
    fit(model, epochs=1, callbacks=[record])
    plain, steps = make(optimizer()), Record()
    fit(plain, callbacks=[steps])
    assert_close(record.weights[1], steps.weights[1])
    assert_close(record.weights[2], averages(steps.weights[:3]))


@both
def test_finalize_variable_values(optimizer):
    optimizer = optimizer(use_ema=True, ema_momentum=0.5)
    variable = keras.Variable(np.ones(3), dtype="float32")
    seen = []
    for _ in range(3):
        optimizer.apply([ops.ones(3)], [variable])
        seen.append([variable.numpy().copy()])
    optimizer.finalize_variable_values([variable])
    assert_close([variable.numpy()], averages(seen, 0.5), 1e-7)
    average = optimizer._model_variables_moving_average[0]
    optimizer.apply([ops.ones(3)], [variable])  # the two are not one buffer
    assert np.all(variable.numpy() != average.numpy())


@pytest.mark.parametrize("average", [False, True])
def test_an_inner_optimizer_finalizes_in_its_own_way(average):
    class Signed(keras.optimizers.SGD):
        def finalize_variable_values(self, var_list):
            super().finalize_variable_values(var_list)
            for variable in var_list:
                variable.assign(-variable)

    bare, inner = (Signed(0.1, use_ema=average) for _ in range(2))
    wrapped = PlasticityModulated(inner, strength=0.0)
    assert_identical(weights(fit(make(wrapped))), weights(fit(make(bare))))


@both
def test_averages_are_swapped_in_for_tests(optimizer):
    """As the callback does in `fit`, which then goes on from the weights."""
    x, y = data()
    record = Record()
    model = make(optimizer(use_ema=True, ema_momentum=0.9))
    plain = fit(make(optimizer()), epochs=2, callbacks=[record])
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=False)
    history = model.fit(
        x,
        y,
        batch_size=16,
        epochs=2,
        shuffle=False,
        validation_data=(x, y),
        callbacks=[swap],
        verbose=0,
    ).history
    for epoch in range(2):
        steps = record.weights[: BATCHES_PER_EPOCH * (epoch + 1)]
        plain.set_weights(averages(steps))
        want = plain.evaluate(x, y, batch_size=16, verbose=0)
        assert abs(history["val_loss"][epoch] - want) <= 1e-5 * want
        plain.set_weights(steps[-1])
        unlike = plain.evaluate(x, y, batch_size=16, verbose=0)
        assert abs(history["val_loss"][epoch] - unlike) > 1e-3 * want


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (NeuroPlastic, {}),
        (NeuroPlastic, {"weight_decay": 0.1, "clipnorm": 0.05}),
        (modulated, {"weight_decay": 0.1, "clipnorm": 0.05}),
    ],
)
def test_accumulation_is_one_big_batch(optimizer, options):
    """Four micro-batches a real update: weights, traces and the warm-up's clock."""

    def train(steps, batch):
        scale = PlasticityWarmup(4, 2.0)
        trained = optimizer(
            plasticity_scale=scale, gradient_accumulation_steps=steps, **options
        )
        model = fit(make(trained), epochs=6, batch=batch)
        slots = (trained._activities, trained._momentums, trained._variances)
        return weights(model), [v.numpy() for vs in slots for v in vs], trained

    small, small_slots, accumulating = train(BATCHES_PER_EPOCH, 16)
    big, big_slots, _ = train(None, 16 * BATCHES_PER_EPOCH)
    assert int(accumulating.iterations) == 6
    assert_close(small, big)
    assert_close(small_slots, big_slots)


@both
def test_between_real_updates_nothing_moves(optimizer):
    optimizer = optimizer(gradient_accumulation_steps=3, weight_decay=0.1)
    variable = keras.Variable(np.ones(3), dtype="float32")
    for micro_step in range(1, 7):
        watched = [variable, *optimizer._activities] if optimizer.built else []
        before = [v.numpy().copy() for v in watched]
        optimizer.apply([ops.ones(3)], [variable])
        if micro_step == 1:
            np.testing.assert_array_equal(variable.numpy(), 1)
        elif micro_step % 3:
            assert_identical([v.numpy() for v in watched], before)
        else:
            for v, old in zip(watched, before, strict=True):
                assert np.all(v.numpy() != old)


@both
def test_finalizing_other_variables_is_refused(optimizer):
    optimizer = optimizer(use_ema=True)
    optimizer.build([keras.Variable(np.ones(3)) for _ in range(2)])
    with pytest.raises(ValueError, match=r"averages 2 variables\. Received: 1"):
        optimizer.finalize_variable_values([keras.Variable(np.ones(3))])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_warm_up_is_exact_where_16_bits_are_the_default(dtype):
    keras.config.set_floatx(dtype)
    try:
        late, early = PlasticityWarmup(100_000)(70_000), PlasticityWarmup(1000)(257)
    finally:
        keras.config.set_floatx("float32")
    assert float(late) == np.float32(0.7)
    assert float(early) == np.float32(0.257)


OF_MODULATED = {"strength": 0.1, "max_ratio": None, "target": "trust", "modulate": "x"}


def test_hyperparameters_of_a_modulated_optimizer_are_fixed_likewise():
    optimizer = fit(make(modulated())).optimizer
    changes = {
        **OF_MODULATED,
        "plasticity_scale": 2.0,
        "beta_1": 0.5,
        "weight_decay": 0.1,
        "clipnorm": 1.0,
        "gradient_accumulation_steps": 2,
    }
    for name, value in changes.items():
        with pytest.raises(AttributeError, match=f"`{name}` cannot be set"):
            setattr(optimizer, name, value)


def test_hyperparameters_are_fixed_after_the_first_step():
    model = fit(make(NeuroPlastic()))
    changes = {
        "activity_weight": 0.3,
        "gradient_weight": 0.3,
        "memory_weight": 0.3,
        "min_alpha": 0.1,
        "max_alpha": 3.0,
        "activity_decay": 0.9,
        "beta_1": 0.5,
        "beta_2": 0.9,
        "target_rms": 0.1,
        "adaptation_rate": 0.0,
        "epsilon": 1e-7,
        "skip_nonfinite": True,
        "plasticity_scale": 2.0,
        "per_parameter": False,
        "max_update_norm": None,
        "weight_decay": 0.1,
        "weight_decay_exclude": "bias",
        "clipnorm": 1.0,
        "clipvalue": 1.0,
        "global_clipnorm": 1.0,
        "use_ema": True,
        "ema_momentum": 0.9,
        "ema_overwrite_frequency": 2,
        "loss_scale_factor": 2.0,
        "gradient_accumulation_steps": 2,
        "learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 9),
        "residual": BoundedResidual(),
        "jit_compile": False,
    }
    assert set(changes) == set(NeuroPlastic().get_config()) - {"name"}
    for name, value in changes.items():
        with pytest.raises(AttributeError, match=f"`{name}` cannot be set"):
            setattr(model.optimizer, name, value)
    model.optimizer.beta_1 = 0.9  # its value already
    model.optimizer.name = "another"  # which no step reads
    with pytest.raises(TypeError, match="`name` must be a string"):
        model.optimizer.name = None


@pytest.mark.parametrize("name", ["warmup_steps", "scale", "stair_steps"])
def test_a_warm_up_is_fixed(name):
    """One backend would see it in the next step, and two would not."""
    warmup = PlasticityWarmup(10)
    with pytest.raises(AttributeError, match=f"`{name}` of a schedule cannot be set"):
        setattr(warmup, name, 2)
    assert warmup.get_config() == PlasticityWarmup(10).get_config()


def around_adam():
    """Around one that a learning rate of 0 stops at once."""
    return PlasticityModulated(keras.optimizers.Adam(0.01))


@pytest.mark.parametrize("optimizer", [NeuroPlastic, around_adam])
def test_a_learning_rate_set_later_takes_effect(optimizer):
    model = fit(make(optimizer()))
    before = weights(model)
    model.optimizer.learning_rate = 0
    fit(model)
    assert_identical(weights(model), before)
    model.optimizer.learning_rate = np.array(0.1)
    fit(model)
    assert any(np.any(a != b) for a, b in zip(weights(model), before, strict=True))


@both
def test_a_scheduler_callback_takes_effect(optimizer):
    x, y = data()
    model = make(optimizer())
    before = weights(model)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    model.fit(x, y, callbacks=[schedule], verbose=0)
    assert_identical(weights(model), before)


def test_keras_exclusion_works_before_build_and_raises_after():
    model = make()
    kernels = [layer.kernel for layer in model.layers]
    optimizer = NeuroPlastic(weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[kernels[0]], var_names=["bias"])
    optimizer.build(model.trainable_variables)
    assert optimizer._decayed == [False, False, True, False]
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])
    # What is said already may be said again.
    optimizer.exclude_from_weight_decay(var_list=[kernels[0]], var_names=["bias"])
    assert optimizer._decayed == [False, False, True, False]


def test_the_decay_of_an_inner_neuroplastic_is_not_modulated():
    """Where the gradient is 0, so is α."""
    inner = NeuroPlastic(0.25, weight_decay=0.5, weight_decay_exclude="bias")
    optimizer = PlasticityModulated(inner, max_ratio=None)
    variables = [keras.Variable(np.ones(3), name=name) for name in ("kernel", "bias")]
    optimizer.apply([ops.zeros(3)] * 2, variables)
    np.testing.assert_array_equal(variables[0].numpy(), np.full(3, 0.875))
    np.testing.assert_array_equal(variables[1].numpy(), np.ones(3))
    optimizer.apply([ops.zeros(3)], variables[1:])  # nothing to decay
    np.testing.assert_array_equal(variables[1].numpy(), np.ones(3))


def test_the_decay_mask_survives_saving(tmp_path):
    optimizer = NeuroPlastic(weight_decay=0.5, weight_decay_exclude=["bias", "output/"])
    model = fit(make(optimizer))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer._decayed == [True, False, False, False]
    assert loaded.optimizer._decayed == optimizer._decayed
