"""PlasticityModulated around every optimizer there is."""

import inspect
import json
from functools import partial

import keras
import numpy as np
import pytest
from lineup import stepper, tensors, value
from reference import Reference
from reference_modulated import limited
from user_optimizers import UserAdamW, UserMomentum

from keras_neuroplastic import NeuroPlastic, PlasticityModulated

WRAPPERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}


def of_keras():
    """The optimizer classes that Keras exports, but for those around others."""
    for name in sorted(set(dir(keras.optimizers)) - WRAPPERS):
        cls = getattr(keras.optimizers, name)
        if isinstance(cls, type) and issubclass(cls, keras.optimizers.Optimizer):
            yield cls


INNER = {cls.__name__: cls for cls in (*of_keras(), NeuroPlastic)}
INNER |= {cls.__name__: partial(cls, 0.01) for cls in (UserAdamW, UserMomentum)}
# Which decay weights unless told not to; Muon has two rates of late.
UNDECAYED = {"AdamW": {"weight_decay": 0.0}, "Muon": {"weight_decay": None}}
TWO_RATES = "adam_weight_decay" in inspect.signature(keras.optimizers.Muon).parameters
if TWO_RATES:
    UNDECAYED["Muon"]["adam_weight_decay"] = None

RNG = np.random.default_rng(12)
SHAPES = [(4, 3), (5,), ()]
INITIAL = [RNG.normal(size=shape) for shape in SHAPES]
GRADIENTS = [
    [size * RNG.normal(size=shape) for shape in SHAPES] for size in (0.1, 10, 0.01, 1)
]
# Of the modulated optimizer and of its NumPy twin.
SIGNALS = {"activity_weight": 0.5, "gradient_weight": 0.3, "memory_weight": 0.2}
TWIN = {"weights": (0.5, 0.3, 0.2), "min_alpha": 0.0, "max_alpha": 5.0}


@pytest.fixture(params=INNER)
def name(request):
    return request.param


def test_none_is_left_out():
    assert {"Adam", "SGD", "Muon", "Lamb", "Ftrl", "Adafactor"} <= set(INNER)
    assert not WRAPPERS & set(INNER)


def values_after_steps(optimizer):
    """Of variables and of the optimizer's own, compiled where that compiles."""
    variables = [keras.Variable(x, dtype="float32") for x in INITIAL]
    step = stepper(optimizer, variables)
    for gradients in GRADIENTS:
        step(gradients)
    return [value(v) for v in [*variables, *optimizer.variables]]


LIMITED = {"max_ratio": 0.25, "target": "trust"}


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in INNER), ("Adam", LIMITED)]
)
def test_without_strength_nothing_changes_by_a_bit(name, options):
    want = values_after_steps(INNER[name]())
    got = values_after_steps(PlasticityModulated(INNER[name](), 0.0, **options))
    for a, b in zip(got, want, strict=False):
        np.testing.assert_array_equal(a, b)
    assert len(got) == len(want) + len(SHAPES)  # an activity each


def continued(name, with_state=True):
    """Values after four steps, and where a copy took over after two."""
    first = PlasticityModulated(INNER[name](), **SIGNALS)
    variables = [keras.Variable(x, dtype="float32") for x in INITIAL]
    step = stepper(first, variables)
    for gradients in GRADIENTS[:2]:
        step(gradients)
    config = json.dumps(keras.optimizers.serialize(first))
    second = keras.optimizers.get(json.loads(config))
    copies = [keras.Variable(value(v), dtype="float32") for v in variables]
    step_of_copy = stepper(second, copies)
    if with_state:
        second.set_weights([value(v) for v in first.variables])
    for gradients in GRADIENTS[2:]:
        step(gradients)
        step_of_copy(gradients)
    return (
        [value(v) for v in [*of_model, *optimizer.variables]]
        for of_model, optimizer in ((variables, first), (copies, second))
    )


