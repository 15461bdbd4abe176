"""The study harness of the examples: what is recorded, resumed, shared and refused."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from filelock import FileLock

from examples import harness
from examples.harness import data, results, study
from examples.harness.optimizers import LEARNING_RATES, OPTIMIZERS, TUNING_FACTORS

ROOT = Path(__file__).parent.parent
# What does not depend on the backend is tried where nothing has to be compiled first.
once = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the same on every backend"
)
RANDOM = np.random.default_rng(0)
X, X_TEST = RANDOM.normal(size=(2, 96, 4)).astype("float32")
Y, Y_TEST = ((x.sum(axis=1) > 0).astype("int32") for x in (X, X_TEST))


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
    assert os.listdir(tmp_path / "toy") == []  # nothing is left but the result


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
def test_a_stop_between_weights_and_progress_does_no_harm(tmp_path, monkeypatch):
    """The moment at which BackupAndRestore would lose count."""
    replace = os.replace

    def die(new, old):
        if len(json.loads(new.read_text())["loss"]) == 3:
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
def test_tuning_gives_everyone_the_same_trials_off_the_test_set(tmp_path):
    optimizers = ["gradient-only", "adam"]
    records = run_study(
        tmp_path / "toy.jsonl", "--tune", "--optimizer", *optimizers, "--epochs", "1"
    )
    for name in optimizers:
        mine = [r for r in records if r["config"]["optimizer"] == name]
        trials = [r for r in mine if r["config"]["evaluate_on"] == "validation"]
        rates = [r["config"]["learning_rate"] for r in trials]
        expected = [LEARNING_RATES[name] * factor for factor in TUNING_FACTORS]
        np.testing.assert_allclose(rates, expected, rtol=1e-3)
        [final] = [r for r in mine if r["config"]["evaluate_on"] == "test"]
        best = max(trials, key=lambda r: r["metrics"]["val_accuracy"][-1])
        assert final["config"]["learning_rate"] == best["config"]["learning_rate"]
        assert final["config"]["seed"] not in {r["config"]["seed"] for r in trials}


@once
def test_a_run_of_another_process_is_left_to_it(tmp_path, capsys):
    path = tmp_path / "toy.jsonl"
    run_study(path, "--seeds", "1")
    [record] = results.read(path)
    folder = path.with_suffix("") / study.key({**record["config"], "seed": 2})
    folder.mkdir()
    with FileLock(folder / "lock"):
        records = run_study(path, "--seeds", "1", "2", "3")
    assert [record["config"]["seed"] for record in records] == [1, 3]
    assert "left to another process" in capsys.readouterr().out


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_downhill(name):
    optimizer = OPTIMIZERS[name](LEARNING_RATES[name], steps_per_epoch := 2)
    variable = keras.Variable(np.ones((4, 4), "float32"))
    for _ in range(steps_per_epoch):
        optimizer.apply([keras.ops.ones((4, 4))], [variable])
    assert (keras.ops.convert_to_numpy(variable) < 1).all()
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    assert rate == pytest.approx(LEARNING_RATES[name])


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


RECORD = {"config": {"seed": 1}, "metrics": {}}


def test_a_half_written_line_is_no_result(tmp_path):
    path = tmp_path / "r.jsonl"
    results.append(path, RECORD)
    whole = path.read_bytes()
    for end in range(1, len(whole) - 1):
        path.write_bytes(whole + whole[:end])
        assert results.read(path) == [RECORD]
    results.append(path, RECORD)
    assert path.read_bytes() == 2 * whole
    path.write_bytes(whole[:-1])  # its line end alone is missing
    results.append(path, RECORD)
    assert path.read_bytes() == 2 * whole


@pytest.mark.parametrize("line", ["{", "", "7", "null", '{"config": {}}'])
def test_a_corrupt_file_is_named_with_its_line(line, tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(f"{json.dumps(RECORD)}\n{line}\n{json.dumps(RECORD)}\n")
    with pytest.raises(SystemExit, match=r"r\.jsonl: line 2 is not a result"):
        results.read(path)


WRITER = """
import pathlib, sys
if len(sys.argv) > 4:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
sys.path.insert(0, "examples/harness")
import results  # by itself: its package would load Keras
path, name, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for i in range(count):
    results.append(path, {"config": {"by": name, "i": i}, "metrics": {"x": [0] * 500}})
