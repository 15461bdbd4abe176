"""Which runs a study consists of, and what it says that they will cost."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from test_study import finish_at_once, make_train, run_study

from examples import harness, low_data
from examples.harness import data
from examples.harness.optimizers import LEARNING_RATES
from examples.harness.run import Run
from examples.harness.study import Study

MEASURED = Path(__file__).parent.parent / "examples" / "measured"


def test_tuning_gives_everyone_the_same_trials_off_the_test_set(tmp_path):
    optimizers = ["gradient-only", "adam"]
    records = run_study(
        tmp_path / "toy.jsonl", "--tune", "--optimizer", *optimizers, "--epochs", "1"
    )
    for name in optimizers:
        mine = [r for r in records if r["config"]["optimizer"] == name]
        trials = [r for r in mine if r["config"]["evaluate_on"] == "validation"]
        rates = [r["config"]["learning_rate"] for r in trials]
        expected = [LEARNING_RATES[name] * factor for factor in (0.1, 0.3, 1, 3, 10)]
        np.testing.assert_allclose(rates[:5], expected, rtol=1e-3)
        [final] = [r for r in mine if r["config"]["evaluate_on"] == "test"]
        best = max(trials, key=lambda r: r["metrics"]["val_accuracy"][-1])
        assert final["config"]["learning_rate"] == best["config"]["learning_rate"]
        assert final["config"]["seed"] not in {r["config"]["seed"] for r in trials}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--optimizer", "magic"],
        ["--share", "0"],
        ["--share", "1.5"],
        ["--share", "nan"],
        ["--share", "half"],
        ["--seeds", "-1"],
        ["--epochs", "0"],
        ["--batch-size", "2.5"],
        ["--learning-rate", "-0.1"],
        ["--results", "results/toy"],
        ["--unknown", "1"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_get_one_line(arguments, tmp_path, capsys):
    share = harness.number(float, 0, 1, low_allowed=False)
    axes = {"share": {"type": share, "default": [1.0], "help": "of it"}}
    with pytest.raises(SystemExit) as stop:
        run_study(tmp_path / "toy.jsonl", *arguments, **axes)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert arguments[0] in message
    assert arguments[1] in message or arguments[0] == "--unknown"


def test_several_learning_rates_are_one_run_each(tmp_path, capsys):
    path, rates = tmp_path / "toy.jsonl", ["0.01", "0.3"]
    run_study(path, "--learning-rate", "0.3", train=finish_at_once)
    records = run_study(path, "--learning-rate", *rates, train=finish_at_once)
    assert [r["config"]["learning_rate"] for r in records] == [0.3, 0.01]
    with pytest.raises(SystemExit):
        run_study(path, "--tune", "--learning-rate", *rates)
    message = capsys.readouterr().err.splitlines()[-1]
    assert "--learning-rate: with --tune, one is the middle of the grid" in message


def test_published_runs_are_found_again(tmp_path, monkeypatch, capsys):
    """Their settings are their name, which must not change."""
    path = shutil.copy(MEASURED / "low_data.jsonl", tmp_path)
    monkeypatch.setattr(Study, "make", stop)  # nothing is to be trained
    # The one that the records are of.
    monkeypatch.setattr("examples.harness.plan.backend", lambda: "jax")
    command = "--tune --fraction 0.1 --optimizer adam plastic-muon --seeds 41 42 43"
    low_data.main([*command.split(), "--results", path])
    assert ", 0 epochs to go" in capsys.readouterr().out


def test_no_trial_asks_for_the_test_set(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(data, "load", lambda *arguments: asked.append(arguments))

    def train(run):
        run.load("toy")
        finish_at_once(run)

    run_study(tmp_path / "toy.jsonl", "--tune", "--seeds", "1", "2", train=train)
    trials = [("toy", "validation", None)] * 9  # the highest rate always wins
    assert asked == [*trials, *[("toy", "test", None)] * 2]


def stop(*_):
    raise KeyboardInterrupt


def plan(path, capsys, *arguments):
    """What a study says before it starts; it trains nothing."""
    with contextlib.suppress(SystemExit):
        run_study(path, *arguments, train=stop)
    return capsys.readouterr().out.splitlines()[0]


def test_few_examples_are_not_priced_as_all(tmp_path, capsys):
    path = tmp_path / "toy.jsonl"
    few = "--limit", "10"
    assert plan(path, capsys).endswith("0:00:04 h, at 1.0 s an epoch on two CPU cores")
    run_study(path, train=finish_at_once)  # in 0.5 s an epoch
    capsys.readouterr()
    assert plan(path, capsys, *few).startswith("1 runs, 4 epochs to go")
    assert "about" not in plan(path, capsys, *few)
    run_study(path, *few, train=finish_at_once)
    capsys.readouterr()
    assert "at 0.5 s an epoch as in the runs" in plan(path, capsys, *few)
    assert "at 0.5 s" in plan(path, capsys, "--seeds", "1")


def test_finished_tuned_runs_are_not_to_do(tmp_path, capsys):
    path, tune = tmp_path / "toy.jsonl", ("--tune", "--seeds", "1", "2")
    bound = "at least 7 runs, 28 epochs to go on the torch backend, more where"
    assert plan(path, capsys, *tune).startswith(bound)
    assert " h or more, at 1.0 s" in plan(path, capsys, *tune)
    run_study(path, "--tune", "--seeds", "1", train=finish_at_once)
    capsys.readouterr()
    # Four more trials, since the highest rate always won: now all of them are known.
    assert plan(path, capsys, *tune).startswith("11 runs, 4 epochs")
    assert "more" not in plan(path, capsys, *tune)


def test_a_search_that_was_interrupted_knows_the_trials_so_far(tmp_path, capsys):
    path = tmp_path / "toy.jsonl"

    def train(run):
        if run.learning_rate == 10:
            raise KeyboardInterrupt
        finish_at_once(run)

    with pytest.raises(SystemExit):
        run_study(path, "--tune", train=train)
    capsys.readouterr()
    # Rates 0.01 to 3 of a search that goes on, 10 and the run itself are left.
    assert plan(path, capsys, "--tune").startswith("at least 8 runs, 8 epochs")


def test_an_interrupted_run_counts_what_is_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Run, "save_every", 0)
    path = tmp_path / "toy.jsonl"
    with pytest.raises(SystemExit):
        run_study(path, train=make_train(3))
    capsys.readouterr()
    assert plan(path, capsys, "--seeds", "41", "42").startswith("2 runs, 5 epochs")


def test_smoke_takes_the_first_of_what_is_not_given(tmp_path):
    axes = {name: {"type": int, "default": [7, 8], "help": ""} for name in "ab"}

    def configs(name, *arguments):
        path = tmp_path / f"{name}.jsonl"
        records = run_study(path, *arguments, train=finish_at_once, **axes)
        return [(r["config"]["a"], r["config"]["b"]) for r in records]

    assert configs("smoke", "--smoke") == [(7, 7)]
    assert configs("given", "--smoke", "--b", "8", "9") == [(7, 8), (7, 9)]
    assert len(configs("whole")) == 4
