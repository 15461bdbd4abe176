"""Gradients through several steps, as learned learning rates need them, on JAX."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from keras_neuroplastic import NeuroPlastic

if keras.backend.backend() != "jax":
    pytest.skip("the JAX backend only", allow_module_level=True)
import jax
from jax import lax
from jax import numpy as jnp

STEPS = 2
RATE = 0.1
SIZES = {  # of the hidden layers: the step has other ways from 2**15 and 2**17 on
    "small": [6, 5, 2],
    "large": [512, 256, 512, 64, 2],
}
APART = 1e-5  # of two points of a finite difference, and close to its error


def problem(sizes, dead_input=False):
    """Initial weights of a small network, and its loss."""
    rng = np.random.default_rng(4)
    weights = [rng.normal(size=s) / np.sqrt(s[0]) for s in pairwise(sizes)]
    x = rng.normal(size=(8, sizes[0]))
    if dead_input:
        x[:, 0] = 0.0  # as a pixel at the margin: its weights have gradient zero
    y = rng.normal(size=(8, sizes[-1]))

    def loss(weights):
        h = x
        for w in weights:
            h = jnp.tanh(h @ w)
        return jnp.mean((h - y) ** 2)

    return weights, loss


def after_steps(weights, loss, through=lambda g: g, wrap=lambda step: step):
    """The loss after some steps, as a function of learning rate and first weights."""
    # A small epsilon makes a gradient close to zero bend more than a distance.
    optimizer = NeuroPlastic(max_update_norm=0.3, epsilon=1e-3)
    optimizer.build([keras.Variable(x) for x in weights])
    start = [v.value for v in optimizer.variables]

    @wrap
    def step(weights, state):
        gradients = through(jax.grad(loss)(weights))
        return optimizer.stateless_apply(state, gradients, weights)

    def final(rate, weights):
        state = [start[0], rate, *start[2:]]
        for _ in range(STEPS):
            weights, state = step(weights, state)
        return loss(weights)

    return final


def derivatives(function, weights):
    """By the rate, and by the weights in some direction; twice: JAX's and measured."""
    rng = np.random.default_rng(5)
    along = [rng.normal(size=w.shape) / np.sqrt(w.size) for w in weights]
    function = jax.jit(jax.value_and_grad(function, (0, 1)))
    _, (by_rate, by_weights) = function(jnp.asarray(RATE), weights)
    got = by_rate, sum(map(jnp.vdot, by_weights, along))

    def moved(rate, distance):
        at = [w + distance * d for w, d in zip(weights, along, strict=True)]
        return function(jnp.asarray(RATE + rate), at)[0]

    rate = moved(APART / 2, 0.0) - moved(-APART / 2, 0.0)
    direction = moved(0.0, APART / 2) - moved(0.0, -APART / 2)
    return np.array(got), np.array([rate, direction]) / APART


def assert_derivatives(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=0.0, equal_nan=False)


CASES = [
    ("small", False, lambda step: step),
    ("small", False, jax.checkpoint),  # steps made anew on the way back
    ("small", True, jax.checkpoint),
    ("large", True, lambda step: step),
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("size", "dead_input", "wrap"), CASES)
def test_gradients_are_finite_differences(size, dead_input, wrap):
    weights, loss = problem(SIZES[size], dead_input)
    assert_derivatives(*derivatives(after_steps(weights, loss, wrap=wrap), weights))


@pytest.mark.usefixtures("float64")
def test_a_gradient_that_passes_by_the_gradients_is_noticed():
    weights, loss = problem(SIZES["small"])
    wrong = after_steps(weights, loss, through=lax.stop_gradient)
    with pytest.raises(AssertionError):
        assert_derivatives(*derivatives(wrong, weights))
