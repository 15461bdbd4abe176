"""Training that is saved and loaded goes on as if it had never stopped."""

import copy
import functools
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from save_and_continue import EVERY, numbers
from save_and_continue import OPTIMIZERS as CONTINUED
from toy import assert_close, assert_identical, data, fit, make_model, weights

from keras_neuroplastic import (
    BoundedResidual,
    NeuroPlastic,
    OrthogonalResidual,
    PlasticityModulated,
    PlasticityWarmup,
)

TESTS = Path(__file__).parent
BACKEND = keras.backend.backend()

MODULATED = [name for name in CONTINUED if name != "neuroplastic"]


def multi_optimizer():
    kernels = NeuroPlastic(plasticity_scale=PlasticityWarmup(10, 2.0))
    # Loading shortens the paths of variables, so the pattern must not start them.
    mapping = keras.optimizers.OptimizerMap(
        keras.optimizers.AdamW(), {".*kernel": kernels}
    )
    return keras.optimizers.MultiOptimizer(mapping)


OPTIMIZERS = {
    "plain": NeuroPlastic,
    "options": lambda: NeuroPlastic(
        activity_weight=0.0,
        gradient_weight=0.7,
        memory_weight=0.3,
        max_update_norm=None,
        skip_nonfinite=True,
        weight_decay=0.01,
        weight_decay_exclude="bias",
        clipnorm=1.0,
    ),
    "gradient only": NeuroPlastic.gradient_only,
    "schedules": lambda: NeuroPlastic(
        learning_rate=keras.optimizers.schedules.CosineDecay(0.1, 16),
        plasticity_scale=PlasticityWarmup(10, 2.0, stair_steps=3),
    ),
    "accumulation": lambda: NeuroPlastic(gradient_accumulation_steps=3),
    "average": lambda: NeuroPlastic(use_ema=True, ema_overwrite_frequency=3),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(
        NeuroPlastic(), dynamic_growth_steps=3
    ),
    "multi": multi_optimizer,
    "modulated average": lambda: PlasticityModulated(
        keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=3)
    ),
    "modulated accumulation": lambda: PlasticityModulated(
        keras.optimizers.Adam(gradient_accumulation_steps=3)
    ),
    "loss scale of modulated": lambda: keras.optimizers.LossScaleOptimizer(
        PlasticityModulated(keras.optimizers.Adam()), dynamic_growth_steps=3
    ),
    **{f"modulated {name}": CONTINUED[name] for name in MODULATED},
}


# One of each kind on TensorFlow, where each is traced for seconds; every one where
# nothing is compiled.
if BACKEND == "torch":
    OPTIMIZERS |= EVERY
FILED = OPTIMIZERS
if BACKEND == "tensorflow":
    FILED = ["plain", "average", "accumulation", "loss scale", "multi", "modulated sgd"]


@pytest.mark.parametrize("name", FILED)
def test_keras_file(name, tmp_path):
    if name == "multi" and not hasattr(keras.optimizers, "OptimizerMap"):
        pytest.skip("this Keras has no MultiOptimizer yet")
    model = fit(make_model(OPTIMIZERS[name]()))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert_identical(
        [v.numpy() for v in loaded.optimizer.variables],
        [v.numpy() for v in model.optimizer.variables],
    )
    assert_identical(weights(fit(loaded)), weights(fit(model)))


def test_a_fresh_optimizer_would_have_gone_elsewhere():
    """So the state in the files of the tests here matters."""
    model, fresh = fit(make_model(NeuroPlastic())), make_model(NeuroPlastic())
    fresh.set_weights(model.get_weights())
    with pytest.raises(AssertionError):
        assert_close(weights(fit(fresh)), weights(fit(model)))


@pytest.mark.parametrize(
    "name", ["options", "schedules", "accumulation", "modulated sgd", "modulated user"]
)
def test_config(name):
    optimizer = OPTIMIZERS[name]()
    config = optimizer.get_config()
    written = json.loads(json.dumps(config))
    again = type(optimizer).from_config(written)
    assert again.get_config() == config
    assert written == config  # from_config has left it as it was


