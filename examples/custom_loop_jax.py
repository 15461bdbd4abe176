"""NeuroPlastic in a training loop of one's own, on JAX: scikit-learn's digits.

python -m examples.custom_loop_jax
"""

import os

os.environ["KERAS_BACKEND"] = "jax"  # before the import of keras

import jax
import keras
import numpy as np

from examples.custom_loop import BATCH_SIZE, load_data, make_model, run
from keras_neuroplastic import NeuroPlastic


def train(epochs):
    """Trains and prints; returns the last test accuracy."""
    x, x_test, y, y_test = load_data()
    model = make_model()
    optimizer = NeuroPlastic()
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def compute_loss(trainable, non_trainable, x, y):
        logits, non_trainable = model.stateless_call(
            trainable, non_trainable, x, training=True
        )
        return loss_function(y, logits), non_trainable

    @jax.jit
    def step(state, x, y):
        trainable, non_trainable, slots = state
        gradient = jax.value_and_grad(compute_loss, has_aux=True)
        (loss, non_trainable), gradients = gradient(trainable, non_trainable, x, y)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return loss, (trainable, non_trainable, slots)

    variables = (
        model.trainable_variables,
        model.non_trainable_variables,  # the random state of dropout is among them
        optimizer.variables,
    )
    state = tuple([v.value for v in group] for group in variables)
    for epoch in range(1, epochs + 1):
        order = np.random.permutation(len(x))
        for start in range(0, len(x), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            loss, state = step(state, x[batch], y[batch])
        logits, _ = model.stateless_call(*state[:2], x_test, training=False)
        accuracy = float((logits.argmax(-1) == y_test).mean())
        print(f"epoch {epoch}: loss {loss:.4f}, test accuracy {accuracy:.4f}")

    for group, values in zip(variables, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)  # now model.save() saves what was trained
    return accuracy


def main(argv=None):
    return run(train, __doc__, argv)


if __name__ == "__main__":
    main()
