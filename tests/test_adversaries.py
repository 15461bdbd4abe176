"""Two optimizers in one compiled step, as in a GAN, each with its own variables."""

import keras
import numpy as np
import pytest
from keras import ops
from lineup import assert_weights, value
from reference import Reference

from keras_neuroplastic import NeuroPlastic

BACKEND = keras.backend.backend()
STEPS = 4
OPTIONS = {
    "generator": {"learning_rate": 0.05, "activity_decay": 0.9},
    "critic": {"learning_rate": 0.2, "beta_2": 0.9},
}
SHAPES = {"generator": [(3, 4), (4,)], "critic": [(4, 5), (5,)]}


def drawn(shapes, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


NOISE, REAL = drawn([(16, 3), (16, 4)], 0)
INITIAL = {name: drawn(shapes, 1) for name, shapes in SHAPES.items()}


def losses(generator, critic):
    """What each of the two wants to be small."""

    def score(x):
        return ops.sum(ops.tanh(x @ critic[0] + critic[1]), -1)

    made = ops.tanh(ops.convert_to_tensor(NOISE) @ generator[0] + generator[1])
    real = ops.softplus(-score(ops.convert_to_tensor(REAL)))
    return {
        "critic": ops.mean(real + ops.softplus(score(made))),
        "generator": ops.mean(ops.softplus(-score(made))),
    }


def slopes(name, variables):
    """The gradients of one's loss by its own variables, where variables hold them."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = losses(**variables)[name]
        return tape.gradient(loss, [v.value for v in variables[name]])
    import torch

    own = [v.value for v in variables[name]]
    return list(torch.autograd.grad(losses(**variables)[name], own))


def duel(optimizers, variables):
    """A function that steps the critic, then the generator; it returns gradients."""

    def step():
        found = {}
        for name in ("critic", "generator"):
            found[name] = slopes(name, variables)
            optimizers[name].apply(found[name], variables[name])
        return found

    if BACKEND == "torch":
        return step
    import tensorflow as tf

    return tf.function(step)


def jax_duel(optimizers, variables):
    import jax

    @jax.jit
    def stateless(values, states):
        found = {}
        for name in ("critic", "generator"):

            def loss(own, name=name, values=values):
                return losses(**{**values, name: own})[name]

            found[name] = jax.grad(loss)(values[name])
            step = optimizers[name].stateless_apply
            own, state = step(states[name], found[name], values[name])
            values, states = {**values, name: own}, {**states, name: state}
        return found, values, states

    def step():
        of_optimizers = {name: o.variables for name, o in optimizers.items()}
        now = [
            {name: [v.value for v in group] for name, group in groups.items()}
            for groups in (variables, of_optimizers)
        ]
        found, *new = stateless(*now)
        for groups, arrays in zip((variables, of_optimizers), new, strict=True):
            for name, group in groups.items():
                for variable, array in zip(group, arrays[name], strict=True):
                    variable.assign(array)
        return found

    return step


def test_two_optimizers_in_one_step():
    variables = {k: [keras.Variable(x) for x in group] for k, group in INITIAL.items()}
    optimizers = {name: NeuroPlastic(**OPTIONS[name]) for name in SHAPES}
    for name, optimizer in optimizers.items():
        optimizer.build(variables[name])
    step = (jax_duel if BACKEND == "jax" else duel)(optimizers, variables)
    found = [step() for _ in range(STEPS)]
    for name, other in (("generator", "critic"), ("critic", "generator")):
        assert value(optimizers[name].iterations) == STEPS
        for i, x in enumerate(INITIAL[name]):
            twin, wrong = Reference(x, **OPTIONS[name]), Reference(x, **OPTIONS[other])
            for gradients in found:
                g = ops.convert_to_numpy(gradients[name][i])
                twin.step(g)
                wrong.step(g)
            got = value(variables[name][i])
            assert_weights(got, twin.theta, x, 1e-6)
            with pytest.raises(AssertionError):
                assert_weights(got, wrong.theta, x, 1e-6)
