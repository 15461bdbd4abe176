"""The chained steps of the JAX backend save memory and change nothing."""

import keras
import numpy as np
import pytest

from keras_neuroplastic import NeuroPlastic

if keras.backend.backend() != "jax":
    pytest.skip("the JAX backend only", allow_module_level=True)
import jax

from keras_neuroplastic._steps import jax as steps

SHAPES = [(512, 512), (3,), (512, 500), (256, 1000), (500, 512)]
LARGEST = 4 * 512 * 512  # bytes


def compiled_step(optimizer):
    """One step, compiled as `fit` does, and what to call it with."""
    rng = np.random.default_rng(5)
    variables = [keras.Variable(rng.normal(size=shape)) for shape in SHAPES]
    optimizer.build(variables)
    gradients = [jax.numpy.asarray(rng.normal(size=s), "float32") for s in SHAPES]

    def step(trainable, state, gradients):
        return optimizer.stateless_apply(state, gradients, trainable)

    state = [v.value for v in optimizer.variables]
    arguments = [v.value for v in variables], state, gradients
    step = jax.jit(step, donate_argnums=(0, 1))
    return step.lower(*arguments).compile(), arguments


@pytest.fixture(params=["in a chain", "all at once"])
def chained(request, monkeypatch):
    if request.param == "all at once":
        monkeypatch.setattr(steps, "LARGE", 10**9)
    return request.param == "in a chain"


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
