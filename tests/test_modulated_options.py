"""What PlasticityModulated takes, what it refuses, and what reaches the inner one."""

import json
from functools import partial

import keras
import numpy as np
import pytest
from lineup import ADAM, ADAM_ERROR, assert_weights, stepper, tensors, value
from reference_modulated import ModulatedReference, variant
from toy import assert_identical, data, fit, make_model, weights

from keras_neuroplastic import NeuroPlastic, PlasticityModulated, PlasticityWarmup

BACKEND = keras.backend.backend()
Adam, SGD = keras.optimizers.Adam, keras.optimizers.SGD
RATE = 0.05
INITIAL = np.array([[1.0, -2.0], [3.0, 4.0]], "float32")
GRADIENTS = [
    (size * np.random.default_rng(3).normal(size=(2, 2))).astype("float32")
    for size in (0.1, 10.0, 0.01, 1.0, 0.3, 3.0)
]


# Which variables are modulated


def named(*names):
    return [keras.Variable(INITIAL, name=name) for name in names]


@pytest.mark.parametrize(
    ("modulate", "chosen"),
    [("kernel", [0]), (["^kernel", "ias$"], [0, 1]), (None, [0, 1, 2])],
)
def test_only_what_matches_is_modulated(modulate, chosen):
    """The others move as by the bare optimizer, to the last bit."""
    names = "kernel", "bias", "scale"
    got, bare, everywhere = named(*names), named(*names), named(*names)
    optimizers = {
        PlasticityModulated(Adam(RATE), modulate=modulate): got,
        Adam(RATE): bare,
        PlasticityModulated(Adam(RATE)): everywhere,
    }
    for optimizer, variables in optimizers.items():
        step = stepper(optimizer, variables)
        for gradient in GRADIENTS:
            step([gradient] * 3)
    for i, variable in enumerate(got):
        want, unlike = (everywhere, bare) if i in chosen else (bare, everywhere)
        np.testing.assert_array_equal(value(variable), value(want[i]))
        assert np.any(value(variable) != value(unlike[i]))
    slots = [v.name for v in next(iter(optimizers)).traces]
    assert slots == [f"{names[i]}_activity" for i in chosen]


@pytest.mark.parametrize(
    ("options", "each"),
    [
        ({}, 4),
        ({"activity_weight": 0.0, "gradient_weight": 1.0}, 0),
        ({"activity_weight": 0.5, "gradient_weight": 0.5}, 4),
        ({"activity_weight": 0.0, "memory_weight": 1.0}, 8),
        ({"activity_weight": 0.4, "gradient_weight": 0.4, "memory_weight": 0.2}, 12),
    ],
)
@pytest.mark.parametrize("modulate", [None, "kernel"])
def test_bytes_of_state(options, each, modulate):
    def size(variables):
        return sum(v.numpy().nbytes for v in variables)

    optimizer, bare = PlasticityModulated(Adam(), modulate=modulate, **options), Adam()
    variables = [
        keras.Variable(np.ones(shape, "float32"), name=name)
        for shape, name in (((7, 5), "kernel"), (5, "bias"))
    ]
    optimizer.build(variables)
    bare.build(variables)
    modulated = 35 if modulate else 40
    assert size(optimizer.variables) == size(bare.variables) + each * modulated


# Schedules


class Counting(keras.optimizers.schedules.LearningRateSchedule):
    """0.1 more at each update; knows how often it was called."""

    calls = 0

    def __call__(self, step):
        self.calls += 1
        return 0.1 * keras.ops.cast(step, "float32")


