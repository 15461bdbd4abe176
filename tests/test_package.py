"""The package as a whole: names, size, weight, and every argument documented."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from keras_neuroplastic import NeuroPlastic, PlasticityModulated, PlasticityWarmup

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "keras_neuroplastic"


def test_registered_names():
    optimizer = keras.optimizers.get("keras_neuroplastic>NeuroPlastic")
    assert type(optimizer) is NeuroPlastic
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer="keras_neuroplastic>NeuroPlastic", loss="mse")
    assert type(model.optimizer) is NeuroPlastic
    for cls in (NeuroPlastic, PlasticityWarmup):
        name = f"keras_neuroplastic>{cls.__name__}"
        assert keras.saving.get_registered_object(name) is cls


def test_no_long_file():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 250, path.name


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the same on every backend"
)
def test_import_loads_nothing_beside_keras():
    """Which is why it takes milliseconds; standard library modules are free."""
    code = (
        "import sys, keras; before = set(sys.modules)\n"
        "import keras_neuroplastic\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split()) - sys.stdlib_module_names
    assert loaded <= {"keras_neuroplastic", "keras"}


def test_the_table_has_every_argument_with_its_default():
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    config = NeuroPlastic().get_config()
    for name in set(config) - {"name", "learning_rate"}:
        row = re.search(rf"^\| `{name}` \| `(.+?)` \|", page, flags=re.MULTILINE)
        assert row, f"{name} is not in the table"
        assert eval(row[1]) == config[name], name


def documented_arguments(cls):
    """What the docstring says of each argument, but for its default."""
    section = re.search(r"\n    Args:\n(.*?)\n\n", cls.__doc__, flags=re.DOTALL)[1]
    entries = re.split(r"\n(?= {8}\w)", section)
    texts = (" ".join(entry.split()).partition(": ") for entry in entries)
    return {name: text.partition(" Defaults to")[0] for name, _, text in texts}


def test_both_optimizers_say_the_same_of_what_they_share():
    one, other = map(documented_arguments, (NeuroPlastic, PlasticityModulated))
    assert set(NeuroPlastic.settings.__dataclass_fields__) <= set(one)
    shared = (set(one) & set(other)) - {"name"}
    assert set(PlasticityModulated.settings.__dataclass_fields__) - {"target"} <= shared
    assert {k: one[k] for k in shared} == {k: other[k] for k in shared}
