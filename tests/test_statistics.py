"""What a step tells of itself agrees with a NumPy twin, and costs nothing where off."""

import math
import pickle
from functools import cache, partial
from itertools import islice

import keras
import numpy as np
import pytest
from lineup import WEIGHTS, stepper
from reference import Reference
from reference_modulated import BoundedReference, ModulatedReference, variant
from reference_statistics import WRONG, Watched
from test_twin import gradients
from toy import assert_close, assert_identical, fit, make_model, weights

from keras_neuroplastic import (
    BoundedResidual,
    NeuroPlastic,
    PlasticityModulated,
    collecting,
    plasticity_statistics,
    statistics,
)

SHAPES = [(100, 70), (3,), (2, 3, 3, 300), ()]
if keras.backend.backend() == "torch":
    SHAPES += [
        (3,)
    ] * 16  # enough of one shape for a matrix, and blocks of one variable
    SHAPES += [(2, 2**18 + 1)]
# Code is compiled for every shape: most cases need but a thinned one and another.
FEW = SHAPES if keras.backend.backend() == "torch" else SHAPES[:2]
STEPS = 4
LIMIT = 2.5  # some updates are longer, some half as long


class DescentReference(Reference):
    """SGD, with a rate that float32 holds exactly, as Keras holds it."""

    def step(self, g):
        self.theta = self.theta - self.scheduled(self.learning_rate) * g
        return self.theta


def modulated(options, **twin_options):
    """A modulated optimizer, and what makes its twin."""
    twin = variant(
        ModulatedReference,
        inner=DescentReference,
        **{k: options[k] for k in ("strength", "max_ratio", "target") if k in options},
    )
    return (
        lambda: PlasticityModulated(keras.optimizers.SGD(0.125), **options),
        lambda x: twin(x, learning_rate=0.125, **twin_options),
    )


CASES = {
    "default": (NeuroPlastic, Reference),
    "extrapolated, often clipped": (
        lambda: NeuroPlastic(
            plasticity_scale=keras.optimizers.schedules.PolynomialDecay(3.0, 4, 2.0),
            max_update_norm=LIMIT,
        ),
        lambda x: Reference(
            x,
            plasticity_scale=lambda step: 3 - step / 4,
            max_update_norm=LIMIT,
        ),
    ),
    "one alpha": (
        lambda: NeuroPlastic(per_parameter=False, weight_decay=0.1),
        lambda x: Reference(x, per_parameter=False, weight_decay=0.1),
    ),
    "gradient only": (
        NeuroPlastic.gradient_only,
        lambda x: Reference(x, weights=(0, 1, 0)),
    ),
    "not stabilised": (
        lambda: NeuroPlastic(max_update_norm=None, adaptation_rate=0.0),
        lambda x: Reference(x, max_update_norm=None, adaptation_rate=0.0),
    ),
    "residual": (lambda: NeuroPlastic(residual=BoundedResidual()), BoundedReference),
    "modulated": modulated({"max_ratio": None}),
    "modulated by all signals": modulated(
        {"max_ratio": None, **WEIGHTS}, weights=tuple(WEIGHTS.values())
    ),
    "modulated, limited": modulated({"strength": 0.5, "max_ratio": 0.25}),
    "modulated, stabilised": modulated(
        {"max_ratio": None, "max_update_norm": 0.5, "adaptation_rate": 0.01},
        max_update_norm=0.5,
        adaptation_rate=0.01,
    ),
}


# Those that are compiled with every shape.
THOROUGH = ["default", "extrapolated, often clipped"]


def shapes_of(case):
    return SHAPES if case in THOROUGH else FEW


def collected_anew(case, dtype):
    """The statistics of an optimizer after some steps, in the order of the shapes."""
    initial = initial_values(case)
    variables = [keras.Variable(x, dtype=dtype) for x in initial]
    optimizer = CASES[case][0]()
    optimizer.collect_statistics()
    step = stepper(optimizer, variables, dtype)
    for grads in islice(gradients(shapes_of(case), 0), STEPS):
        step(grads)
    got = plasticity_statistics(optimizer)
    assert list(got) == [v.path for v in variables]
    return list(got.values())


collected = cache(collected_anew)


def initial_values(case):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes_of(case)]


def deviations(case, dtype, wrong=None, collected=collected):
    """For each statistic its largest error, in units of the largest true value."""
    got = collected(case, dtype)
    twins = [Watched(CASES[case][1](x), wrong) for x in initial_values(case)]
    for grads in islice(gradients(shapes_of(case), 0), STEPS):
        for twin, g in zip(twins, grads, strict=True):
            twin.step(g)
    want = [twin.summary() for twin in twins]
    errors = {}
    for name in WRONG:
        g, w = (np.concatenate([np.ravel(x[name]) for x in xs]) for xs in (got, want))
        errors[name] = np.max(np.abs(g - w)) / max(np.max(np.abs(w)), 1e-300)
    return errors


