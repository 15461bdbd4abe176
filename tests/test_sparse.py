"""Sparse gradients give the weights of dense ones."""

import keras
import numpy as np
import pytest
from keras import ops
from lineup import stepper
from toy import JIT, assert_close, weights

from keras_neuroplastic import NeuroPlastic, PlasticityModulated

BACKEND = keras.backend.backend()
ROWS, WIDTH = 10, 3
INDICES = [3, 1, 3, 3, 7]  # row 3 three times


def sparse_and_dense():
    """The same gradient twice, the sparse one with a row for each lookup."""
    values = np.random.default_rng(0).normal(size=(len(INDICES), WIDTH))
    values = values.astype("float32")
    dense = np.zeros((ROWS, WIDTH), "float32")
    np.add.at(dense, INDICES, values)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        sparse = tf.IndexedSlices(values, INDICES)  # without a dense shape
    elif BACKEND == "jax":
        import jax.numpy as jnp
        from jax.experimental.sparse import BCOO

        rows = jnp.array(INDICES)[:, None]
        sparse = BCOO((jnp.array(values), rows), shape=(ROWS, WIDTH))
    else:
        import torch

        sparse = torch.sparse_coo_tensor(
            [INDICES], values, (ROWS, WIDTH), check_invariants=True
        )
    return sparse, ops.convert_to_tensor(dense)


def modulated(**arguments):
    """Around an optimizer for which it matters that rows are summed."""
    return PlasticityModulated(
        NeuroPlastic(**arguments),
        activity_weight=0.5,
        gradient_weight=0.3,
        memory_weight=0.2,
    )


def around_sgd(**arguments):
    """Around one that takes sparse gradients as they come, where Keras's does."""
    return PlasticityModulated(keras.optimizers.SGD(0.1, momentum=0.9, **arguments))


OPTIONS = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.1},
    "clipvalue": {"clipvalue": 0.5},
    "global_clipnorm": {"global_clipnorm": 0.1},
    "loss scale": {"loss_scale_factor": 4.0},
    "accumulation": {"gradient_accumulation_steps": 2},
    "skipping": {"skip_nonfinite": True},
}


@pytest.mark.parametrize(
    ("make", "options"),
    [
        *((NeuroPlastic, options) for options in OPTIONS),
        *((modulated, options) for options in ("plain", "clipnorm", "accumulation")),
    ],
)
def test_a_sparse_gradient_is_its_dense_sum(make, options):
    variables = [
        keras.Variable(np.ones((ROWS, WIDTH)), dtype="float32") for _ in range(2)
    ]
    gradients = sparse_and_dense()
    states = []
    for variable, gradient in zip(variables, gradients, strict=True):
        optimizer = make(**OPTIONS[options])
        for _ in range(4):
            optimizer.apply([gradient], [variable])
        states.append([v.numpy() for v in optimizer.variables])
    assert_close(*[[v.numpy()] for v in variables], 1e-7)
    assert_close(*states, 1e-7)
    assert np.any(variables[0].numpy() != 1)


@pytest.mark.skipif(
    BACKEND != "jax", reason="TensorFlow's are those of the layer below"
)
@pytest.mark.parametrize("make", [NeuroPlastic, modulated])
def test_a_sparse_gradient_in_a_loss_scale_optimizer(make):
    """Compiled, as in `fit`: the weights and slots of the dense run."""
    states = []
    for gradient in sparse_and_dense():
        inner = make()
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
        variable = keras.Variable(np.ones((ROWS, WIDTH)), dtype="float32")
        step = stepper(optimizer, [variable])
        for _ in range(3):
            step([gradient])
        states.append([v.numpy() for v in (variable, *inner.variables)])
    assert_close(*states, 1e-7)
    assert np.any(states[0][0] != 1)


def embedding_model(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(ROWS, WIDTH, name="embedding"),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, loss="mse", jit_compile=JIT)
    return model


class DenseLookup(keras.layers.Embedding):
    """The same numbers through a product with one-hot vectors."""

    def call(self, inputs):
        return ops.one_hot(inputs, self.input_dim) @ self.embeddings


def train(model):
    rng = np.random.default_rng(1)
    x = rng.integers(0, ROWS, size=(32, 4))
    y = rng.normal(size=(32, 1)).astype("float32")
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return weights(model)


# In a model TensorFlow alone hands out sparse gradients by itself.
COMBINED = OPTIONS if BACKEND == "tensorflow" and JIT is not True else ["plain"]


@pytest.mark.parametrize(
    "options", [*COMBINED, "dynamic loss scale", "modulated", "modulated sgd"]
)
def test_embedding_layer(options, monkeypatch):
    def make():
        if options == "dynamic loss scale":
            return keras.optimizers.LossScaleOptimizer(NeuroPlastic())
        if options == "modulated":
            return modulated()
        if options == "modulated sgd":
            return around_sgd()
        return NeuroPlastic(**OPTIONS[options])

    sparse = train(embedding_model(make()))
    monkeypatch.setattr(keras.layers, "Embedding", DenseLookup)
    dense = train(embedding_model(make()))
    assert_close(sparse, dense, 1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="mends what TensorFlow hands out")
def test_rows_that_are_not_summed_are_noticed(monkeypatch):
    import tensorflow as tf

    def last_row_wins(gradient, variable):
        if isinstance(gradient, tf.IndexedSlices):
            rows = tf.expand_dims(gradient.indices, 1)
            zeros = tf.zeros(variable.shape)
            return tf.tensor_scatter_nd_update(zeros, rows, gradient.values)
        return gradient

    with monkeypatch.context() as patch:
        patch.setattr("keras_neuroplastic._updating.densify", last_row_wins)
        with pytest.raises(AssertionError):
            test_a_sparse_gradient_is_its_dense_sum(NeuroPlastic, "plain")
    with monkeypatch.context() as patch:
        patch.setattr("keras_neuroplastic.modulated.densify", last_row_wins)
        with pytest.raises(AssertionError):
            test_embedding_layer("modulated sgd", patch)
