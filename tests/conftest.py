"""What every test shares: the backend's peculiarities and a fixed seed."""

import os

if os.environ.get("KERAS_BACKEND") == "torch":
    import torch  # noqa: F401  # before tensorflow, or the process may crash

import keras
import pytest

collect_ignore = ["typed_use.py"]  # for mypy alone

# How studies are planned, kept and reported is the same on every backend: it is tried
# where nothing has to be compiled first.
if keras.backend.backend() != "torch":
    collect_ignore_glob = ["test_study_*.py", "test_evidence.py"]


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(41)


@pytest.fixture
def float64():
    """Makes float64 the default dtype of Keras, and allows it in JAX."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    yield "float64"
    keras.config.set_floatx("float32")
    if keras.backend.backend() == "jax":
        jax.config.update("jax_enable_x64", False)
