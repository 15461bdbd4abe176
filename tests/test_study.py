"""The study harness of the examples: what is recorded, resumed, shared and refused."""

import json
import os
import threading
import time

import keras
import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from examples import harness
from examples.harness import results
from examples.harness.run import Run
from examples.harness.study import Study

# What does not depend on the backend is tried where nothing has to be compiled first.
once = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the same on every backend"
)
RANDOM = np.random.default_rng(0)
X, X_TEST = RANDOM.normal(size=(2, 96, 4)).astype("float32")
Y, Y_TEST = ((x.sum(axis=1) > 0).astype("int32") for x in (X, X_TEST))


@pytest.fixture(autouse=True)
def save_every_epoch(monkeypatch):
    monkeypatch.setattr(Run, "save_every", 0)


class DieInEpoch(keras.callbacks.Callback):
    def __init__(self, epoch, seen):
        super().__init__()
        self.deadly, self.seen = epoch, seen

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        if self.seen[-1] == self.deadly and batch == 1:
            raise KeyboardInterrupt


def make_train(die_in_epoch=None, seen=None, scale=1):
    """A training function with everything random that a script has: order, dropout."""

    def train(run):
        batches = run.batches(scale * X, Y)
        layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5)]
        model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])
        model.compile(
            optimizer=run.optimizer(batches),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        die = DieInEpoch(die_in_epoch, [] if seen is None else seen)
        model.fit(
            batches,
            epochs=run.epochs,
            initial_epoch=run.epochs_done,
            validation_data=(X_TEST, Y_TEST),
            callbacks=[*run.callbacks(batches), die],
            verbose=0,
        )

    return train


def run_study(path, *arguments, train=None, **axes):
    argv = ["--results", str(path), "--optimizer", "neuroplastic", "--seeds", "41"]
    harness.main(
        "toy",
        train or make_train(),
        "A toy.",
        epochs=4,
        batch_size=16,
        seconds_per_epoch=1,
        argv=[*argv, *arguments],
        **axes,
    )
    return results.read(path)


def seeds_in(path):
    return [record["config"]["seed"] for record in results.read(path)]


def course(record):
    """What must be the same each time: everything but the seconds."""
    return {k: v for k, v in record["metrics"].items() if k != "seconds"}


def test_a_run_is_recorded_whole(tmp_path):
    [record] = run_study(tmp_path / "toy.jsonl")
    assert record["config"]["seed"] == 41
    assert record["config"]["backend"] == keras.backend.backend()
    assert {len(values) for values in record["metrics"].values()} == {4}
    assert record["seconds"] == pytest.approx(sum(record["metrics"]["seconds"]))
    assert not record["diverged"]
    assert record["versions"].keys() > {"keras", "keras_neuroplastic"}
    [lock] = os.listdir(tmp_path / "toy")  # nothing else is left but the result
    assert lock.endswith(".lock")


def test_a_seed_gives_the_same_numbers_twice(tmp_path):
    [one] = run_study(tmp_path / "one.jsonl")
    [two] = run_study(tmp_path / "two.jsonl")
    [other] = run_study(tmp_path / "other.jsonl", "--seeds", "42")
    assert course(one) == course(two)
    assert course(one) != course(other)


@once
def test_finished_runs_are_skipped(tmp_path):
    path = tmp_path / "toy.jsonl"
    run_study(path)
    seen = []
    records = run_study(path, "--seeds", "41", "42", train=make_train(None, seen))
    assert seen == [0, 1, 2, 3]
    assert [record["config"]["seed"] for record in records] == [41, 42]


@pytest.mark.parametrize(
    "optimizer", ["neuroplastic", pytest.param("adam", marks=once)]
)
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    optimizer, tmp_path, capsys
):
    path, seen, choice = tmp_path / "cut.jsonl", [], ("--optimizer", optimizer)
    with pytest.raises(SystemExit, match="same command goes on"):
        run_study(path, *choice, train=make_train(2, seen))
    assert results.read(path) == []
    [cut] = run_study(path, *choice, train=make_train(None, seen))
    assert seen == [0, 1, 2, 2, 3]
    [whole] = run_study(tmp_path / "whole.jsonl", *choice)
    assert course(cut) == course(whole)


