"""The MNIST script on real MNIST, where TFDS_DATA_DIR says that it lies ready."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from examples import data

ROOT = Path(__file__).parent.parent
HAS_MNIST = (
    find_spec("tensorflow_datasets") is not None
    and (Path(os.environ.get("TFDS_DATA_DIR", "/nowhere")) / "mnist").is_dir()
)


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "examples.mnist", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not HAS_MNIST, reason="no MNIST to read")
def test_mnist(tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    script = run(
        *("--optimizer", "neuroplastic-default"),
        *("--samples", 12800, "--batch-size", 128, "--epochs", 2),
        *("--seeds", 41, 42, "--results", path),
    )
    assert script.returncode == 0, script.stderr
    results = [json.loads(line) for line in path.read_text().splitlines()]
    assert [result["seed"] for result in results] == [41, 42]
    for result in results:
        assert len(result["test_accuracy"]) == 2
        assert result["test_accuracy"][-1] > 0.85  # 100 steps an epoch from scratch
    mean = sum(result["test_accuracy"][-1] for result in results) / 2
    assert f"mean {mean:.4f}" in script.stdout


def test_an_unknown_optimizer_is_refused():
    script = run("--optimizer", "magic")
    assert script.returncode == 2
    assert "invalid choice: 'magic'" in script.stderr


def test_a_data_set_that_cannot_be_had_says_what_to_do(monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")

    def offline(*arguments, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tfds, "load", offline)
    with pytest.raises(SystemExit) as exit:
        data.load("mnist")
    assert str(exit.value) == (
        "Cannot load 'mnist' (ConnectionError: no route to host). Go online once, "
        "or set TFDS_DATA_DIR to a folder that holds it."
    )
