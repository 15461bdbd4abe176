"""Every example script, in the small, on real images where they are to be had."""

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from sklearn.datasets import load_digits
from test_study import once

from examples import arguments, gene_expression, irrelevant_inputs, report
from examples.harness import data, folds, results

ROOT = Path(__file__).parent.parent
BACKEND = keras.backend.backend()
STUDIES = ["mnist", "fashion_mnist", "low_data", "noisy_labels", "irrelevant_inputs"]
STUDIES += ["gene_expression", "language_model"]
RESNETS = ["cifar10_resnet18", "transfer_resnet18"]
SCRIPTS = [*STUDIES, *RESNETS, "report", "quickstart", f"custom_loop_{BACKEND}"]
# Two studies, of what others try there too, are left out where compiling takes longest.
not_compiled_longest = pytest.mark.skipif(
    BACKEND == "tensorflow", reason="tried on JAX and PyTorch"
)


def enlarged_digits(name, evaluate_on="test", limit=None):
    """scikit-learn's digits, in the shape of another data set."""
    size, channels = (32, 3) if name == "cifar10" else (28, 1)
    images, y = load_digits(return_X_y=True)
    pixels = np.arange(size) * 8 // size
    x = (images.reshape(-1, 8, 8) * (255 / 16)).astype("uint8")
    x = np.repeat(x[:, pixels][:, :, pixels, None], channels, axis=3)
    return (x[:-400][:limit], y[:-400][:limit]), (x[-400:][:limit], y[-400:][:limit])


@pytest.fixture(autouse=True)
def images(monkeypatch, tmp_path):
    """Without a folder of data sets, digits stand in: no test downloads anything."""
    if "TFDS_DATA_DIR" not in os.environ:
        monkeypatch.setattr(data, "load", enlarged_digits)
    monkeypatch.chdir(tmp_path)