@once
@pytest.mark.parametrize(("slow_epoch", "first_again"), [(None, 0), (0, 1), (1, 2)])
def test_a_run_that_keeps_its_state_seldom_goes_on_from_there(
    slow_epoch, first_again, tmp_path, monkeypatch
):
    seen, clock = [], time.monotonic
    monkeypatch.setattr(Run, "save_every", 1000)

    def slow_clock():
        return clock() + 2000 * (slow_epoch in seen)

    monkeypatch.setattr(time, "monotonic", slow_clock)
    with pytest.raises(SystemExit):
        run_study(tmp_path / "cut.jsonl", train=make_train(3, seen))
    [cut] = run_study(tmp_path / "cut.jsonl", train=make_train(None, seen))
    assert seen == [0, 1, 2, 3, *range(first_again, 4)]
    [whole] = run_study(tmp_path / "whole.jsonl")
    assert course(cut) == course(whole)
    assert all(name.endswith(".lock") for name in os.listdir(tmp_path / "cut"))


@once
def test_a_stop_between_weights_and_progress_does_no_harm(tmp_path, monkeypatch):
    """The moment at which BackupAndRestore would lose count."""
    replace = os.replace

    def die(new, old):
        if len(json.loads(new.read_text())["metrics"]["loss"]) == 3:
            raise KeyboardInterrupt
        replace(new, old)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(SystemExit):
        run_study(tmp_path / "cut.jsonl")
    monkeypatch.setattr(os, "replace", replace)
    [cut] = run_study(tmp_path / "cut.jsonl")
    [whole] = run_study(tmp_path / "whole.jsonl")
    assert course(cut) == course(whole)


@once
def test_a_diverged_run_is_shown_as_such(tmp_path):
    arguments = "--optimizer", "sgd", "--learning-rate", "100"
    train = make_train(scale=1e18)
    [record] = run_study(tmp_path / "toy.jsonl", *arguments, train=train)
    assert record["diverged"]
    assert None in record["metrics"]["loss"] + record["metrics"]["val_loss"]
    assert "NaN" not in (tmp_path / "toy.jsonl").read_text()


@once
def test_a_run_stopped_between_its_divergence_and_its_record_trains_no_more(
    tmp_path, monkeypatch
):
    def die(*_):
        raise KeyboardInterrupt

    def train(run):
        run.notes["kept"] = "file"
        make_train(None, seen, scale=1e18)(run)

    seen, arguments = [], ("--optimizer", "sgd", "--learning-rate", "100")
    append = results.append
    monkeypatch.setattr(results, "append", die)
    with pytest.raises(SystemExit):
        run_study(tmp_path / "toy.jsonl", *arguments, train=train)
    monkeypatch.setattr(results, "append", append)
    lasted = list(seen)
    [record] = run_study(tmp_path / "toy.jsonl", *arguments, train=train)
    assert seen == lasted
    assert len(lasted) < 4
    assert record["diverged"]
    assert record["notes"] == {"kept": "file"}


def finish_at_once(run):
    """In place of training."""
    run.metrics = {name: [0.5] * run.epochs for name in ("loss", "val_loss", "seconds")}
    run.metrics["val_accuracy"] = [run.learning_rate] * run.epochs
    run.folder.mkdir(parents=True, exist_ok=True)


@once
def test_who_waits_for_a_run_gets_its_record(tmp_path):
    """Though the run's folder is removed meanwhile."""
    other, threads, waited = Study(None, tmp_path / "toy.jsonl"), [], []

    def train(run):
        def wait():
            waited.append(other.result(run.config, wait=True))

        threads.append(threading.Thread(target=wait))
        threads[0].start()
        time.sleep(0.3)  # until it waits
        finish_at_once(run)

    records = run_study(tmp_path / "toy.jsonl", train=train)
    threads[0].join(60)
    assert waited == records


@once
def test_a_run_of_another_process_is_left_to_it(tmp_path, capsys):
    path = tmp_path / "toy.jsonl"

    def train(run):
        if run.seed == 2:  # meanwhile another process is given the same command
            run_study(path, "--seeds", "1", "2", "3", train=finish_at_once)
            assert seeds_in(path) == [1, 3]
        finish_at_once(run)

    run_study(path, "--seeds", "1", "2", "3", train=train)
    assert seeds_in(path) == [1, 3, 2]
    assert capsys.readouterr().out.count("1 runs are left to another process") == 1