def test_config_of_an_older_version():
    """Written by version 0.1.0; it must load for ever."""
    config = json.loads((TESTS / "fixtures" / "config_0.1.0.json").read_text())
    optimizer = keras.saving.deserialize_keras_object(config)
    assert isinstance(optimizer, NeuroPlastic)
    assert optimizer.plasticity_scale.get_config() == {
        "warmup_steps": 20,
        "scale": 2.0,
        "stair_steps": 10,
    }
    assert (
        optimizer.get_config().items()
        >= {
            **config["config"],
            "plasticity_scale": optimizer.get_config()["plasticity_scale"],
        }.items()
    )


# To save a file Keras would load TensorFlow, for seconds, and need nothing of it.
LEAN = """
import runpy, sys
sys.modules["tensorflow"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_script(backend, *arguments, **options):
    lean = [] if backend == "tensorflow" else ["-c", LEAN]
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
    }
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", *lean, *map(str, arguments)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_file_continues_on_this_backend(tmp_path):
    """Saved by another one after one epoch, and its weights after a second.

    Each backend writes for one and reads from one. Files of this backend are the matter
    of `test_keras_file`, bit by bit.
    """
    other = {"jax": "tensorflow", "tensorflow": "torch", "torch": "jax"}[BACKEND]
    pytest.importorskip(other)
    process = run_script(other, TESTS / "save_and_continue.py", tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    for name in CONTINUED:
        model = keras.models.load_model(tmp_path / f"{name}.keras")
        if BACKEND == "torch" and name != "neuroplastic":
            model.jit_compile = False  # which takes a minute where JAX said so
        start = weights(model)
        with np.load(tmp_path / f"{name}.npz") as file:
            want = [file[key] for key in file.files]
        assert_close(weights(fit(model)), want)
        with pytest.raises(AssertionError):
            assert_close(start, want)
    for name in EVERY:
        optimizer = keras.models.load_model(tmp_path / f"{name}.keras").optimizer
        assert_identical([v.numpy() for v in optimizer.variables], numbers(optimizer))


def test_backup_and_restore_after_a_kill(tmp_path):
    """SIGKILL in the middle of the third epoch, then the same script again."""
    arguments = [TESTS / "train_with_backup.py", tmp_path / "backup"]
    killed = run_script(BACKEND, *arguments, "--die-in-epoch", "3")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    resumed = run_script(BACKEND, *arguments, "--weights", tmp_path / "weights.npz")
    _, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    with np.load(tmp_path / "weights.npz") as file:
        got = [file[key] for key in file.files if key != "epochs_run"]
        assert file["epochs_run"] == 3  # of five: the first two were not repeated
    optimizer = NeuroPlastic(plasticity_scale=PlasticityWarmup(10, 2.0))
    assert_identical(got, weights(fit(make_model(optimizer), epochs=5)))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("name", ["plain", "modulated adam", "modulated nadam"])
def test_tensorflow_checkpoint(name, tmp_path):
    import tensorflow as tf

    model = fit(make_model(OPTIMIZERS[name]()))
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    path = checkpoint.save(str(tmp_path / "checkpoint"))
    want = weights(fit(model))
    checkpoint.restore(path).assert_consumed()
    assert_identical(weights(fit(model)), want)


def pickled(optimizer):
    return pickle.loads(pickle.dumps(optimizer))


def copied_twice(optimizer):
    return copy.deepcopy(copy.deepcopy(optimizer))


@pytest.mark.parametrize(
    ("copied", "name"),
    [
        (pickled, "schedules"),
        (copied_twice, "average"),
        (pickled, "modulated nadam"),
        (copy.deepcopy, "modulated average"),
        (copied_twice, "modulated user"),
    ],
)
def test_a_copied_optimizer_keeps_its_state(copied, name):
    model = fit(make_model(OPTIMIZERS[name]()))
    optimizer = copied(model.optimizer)
    assert int(optimizer.iterations) == 4
    twin = make_model(optimizer)
    twin.set_weights(model.get_weights())
    assert_identical(weights(fit(twin)), weights(fit(model)))


@pytest.mark.parametrize("name", ["plain", "modulated sgd"])
@pytest.mark.parametrize("shapes", [[(3,)], [(3,), (2,), (2,)], [(3,), (4,)]])
def test_a_copied_optimizer_is_for_variables_like_those_it_had(name, shapes):
    optimizer = OPTIMIZERS[name]()
    optimizer.build([keras.Variable(np.ones(n)) for n in (3, 2)])
    copied = pickled(optimizer)
    for _ in range(2):  # it is not half built then
        with pytest.raises(ValueError, match="must be built on variables of the same"):
            copied.build([keras.Variable(np.ones(shape)) for shape in shapes])
    copied.build([keras.Variable(np.ones(n)) for n in (3, 2)])


def test_a_copied_optimizer_modulates_what_it_did():
    def named(*names):
        return [keras.Variable(np.ones(3), name=name) for name in names]

    optimizer = PlasticityModulated("sgd", modulate="kernel")
    optimizer.build(named("kernel", "bias"))
    with pytest.raises(ValueError, match="traced alike"):
        pickled(optimizer).build(named("kernel_a", "kernel_b"))
    pickled(optimizer).build(named("kernel", "other"))


RATE = 0.05


def rate():
    return RATE


@pytest.mark.parametrize(
    "make", [NeuroPlastic, lambda rate: PlasticityModulated(keras.optimizers.SGD(rate))]
)
def test_a_copied_optimizer_whose_rate_is_a_function(make):
    for copied, function in [
        (pickled, rate),
        (copied_twice, rate),
        (copied_twice, lambda: RATE),
        (copied_twice, functools.partial(float, RATE)),
    ]:
        optimizer = make(function)
        assert float(copied(optimizer).learning_rate) == np.float32(RATE)
        assert float(optimizer.learning_rate) == np.float32(RATE)


class WithPart(NeuroPlastic):
    """A subclass that keeps an object of its own, as Keras says how."""

    def __init__(self, part, **kwargs):
        super().__init__(**kwargs)
        self.part = part

    def get_config(self):
        part = keras.saving.serialize_keras_object(self.part)
        return {**super().get_config(), "part": part}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        part = keras.saving.deserialize_keras_object(config["part"])
        return super().from_config({**config, "part": part}, custom_objects)


def test_a_copied_optimizer_with_an_object_of_its_own():
    part = keras.optimizers.schedules.CosineDecay(0.1, 7)
    assert pickled(WithPart(part)).part.get_config() == part.get_config()


@pytest.mark.parametrize(
    "residual", [BoundedResidual(0.3), OrthogonalResidual(0.4, 0.25, True)]
)
def test_a_residual_is_saved_and_copied(residual, tmp_path):
    model = fit(make_model(NeuroPlastic(residual=residual)))
    assert copy.deepcopy(model.optimizer).residual == residual
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.optimizer.residual == residual
    assert_identical(weights(fit(again)), weights(fit(model)))


def test_a_copied_optimizer_around_one_that_was_built():
    variable = keras.Variable(np.ones(3))
    inner = keras.optimizers.Adam()
    inner.apply([keras.ops.ones(3)], [variable])
    copied = pickled(PlasticityModulated(inner))
    copied.build([keras.Variable(np.ones(3))])
    assert int(copied.iterations) == 1
    assert_identical(
        [v.numpy() for v in copied.inner_optimizer.variables],
        [v.numpy() for v in inner.variables],
    )


@pytest.mark.parametrize("name", ["plain", "modulated sgd"])
def test_a_pickled_model_continues(name):
    model = fit(make_model(OPTIMIZERS[name]()))
    twin = pickle.loads(pickle.dumps(model))
    assert_identical(weights(fit(twin)), weights(fit(model)))


@pytest.mark.parametrize("name", ["plain", "modulated adam"])
def test_load_weights_wants_a_built_optimizer(name, tmp_path):
    path = tmp_path / "model.weights.h5"
    model = fit(make_model(OPTIMIZERS[name]()))
    model.save_weights(path)

    unbuilt = make_model(OPTIMIZERS[name]())
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        unbuilt.load_weights(path)

    built = make_model(OPTIMIZERS[name]())
    built.optimizer.build(built.trainable_variables)
    built.load_weights(path)
    x, y = data()
    built.train_on_batch(x, y)
    model.train_on_batch(x, y)
    assert_identical(weights(built), weights(model))