@pytest.mark.parametrize("name", ["strength", "max_ratio"])
@pytest.mark.parametrize("every", [1, 2])
def test_a_schedule_counts_updates(name, every):
    """It is compiled once, and asked for the number of updates, not of gradients."""
    fixed = {"strength": 1.0} if name == "max_ratio" else {"max_ratio": 1.0}
    schedule = Counting()
    inner = Adam(RATE, gradient_accumulation_steps=every if every > 1 else None)
    optimizer = PlasticityModulated(inner, **{name: schedule}, **fixed)
    variables = [keras.Variable(INITIAL)]

    def twin(scheduled):
        options = {name: staticmethod(scheduled), **fixed}
        return variant(ModulatedReference, inner=ADAM, **options)(INITIAL, RATE)

    exact, late = twin(lambda step: 0.1 * step), twin(lambda step: 0.1 * (step + 1))
    step = stepper(optimizer, variables)
    for count, gradient in enumerate(GRADIENTS, 1):
        step([gradient])
        if count % every == 0:
            mean = np.mean(GRADIENTS[count - every : count], axis=0, dtype="float64")
            exact.step(mean)
            late.step(mean)
        assert_weights(value(variables[0]), exact.theta, INITIAL, ADAM_ERROR)
    with pytest.raises(AssertionError):
        assert_weights(value(variables[0]), late.theta, INITIAL, ADAM_ERROR)
    if BACKEND != "torch":
        assert schedule.calls == 1


# Learning rates


def test_callbacks_set_the_inner_learning_rate():
    x, y = data()
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
        # Never better than infinity by `min_delta`.
        keras.callbacks.ReduceLROnPlateau(
            "loss", factor=0.5, patience=1, min_delta=1e9, cooldown=0
        ),
    ]
    for callback in callbacks:
        model = make_model(PlasticityModulated(Adam(RATE)))
        model.fit(x, y, epochs=3, verbose=0, callbacks=[callback])
        rates = [
            float(o.learning_rate)
            for o in (model.optimizer, model.optimizer.inner_optimizer)
        ]
        # A plateau shows from the second epoch on.
        halvings = 8 if callback is callbacks[0] else 4
        np.testing.assert_allclose(rates, RATE / halvings, rtol=1e-6)


def test_a_schedule_is_that_of_the_inner_optimizer():
    schedule = keras.optimizers.schedules.ExponentialDecay(RATE, 1, 0.5)
    optimizer = fit(make_model(PlasticityModulated(Adam(schedule)))).optimizer
    for each in (optimizer, optimizer.inner_optimizer):
        np.testing.assert_allclose(float(each.learning_rate), RATE / 2**4, rtol=1e-6)
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1


# What it wraps, and what wraps it


def test_names_and_configurations_are_accepted():
    config = keras.optimizers.serialize(SGD(0.3, momentum=0.9))
    for given, cls, rate in (("adam", Adam, 0.001), (config, SGD, 0.3)):
        optimizer = PlasticityModulated(given)
        assert isinstance(optimizer.inner_optimizer, cls)
        assert float(optimizer.learning_rate) == np.float32(rate)


WRITTEN = {"class_name": "Adam", "config": {"learning_rate": 0.3}}


def test_a_configuration_written_by_hand():
    """As `compile` takes it, bare or within that of the wrapper."""
    name = "keras_neuroplastic>PlasticityModulated"
    wrapper = {"class_name": name, "config": {"optimizer": WRITTEN}}
    for optimizer in (PlasticityModulated(WRITTEN), keras.optimizers.get(wrapper)):
        assert isinstance(optimizer.inner_optimizer, Adam)
        assert float(optimizer.learning_rate) == np.float32(0.3)
    assert WRITTEN["class_name"] == "Adam"  # left as it was


def test_a_configuration_in_every_form_that_keras_takes():
    small = {"module": "keras.optimizers", **WRITTEN, "class_name": "adam"}
    wrong = {"module": "elsewhere", **WRITTEN}
    for config in (small, wrong):
        for found in (keras.optimizers.get(dict(config)), PlasticityModulated(config)):
            assert float(found.learning_rate) == np.float32(0.3)


class OfAScript(SGD):
    """One that is registered nowhere, and has no module to be imported from."""


OfAScript.__module__ = "__main__"


