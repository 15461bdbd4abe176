"""One step of each optimizer, compiled as `fit` compiles it, ready to be timed."""

import math

import keras
import numpy as np
from keras.optimizers import SGD, Adam, AdamW, Lion, Muon

from keras_neuroplastic import NeuroPlastic, PlasticityModulated


def watched(make):
    """The optimizer, collecting statistics."""
    optimizer = make()
    optimizer.collect_statistics()
    return optimizer


KERAS = {
    "NeuroPlastic": NeuroPlastic,
    "NeuroPlastic watched": lambda: watched(NeuroPlastic),
    "gradient-only": NeuroPlastic.gradient_only,
    "plastic Adam": lambda: PlasticityModulated(Adam()),
    "plastic Adam watched": lambda: watched(lambda: PlasticityModulated(Adam())),
    "plastic SGD": lambda: PlasticityModulated(SGD()),
    "plastic momentum": lambda: PlasticityModulated(SGD(momentum=0.9)),
    "plastic AdamW": lambda: PlasticityModulated(AdamW()),
    "plastic Lion": lambda: PlasticityModulated(Lion()),
    "plastic Muon": lambda: PlasticityModulated(Muon()),
    "Adam": Adam,
    "AdamW": AdamW,
    "SGD": SGD,
    "SGD momentum": lambda: SGD(momentum=0.9),
    "Lion": Lion,
    "Muon": Muon,
}
NATIVE = {
    "jax": ["optax.adam"],
    "tensorflow": ["NeuroPlastic uncompiled", "Adam uncompiled"],
    "torch": ["torch Adam foreach", "torch Adam fused", "NeuroPlastic compiled"],
}


def names():
    """Every contestant on this backend; what is not Keras's own comes last."""
    return [*KERAS, *NATIVE[keras.backend.backend()]]


def arrays(shapes, scale, seed):
    rng = np.random.default_rng(seed)
    return [scale * rng.standard_normal(shape, dtype="float32") for shape in shapes]


def gradients(shapes):
    """Gradients of the size that training a network has."""
    return [keras.ops.convert_to_tensor(g) for g in arrays(shapes, 1e-3, seed=2)]


def contestant(name, shapes, grads):
    """A function that makes one step and waits for its end, and the state's bytes."""
    weights = arrays(shapes, 0.05, seed=1)
    if name == "optax.adam":
        return optax_step(weights, grads)
    if name.startswith("torch Adam"):
        return torch_step(weights, grads, name.split()[-1])
    optimizer = KERAS[name.removesuffix(" compiled").removesuffix(" uncompiled")]()
    variables = [keras.Variable(w, dtype="float32") for w in weights]
    optimizer.build(variables)
    slots = sum(math.prod(v.shape) for v in optimizer.variables if len(v.shape))
    if keras.backend.backend() == "jax":
        return keras_jax_step(optimizer, variables, grads), 4 * slots

    def step():
        optimizer.apply(grads, variables)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        step = tf.function(step, jit_compile=not name.endswith(" uncompiled"))
    elif name.endswith(" compiled"):
        import torch

        step = torch.compile(step)
    return waiting(step), 4 * slots


def waiting(step):
    """PyTorch leaves a GPU behind its back; the CPU of both backends has finished."""
    if keras.backend.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return lambda: (step(), torch.cuda.synchronize())
    return step


def keras_jax_step(optimizer, variables, grads):
    def step(trainable, slots, grads):
        return optimizer.stateless_apply(slots, grads, trainable)

    return jax_runner(
        step,
        [v.value for v in variables],
        [v.value for v in optimizer.variables],
        grads,
    )


def optax_step(weights, grads):
    import jax
    import optax

    optimizer = optax.adam(1e-3)

    def step(trainable, state, grads):
        updates, state = optimizer.update(grads, state, trainable)
        return optax.apply_updates(trainable, updates), state

    weights = [jax.numpy.asarray(w) for w in weights]
    state = jax.jit(optimizer.init)(weights)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state) if leaf.ndim)
    return jax_runner(step, weights, state, grads), size


def jax_runner(step, trainable, state, grads):
    """`step` jitted, its two states donated in the order in which they return."""
    import jax

    compiled = jax.jit(step, donate_argnums=(0, 1))
    held = [trainable, state]

    def run():
        held[:] = compiled(*held, grads)
        jax.block_until_ready(held)

    return run


def torch_step(weights, grads, kind):
    import torch

    parameters = [
        torch.nn.Parameter(torch.from_numpy(w).to(g.device))
        for w, g in zip(weights, grads, strict=True)
    ]
    for parameter, gradient in zip(parameters, grads, strict=True):
        parameter.grad = gradient
    optimizer = torch.optim.Adam(parameters, **{kind: True})
    return waiting(optimizer.step), 8 * sum(p.numel() for p in parameters)
