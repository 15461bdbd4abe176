"""What every test shares: the backend's peculiarities and a fixed seed."""

import gc
import os
from contextlib import suppress
from functools import cache

import pytest

# Compilers keep a million objects, which it would go through again and again.
gc.set_threshold(50_000, 20, 100)


def pytest_collection_finish():
    """All is imported that stays: each `clear_session` would go through it, too."""
    if backend() == "torch":
        with suppress(ImportError):
            import tensorflow  # noqa: F401  # which reads the data of studies
    gc.collect()
    gc.freeze()


@cache
def backend():
    """Imported where tests are collected: xdist's controller collects none."""
    if os.environ.get("KERAS_BACKEND") == "torch":
        import torch  # noqa: F401  # before tensorflow, or the process may crash
    import keras

    return keras.backend.backend()


def pytest_ignore_collect(collection_path):
    """How studies are planned, kept and reported is the same on every backend.

    It is tried where nothing has to be compiled first.
    """
    name = collection_path.name
    if name == "typed_use.py":  # for mypy alone
        return True
    if name.startswith("test_study_") or name == "test_evidence.py":
        tried_on = ["torch"]
    elif name == "test_study.py":  # running and resuming them, also compiled
        tried_on = ["torch", "jax"]
    else:
        return None
    return None if backend() in tried_on else True


@pytest.fixture(autouse=True, scope="session")
def full_precision():
    """A GPU would multiply matrices of float32 in fewer digits."""
    if backend() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(autouse=True)
def fixed_seed():
    import keras

    keras.utils.set_random_seed(41)


@pytest.fixture(autouse=True)
def gradients():
    """BayesFlow switches them off for the process that imports it."""
    yield
    if backend() == "torch":
        import torch

        torch.set_grad_enabled(True)


def set_dtype(name):
    """Of what is made from now on; `set_floatx` leaves a policy that there is."""
    import keras

    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)


@pytest.fixture
def float64():
    """Makes float64 the default dtype of Keras, and allows it in JAX."""
    if backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    set_dtype("float64")
    yield "float64"
    set_dtype("float32")
    if backend() == "jax":
        jax.config.update("jax_enable_x64", False)