def test_an_optimizer_of_a_script():
    optimizer = PlasticityModulated(OfAScript(0.3))
    config = keras.optimizers.serialize(optimizer)
    inner = config["config"]["optimizer"]
    assert inner["module"] is None
    without_module = {key: inner[key] for key in ("class_name", "config")}
    objects = {"OfAScript": OfAScript}
    for of_inner in (inner, without_module):
        config["config"]["optimizer"] = of_inner
        found = keras.optimizers.deserialize(config, custom_objects=objects)
        assert type(found.inner_optimizer) is OfAScript


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"config": {}}, "}: 'class_name' Received"),
        ({"class_name": "Adam", "config": {"lr": 1}}, "}: .*not recognized.*Received"),
        ({"class_name": "Nope", "config": {}}, "}: Could not locate.*Received"),
    ],
)
def test_a_configuration_of_no_optimizer(config, told):
    with pytest.raises(ValueError, match=f"`optimizer` must be a conf.*{told}"):
        PlasticityModulated(config)


def test_its_name_alone_does_not_say_what_it_is_around():
    with pytest.raises(TypeError, match=r'write PlasticityModulated\("adam"\)'):
        keras.optimizers.get("keras_neuroplastic>PlasticityModulated")


def test_an_optimizer_that_is_built_on_the_same_variables():
    """In another order, and with a step made: its state is gone on with."""
    variables, others = named("kernel", "bias"), named("kernel", "bias")
    bare, inner = Adam(RATE), Adam(RATE)
    optimizers = bare, PlasticityModulated(inner, 0.0)
    inner.build(others[::-1])
    for _ in range(2):
        gradients = tensors(GRADIENTS[0], GRADIENTS[1])
        bare.apply(gradients, variables)
        optimizers[1].apply(gradients, others)
    optimizers[1].apply(gradients)
    bare.apply(gradients)
    assert_identical(*([value(v) for v in vs] for vs in (others, variables)))


@pytest.mark.parametrize(
    ("optimizer", "advice"),
    [
        (lambda: PlasticityModulated(Adam()), "around the inner optimizer alone, once"),
        (
            lambda: keras.optimizers.LossScaleOptimizer(Adam()),
            r"write LossScaleOptimizer\(PlasticityModulated\(\.\.\.\)\)",
        ),
        (
            lambda: keras.optimizers.MultiOptimizer(
                keras.optimizers.OptimizerMap(Adam())
            ),
            "MultiOptimizer of optimizers that are each PlasticityModulated",
        ),
        (lambda: "no_such_name", "name an optimizer: write 'adam'.*no_such"),
        (lambda: "optimizr", "name an optimizer: write '(?!optimizer').*optimizr"),
        (lambda: "lossscaleoptimizer", "name an optimizer: write '(?!loss).*lossscale"),
        (lambda: "multioptimizer", "name an optimizer: write '(?!multi).*multi"),
    ],
)
def test_what_cannot_be_inside_is_refused(optimizer, advice):
    if "Multi" in advice and not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has no MultiOptimizer yet")
    with pytest.raises(ValueError, match=rf"`optimizer` must .*{advice}"):
        PlasticityModulated(optimizer())


@pytest.mark.parametrize("value", [None, 0.1, Adam, ["adam"], object()])
def test_what_is_no_optimizer_is_refused(value):
    with pytest.raises(TypeError, match=r"`optimizer` must be a keras\.optimizers\.Op"):
        PlasticityModulated(value)


def test_an_optimizer_of_other_variables_is_refused():
    inner = Adam()
    inner.build(named("kernel"))
    optimizer = PlasticityModulated(inner)
    with pytest.raises(ValueError, match="must not be built on other variables"):
        optimizer.build(named("kernel"))


def test_a_pattern_that_matches_nothing_is_refused():
    optimizer = PlasticityModulated(Adam(), modulate=["kernel", "kernal"])
    with pytest.raises(ValueError, match="'kernal', for kernel, bias"):
        optimizer.build(named("kernel", "bias"))