def run(name, *arguments):
    importlib.import_module(f"examples.{name}").main(["--smoke", *arguments])
    return results.read(Path("results", "smoke", f"{name}.jsonl"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_explains_every_flag(name, monkeypatch):
    parsers = []

    def catch(parser, *_):
        parsers.append(parser)
        parser.exit()

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", catch)
    with pytest.raises(SystemExit):
        importlib.import_module(f"examples.{name}").main([])
    [parser] = parsers
    assert len(parser._actions) > 1  # --help is one
    assert [action.dest for action in parser._actions if not action.help] == []
    assert "\n" in parser.format_help()  # no stray % in any text


@pytest.mark.parametrize("name", ["quickstart", f"custom_loop_{BACKEND}"])
def test_no_epochs_get_one_line(name, capsys):
    with pytest.raises(SystemExit) as stop:
        importlib.import_module(f"examples.{name}").main(["--epochs", "0"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "argument --epochs: '0' is not an integer in [1, " in message


@pytest.mark.parametrize(
    ("check", "text", "words"),
    [
        (arguments.results_file, "runs.txt", "does not end in"),
        (arguments.results_file, "there/.jsonl", "does not end in"),
        (arguments.results_file, "folder.jsonl", "is a folder"),
        (arguments.results_file, "file/runs.jsonl", "needs a folder where a file is"),
        (arguments.results_file, "other.jsonl", "needs a folder where a file is"),
        (arguments.folder, "file", "is no folder"),
        (arguments.folder, "file/figures", "is no folder"),
        (arguments.picture_file, "page.xyz", "does not end in"),
        (arguments.picture_file, "folder.png", "is a folder"),
        (arguments.picture_file, "not_there/page.png", "no folder that exists"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(
    check, text, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in "folder.jsonl", "folder.png":
        (tmp_path / name).mkdir()
    for name in "file", "other":
        (tmp_path / name).touch()
    with pytest.raises(argparse.ArgumentTypeError, match=words):
        check(text)
    assert arguments.results_file("new/runs.jsonl") == Path("new/runs.jsonl")
    assert arguments.picture_file("page.png") == Path("page.png")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem
)
def test_scripts_are_short(path):
    assert len(path.read_text().splitlines()) <= 120


def test_mnist_learns_and_is_reported(capsys):
    records = run("mnist")
    assert [r["config"]["optimizer"] for r in records] == [
        "neuroplastic",
        "gradient-only",
    ]
    for record in records:
        assert record["metrics"]["val_accuracy"][-1] > 0.5
    capsys.readouterr()
    report.main(["results/smoke/mnist.jsonl", "--figures", "figures"])
    ours, theirs = (100 * r["metrics"]["val_accuracy"][-1] for r in records)
    printed = capsys.readouterr().out
    assert f"| neuroplastic | 0.1 | 1 | {ours:.2f} | {ours - theirs:.2f} |" in printed
    assert Path("figures/mnist-1.png").read_bytes().startswith(b"\x89PNG")


@once
def test_mnist_convnet():
    [record] = run("mnist", "--model", "convnet", "--optimizer", "neuroplastic-default")
    assert record["metrics"]["val_accuracy"][-1] > 0.3


@once
def test_fashion_mnist():
    [record] = run("fashion_mnist", "--optimizer", "neuroplastic", "--epochs", "1")
    assert record["metrics"]["val_accuracy"][-1] > 0.2


@once
def test_low_data_gives_every_optimizer_the_same_subset():
    arguments = "--fraction", "0.25", "1", "--epochs", "1"
    records = run("low_data", *arguments, "--optimizer", "neuroplastic", "sgd")
    assert [r["config"]["fraction"] for r in records] == [0.25, 0.25, 1, 1]
    files = [r["notes"]["subset"] for r in records]
    assert files[0] == files[1] != files[2] == files[3]
    assert len(np.load(Path("results", "smoke", files[0]))) == 256


@once
def test_noisy_labels_are_kept():
    arguments = "--noise", "0.4", "--fraction", "0.5", "--epochs", "1"
    [record] = run("noisy_labels", *arguments, "--optimizer", "neuroplastic")
    subset, labels = (
        np.load(Path("results", "smoke", record["notes"][name]))
        for name in ("subset", "labels")
    )
    (_, y), _ = data.load("fashion_mnist", "test", 1024)
    assert (y[subset] != labels).sum() == round(0.4 * 512)


@once
def test_irrelevant_inputs():
    arguments = "--noise", "0", "2000", "--examples", "300", "--optimizer", "adam"
    pure, noisy = run("irrelevant_inputs", *arguments)
    subset = np.load(Path("results", "smoke", noisy["notes"]["subset"]))
    assert len(set(subset)) == 300
    assert pure["notes"] == noisy["notes"]
    accuracies = [r["metrics"]["val_accuracy"][-1] for r in (pure, noisy)]
    assert accuracies[0] > accuracies[1] + 0.1


@once
def test_irrelevant_inputs_linear():
    arguments = "--model", "linear", "--epochs", "1", "--optimizer", "adam"
    [record] = run("irrelevant_inputs", *arguments)
    assert record["metrics"]["val_accuracy"][-1] > 0.2


@once
def test_noise_beside_the_pixels_is_fixed_by_the_seed():
    images = np.arange(0, 256, 15, dtype="uint8").reshape(2, 3, 3, 1)
    make = irrelevant_inputs.with_noise
    x = make(images, 5000, [41, 4, 0])
    pixels = np.linspace(-1, 1, 18).reshape(2, 9)
    np.testing.assert_allclose(x[:, :9], pixels, atol=1e-6)
    noise = x[:, 9:]
    assert noise.dtype == "float32"
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    assert abs(np.corrcoef(noise)[0, 1]) < 0.1  # of its own for each example
    np.testing.assert_array_equal(x, make(images, 5000, [41, 4, 0]))
    for other in ([42, 4, 0], [41, 4, 1]):  # another run, the other set of examples
        assert abs(np.corrcoef(noise[0], make(images, 5000, other)[0, 9:])[0, 1]) < 0.1
    np.testing.assert_array_equal(make(images, 0, [41, 4, 0]), x[:, :9])


@once
def test_more_examples_than_the_limit_get_one_line(capsys):
    with pytest.raises(SystemExit):
        run("irrelevant_inputs", "--examples", "300", "1025")
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "argument --examples: 1025 is more than --limit 1024" in message


def expression(name):
    """Twenty genes, and a hundred of noise; a class of five beside larger ones."""
    random = np.random.default_rng(0)
    names = np.repeat(["a", "b", "c", "rare"], [12, 14, 9, 5])
    numbers = np.unique(names, return_inverse=True)[1]
    x = random.standard_normal((40, 120))
    x[:, :20] += random.standard_normal((4, 20))[numbers]
    return x, names


@not_compiled_longest
def test_gene_expression(monkeypatch):
    if not importlib.util.find_spec("ISLP"):
        monkeypatch.setattr(gene_expression, "load", expression)
    optimizers = "--optimizer", "sgd-l1-1e-3", "activity-only-unbounded-free"
    records = run("gene_expression", "--learning-rate", "0.003", *optimizers)
    for record in records:
        assert record["metrics"]["val_accuracy"][-1] > 0.5


@once
def test_gene_expression_is_tuned_within_each_seed(monkeypatch):
    seen, splits = [], folds.splits

    def note(labels, count, seed, evaluate_on):
        pairs = splits(labels, count, seed, evaluate_on)
        seen.append((seed, evaluate_on, pairs))
        return pairs

    monkeypatch.setattr(folds, "splits", note)
    monkeypatch.setattr(gene_expression, "load", expression)
    arguments = "--tune", "--seeds", "1", "2", "--optimizer", "sgd", "adam"
    records = run("gene_expression", *arguments, "--model", "mlp")
    for seed in 1, 2:
        tests = [pairs[0] for s, part, pairs in seen if (s, part) == (seed, "test")]
        assert len(tests) == 2
        for mine, other in zip(*tests, strict=True):  # the same for both optimizers
            np.testing.assert_array_equal(mine, other)
        chosen, tested = tests[0]
        assert len(tested) == 35 - 15  # without the rare ones
        for s, part, pairs in seen:
            if (s, part) == (seed, "validation"):
                assert {*np.concatenate([i for p in pairs for i in p])} == {*chosen}
    assert {len(r["metrics"]["val_accuracy"]) for r in records} == {2}


@not_compiled_longest
def test_language_model(capsys):
    [record] = run("language_model", "--optimizer", "adam", "--learning-rate", "0.01")
    course = record["metrics"]["val_loss"]
    assert max(course) < np.log(3000)
    capsys.readouterr()
    report.main(["results/smoke/language_model.jsonl"])
    assert f"| adam | 0.01 | 1 | {course[1]:.3f} |" in capsys.readouterr().out


@once
@pytest.mark.parametrize("model", ["lstm", "transformer"])
def test_language_model_with_another_network(model):
    [record] = run("language_model", "--model", model, "--optimizer", "adam")
    assert record["metrics"]["val_loss"][-1] < np.log(3000)


def test_custom_loop():
    script = importlib.import_module(f"examples.custom_loop_{BACKEND}")
    assert script.main(["--epochs", "5"]) > 0.9


@once
def test_a_script_runs_as_a_module():
    command = [sys.executable, "-m", "examples.mnist", "--optimizer", "magic"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 2
    last = answer.stderr.splitlines()[-1]  # TensorFlow may log above it
    assert last.startswith("python -m examples.mnist: argument --optimizer")