@pytest.mark.parametrize("case", CASES)
def test_every_statistic_of_many_steps(case, float64):
    errors = deviations(case, "float64")
    assert max(errors.values()) < 2e-11, errors


@pytest.mark.parametrize("case", THOROUGH)
def test_in_float32(case):
    errors = deviations(case, "float32")
    # An element that float32 puts on the other side of a bound is one of thousands.
    shares = {errors.pop(name) for name in WRONG if name.startswith("share_at")}
    assert max(shares) < 1e-2
    assert max(errors.values()) < 2e-5, errors


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch's alone")
@pytest.mark.parametrize("case", CASES)
def test_of_variables_together_as_on_a_gpu(case, float64, monkeypatch):
    from keras_neuroplastic._steps import torch as steps

    monkeypatch.setattr(steps, "has_lists", lambda theta: True)
    monkeypatch.setattr(steps, "counts_by_numpy", lambda optimizer: False)
    errors = deviations(case, "float64", collected=collected_anew)
    assert max(errors.values()) < 2e-11, errors


@pytest.mark.parametrize("wrong", WRONG)
def test_a_likely_mistake_is_noticed(wrong, float64):
    errors = deviations("extrapolated, often clipped", "float64", wrong)
    assert errors[wrong] > 1e-4


def test_many_variables_are_looked_at_less(float64, monkeypatch):
    shape, count, together = (30, 30), 8, 2**10
    [grid, *_] = statistics.grids([shape] * 400)
    assert 2**16 < 400 * math.prod(grid.counts) <= 2**17
    monkeypatch.setattr(statistics, "TOGETHER", together)
    rng = np.random.default_rng(0)
    initial, gradient = rng.normal(size=(2, count, *shape))
    optimizer = NeuroPlastic()
    optimizer.collect_statistics()
    variables = [keras.Variable(x, dtype="float64") for x in initial]
    twin = Watched(Reference(initial[-1]), most=together // count)
    for _ in range(2):
        optimizer.apply(list(map(keras.ops.convert_to_tensor, gradient)), variables)
        twin.step(gradient[-1])
    *_, got = plasticity_statistics(optimizer).values()
    want = twin.summary()
    for name in WRONG:
        np.testing.assert_allclose(got[name], want[name], 1e-11, 1e-14, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_one_variable_by_itself(case, float64, monkeypatch):
    monkeypatch.setitem(globals(), "FEW", SHAPES[1:2])
    monkeypatch.setitem(globals(), "THOROUGH", [])
    errors = deviations(case, "float64", collected=collected_anew)
    assert max(errors.values()) < 2e-11, errors


@pytest.mark.parametrize("make", [NeuroPlastic, partial(PlasticityModulated, "sgd")])
def test_one_number_is_both_bounds(make):
    """To the bit, also where a step has α in other units."""
    optimizer = make(min_alpha=1.1, max_alpha=1.1, **WEIGHTS)
    optimizer.collect_statistics()
    variable = keras.Variable(np.ones(256, "float32"))  # each a share that is exact
    gradient = np.random.default_rng(0).normal(size=256)
    stepper(optimizer, [variable])([gradient])
    found = plasticity_statistics(optimizer)[variable.path]
    assert (found["share_at_min"], found["share_at_max"]) == (1, 1)
    assert found["alpha_min"] == found["alpha_max"] == np.float32(1.1)


def test_many_empty_variables():
    optimizer = NeuroPlastic()
    optimizer.collect_statistics()
    variables = [keras.Variable(np.ones((0, 3))) for _ in range(20)]
    stepper(optimizer, variables)([np.ones((0, 3))] * 20)
    assert plasticity_statistics(optimizer) == {}


def test_a_step_of_nothing_that_is_modulated():
    variables = [keras.Variable(np.ones(3), name=name) for name in "ab"]
    optimizer = PlasticityModulated("adam", modulate="b")
    optimizer.collect_statistics()
    optimizer.build(variables)
    optimizer.apply([keras.ops.ones(3)], variables[:1])
    assert np.all(variables[0].numpy() < 1)
    assert plasticity_statistics(optimizer) == {}


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="stateless")
def test_a_stateless_step_and_an_ordinary_one():
    variable = keras.Variable(np.ones((4, 3)), dtype="float32")
    optimizer = NeuroPlastic()
    optimizer.collect_statistics()
    optimizer.build([variable])
    gradient = keras.ops.ones((4, 3))
    values = [v.value for v in optimizer.variables]
    _, state = optimizer.stateless_apply(values, [gradient], [variable.value])
    # Or they would keep every step before them in memory.
    assert not any(getattr(value, "requires_grad", False) for value in state)
    for slot, value in zip(optimizer.variables, state, strict=True):
        slot.assign(value)
    optimizer.apply([gradient], [variable])
    assert plasticity_statistics(optimizer)[variable.path]["steps"] == 2


def test_many_steps_are_told_as_exactly_as_few():
    """In float32, where a sum of so many loses digits, and squares of a mean more."""
    alpha = (1.3 + 0.009 * np.random.default_rng(0).normal(size=(1, 100))).astype("f4")
    numbers = np.full((1, len(statistics.OF_UPDATES)), 0.3741596, "float32")
    seen = statistics.Seen(alpha, alpha, alpha, numbers, np.ones((1, 1), "float32"))
    totals = np.zeros((1, len(collecting.TOTALS)), "float32")
    weights = collecting.weights([100]).astype("float32")
    p = NeuroPlastic()
    for _ in range(30_000):
        arrays = totals, alpha, p, seen, weights
        totals, sample = collecting.collect(*arrays, xp=np)
    told = collecting.summary(totals[0], sample[0])
    assert told["steps"] == 30_000
    assert told["alpha_std"] == pytest.approx(np.std(alpha, dtype="float64"), rel=1e-5)
    assert told["gain"] == pytest.approx(0.3741596, rel=1e-6)


@pytest.mark.parametrize("make", [NeuroPlastic, lambda: PlasticityModulated("adam")])
def test_weights_are_handed_over_between_watched_and_not(make):
    plain, watched = fit(make_model(make())), make_model(make())
    watched.optimizer.collect_statistics()
    fit(watched)
    for one, other in ((plain, watched), (watched, plain)):
        other.optimizer.set_weights([v.numpy() for v in one.optimizer.variables])
        pairs = zip(other.optimizer._saved(), one.optimizer._saved(), strict=True)
        for got, want in pairs:
            np.testing.assert_array_equal(got.numpy(), want.numpy())


def test_a_skipped_step_does_not_count():
    variables = [keras.Variable(np.ones(3))]
    optimizer = NeuroPlastic(skip_nonfinite=True)
    optimizer.collect_statistics()
    step = stepper(optimizer, variables)
    step([np.array([0.1, -0.2, 0.3])])
    before = plasticity_statistics(optimizer, reset=False)
    step([np.array([0.1, np.nan, 0.3])])
    after = plasticity_statistics(optimizer)
    assert_identical(
        *(next(list(d.values()) for d in x.values()) for x in (after, before))
    )


def test_of_two_variables_one_is_skipped():
    variables = [keras.Variable(np.ones(3), name=name) for name in "ab"]
    optimizer = NeuroPlastic(skip_nonfinite=True)
    optimizer.collect_statistics()
    step = stepper(optimizer, variables)
    step([np.array([1.0, 2.0, 3.0])] * 2)
    before = plasticity_statistics(optimizer, reset=False)
    step([np.array([np.nan, 1.0, 1.0]), np.array([3.0, 1.0, 1.0])])
    a, b = plasticity_statistics(optimizer).values()
    assert (a["steps"], b["steps"]) == (1, 2)
    np.testing.assert_array_equal(a["alpha_sample"], before["a"]["alpha_sample"])
    assert not np.array_equal(b["alpha_sample"], before["b"]["alpha_sample"])


ORDERS = {"two": [0, 3], "others": [2, 1], "the last": [3], "all": [2, 0, 3, 1]}


@pytest.mark.parametrize("make", [NeuroPlastic, lambda: PlasticityModulated("sgd")])
@pytest.mark.parametrize("order", ORDERS)
def test_a_step_of_some_variables_in_any_order(order, make):
    """As where layers are frozen, or have no gradient."""
    found = []
    for some in ORDERS[order], range(4):
        variables = [keras.Variable(np.ones(2 + i), name=f"{i}") for i in range(4)]
        optimizer = make()
        optimizer.build(variables)
        optimizer.collect_statistics()
        grads = [keras.ops.arange(1.0, 3.0 + i) for i in range(4)]
        optimizer.apply([grads[i] for i in some], [variables[i] for i in some])
        found.append(plasticity_statistics(optimizer))
    got, want = found
    assert list(got) == [f"{i}" for i in sorted(ORDERS[order])]
    for path, numbers in got.items():
        for name, number in numbers.items():
            np.testing.assert_allclose(number, want[path][name], 1e-6, err_msg=name)


def test_an_infinite_gradient_is_seen():
    optimizer = NeuroPlastic()
    optimizer.collect_statistics()
    step = stepper(optimizer, [keras.Variable(np.ones(3), name="kernel")])
    step([np.array([np.inf, 1.0, 1.0])])  # a warning would be an error here
    found = plasticity_statistics(optimizer)["kernel"]
    assert not np.isfinite(found["gradient_norm"])
    assert found["alpha_max"] == 2


@pytest.mark.parametrize("bad", [0, 1])
def test_a_nan_is_seen_and_does_not_stay(bad):
    optimizer = NeuroPlastic()
    optimizer.collect_statistics()
    variable = keras.Variable(np.ones(3), name="kernel")
    step = stepper(optimizer, [variable])
    gradients = [np.array([1.0, 2.0, 3.0])] * 2
    gradients[bad] = np.array([np.nan, 1.0, 1.0])
    kept = [variable, *optimizer._saved()]
    start = [v.numpy() for v in kept]

    def first_step(gradient):
        """Whatever was before: a NaN would stay in the traces."""
        for v, x in zip(kept, start, strict=True):
            v.assign(x)
        step([gradient])

    for gradient in gradients:
        first_step(gradient)
    found = plasticity_statistics(optimizer)["kernel"]
    for name in ("alpha_mean", "plastic_ratio", "gradient_norm", "update_norm"):
        assert np.isnan(found[name])
    assert 0 < found["alpha_min"] < found["alpha_max"]
    first_step(np.ones(3))
    assert np.isfinite(plasticity_statistics(optimizer)["kernel"]["alpha_mean"])


def test_an_empty_variable_is_left_out():
    variables = [keras.Variable(np.ones((0, 3))), keras.Variable(np.ones(2))]
    optimizer = NeuroPlastic()
    optimizer.collect_statistics()
    stepper(optimizer, variables)([np.ones((0, 3)), np.ones(2)])
    assert list(plasticity_statistics(optimizer)) == [variables[1].path]


def test_reading_begins_anew():
    variables = [keras.Variable(np.ones(3))]
    optimizer = NeuroPlastic()
    optimizer.collect_statistics()
    step = stepper(optimizer, variables)
    step([np.array([1.0, 2.0, 3.0])])
    for _ in range(2):
        [kept] = plasticity_statistics(optimizer, reset=False).values()
        assert kept["steps"] == 1
    plasticity_statistics(optimizer)
    assert plasticity_statistics(optimizer) == {}
    step([np.array([1.0, 1.0, 1.0])])
    [new] = plasticity_statistics(optimizer).values()
    assert new["steps"] == 1
    assert new["gradient_norm"] == pytest.approx(3**0.5, rel=1e-6)


def test_a_step_that_is_watched_is_the_same_step():
    """To a few roundings: XLA may fuse in another way."""
    for make in (NeuroPlastic, lambda: PlasticityModulated("adam")):
        plain, watched = make_model(make()), make_model(make())
        watched.optimizer.collect_statistics()
        fit(plain, 2), fit(watched, 2)
        assert_close(weights(watched), weights(plain), 1e-6)


def test_who_collects_nothing_says_how():
    optimizer = NeuroPlastic()
    optimizer.build([keras.Variable(np.ones(3))])
    with pytest.raises(ValueError, match="`optimizer` must collect statistics: call"):
        plasticity_statistics(optimizer)
    with pytest.raises(ValueError, match="`optimizer` must be a NeuroPlastic or"):
        plasticity_statistics(keras.optimizers.Adam())


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("make", [NeuroPlastic, lambda: PlasticityModulated("adam")])
def test_a_file_is_the_same_with_and_without(make, saved, tmp_path):
    """Saved with statistics and loaded without, or the other way round."""
    model = make_model(make())
    if saved:
        model.optimizer.collect_statistics()
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert not loaded.optimizer.collects_statistics
    if not saved:
        loaded.optimizer.collect_statistics()
    fit(model), fit(loaded)
    assert_close(weights(loaded), weights(model), 1e-6)
    slots = [
        v.numpy()
        for v in loaded.optimizer.variables
        if v.ndim == 2 and not v.path.endswith(("_totals", "_sample"))
    ]
    assert len(slots) == 2 * 3
    assert all(np.any(slot) for slot in slots)


def test_weights_files_fit_both(tmp_path):
    model = fit(make_model(NeuroPlastic()))
    model.save_weights(tmp_path / "plain.weights.h5")
    watched = make_model(NeuroPlastic())
    watched.optimizer.collect_statistics()
    watched.optimizer.build(watched.trainable_variables)
    watched.load_weights(tmp_path / "plain.weights.h5")
    fit(model), fit(watched)
    assert_close(weights(watched), weights(model), 1e-6)


def test_a_copy_collects_nothing():
    model = make_model(NeuroPlastic())
    model.optimizer.collect_statistics()
    fit(model)
    copied = pickle.loads(pickle.dumps(model.optimizer))
    copied.build([keras.Variable(v) for v in model.trainable_variables])
    assert not copied.collects_statistics
    assert len(copied.variables) == 2 + 3 * 4
