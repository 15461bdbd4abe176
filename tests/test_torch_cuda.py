"""The step of all variables of a GPU together: its numbers, and what it launches.

`test_torch.py` compares it with the rules, on a CPU; here are its own corners. Launches
are counted on fake CUDA tensors, which need no GPU.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_neuroplastic import (
    BoundedResidual,
    NeuroPlastic,
    PlasticityModulated,
    PlasticityWarmup,
    plasticity_statistics,
)

if keras.backend.backend() != "torch":
    pytest.skip("the PyTorch backend only", allow_module_level=True)
import torch
from test_torch import (
    MODULATED,
    ByTheRules,
    ModulatedByTheRules,
    around_momentum,
    deviation,
    numbers,
    run,
)

from benchmarks import gpu_count_torch
from benchmarks.parameter_sets import PARAMETER_SETS
from keras_neuroplastic import rules
from keras_neuroplastic._steps import torch as torch_steps
from keras_neuroplastic._steps import (
    torch_cuda,
    torch_cuda_modulated,
    torch_cuda_statistics,
)
from keras_neuroplastic._sums import plain

SHAPES = [(5, 7), (40,), (3,), (1,), (), (0, 4), (64, 65)]


@pytest.fixture
def together(monkeypatch):
    """Variables on the CPU are stepped as those of a GPU are."""
    monkeypatch.setattr(torch_steps, "has_lists", lambda theta: True)


# Its numbers


@pytest.mark.parametrize("options", [{}, {"per_parameter": False}, {"max_alpha": 1e3}])
@pytest.mark.parametrize("exponents", [(-44, -25), (-30, 30), (10, 35)])
def test_elements_of_very_different_size(exponents, options, together):
    rng = np.random.default_rng(3)
    initial = [rng.normal(size=shape) for shape in SHAPES]
    gradients = [
        [
            torch.tensor(
                rng.choice([-1, 1], size=shape)
                * 10.0 ** rng.uniform(*exponents, size=shape),
                dtype=torch.float32,
            )
            for shape in SHAPES
        ]
        for _ in range(6)
    ]
    got, want = (
        run(o(plasticity_scale=2.0, **options), "float32", initial, gradients)
        for o in (NeuroPlastic, ByTheRules)
    )
    assert deviation(got, want) < 2e-6


@pytest.mark.parametrize("exponent", [-300, -160, 160, 307])
def test_float64_of_any_magnitude(exponent, together, float64):
    inputs = numbers("float64", largest=10.0**exponent / 4)
    got, want = (run(o(), "float64", *inputs) for o in (NeuroPlastic, ByTheRules))
    assert deviation(got, want) < 1e-14


def test_variables_of_several_dtypes(together):
    dtypes = ["float16", "float32", "bfloat16", "float64", "float32"]

    def states(cls):
        rng = np.random.default_rng(4)
        variables = [keras.Variable(rng.normal(size=9), dtype=d) for d in dtypes]
        optimizer = cls(weight_decay=0.1)
        optimizer.build(variables)
        for _ in range(3):
            optimizer.apply(
                [ops.convert_to_tensor(rng.normal(size=9), d) for d in dtypes]
            )
        state = variables + optimizer.variables
        return [[np.array(v.numpy(), "float64") for v in state]]

    got, want = states(NeuroPlastic), states(ByTheRules)
    assert deviation(got, want) < 2**-8  # one rounding of bfloat16
    slots = slice(len(dtypes), None)
    assert deviation([got[0][slots]], [want[0][slots]]) < 1e-6


def test_what_is_skipped_is_kept_to_the_bit(together):
    variables = [keras.Variable(np.linspace(-1, 1, 7)) for _ in range(3)]
    optimizer = NeuroPlastic(skip_nonfinite=True, weight_decay=0.1)
    rng = np.random.default_rng(5)

    def state():
        return [
            [v.numpy().copy() for v in (variable, *optimizer._slots(i).values())]
            for i, variable in enumerate(variables)
        ]

    def gradients():
        return [torch.tensor(rng.normal(size=7), dtype=torch.float32) for _ in "123"]

    optimizer.apply(gradients(), variables)
    before, spoilt = state(), gradients()
    spoilt[0][2], spoilt[2][3] = torch.nan, -torch.inf
    optimizer.apply(spoilt)
    for is_spoilt, old, new in zip([1, 0, 1], before, state(), strict=True):
        for a, b in zip(old, new, strict=True):
            assert np.array_equal(a, b) == is_spoilt


WATCHED = {
    "NeuroPlastic": lambda: NeuroPlastic(max_update_norm=5.0, adaptation_rate=0.3),
    "scheduled": lambda: NeuroPlastic(plasticity_scale=PlasticityWarmup(30)),
    "one α a variable": lambda: NeuroPlastic(per_parameter=False),
    "some skipped": lambda: NeuroPlastic(skip_nonfinite=True),
    "modulated": lambda: around_momentum(PlasticityModulated, max_ratio=0.5),
    "modulated, one α a variable": lambda: around_momentum(
        PlasticityModulated, per_parameter=False
    ),
}


@pytest.mark.parametrize("case", WATCHED)
def test_steps_collected_together_are_told_as_one_by_one(case, monkeypatch, float64):
    """Of variables that some steps leave out, and at a rate that changes."""

    def told(together):
        monkeypatch.setattr(torch_steps, "has_lists", lambda theta: together)
        rng = np.random.default_rng(8)
        variables = [keras.Variable(rng.normal(size=shape)) for shape in SHAPES]
        optimizer = WATCHED[case]()
        optimizer.build(variables)
        optimizer.collect_statistics()
        for i in range(30):
            grads = [torch.tensor(rng.normal(size=shape) * 9**-i) for shape in SHAPES]
            if case == "some skipped" and i % 4 == 1:
                grads[i % 3].view(-1)[0] = torch.nan
            stepped = slice(2 if i in (11, 12, 29) else 0, None)
            optimizer.apply(grads[stepped], variables[stepped])
            optimizer.learning_rate = 0.01 * (1 + i)
            most.append(max(map(len, optimizer._waiting.values()), default=0))
        return list(plasticity_statistics(optimizer).values())

    most = []  # that wait after each step
    monkeypatch.setattr(torch_cuda_statistics, "STEPS", 8)
    got = told(True)
    assert max(most) == 7
    want = told(False)
    assert [x["steps"] for x in got] == [x["steps"] for x in want]
    assert len({x["steps"] for x in got}) > 1
    for found, expected in zip(got, want, strict=True):
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, 1e-11, 1e-12, err_msg=name)


def test_slots_and_weights_may_be_replaced(together):
    """By others in another memory order, as `load_state_dict` or `to` may."""

    def states(cls):
        variable = keras.Variable(np.ones((3, 4), "float32"))
        optimizer = cls()
        rng = np.random.default_rng(6)
        optimizer.build([variable])
        for _ in range(3):
            optimizer.apply(
                [torch.tensor(rng.normal(size=(3, 4)), dtype=torch.float32)]
            )
            for v in [variable, *optimizer.variables[2:]]:
                with torch.no_grad():
                    v._value = torch.nn.Parameter(v._value.T.contiguous().T)
        return [[v.numpy() for v in [variable, *optimizer.variables]]]

    assert deviation(states(NeuroPlastic), states(ByTheRules)) < 1e-6


def off(value):
    """The same, wrong by a millionth or two."""
    if isinstance(value, rules.Signals):
        return value._replace(gains=[off(x) for x in value.gains])
    if isinstance(value, (list, tuple)):
        return type(value)(off(x) for x in value)
    return value + 1e-6 * (value + 1)  # not in proportion, which a mean would undo


@pytest.mark.parametrize("wrong", ["signals", "memory", "plasticity", "scaled"])
def test_a_wrong_part_is_noticed(wrong, together, monkeypatch, float64):
    inputs = numbers("float64")
    want = run(ByTheRules(), "float64", *inputs)
    right = getattr(torch_cuda, wrong)
    monkeypatch.setattr(torch_cuda, wrong, lambda *args: off(right(*args)))
    assert deviation(run(NeuroPlastic(), "float64", *inputs), want) > 1e-9


@pytest.mark.parametrize("wrong", ["lengths", "shorten"])
def test_a_wrong_part_of_a_modulated_step_is_noticed(
    wrong, together, monkeypatch, float64
):
    inputs = numbers("float64")
    options = MODULATED["trust"]
    want = run(around_momentum(ModulatedByTheRules, **options), "float64", *inputs)
    right = getattr(torch_cuda_modulated, wrong)
    monkeypatch.setattr(torch_cuda_modulated, wrong, lambda *args: off(right(*args)))
    got = run(around_momentum(PlasticityModulated, **options), "float64", *inputs)
    assert deviation(got, want) > 1e-9


# What it launches

MOST = {"mlp": 49, "resnet18": 50, "many-small": 110, "transformer": 54}
# Keras's own: it adds a 1 from the host to its count of steps.
COPIES = 1
OPTIONS = {
    "default": {},
    "extrapolated": {"plasticity_scale": 3.0},
    "one alpha": {"per_parameter": False},
    "no clipping": {"max_update_norm": None},
    "no gain": {"adaptation_rate": 0.0},
    "neither": {"max_update_norm": None, "adaptation_rate": 0.0},
    "skipping": {"skip_nonfinite": True},
    "weight decay": {"weight_decay": 0.1},
    "no memory": {"activity_weight": 0.5, "gradient_weight": 0.5, "memory_weight": 0.0},
    "no activity": {
        "activity_weight": 0.0,
        "gradient_weight": 0.5,
        "memory_weight": 0.5,
    },
}


@pytest.mark.parametrize("parameters", MOST)
def test_what_a_step_launches(parameters):
    shapes = PARAMETER_SETS[parameters]
    counted = gpu_count_torch.count("NeuroPlastic", shapes)
    assert counted.launches[13] <= MOST[parameters]
    assert (counted.copies, counted.reads) == (COPIES, 0)
    assert counted.bytes <= 4 * 40.2 * sum(map(np.prod, shapes))


@pytest.mark.parametrize("options", [{}, MODULATED["trust"]])
def test_what_a_modulated_step_launches(options, monkeypatch):
    def make():
        return PlasticityModulated("adam", **options)

    monkeypatch.setitem(gpu_count_torch.OF_KERAS, "this", make)
    few, many = (gpu_count_torch.count("this", [(30,)] * n) for n in (2, 20))
    assert many.launches == few.launches
    assert (many.copies, many.reads) == (few.copies, 0)


@pytest.mark.parametrize("name", ["NeuroPlastic", "plastic Adam"])
def test_a_watched_step_launches_little_more(name):
    """Of several steps, which are collected at once."""

    def count(name, n):
        shapes = [(30,)] * n
        return gpu_count_torch.count(name, shapes, steps=torch_cuda_statistics.STEPS)

    watched, plain, many = (
        count(f"{name} watched", 2),
        count(name, 2),
        count(f"{name} watched", 20),
    )
    assert plain.launches[13] < watched.launches[13] < 1.6 * plain.launches[13]
    assert many.launches == watched.launches
    assert many.reads == 0
    assert many.copies <= plain.copies + 2  # to look up once


def test_the_plain_rules_launch_more():
    shapes = PARAMETER_SETS["mlp"]
    counted = gpu_count_torch.count("NeuroPlastic, plain rules", shapes)
    assert counted.launches[13] > 2 * MOST["mlp"]
    assert counted.copies == COPIES  # their limits are numbers, too
    assert counted.bytes > 4 * 60 * sum(map(np.prod, shapes))


@pytest.mark.parametrize(("name", "copies"), [("clip", 8), ("where", 1)])
def test_numbers_made_tensors_would_be_copied(name, copies, monkeypatch):
    monkeypatch.setattr(rules, name, getattr(plain, name))
    name = "NeuroPlastic, plain rules" if copies == 8 else "NeuroPlastic"
    assert gpu_count_torch.count(name, [(3,)] * 2).copies >= copies + COPIES


@pytest.mark.parametrize(
    ("case", "dtype"),
    [(case, "float32") for case in OPTIONS]
    + [("default", "float64"), ("skipping", "float64"), ("weight decay", "bfloat16")],
)
def test_more_variables_launch_no_more(case, dtype, monkeypatch):
    def make():
        return NeuroPlastic(**OPTIONS[case])

    monkeypatch.setitem(gpu_count_torch.OF_KERAS, case, make)
    few, many = (
        gpu_count_torch.count(case, [(30, n), (n,)] * n, dtype) for n in (2, 10)
    )
    assert many.launches == few.launches
    assert few.copies == many.copies == COPIES
    assert few.reads == many.reads == 0


@pytest.mark.parametrize(
    "options",
    [{}, {"residual": BoundedResidual()}, {"plasticity_scale": PlasticityWarmup(9)}],
)
def test_copies_do_not_grow_with_the_variables(options, monkeypatch):
    """Nor with residual forms, which follow the rules; a schedule makes a few."""
    monkeypatch.setitem(
        gpu_count_torch.OF_KERAS, "this", lambda: NeuroPlastic(**options)
    )
    few, many = (gpu_count_torch.count("this", [(30,)] * n) for n in (1, 4))
    assert few.copies == many.copies
    assert many.reads == 0


def test_each_gpu_has_a_step_of_its_own():
    """Without a tensor from another one, which fake tensors refuse as real ones do."""
    with gpu_count_torch.fake_gpu(), torch.no_grad():
        variables = [keras.Variable(np.zeros(3, "float32")) for _ in range(4)]
        optimizer = NeuroPlastic(plasticity_scale=PlasticityWarmup(9))
        optimizer.build(variables)
        gradients = []
        for i, variable in enumerate(variables):
            gradients.append(torch.zeros(3, device=f"cuda:{i % 2}"))
            for v in (variable, *optimizer._slots(i).values()):
                v._value = torch.zeros_like(gradients[i])
        values = [variable._value for variable in variables]
        with gpu_count_torch.Count() as counted:
            arguments = gradients, variables, optimizer.learning_rate
            torch_steps.step(optimizer, *arguments)
        assert counted.operations["_fused_adamw_"] == 2
        assert all(v._value is x for v, x in zip(variables, values, strict=True))
        # And what is seen there is collected where the statistics are.
        optimizer.collect_statistics()
        for _ in range(torch_cuda_statistics.STEPS):
            torch_steps.step(optimizer, *arguments)
        assert not optimizer._waiting
