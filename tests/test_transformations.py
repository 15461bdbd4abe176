"""`stateless_apply` within the transformations of JAX."""

import keras
import numpy as np
import pytest
from lineup import assert_weights
from test_distribution import finish, start
from toy import assert_identical

from keras_neuroplastic import NeuroPlastic

if keras.backend.backend() != "jax":
    pytest.skip("the JAX backend only", allow_module_level=True)
import jax
from jax import export, lax
from jax import numpy as jnp

# The step has other ways from 2**12, 2**15 and 2**17 elements on.
SHAPES = [(512, 256), (128, 256), (16, 8), (3,), ()]
STEPS = 5


def drawn(*seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


@pytest.fixture
def built():
    """A function that makes a step, weights and the state before the first step."""
    optimizer = NeuroPlastic()
    weights = drawn(0)
    optimizer.build([keras.Variable(x) for x in weights])
    return optimizer.stateless_apply, weights, [v.value for v in optimizer.variables]


def one_by_one(step, weights, state, gradients):
    for g in gradients:
        weights, state = step(state, g, weights)
    return weights, state


def stack(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def assert_same(got, want, initial):
    """To two float32 roundings of the largest element."""
    for a, b, x in zip(got, want, initial, strict=True):
        assert_weights(a, b, x, error=0, resolution=2**-22)


def test_scan(built):
    apply, weights, state = built
    gradients = [drawn(1, i) for i in range(STEPS)]

    def body(carry, g):
        weights, state = carry
        return apply(state, g, weights), None

    scan = jax.jit(lambda *carry: lax.scan(body, carry, stack(gradients))[0])
    got = scan(weights, state)
    want = one_by_one(jax.jit(apply), weights, state, gradients)
    assert_same(*map(jax.tree.leaves, (got, want)), weights + state)
    fewer = one_by_one(jax.jit(apply), weights, state, gradients[1:])
    with pytest.raises(AssertionError):
        assert_same(got[0], fewer[0], weights)


def test_vmap_over_an_ensemble(built):
    """Members with weights, slots, gradients and a learning rate of their own."""
    apply, _, state = built
    members = 3
    weights = [drawn(2, i) for i in range(members)]
    states = [[state[0], state[1] * (1 + i), *state[2:]] for i in range(members)]
    gradients = [[drawn(3, i, j) for j in range(2)] for i in range(members)]
    step = jax.jit(apply)
    want = [
        one_by_one(step, *of_one)
        for of_one in zip(weights, states, gradients, strict=True)
    ]
    got = one_by_one(
        jax.jit(jax.vmap(apply)),
        stack(weights),
        stack(states),
        [stack(g[j] for g in gradients) for j in range(2)],
    )
    for i in range(members):
        own = jax.tree.leaves(jax.tree.map(lambda x: x[i], got))  # noqa: B023
        initial = weights[i] + states[i]
        assert_same(own, jax.tree.leaves(want[i]), initial)
        with pytest.raises(AssertionError):
            assert_same(own, jax.tree.leaves(want[i - 1]), initial)


def test_export(built):
    apply, weights, state = built
    step = jax.jit(apply)
    arguments = state, drawn(1), weights
    file = export.export(step)(*arguments).serialize()
    got = export.deserialize(file).call(*arguments)
    assert_identical(*map(jax.tree.leaves, (got, step(*arguments))))


def test_donation(built):
    apply, weights, state = built
    want = jax.jit(apply)(state, drawn(1), weights)
    donated = jax.tree.map(jnp.array, (state, drawn(1), weights))
    got = jax.jit(apply, donate_argnums=(0, 2))(*donated)
    assert_identical(*map(jax.tree.leaves, (got, want)))
    assert all(x.is_deleted() for x in donated[0][2:] + donated[2])


# Two processes, for JAX starts and compiles in each.
CONTRACTS = [["mapped_contract", "sharded_contract"], ["sharded_training"]]


@pytest.mark.parametrize("names", CONTRACTS, ids=" ".join)
def test_several_devices(names):
    files = [f"tests/{name}.py" for name in names]
    options = "-p", "no:xdist", "-p", "no:cacheprovider", "-q"
    output = finish(start("pytest", *files, *options, devices=4))
    assert " passed" in output
