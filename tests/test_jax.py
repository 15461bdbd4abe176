"""What the JAX backend does for XLA on a CPU and a GPU changes nothing, but saves."""

import re

import keras
import numpy as np
import pytest

from keras_neuroplastic import (
    NeuroPlastic,
    PlasticityModulated,
    collecting,
    statistics,
)

if keras.backend.backend() != "jax":
    pytest.skip("the JAX backend only", allow_module_level=True)
import jax
from jax import export

from keras_neuroplastic._steps import jax as steps
from keras_neuroplastic._sums import jax as sums

SHAPES = [(512, 512), (3,), (512, 500), (256, 1000), (500, 512)]
LARGEST = 4 * 512 * 512  # bytes


def step_of(optimizer, dtype="float32"):
    """A function, and what to call it with."""
    rng = np.random.default_rng(5)
    variables = [keras.Variable(rng.normal(size=shape)) for shape in SHAPES]
    optimizer.build(variables)
    gradients = [jax.numpy.asarray(rng.normal(size=s), dtype) for s in SHAPES]

    def step(trainable, state, gradients):
        return optimizer.stateless_apply(state, gradients, trainable)

    state = [v.value for v in optimizer.variables]
    return step, ([v.value for v in variables], state, gradients)


def compiled_step(*args):
    """The same, compiled as `fit` does."""
    step, arguments = step_of(*args)
    step = jax.jit(step, donate_argnums=(0, 1))
    return step.lower(*arguments).compile(), arguments


on_a_cpu = pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="large variables wait for each other there"
)


@pytest.fixture(params=["in a chain", "all at once"])
def chained(request, monkeypatch):
    if request.param == "all at once":
        monkeypatch.setattr(steps, "LARGE", 10**9)
    return request.param == "in a chain"


@on_a_cpu
def test_a_step_holds_the_arrays_of_one_large_variable(chained):
    step, _ = compiled_step(NeuroPlastic())
    extra = step.memory_analysis().temp_size_in_bytes
    # One array of it, or with an older XLA two.
    assert (extra <= 2.1 * LARGEST) == chained


def after_two_steps(large, monkeypatch, bad=1.0):
    """Weights and slots; the first weight is `bad` before the second step."""
    monkeypatch.setattr(steps, "LARGE", large)
    step, (trainable, state, gradients) = compiled_step(NeuroPlastic())
    trainable, state = step(trainable, state, gradients)
    trainable[0] = trainable[0].at[0, 0].set(bad)
    return jax.tree.leaves(step(trainable, state, gradients))


@on_a_cpu
@pytest.mark.parametrize("bad", [1.0, np.inf, -np.inf, np.nan])
def test_a_chain_changes_nothing(bad, monkeypatch):
    """Beyond a rounding, also where the weight waited for is not a finite number."""
    want = after_two_steps(10**9, monkeypatch, bad)
    for a, b in zip(after_two_steps(1, monkeypatch, bad), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=5e-7, atol=5e-7)
    right = steps.after
    monkeypatch.setattr(steps, "after", lambda done, x: right(done, x) * 1.0001)
    wrong = after_two_steps(1, monkeypatch, bad)
    assert not all(
        np.allclose(a, b, rtol=5e-7, atol=5e-7, equal_nan=True)
        for a, b in zip(wrong, want, strict=True)
    )


# The sums of a GPU


@pytest.mark.parametrize("shape", [(300, 500), (7,), (), (0, 4)])
def test_signals_are_summed_at_once(shape):
    """Of whole numbers, so that no order of adding rounds."""
    rng = np.random.default_rng(6)
    arrays = [rng.integers(0, 9, shape).astype("float32") for _ in range(3)]
    got = jax.jit(sums.all_at_once)(*arrays)
    np.testing.assert_array_equal(got, [x.sum() for x in arrays])
    np.testing.assert_array_equal(got, jax.jit(sums.one_by_one)(*arrays))


def test_signals_summed_in_another_order_are_noticed():
    arrays = [np.full((300, 500), i, "float32") for i in (1, 2, 3)]
    got = jax.jit(sums.all_at_once)(*reversed(arrays))
    assert not np.array_equal(got, [x.sum() for x in arrays])


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    def platform_dependent(*args, default, cuda=None, **others):
        return (cuda or default)(*args)

    monkeypatch.setattr(jax.lax, "platform_dependent", platform_dependent)


STEPPED = {
    "NeuroPlastic": NeuroPlastic,
    "plastic Adam": lambda: PlasticityModulated("adam"),
}


@pytest.mark.parametrize("name", STEPPED)
def test_a_step_as_on_a_gpu(name, float64, request, monkeypatch):
    def after_a_step():
        step, arguments = compiled_step(STEPPED[name](), float64)
        return jax.tree.leaves(step(*arguments))

    want = after_a_step()
    request.getfixturevalue("as_on_a_gpu")
    for a, b in zip(after_a_step(), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    right = sums.all_at_once
    monkeypatch.setattr(sums, "all_at_once", lambda *values: right(*values) * 1.0001)
    wrong = zip(after_a_step(), want, strict=True)
    assert not all(np.allclose(a, b, rtol=1e-12, atol=1e-14) for a, b in wrong)


# A sum of three arrays, and how many of them a variable has.
AT_ONCE = r"stablehlo\.reduce\(.*\), \(.*\), \("
FORMS = {"cpu": 0, "cuda": 1}


def exported(function, arguments, *platforms):
    return export.export(jax.jit(function), platforms=platforms)(*arguments)


@pytest.mark.parametrize("platform", FORMS)
def test_each_platform_is_given_its_form(platform):
    """Also a platform that is not here."""
    step = step_of(NeuroPlastic())
    program = exported(*step, platform).mlir_module()
    assert len(re.findall(AT_ONCE, program)) == FORMS[platform] * len(SHAPES)
    both = exported(*step, *FORMS).mlir_module()
    assert len(re.findall(AT_ONCE, both)) == len(SHAPES)


@pytest.mark.parametrize("platform", FORMS)
def test_nothing_waits_on_a_gpu(platform):
    x = np.ones(3, "float32")
    program = exported(steps.in_turn, (x, x), platform).mlir_module()
    assert ("stablehlo.multiply" in program) == (platform == "cpu")


def test_a_step_exported_for_both_is_the_step():
    step, arguments = step_of(NeuroPlastic())
    got = exported(step, arguments, *FORMS).call(*arguments)
    want = jax.jit(step)(*arguments)
    for a, b in zip(*map(jax.tree.leaves, (got, want)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("wrap", [NeuroPlastic, lambda: PlasticityModulated("adam")])
def test_a_step_that_is_not_watched_has_nothing_of_statistics(wrap, monkeypatch):
    """Its program stays the same with all of their functions taken away."""

    def program(optimizer):
        step, arguments = step_of(optimizer)
        return jax.jit(step).lower(*arguments).as_text()

    def watched():
        optimizer = wrap()
        optimizer.collect_statistics()
        return optimizer

    want = program(wrap())
    assert len(program(watched())) > len(want)
    for name in ("seen", "sample", "rows", "grids"):
        monkeypatch.delattr(statistics, name)
    for name in ("collect", "weights"):
        monkeypatch.delattr(collecting, name)
    assert program(wrap()) == want
    with pytest.raises(AttributeError):
        program(watched())
