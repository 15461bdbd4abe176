"""The recipes train, and docs/which-form.md says what they measured."""

import importlib
from pathlib import Path

import keras
import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from test_evidence import runs

from examples.evidence import page, recipes
from examples.evidence.cells import load
from examples.harness import results
from examples.harness.optimizers import LEARNING_RATES
from examples.harness.run import Run
from examples.recipes import every, policy, recipe

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "which-form.md"
# What differs between backends in them is tested elsewhere; here nothing is compiled.
once = pytest.mark.skipif(keras.backend.backend() != "torch", reason="they take long")


@once
@pytest.mark.parametrize("name", every.NAMES)
def test_a_recipe_trains(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = "--smoke", "--optimizer", "adam"
    importlib.import_module(f"examples.recipes.{name}").main(arguments)
    [record] = results.read(Path(f"results/smoke/recipes.{name}.jsonl"))
    assert record["config"]["schedule"] == "cosine"
    loss = record["metrics"]["loss"]
    assert len(loss) == 2
    # That of a policy or of a game has no scale: states or opponents become other ones.
    assert name in ("policy", "gan") or loss[1] < loss[0]
    np.testing.assert_allclose(record["metrics"]["learning_rate"], [1e-3, 5e-4])


def test_what_fills_no_batch_is_refused():
    settings = {"evaluate_on": "test", "limit": 7, "batch_size": 8}
    run = Run(settings, Path("nowhere"))
    with pytest.raises(SystemExit, match="--batch-size: 8 is more than the 7 training"):
        recipe.split(run, np.arange(50))


def test_the_help_of_all_recipes_is_their_own(capsys):
    with pytest.raises(SystemExit):
        every.main(["--help"])
    assert "Every recipe in turn" in capsys.readouterr().out


def test_every_recipe_is_short_and_has_a_row():
    folder = ROOT / "examples" / "recipes"
    for path in folder.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 120, path
    names = {path.stem for path in folder.glob("*.py")}
    assert names - {"__init__", "recipe", "every"} == {*every.NAMES} == {*recipes.KINDS}


def test_no_row_is_both_trained_on_and_evaluated_on():
    x = np.arange(1000)
    parts = {}
    for part in "test", "validation":
        run = Run({"evaluate_on": part, "limit": None, "batch_size": 32}, Path())
        (train,), (held_out,) = recipe.split(run, x)
        parts[part] = {*train}, {*held_out}
        assert not {*train} & {*held_out}
    assert [len(p) for p in parts["test"]] == [800, 200]
    assert [len(p) for p in parts["validation"]] == [576, 200]
    assert not parts["test"][1] & (parts["validation"][0] | parts["validation"][1])


def test_a_pole_falls_and_a_push_moves_the_cart():
    still = np.zeros((4, 1))
    state = still
    for _ in range(20):
        state = policy.push(state, np.array([True]))
    assert (policy.fallen(state), state[0] > 0, state[2] < 0) == (True, True, True)
    mirrored = -policy.push(-still, np.array([False]))
    np.testing.assert_allclose(policy.push(still, np.array([True])), mirrored)


def test_the_page_is_what_the_records_give():
    records = load(ROOT / "examples" / "measured" / "recipes")
    committed = PAGE.read_text(encoding="utf-8")
    assert page.fill(committed, recipes.blocks(records)) == committed, "make results"


def measured(name, metric, scores):
    """Records of a recipe: the score of each optimizer at its own rate, the best."""
    better = -1 if metric == "val_loss" else 1
    records = []
    for optimizer, value in scores.items():
        settings = {"axes": {"schedule": "cosine"}, "metric": metric, "tuned": True}
        study = f"recipes.{name}"
        records += runs(study, optimizer, [value, value], **settings)
        rates = {0.01: 0.5, 0.1: 0.1, 0.3: 0.001, 1: 0, 3: 0.1, 10: 0.5}
        for factor, worse in rates.items():
            records += runs(
                *(study, optimizer, [value - better * worse]),
                **settings,
                evaluate_on="validation",
                learning_rate=factor * LEARNING_RATES[optimizer],
            )
    return {study: records}


@pytest.mark.parametrize(
    ("metric", "ours", "adam", "words"),
    [
        ("val_accuracy", 0.9, 0.8, "yes, +12.5 %"),
        ("val_accuracy", 0.79, 0.8, "yes, −1.2 %: Adam's mean is better"),
        ("val_accuracy", 0.78, 0.8, "**no**, −2.5 %: Adam's mean is better"),
        ("val_loss", 0.78, 0.8, "yes, +2.5 %"),
        ("val_loss", -0.4, -0.5, "**no**, −20.0 %: Adam's mean is better"),
        ("val_loss", -0.5, -0.4, "yes, +25.0 %"),
    ],
)
def test_a_row_says_who_is_better(metric, ours, adam, words):
    scores = {"adam": adam, "plastic-adam": ours}
    lines = recipes.table(measured("dense", metric, scores)).splitlines()
    form = (
        "| `PlasticityModulated(Adam(0.001))`<br>0.0001 to 0.003, cosine, limit None |"
    )
    assert form in lines[2]
    assert lines[2].endswith(f"| {words} |")
    rows = lines[3 : 2 + len(recipes.KINDS)]
    assert all(recipes.NOT_RUN in line for line in rows)
    assert lines[-1].endswith("interval, 2 seeds.")


def test_the_form_is_chosen_on_held_out_data():
    scores = {"adam": 0.8, "plastic-adam": 0.8, "neuroplastic-default": 0.7}
    records = measured("dense", "val_accuracy", scores)
    for record in records["recipes.dense"]:  # on the test set it is the other way round
        if record["config"]["evaluate_on"] == "test":
            better = record["config"]["optimizer"] == "neuroplastic-default"
            record["metrics"]["val_accuracy"][-1] += 0.2 * better
    assert "PlasticityModulated" in recipes.table(records).splitlines()[2]
    assert (
        "| dense layers, accuracy, % | 80.00 ± 0.00 (0.001) | 90.00 ± 0.00 (0.1)"
        in (recipes.every_form(records))
    )
