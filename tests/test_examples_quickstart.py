"""The first script that a newcomer runs."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="a process of its own, as `make demo`"
)
def test_quickstart(tmp_path):
    picture, page = tmp_path / "course.png", tmp_path / "page.png"
    arguments = ["--epochs", "2", "--seeds", "41"]
    arguments += ["--plot", str(picture), "--page", str(page)]
    run = subprocess.run(
        [sys.executable, "-m", "examples.quickstart", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "6/6" in run.stdout
    for name in ("NeuroPlastic", "gradient only", "Adam"):
        [row] = [r for r in run.stdout.splitlines() if r.startswith(name)]
        mean, lowest, highest = map(float, row.removeprefix(name).split())
        assert 30 < lowest <= mean <= highest <= 100
    for file in (picture, page):
        assert file.read_bytes().startswith(b"\x89PNG")
