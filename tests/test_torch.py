"""The in-place step of the PyTorch backend does what the rules do."""

import keras
import numpy as np
import pytest
from keras import ops
from test_twin import OPTIONS

from keras_neuroplastic import (
    BoundedResidual,
    NeuroPlastic,
    OrthogonalResidual,
    PlasticityModulated,
    modulation,
)

if keras.backend.backend() != "torch":
    pytest.skip("the PyTorch backend only", allow_module_level=True)
import torch

from keras_neuroplastic import rules
from keras_neuroplastic._steps import torch as torch_steps
from keras_neuroplastic._steps import torch_cpu, torch_kernels, torch_modulated

# Alone and in blocks, or packed; three of one shape; no element, and no dimension.
SHAPES = [(5, 7), (40,), (3,), (3,), (3,), (2, 2, 2), (1,), (), (0, 4)]
CASES = {name: {**common, **own} for name, (common, own, _) in OPTIONS.items()} | {
    "skipping": {"skip_nonfinite": True},
    "skipping, decay": {"skip_nonfinite": True, "weight_decay": 0.3},
    "bounded": {"residual": BoundedResidual(0.3)},
    "orthogonal": {"residual": OrthogonalResidual(0.4, 0.25, True)},
}


class ByTheRules(NeuroPlastic):
    """A subclass with a rule of its own, which happens to be the same."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)


def numbers(dtype, steps=6, largest=1.0, nonfinite=False):
    rng = np.random.default_rng(5)
    initial = [rng.normal(size=shape) for shape in SHAPES]
    gradients = []
    for step in range(steps):
        gradients.append([largest * rng.normal(size=shape) for shape in SHAPES])
        if nonfinite:
            gradients[-1][step % 4].flat[step % 3] = [np.nan, np.inf][step % 2]
    as_tensors = [[ops.convert_to_tensor(g, dtype) for g in gs] for gs in gradients]
    return initial, as_tensors


def run(optimizer, dtype, initial, gradients):
    """Values of variables and slots after each step, one list a step."""
    variables = [keras.Variable(x, dtype=dtype) for x in initial]
    states = []
    for grads in gradients:
        optimizer.apply(grads, variables)
        state = variables + optimizer.variables
        states.append([np.array(v.numpy(), "float64") for v in state])
    return states


def deviation(got, want):
    """The worst error of a step, relative to the largest element of its variable."""
    worst = 0.0
    for got_state, want_state in zip(got, want, strict=True):
        for a, b in zip(got_state, want_state, strict=True):
            assert np.all(np.isfinite(b))
            error = np.max(np.abs(a - b), initial=0.0)
            worst = np.maximum(worst, error / max(np.max(np.abs(b), initial=0), 1e-99))
    return worst


@pytest.fixture(params=["by a CPU", "together"])
def lists(request, monkeypatch):
    """Whether variables are stepped as those of a GPU are."""
    if request.param == "together":
        monkeypatch.setattr(torch_steps, "has_lists", lambda theta: True)


@pytest.fixture(params=["in blocks", "alone", "as rows", "together"])
def way(request, monkeypatch):
    """Which way variables are stepped."""
    if request.param == "together":
        monkeypatch.setattr(torch_steps, "has_lists", lambda theta: True)
    monkeypatch.setattr(torch_cpu, "BLOCK", 6 if request.param == "in blocks" else 99)
    monkeypatch.setattr(
        torch_steps, "FEWEST_ROWS", 1 if request.param == "as rows" else 99
    )
    monkeypatch.setattr(torch_steps, "MATRIX", 50)


@pytest.mark.parametrize("case", CASES)
def test_every_step(case, way, float64):
    inputs = numbers("float64", nonfinite=case.startswith("skipping"))
    got, want = (
        run(optimizer(**CASES[case]), "float64", *inputs)
        for optimizer in (NeuroPlastic, ByTheRules)
    )
    assert deviation(got, want) < 1e-14


@pytest.mark.parametrize("make", [NeuroPlastic, lambda: PlasticityModulated("adam")])
def test_variables_of_one_shape_are_one_matrix(make, monkeypatch):
    matrices, step_rows = [], torch_steps.step_rows

    def watched(optimizer, group, learning_rate):
        matrices.append(len(group))
        step_rows(optimizer, group, learning_rate)

    monkeypatch.setattr(torch_steps, "step_rows", watched)
    variables = [keras.Variable(np.ones(3, "float32")) for _ in range(20)]
    make().apply([torch.ones(3)] * 20, variables)
    assert matrices == [20]


@pytest.mark.parametrize("wrong", ["sum_signals", "form_update", "stabilize"])
def test_a_wrong_part_is_noticed(wrong, monkeypatch, float64):
    right = getattr(torch_cpu.Step, wrong)

    def off_by_a_millionth(*args):
        result = right(*args)
        if isinstance(result, dict):
            return {name: value * (1 + 1e-6) for name, value in result.items()}
        if isinstance(result, rules.Stabilized):
            return result._replace(factor=result.factor * (1 + 1e-6))
        return result * (1 + 1e-6)

    inputs = numbers("float64")
    want = run(ByTheRules(), "float64", *inputs)
    monkeypatch.setattr(torch_cpu.Step, wrong, off_by_a_millionth)
    assert deviation(run(NeuroPlastic(), "float64", *inputs), want) > 1e-9


@pytest.mark.parametrize("largest", [1e-30, 1.0, 1e30])
def test_float32_of_any_magnitude(largest, way):
    inputs = numbers("float32", largest=largest)
    got, want = (run(o(), "float32", *inputs) for o in (NeuroPlastic, ByTheRules))
    assert deviation(got, want) < 1e-6


@pytest.mark.parametrize("activity_decay", [0.0, 0.95])
def test_float32_sums_that_overflow(activity_decay, lists):
    initial, gradients = numbers("float32", largest=2e37)
    gradients += numbers("float32")[1]
    got, want = (
        run(o(activity_decay=activity_decay), "float32", initial, gradients)
        for o in (NeuroPlastic, ByTheRules)
    )
    assert deviation(got, want) < 1e-6


def test_a_gradient_is_broadcast_or_refused(lists):
    variable = keras.Variable(np.ones((3, 2), "float32"))
    optimizer = NeuroPlastic()
    optimizer.apply([torch.ones(1)], [variable])
    same = keras.Variable(np.ones((3, 2), "float32"))
    NeuroPlastic().apply([torch.ones(3, 2)], [same])
    np.testing.assert_array_equal(variable.numpy(), same.numpy())
    before = [v.numpy().copy() for v in optimizer.variables[2:]]
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        optimizer.apply([torch.ones(2, 3)], [variable])
    for old, slot in zip(before, optimizer.variables[2:], strict=True):
        np.testing.assert_array_equal(old, slot.numpy())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits(dtype, way):
    inputs = numbers(dtype, steps=3)
    got, want = (
        run(o(weight_decay=0.1), dtype, *inputs) for o in (NeuroPlastic, ByTheRules)
    )
    # One rounding of a weight may fall the other way, once a step.
    assert deviation(got, want) < 3 * {"bfloat16": 2**-8, "float16": 2**-11}[dtype]
    slots = slice(len(SHAPES), None)
    assert deviation([s[slots] for s in got], [s[slots] for s in want]) < 1e-6


@pytest.mark.parametrize("size", [3, 2**14 - 1, 2**14, 2**18, 2**20])
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e25])
def test_a_length_keeps_its_digits(size, unit):
    """Sums in float32 lose one or two at the largest sizes."""
    x = torch.randn(1, size, generator=torch.Generator().manual_seed(0)).abs() * unit
    want = np.linalg.norm(x.double().numpy())
    assert abs(torch_kernels.norm(x) / want - 1) < 5e-7


@pytest.mark.parametrize("size", [5, 300])
@pytest.mark.parametrize("order", ["both", "gradient"])
def test_variables_and_gradients_in_other_memory_orders(
    order, size, lists, monkeypatch
):
    monkeypatch.setattr(torch_cpu, "BLOCK", 256)

    def transposed(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(3, size, generator=generator).T

    start = transposed(9) if order == "both" else transposed(9).contiguous()
    gradients = [[transposed(step)] for step in range(3)]
    states = []
    for optimizer in (NeuroPlastic(), ByTheRules()):
        variable = keras.Variable(torch.nn.Parameter(start.clone()))
        assert variable.value.is_contiguous() == (order == "gradient")
        for grads in gradients:
            optimizer.apply(grads, [variable])
        states.append([[v.numpy() for v in [variable, *optimizer.variables]]])
    assert deviation(*states) < 1e-6


@pytest.mark.parametrize(("weight", "gradient"), [(1, "nan"), (1, "inf"), ("nan", 1)])
@pytest.mark.parametrize("weight_decay", [None, 0.1])
def test_what_is_not_finite_stays_with_its_variable(
    weight, gradient, weight_decay, way
):
    def values(weight, gradient):
        first = keras.Variable(np.full(16, weight, "float32"))
        second = keras.Variable(np.ones(20, "float32"))
        optimizer = NeuroPlastic(weight_decay=weight_decay)
        for _ in range(2):
            gradients = torch.full((16,), float(gradient)), torch.arange(20.0)
            optimizer.apply(gradients, [first, second])
        return first.numpy(), second.numpy()

    (spoilt, beside_it), (_, alone) = values(weight, gradient), values(1, 1)
    assert np.all(np.isnan(spoilt))
    np.testing.assert_array_equal(beside_it, alone)


def test_gradients_and_stateless_values_are_left_alone(lists):
    variable = keras.Variable(np.ones(3, "float32"))
    gradient = torch.tensor([1.0, -2.0, 3.0])
    optimizer = NeuroPlastic()
    optimizer.build([variable])
    given = [[v.value.clone() for v in vs] for vs in ([variable], optimizer.variables)]
    kept = [[v.clone() for v in vs] for vs in given]
    stateless, _ = optimizer.stateless_apply(given[1], [gradient], given[0])
    for before, after in zip(kept, given, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert np.all(variable.numpy() == 1)

    optimizer.apply([gradient])
    assert torch.equal(gradient, torch.tensor([1.0, -2.0, 3.0]))
    torch.testing.assert_close(variable.value, stateless[0])


@pytest.mark.parametrize("make", [NeuroPlastic, lambda: PlasticityModulated("adam")])
def test_a_module_that_becomes_double(make, lists):
    """The slots stay in float32: all that their rounding changes is the last digits."""
    moved = []
    for dtype in "float32", "float64":
        variable = keras.Variable(np.ones((3, 2), "float32"))
        layer = torch.nn.ParameterList([variable._value])
        optimizer = make()
        for number in range(4):
            if number == 2 and dtype == "float64":
                layer.double()
            gradient = torch.arange(6, dtype=variable._value.dtype).reshape(3, 2)
            optimizer.apply([gradient + number], [variable])
        moved.append(ops.convert_to_numpy(variable))
        assert moved[-1].dtype == dtype
        [kept] = torch_steps.keep_values(optimizer, [variable])
        assert kept.dtype == variable._value.dtype
    np.testing.assert_allclose(*moved, rtol=1e-6)


def test_a_rule_of_a_subclass_is_followed(lists):
    class Still(NeuroPlastic):
        def update_step(self, gradient, variable, learning_rate):
            pass

    variable = keras.Variable(np.ones(3, "float32"))
    Still().apply([torch.ones(3)], [variable])
    assert np.all(variable.numpy() == 1)


def test_a_compiled_step_is_one_graph():
    initial, gradients = numbers("float32")
    optimizer = NeuroPlastic(plasticity_scale=2.0)
    variables = [keras.Variable(x, dtype="float32") for x in initial]
    optimizer.build(variables)
    apply = torch.compile(optimizer.apply, fullgraph=True, backend="eager")
    for grads in gradients:
        apply(grads, variables)
    want = run(ByTheRules(plasticity_scale=2.0), "float32", initial, gradients)[-1]
    got = [[v.numpy() for v in variables + optimizer.variables]]
    assert deviation(got, [want]) < 1e-6


# A modulated step


MODULATED = {
    "by default": {},
    "limited": {"max_ratio": 0.2, "strength": 0.7},
    "all signals": {
        "activity_weight": 0.4,
        "gradient_weight": 0.4,
        "memory_weight": 0.2,
        "plasticity_scale": 2.0,
    },
    "one alpha": {"per_parameter": False, "max_ratio": 0.5},
    "trust": {"target": "trust", "max_ratio": 0.25},
    "stabilized": {"max_update_norm": 0.1, "adaptation_rate": 0.5},
}


class ModulatedByTheRules(PlasticityModulated):
    """A subclass with a rule of its own, which happens to be the same."""

    rule = staticmethod(lambda *args, **options: modulation.step(*args, **options))


def around_momentum(cls, **options):
    return cls(keras.optimizers.SGD(0.1, momentum=0.9), **options)


@pytest.mark.parametrize("case", MODULATED)
def test_every_modulated_step(case, way, float64):
    inputs = numbers("float64")
    got, want = (
        run(around_momentum(cls, **MODULATED[case]), "float64", *inputs)
        for cls in (PlasticityModulated, ModulatedByTheRules)
    )
    assert deviation(got, want) < 1e-13


@pytest.mark.parametrize("largest", [1e-30, 1.0, 1e15])
@pytest.mark.parametrize("max_ratio", [None, 0.2])
def test_modulated_float32_of_any_magnitude(largest, max_ratio, way):
    inputs = numbers("float32", largest=largest)
    got, want = (
        run(around_momentum(cls, max_ratio=max_ratio), "float32", *inputs)
        for cls in (PlasticityModulated, ModulatedByTheRules)
    )
    assert deviation(got, want) < 2e-6


@pytest.mark.parametrize("wrong", ["form_part", "shorten"])
def test_a_wrong_part_of_a_modulated_step_is_noticed(wrong, monkeypatch, float64):
    inputs = numbers("float64")
    options = MODULATED["limited"]
    want = run(around_momentum(ModulatedByTheRules, **options), "float64", *inputs)
    right = getattr(torch_modulated.ModulatedStep, wrong)
    monkeypatch.setattr(
        torch_modulated.ModulatedStep, wrong, lambda *args: right(*args) * (1 + 1e-6)
    )
    got = run(around_momentum(PlasticityModulated, **options), "float64", *inputs)
    assert deviation(got, want) > 1e-9


def test_what_is_not_finite_stays_with_its_modulated_variable(way):
    def second(gradient):
        variables = [keras.Variable(np.ones(16)), keras.Variable(np.ones(20))]
        optimizer = around_momentum(PlasticityModulated, **MODULATED["all signals"])
        for _ in range(2):
            gradients = torch.full((16,), float(gradient)), torch.arange(20.0)
            optimizer.apply(gradients, variables)
        return variables[1].numpy()

    for bad in ("nan", "inf"):
        np.testing.assert_array_equal(second(bad), second(1))
