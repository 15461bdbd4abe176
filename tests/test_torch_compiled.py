"""The step that `torch.compile` makes for a CPU: three sweeps, and the same numbers."""

import shutil

import keras
import numpy as np
import pytest

from keras_neuroplastic import (
    NeuroPlastic,
    OrthogonalResidual,
    PlasticityModulated,
    plasticity_statistics,
)

if keras.backend.backend() != "torch":
    pytest.skip("the PyTorch backend only", allow_module_level=True)
if not shutil.which("g++"):
    pytest.skip("needs a C++ compiler", allow_module_level=True)
import torch
from torch._inductor.utils import fresh_cache, run_and_get_code

from keras_neuroplastic._steps import torch_compiled

SHAPES = [(5, 7), (2, 3, 4, 5), (3,), (), (0, 4)]
OPTIONS = {"weight_decay": 0.3, "skip_nonfinite": True, "plasticity_scale": 2.0}


@pytest.fixture(autouse=True)
def _compile_anew():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def permuted(x):
    """The same numbers in another memory order, that of channels first."""
    return x.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0) if x.ndim == 4 else x


def run(compiled):
    """Values of variables and slots after three steps."""
    optimizer = NeuroPlastic(**OPTIONS)
    rng = np.random.default_rng(5)
    variables = [keras.Variable(rng.normal(size=s), dtype="float64") for s in SHAPES]
    for variable in variables:
        variable._value = torch.nn.Parameter(permuted(variable._value.detach()))
    optimizer.build(variables)
    apply = optimizer.apply
    if compiled:
        apply = torch.compile(apply, fullgraph=True)
    for step in range(3):
        numbers = [rng.normal(size=shape) for shape in SHAPES]
        numbers[step].flat[0] = np.nan
        apply([permuted(torch.tensor(x)) for x in numbers], variables)
    return [v.numpy() for v in variables + optimizer.variables]


def test_same_as_uncompiled(monkeypatch, float64):
    monkeypatch.setattr(torch_compiled, "LARGE", 30)  # two variables in a chain
    for a, b in zip(run(compiled=True), run(compiled=False), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


CALLS = {
    "NeuroPlastic": lambda: NeuroPlastic(),
    "residual": lambda: NeuroPlastic(residual=OrthogonalResidual()),
    "PlasticityModulated": lambda: PlasticityModulated("sgd"),
}


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_no_call_is_compiled_anew(name, watched):
    """Of variables of several sizes; some of Keras's operations count their calls."""
    graphs = []

    def compiler(graph, inputs):
        graphs.append(graph)
        return graph.forward

    variables = [keras.Variable(np.ones(shape)) for shape in SHAPES]
    optimizer = CALLS[name]()
    optimizer.build(variables)
    if watched:
        optimizer.collect_statistics()
    apply = torch.compile(optimizer.apply, backend=compiler)
    made = []
    for _ in range(4):
        apply([torch.randn(shape) for shape in SHAPES], variables)
        made.append(len(graphs))
    assert made[1:] == [made[1]] * 3
    assert made[0] > 0


def test_statistics_of_a_step_that_is_compiled(float64):
    """Of a variable that requires gradients, as in a loop of one's own."""
    found = []
    for compiled in (True, False):
        variable = keras.Variable(np.ones((5, 7)), dtype="float64", name="kernel")
        optimizer = NeuroPlastic()
        optimizer.collect_statistics()
        optimizer.build([variable])
        apply = optimizer.apply
        if compiled:
            apply = torch.compile(apply, fullgraph=True)
        rng = np.random.default_rng(6)
        for _ in range(2):
            apply([torch.tensor(rng.normal(size=(5, 7)))], [variable])
        found.append(plasticity_statistics(optimizer)["kernel"])
    got, want = found
    assert got["steps"] == 2
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-12, atol=1e-14)


def test_a_stateless_step_of_weights_that_require_gradients(monkeypatch):
    monkeypatch.setattr(torch_compiled, "LARGE", 1)
    variables = [keras.Variable(np.ones(3), dtype="float32") for _ in range(2)]
    optimizer = NeuroPlastic()
    optimizer.build(variables)
    slots, grads = [v.value for v in optimizer.variables], [torch.ones(3)] * 2
    state = slots, grads, [v.value for v in variables]
    apply = optimizer.stateless_apply
    compiled = torch.compile(apply, backend="aot_eager")
    for got, want in zip(compiled(*state), apply(*state), strict=True):
        torch.testing.assert_close(got, want)


def test_three_sweeps_a_variable_and_one_scratch_memory():
    size = torch_compiled.LARGE
    variables = [keras.Variable(np.zeros(size, "float32")) for _ in range(2)]
    optimizer = NeuroPlastic()
    optimizer.build(variables)
    grads = [torch.ones(size) for _ in variables]
    with fresh_cache():  # code that is known already would not be shown
        _, codes = run_and_get_code(torch.compile(optimizer.apply), grads, variables)
    code = "".join(codes)
    loops = code.count(f"<static_cast<int64_t>({size}L); x0+=")
    assert loops == 3 * len(variables)
    assert code.count(".sqrt()") == len(variables)  # in no loop again
    assert code.count(f"empty_strided_cpu(({size}, )") == 1
