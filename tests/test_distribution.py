"""Training spread over devices ends where training on one device does.

The examples run in a process of their own, on virtual devices of this machine.
"""

import importlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
from lineup import value
from modulated_example import modulated

from examples.distributed import digits
from keras_neuroplastic import NeuroPlastic

ROOT = Path(__file__).parents[1]
BACKEND = keras.backend.backend()
STEPS = 56  # two epochs of 28 batches
# Sums over devices are rounded in another order: 56 steps add up to about ten
# roundings of the largest element, and 2⁻²⁴ is one.
RESOLUTION = 2**-19

only = {
    name: pytest.mark.skipif(name != BACKEND, reason=f"an example for {name}")
    for name in ("jax", "tensorflow", "torch")
}


def start(*command, devices=1):
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} "
            f"--xla_force_host_platform_device_count={devices}",
            "OMP_NUM_THREADS": "1",  # or the processes fight for the cores
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    try:
        output, _ = process.communicate(timeout=600)
    finally:
        process.kill()  # where it hangs; no matter to one that has ended
    assert process.returncode == 0, output
    return output


def run_example(name, optimizer, folder, devices=1):
    """What the example saved with all its devices, and here with a single one."""
    save = ["--save", str(folder / "many.npz")]
    if optimizer is modulated:
        process = start("modulated_example", name, *save, devices=devices)
    else:
        process = start(f"examples.distributed.{name}", *save, devices=devices)
    keras.utils.clear_session()  # or the optimizer is the second of its name
    example = importlib.import_module(f"examples.distributed.{name}")
    arguments = [name, "--save", str(folder / "one.npz"), "--single"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        patch.setattr(example, "NeuroPlastic", optimizer)
        example.main()
    finish(process)
    return load(folder, "many*.npz"), load(folder, "one*.npz")


def load(folder, pattern):
    """The variables in each of the files, by path."""
    contents = []
    for path in sorted(folder.glob(pattern)):
        with np.load(path) as file:
            contents.append(dict(file))
    return contents


def excess(got, want):
    """The worst deviation of a variable, in units of what is allowed."""
    worst = 0.0
    for name, x in want.items():
        if name != "devices" and not name.startswith("shard/"):
            error = np.max(np.abs(got[name] - x))
            # np.maximum lets a NaN through, to fail every comparison.
            allowed = max(RESOLUTION * np.max(np.abs(x)), 1e-300)
            worst = np.maximum(worst, error / allowed)
    return worst


def check(many, one, optimizer, devices):
    assert one["devices"] == 1
    count = "sgd/iteration" if optimizer is modulated else "neuro_plastic/iteration"
    for got in many:
        assert got["devices"] == devices
        assert got[count] == STEPS
        assert excess(got, one) <= 1
    assert excess(one, without_decay(optimizer)) > 1


@cache
def without_decay(optimizer):
    """The weights of the same training, but for a decay of 1e-4 a step."""
    model = digits.classifier()
    model.compile(optimizer(), digits.loss(), jit_compile=BACKEND == "jax")
    options = {"batch_size": digits.BATCH_SIZE, "epochs": digits.EPOCHS, "verbose": 0}
    model.fit(*digits.data(), shuffle=False, **options)
    return {v.path: value(v) for v in model.trainable_variables}


@only["jax"]
def test_jax_data_parallel(tmp_path):
    many, (one,) = run_example("jax_data_parallel", NeuroPlastic, tmp_path, devices=8)
    check(many, one, NeuroPlastic, devices=8)


@only["jax"]
@pytest.mark.parametrize("optimizer", [NeuroPlastic, modulated])
def test_jax_model_parallel(optimizer, tmp_path):
    many, (one,) = run_example("jax_model_parallel", optimizer, tmp_path, devices=8)
    check(many, one, optimizer, devices=8)
    owner = "plasticity_modulated" if optimizer is modulated else "neuro_plastic"
    # Four devices share a variable, and its slots in the same way.
    for layer, kernel, bias in (
        ("hidden", [64, 32 // 4], [32 // 4]),
        ("logits", [32, 16 // 4], [16 // 4]),
    ):
        for part, shard in (("kernel", kernel), ("bias", bias)):
            names = [f"digits/{layer}/{part}"]
            for slot in ("activity", "momentum", "variance"):
                names.append(f"{owner}/digits_{layer}_{part}_{slot}")
            for name in names:
                assert many[0][f"shard/{name}"].tolist() == shard


@only["tensorflow"]
def test_tensorflow_mirrored(tmp_path):
    """With a modulated optimizer in mirrored_contract.py alone."""
    many, (one,) = run_example("tensorflow_mirrored", NeuroPlastic, tmp_path)
    check(many, one, NeuroPlastic, devices=2)


@only["tensorflow"]
def test_mirrored_contract():
    options = ("-p", "no:xdist", "-p", "no:cacheprovider", "-q")
    output = finish(start("pytest", "tests/mirrored_contract.py", *options))
    assert " passed" in output


@only["torch"]
def test_torch_ddp(tmp_path):
    """Whose processes average the gradients before any optimizer sees them."""
    many, (one,) = run_example("torch_ddp", NeuroPlastic, tmp_path)
    assert len(many) == 2
    check(many, one, NeuroPlastic, devices=2)
    for name, x in many[0].items():
        np.testing.assert_array_equal(many[1][name], x)
