"""The optimizer and its NumPy twin agree after every step, slots included."""

import keras
import numpy as np
import pytest
from keras import ops
from lineup import stepper
from reference import WRONG_VARIANTS, Reference

from keras_neuroplastic import NeuroPlastic, PlasticityWarmup

SHAPES = [(5, 4), (3,), (2, 3, 2), (1,), ()]
# Compilers sum these in other ways, by their size and its divisors.
LARGER_SHAPES = [(4097,), (256, 130), (2, 16385), (181, 183)]
STEPS = 8
# Arguments that the optimizer and the twin spell alike, and those they do not.
OPTIONS = {
    "default": ({}, {}, {}),
    "activity alone": (
        {},
        {"activity_weight": 1, "gradient_weight": 0, "memory_weight": 0},
        {"weights": (1, 0, 0)},
    ),
    "memory alone": (
        {"beta_1": 0.5, "beta_2": 0.7},
        {"activity_weight": 0, "gradient_weight": 0, "memory_weight": 1},
        {"weights": (0, 0, 1)},
    ),
    "no activity": (
        {"epsilon": 1e-3},
        {"activity_weight": 0, "gradient_weight": 0.5, "memory_weight": 0.5},
        {"weights": (0, 0.5, 0.5)},
    ),
    "one alpha a variable, extrapolated": (
        {"per_parameter": False, "plasticity_scale": 3.0, "activity_decay": 0.0},
        {"activity_weight": 0.7, "gradient_weight": 0.1, "memory_weight": 0.2},
        {"weights": (0.7, 0.1, 0.2)},
    ),
    "no past": ({"activity_decay": 0.0, "beta_1": 0.0, "beta_2": 0.0}, {}, {}),
    "no clipping": ({"max_update_norm": None, "adaptation_rate": 0.5}, {}, {}),
    "no gain": ({"max_update_norm": 0.1, "adaptation_rate": 0.0}, {}, {}),
    "neither": ({"max_update_norm": None, "adaptation_rate": 0.0}, {}, {}),
    "gain at its limits": ({"target_rms": 0.5, "adaptation_rate": 30.0}, {}, {}),
    "fixed alpha": ({"min_alpha": 0.7, "max_alpha": 0.7}, {}, {}),
    "schedules": (
        {},
        {
            "learning_rate": keras.optimizers.schedules.PolynomialDecay(0.5, 8, 0.25),
            "plasticity_scale": PlasticityWarmup(6, 2.0, 2),
        },
        {
            "learning_rate": lambda step: 0.5 - 0.25 * step / 8,
            "plasticity_scale": lambda step: 2 * min(step // 2 * 2 / 6, 1),
        },
    ),
    "weight decay": ({"weight_decay": 0.3}, {}, {}),
}


def gradients(shapes, seed):
    """Gradients of very different size, one in ten elements zero."""
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        yield [
            rng.normal(size=shape)
            * 10.0 ** rng.uniform(-4, 1)
            * (rng.random(size=shape) > 0.1)
            for shape in shapes
        ]


def deviation(optimizer, twin_options, seed=0, shapes=SHAPES):
    """The worst error over all steps, relative to the largest element."""
    rng = np.random.default_rng(seed)
    initial = [rng.normal(size=shape) for shape in shapes]
    variables = [keras.Variable(x, dtype="float64") for x in initial]
    twins = [Reference(x, **twin_options) for x in initial]
    worst = 0.0
    step = stepper(optimizer, variables, "float64")
    for grads in gradients(shapes, seed):
        step(grads)
        for i, (twin, g) in enumerate(zip(twins, grads, strict=True)):
            pairs = [(variables[i], twin.step(g))]
            if optimizer.activity_weight:
                pairs += [(optimizer._activities[i], twin.activity)]
            if optimizer.memory_weight:
                pairs += [(optimizer._momentums[i], twin.momentum)]
                pairs += [(optimizer._variances[i], twin.variance)]
            for got, want in pairs:
                error = np.max(np.abs(got.numpy() - want), initial=0)
                # np.maximum lets a NaN through, to fail every comparison.
                worst = np.maximum(worst, error / max(np.max(np.abs(want)), 1e-300))
    return worst


@pytest.mark.parametrize("options", OPTIONS)
def test_every_step(options, float64):
    common, own, twins = OPTIONS[options]
    optimizer = NeuroPlastic(**common, **own)
    assert deviation(optimizer, {**common, **twins}) < 1e-13


@pytest.mark.parametrize("per_parameter", [True, False])
def test_every_step_of_larger_variables(per_parameter, float64):
    options = {"per_parameter": per_parameter, "plasticity_scale": 2.0}
    optimizer = NeuroPlastic(**options)
    assert deviation(optimizer, options, shapes=LARGER_SHAPES) < 1e-12


@pytest.mark.parametrize("wrong", WRONG_VARIANTS)
def test_a_wrong_variant_is_noticed(wrong, float64):
    options = {"plasticity_scale": 2.0, "max_update_norm": 0.1}
    # Or not a number, where a mean is zero.
    assert not deviation(NeuroPlastic(**options), {**options, "wrong": wrong}) < 1e-9


def test_slots_exist_only_for_signals_in_use():
    variable = keras.Variable(np.ones((2, 3)))

    def slots(**weights):
        optimizer = NeuroPlastic(**weights)
        optimizer.build([variable])
        names = [v.name.rsplit("_", 1)[-1] for v in optimizer.variables]
        return [name for name in names if name not in ("iteration", "rate")]

    assert slots() == ["activity", "momentum", "variance"]
    assert slots(activity_weight=0.6, memory_weight=0) == ["activity"]
    assert slots(activity_weight=0, gradient_weight=0.8) == ["momentum", "variance"]
    assert slots(activity_weight=0, gradient_weight=1, memory_weight=0) == []


def test_gradient_only_is_the_ablation(float64):
    optimizer = NeuroPlastic.gradient_only(plasticity_scale=2.0)
    assert deviation(optimizer, {"weights": (0, 1, 0)}) < 1e-13


def test_paper_is_the_locked_configuration(float64):
    optimizer = NeuroPlastic.paper(steps_per_epoch=2)
    scale = {"plasticity_scale": lambda step: 2 * min(step // 2 / 2, 1)}
    assert deviation(optimizer, scale) < 1e-13
    assert NeuroPlastic.paper(2, plasticity_scale=0.5).plasticity_scale == 0.5


def test_many_inputs_is_the_activity_signal_alone(float64):
    optimizer = NeuroPlastic.many_inputs()
    options = {"learning_rate": 0.3, "weights": (1, 0, 0), "max_update_norm": None}
    options |= {"min_alpha": 0.0, "max_alpha": 5.0, "adaptation_rate": 0.0}
    assert deviation(optimizer, options) < 1e-13
    assert NeuroPlastic.many_inputs(1.0, max_alpha=9.0).max_alpha == 9.0


def test_decay_excludes_by_path(float64):
    layers = [
        keras.layers.Dense(2, name=name, dtype="float64")
        for name in ("first", "second")
    ]
    for layer in layers:
        layer.build((None, 3))
    variables = [v for layer in layers for v in layer.trainable_variables]
    before = [v.numpy() for v in variables]
    optimizer = NeuroPlastic(
        weight_decay=0.5, weight_decay_exclude=["bias", "^second/"]
    )
    optimizer.apply([ops.zeros(v.shape, v.dtype) for v in variables], variables)
    kernel, *rest = (v.numpy() for v in variables)
    assert kernel.dtype == "float64"
    np.testing.assert_allclose(kernel, before[0] * (1 - 0.1 * 0.5), rtol=1e-15)
    for got, want in zip(rest, before[1:], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_skip_nonfinite_keeps_value_and_traces(bad):
    optimizer = NeuroPlastic(skip_nonfinite=True, weight_decay=0.5)
    variables = [keras.Variable(np.ones(3)), keras.Variable(np.ones(2))]
    good = ops.convert_to_tensor([0.1, -0.2, 0.3], "float32")
    small = ops.convert_to_tensor([0.1, 0.2], "float32")
    optimizer.apply([good, small], variables)

    def state():
        slots = (optimizer._activities, optimizer._momentums, optimizer._variances)
        return [[v.numpy().copy() for v in vs] for vs in (variables, *slots)]

    before = state()
    optimizer.apply(
        [ops.convert_to_tensor([0.1, bad, 0.3], "float32"), small], variables
    )
    for old, new in zip(before, state(), strict=True):
        np.testing.assert_array_equal(new[0], old[0])
        assert np.all(new[1] != old[1])
        assert np.all(np.isfinite(new[1]))


@pytest.mark.parametrize("size", [3, 2**16])
def test_a_nonfinite_gradient_shows_without_skipping(size):
    variables = [keras.Variable(np.ones(size))]
    gradient = np.full(size, 0.1)
    gradient[1] = np.nan
    stepper(NeuroPlastic(), variables, "float32")([gradient])
    assert np.all(np.isnan(variables[0].numpy()))
