"""The optimizers under contract, each beside a NumPy twin that knows its weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from reference import Reference
from reference_modulated import ModulatedReference, MomentumReference, variant
from toy import JIT

from keras_neuroplastic import NeuroPlastic, PlasticityModulated


class AdamReference(Reference):
    """Adam, the control, as Keras spells it: epsilon beside the corrected root."""

    def step(self, g):
        g = np.array(g, "float64")
        self.steps += 1
        self.momentum = self.beta_1 * self.momentum + (1 - self.beta_1) * g
        self.variance = self.beta_2 * self.variance + (1 - self.beta_2) * g**2
        correction = np.sqrt(1 - self.beta_2**self.steps) / (
            1 - self.beta_1**self.steps
        )
        eta = self.learning_rate
        u = correction * self.momentum / (np.sqrt(self.variance) + self.epsilon)
        self.theta = self.theta - eta * self.weight_decay * self.theta - eta * u
        return self.theta


class VelocityReference(MomentumReference):
    """SGD(momentum=0.9) as Keras spells it: η goes into the momentum."""

    def step(self, g):
        eta = self.learning_rate
        self.momentum = 0.9 * self.momentum - eta * np.array(g, "float64")
        decay = eta * self.weight_decay * self.theta
        self.theta = self.theta - decay + self.momentum
        return self.theta


def modulated(inner, **options):
    """What makes a PlasticityModulated, from the arguments of the inner optimizer."""

    def make(**arguments):
        return PlasticityModulated(inner(**arguments), **options)

    return make


def modulated_adam(**arguments):
    """As by default, at a rate that shows."""
    return PlasticityModulated(keras.optimizers.Adam(0.01, **arguments))


# Further ones for tests of what surrounds a step, where nothing has to be compiled.
UNCOMPILED = [modulated_adam] if keras.backend.backend() == "torch" else []

ADAM = partial(AdamReference, beta_2=0.999, epsilon=1e-7)
# float32 keeps four digits of the correction 1 - 0.999**t.
ADAM_ERROR = 1e-4
# All signals, a limit, and what follows it.
LIMITED = {"strength": 0.5, "max_ratio": 0.25}
STABILIZED = {"max_update_norm": 1.0, "adaptation_rate": 0.01}
WEIGHTS = {"activity_weight": 0.4, "gradient_weight": 0.4, "memory_weight": 0.2}


@dataclass(frozen=True)
class Entry:
    """How to make an optimizer and its twin, and how exact a float32 step is."""

    optimizer: Callable
    twin: Callable
    error: float
    of_keras: bool = False  # or around one


LINEUP = {
    "default": Entry(NeuroPlastic, Reference, 1e-6),
    "gradient_only": Entry(
        NeuroPlastic.gradient_only, partial(Reference, weights=(0, 1, 0)), 1e-6
    ),
    "paper": Entry(
        partial(NeuroPlastic.paper, steps_per_epoch=2),
        partial(Reference, plasticity_scale=lambda step: 2 * min(step // 2 / 2, 1)),
        1e-6,
    ),
    "adam": Entry(keras.optimizers.Adam, ADAM, ADAM_ERROR, of_keras=True),
    "modulated_adam": Entry(
        modulated(keras.optimizers.Adam),
        variant(ModulatedReference, inner=ADAM),
        ADAM_ERROR,
        of_keras=True,
    ),
    "modulated_sgd": Entry(
        modulated(
            partial(keras.optimizers.SGD, momentum=0.9),
            **LIMITED,
            **STABILIZED,
            **WEIGHTS,
        ),
        partial(
            variant(ModulatedReference, inner=VelocityReference, **LIMITED),
            **STABILIZED,
            weights=tuple(WEIGHTS.values()),
        ),
        1e-6,
        of_keras=True,
    ),
}


def value(variable):
    """A copy of the variable's value, which later steps do not reach."""
    return np.array(keras.ops.convert_to_numpy(variable))


def tensors(*arrays, dtype="float32"):
    """Each as a tensor, but for sparse gradients."""
    return [
        array
        if hasattr(array, "todense")
        else keras.ops.convert_to_tensor(array, dtype)
        for array in arrays
    ]


def stepper(optimizer, variables, dtype="float32"):
    """A function that makes one step, as `fit` does: compiled where that traces.

    It takes the gradients as arrays, and makes tensors of the `dtype` of them.
    """
    optimizer.build(variables)
    backend = keras.backend.backend()
    if backend == "torch":
        return lambda grads: optimizer.apply(tensors(*grads, dtype=dtype), variables)
    if backend == "tensorflow":
        import tensorflow as tf

        def apply(grads):
            optimizer.apply(grads, variables)

        graph = tf.function(apply, jit_compile=JIT is True)
        return lambda grads: graph(tensors(*grads, dtype=dtype))
    import jax

    compiled = jax.jit(optimizer.stateless_apply)

    def step(grads):
        values, state = compiled(
            [v.value for v in optimizer.variables],
            tensors(*grads, dtype=dtype),
            [v.value for v in variables],
        )
        targets = [*variables, *optimizer.variables]
        for variable, x in zip(targets, [*values, *state], strict=True):
            variable.assign(x)

    return step


def assert_weights(got, want, initial, error, resolution=2**-21):
    """`got` is `want` within `error` of the distance moved since `initial`.

    And within a few roundings of its own size to float32, the default `resolution`.
    """
    got, want, initial = (np.asarray(x, "float64") for x in (got, want, initial))
    assert got.shape == want.shape
    moved = np.max(np.abs(want - initial), initial=0.0)
    allowed = error * moved + resolution * np.max(np.abs(want), initial=0.0)
    assert np.max(np.abs(got - want), initial=0.0) <= allowed