@pytest.mark.parametrize(
    "name",
    ["learning_rate", "weight_decay", "clipnorm", "use_ema", "loss_scale_factor"],
)
def test_arguments_of_the_inner_optimizer_are_refused(name):
    advice = rf"`{name}` is given to the inner optimizer, as in Adam\({name}=0\.5\)"
    with pytest.raises(TypeError, match=advice):
        PlasticityModulated(Adam(), **{name: 0.5})
    with pytest.raises(TypeError, match="`momentum` is no argument of Plasticity"):
        PlasticityModulated(Adam(), momentum=0.5)


def test_configuration_with_schedules():
    cosine = keras.optimizers.schedules.CosineDecay(RATE, 8)
    optimizer = PlasticityModulated(
        Adam(cosine, weight_decay=0.1, clipnorm=1.0),
        strength=PlasticityWarmup(10, 2.0),
        max_ratio=cosine,
        target="trust",
        modulate=["kernel"],
        plasticity_scale=PlasticityWarmup(4),
    )
    config = optimizer.get_config()
    text = json.dumps(config)
    again = PlasticityModulated.from_config(json.loads(text))
    assert again.get_config() == config
    assert json.dumps(config) == text  # from_config has left it as it was
    assert isinstance(again.strength, PlasticityWarmup)
    assert again.max_ratio.get_config() == cosine.get_config()
    assert again.inner_optimizer.clipnorm == 1.0


needs_multi_optimizer = pytest.mark.skipif(
    not hasattr(keras.optimizers, "MultiOptimizer"),
    reason="this Keras has no MultiOptimizer yet",
)


@needs_multi_optimizer
@pytest.mark.parametrize("dynamic", [False, True])
def test_several_in_a_multi_optimizer(dynamic):
    """Each steps its variables as it would alone."""

    def parts():
        yield PlasticityModulated(Adam(0.01), 0.5)
        yield PlasticityModulated(SGD(0.1, momentum=0.9), max_ratio=0.25)

    variables, alone = named("kernel", "bias"), named("kernel", "bias")
    kernel, rest = parts()
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(rest, {".*kernel": kernel})
    )
    scale = 8.0 if dynamic else 1.0
    if dynamic:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    step = stepper(optimizer, variables)
    steps = [stepper(part, [v]) for part, v in zip(parts(), alone, strict=True)]
    for gradient in GRADIENTS:
        step([scale * gradient] * 2)
        for one in steps:
            one([gradient])
    for got, want in zip(variables, alone, strict=True):
        assert_weights(value(got), value(want), INITIAL, 1e-6)
    assert not np.allclose(value(variables[0]), value(variables[1]))


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.parametrize("inner", [partial(SGD, 0.1, momentum=0.9), NeuroPlastic])
def test_a_step_compiled_by_torch_is_one_graph(inner):
    import torch

    torch._dynamo.reset()
    options = {"max_ratio": 0.25, "activity_weight": 0.5, "memory_weight": 0.5}
    ends = []
    for compiled in (False, True):
        optimizer = PlasticityModulated(inner(), **options)
        variables = named("kernel", "bias")
        optimizer.build(variables)
        apply = optimizer.apply
        if compiled:
            apply = torch.compile(apply, fullgraph=True, backend="eager")
        for gradient in GRADIENTS:
            apply(tensors(gradient, gradient), variables)
        ends.append([value(v) for v in [*variables, *optimizer.variables]])
    for got, want in zip(*ends, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)
    torch._dynamo.reset()


def test_the_same_weights_as_by_hand_after_a_second_fit():
    """The count of updates, the traces and the slots go on from fit to fit."""
    options = {"strength": PlasticityWarmup(6, 1.0), "max_ratio": 0.5}
    twice = make_model(PlasticityModulated(Adam(0.01), **options))
    once = make_model(PlasticityModulated(Adam(0.01), **options))
    assert_identical(weights(fit(fit(twice))), weights(fit(once, epochs=2)))