def test_a_copy_goes_on_to_the_same_bit(name):
    """Made of the configuration, written as JSON, and of the variables."""
    for want, got in zip(*continued(name), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_copy_without_the_variables_does_not():
    want, got = continued("SGD", with_state=False)
    assert not np.array_equal(got[0], want[0])


def moves(make, **options):
    """At each step and of each variable: the gradient, and the moves from one state.

    Those are of the optimizer that `make` makes, and of a modulated one.
    """
    plain, moved = (
        [keras.Variable(x, dtype="float64") for x in INITIAL] for _ in range(2)
    )
    options = {"max_ratio": None, **SIGNALS, **options}
    bare, optimizer = make(), PlasticityModulated(make(), **options)
    bare.build(plain)
    optimizer.build(moved)
    for gradients in GRADIENTS:
        before = [value(v) for v in moved]
        bare.set_weights([value(v) for v in optimizer.inner_optimizer.variables])
        for variable, x in zip(plain, before, strict=True):
            variable.assign(x)
        bare.apply(tensors(*gradients, dtype="float64"), plain)
        optimizer.apply(tensors(*gradients, dtype="float64"), moved)
        yield [
            (g, value(a) - x, value(b) - x)
            for g, a, b, x in zip(gradients, plain, moved, before, strict=True)
        ]


def undecayed(name):
    return INNER[name](**UNDECAYED.get(name, {}))


def excess(steps, wrong=None, max_ratio=None):
    """The worst deviation from α times the move, in units of what is allowed."""
    twins = [Reference(x, wrong=wrong, **TWIN) for x in INITIAL]
    worst = 0.0
    for step in steps:
        for twin, x, (g, plain, moved) in zip(twins, INITIAL, step, strict=True):
            d = (twin.alpha(g) - 1) * plain
            if max_ratio is not None:
                d = limited(d, max_ratio * np.linalg.norm(plain), 0)
            # A move is the difference of two values.
            allowed = 1e-9 * np.max(np.abs(plain)) + 2**-48 * np.max(np.abs(x) + 1)
            worst = np.maximum(worst, np.max(np.abs(moved - plain - d)) / allowed)
    return worst


def test_every_move_is_multiplied_by_alpha(name, float64):
    steps = list(moves(lambda: undecayed(name)))
    assert excess(steps) <= 1
    assert excess(steps, "trace read before its update") > 1


def test_a_change_has_at_most_its_length(name, float64):
    """‖change‖ ≤ ρ ‖move‖, and just so much where it would be longer."""
    steps = list(moves(lambda: undecayed(name), max_ratio=0.25))
    assert excess(steps, max_ratio=0.25) <= 1
    assert excess(steps) > 1
    for step in steps:
        for _, plain, moved in step:
            longest = 0.25 * np.linalg.norm(plain)
            assert np.linalg.norm(moved - plain) <= longest * (1 + 1e-9) + 1e-13


@pytest.mark.parametrize("name", ["AdamW", "Muon"])
def test_decay_is_not_modulated(name, float64):
    """Two optimizers that decay weights by themselves, one with two rates."""
    twins = [Reference(x, **TWIN) for x in INITIAL]
    decayed = moves(lambda: INNER[name](0.01, weight_decay=0.5))
    theta = INITIAL
    rates = [0.5, 0.004, 0.004] if name == "Muon" and TWO_RATES else [0.5] * 3
    for step in decayed:
        new = []
        for twin, x, rate, (g, plain, moved) in zip(
            twins, theta, rates, step, strict=True
        ):
            alpha = twin.alpha(g)
            decay = -0.01 * rate * x
            # Keras rounds the rates to float32 on TensorFlow.
            error = 1e-7 * np.max(np.abs(plain))
            assert np.max(np.abs(moved - decay - alpha * (plain - decay))) <= error
            if x.size > 1:  # where α is not 1
                assert np.max(np.abs(moved - alpha * plain)) > error
            new.append(x + moved)
        theta = new


def test_a_trust_where_nothing_moves():
    """As in the first step of a learning rate that rises from zero."""
    for shapes in ([(3,)], [(3,)] * 20):
        variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
        optimizer = PlasticityModulated(keras.optimizers.SGD(0.0), target="trust")
        gradients = [keras.ops.ones(shape) for shape in shapes]
        optimizer.apply(gradients, variables)
        for variable in variables:
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), 1)


def test_an_optimizer_within_another_one_already_is_refused():
    inner = keras.optimizers.SGD(0.1)
    with pytest.raises(ValueError, match="`strength`"):
        PlasticityModulated(inner, strength=-1.0)
    first, second = PlasticityModulated(inner), PlasticityModulated(inner)
    variables = [keras.Variable(np.ones(3, "float32"))]
    first.build(variables)
    with pytest.raises(ValueError, match="of its own"):
        second.build(variables)
    with pytest.raises(ValueError, match="of its own"):
        PlasticityModulated(inner)
    assert not second.built