"""


def start_writer(path, *arguments, **options):
    command = [sys.executable, "-c", WRITER, str(path), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, **options)


@once
def test_two_processes_lose_nothing(tmp_path):
    path, count = tmp_path / "r.jsonl", 60
    writers = [start_writer(path, name, count) for name in "ab"]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    for name in "ab":
        mine = [
            r["config"]["i"] for r in results.read(path) if r["config"]["by"] == name
        ]
        assert mine == list(range(count))


@once
def test_a_full_disk_leaves_whole_lines(tmp_path):
    pytest.importorskip("resource", reason="needs limits on file sizes")
    path = tmp_path / "r.jsonl"
    writer = start_writer(path, "a", 9, 5000, stderr=subprocess.PIPE, text=True)
    _, error = writer.communicate(timeout=120)
    assert writer.returncode == 1
    assert "No space left" in error
    assert [r["config"]["i"] for r in results.read(path)] == [0, 1, 2]
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("Can't write data (error message = 'No space left on device')"),
    ],
)
def test_a_full_disk_gets_a_message(error, tmp_path):
    def train(run):
        raise error

    with pytest.raises(SystemExit, match=r"is full.*free some space"):
        run_study(tmp_path / "toy.jsonl", train=train)


def test_subsets_are_random_nested_and_fixed_by_the_seed():
    small, large = (data.subset(1000, fraction, 41) for fraction in (0.1, 0.25))
    assert len(small) == 100
    assert set(small) < set(large)
    assert len(set(large)) == 250
    np.testing.assert_array_equal(small, data.subset(1000, 0.1, 41))
    assert set(small) != set(data.subset(1000, 0.1, 42))
    np.testing.assert_array_equal(data.subset(1000, 1.0, 41), np.arange(1000))


def test_noise_is_exact_symmetric_and_fixed_by_the_seed():
    labels = np.arange(10_000) % 10
    noisy = data.flip_labels(labels, 0.4, 10, 41)
    assert (noisy != labels).sum() == 4000
    # Each other class about as often: 4000 / 9 each, its deviation about 20.
    offsets = np.bincount((noisy - labels) % 10, minlength=10)[1:]
    assert abs(offsets - 4000 / 9).max() < 5 * 20
    np.testing.assert_array_equal(noisy, data.flip_labels(labels, 0.4, 10, 41))
    assert (noisy != data.flip_labels(labels, 0.4, 10, 42)).any()
    np.testing.assert_array_equal(labels, data.flip_labels(labels, 0.0, 10, 41))


def test_batches_cover_each_epoch_once_in_an_order_of_its_own():
    batches = data.Batches(np.arange(50), np.arange(50), 16, seed=41)
    orders = []
    for epoch in (0, 1, 0):
        batches.set_epoch(epoch)
        orders.append(np.concatenate([batches[i][0] for i in range(len(batches))]))
    assert [len(batches[i][0]) for i in range(len(batches))] == [16, 16, 16, 2]
    assert all(set(order) == set(range(50)) for order in orders)
    assert (orders[0] != orders[1]).any()
    np.testing.assert_array_equal(orders[0], orders[2])


def test_a_missing_data_set_gets_one_line(monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs `examples`")

    def refuse(name):
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(tfds, "builder", refuse)
    with pytest.raises(
        SystemExit, match=r"^Cannot load 'mnist'.*TFDS_DATA_DIR"
    ) as stop:
        data.load("mnist", limit=123)
    assert "\n" not in stop.value.code
