"""A small model and its data, for tests of what surrounds a step."""

import os

import keras
import numpy as np

BATCH = 16
BATCHES_PER_EPOCH = 4
# TensorFlow compiles by itself only where there is a GPU.
JIT = True if os.environ.get("JIT_COMPILE") else "auto"


def data():
    """64 samples, 4 batches an epoch."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(BATCH * BATCHES_PER_EPOCH, 6)).astype("float32")
    return x, np.tanh(x @ rng.normal(size=(6, 2))).astype("float32")


def make_model(optimizer=None, dtype=None, seed=3, **compile_options):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="tanh", dtype=dtype, name="hidden"),
            keras.layers.Dense(2, dtype=dtype, name="output"),
        ],
        name="toy",
    )
    if optimizer is not None:
        options = {"loss": "mse", "jit_compile": JIT, **compile_options}
        model.compile(optimizer=optimizer, **options)
    return model


def fit(model, epochs=1, batch=BATCH, **options):
    x, y = data()
    model.fit(
        x, y, batch_size=batch, epochs=epochs, shuffle=False, verbose=0, **options
    )
    return model


def weights(model):
    return [np.array(w) for w in model.get_weights()]


def assert_identical(got, want):
    for a, b in zip(got, want, strict=True):
        assert np.all(np.isfinite(b))
        np.testing.assert_array_equal(a, b)


def assert_close(got, want, tolerance=2e-6):
    """Within a dozen float32 roundings of values of about one."""
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance, equal_nan=False
        )
