"""The ResNet-18 scripts in the small, and what they refuse to move to other classes."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from test_examples import BACKEND, images, run  # noqa: F401
from test_study import once

from examples import cifar10_resnet18, transfer_resnet18

# What compiles several networks, which takes the other two backends minutes.
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="tried on PyTorch alone")


@on_torch
@pytest.mark.filterwarnings("ignore")  # those of keras-hub and keras-cv
def test_cifar10_resnet18():
    """In its usual form, for 32×32 images."""
    pytest.importorskip("keras_hub", reason="needs keras-hub")
    arguments = ["--limit", "16", "--epochs", "1", "--optimizer", "neuroplastic"]
    [record] = run("cifar10_resnet18", *arguments)
    assert not record["diverged"]
    assert record["notes"]["backbone-0-9"]


@on_torch
@pytest.mark.parametrize("backbone", ["keras-hub", "keras-cv"])
@pytest.mark.filterwarnings("ignore")
def test_resnet18_moves_to_other_classes(backbone):
    pytest.importorskip(backbone.replace("-", "_"), reason=f"needs {backbone}")
    arguments = ["--optimizer", "neuroplastic", "--backbone", backbone]
    arguments += ["--stem", "imagenet", "--limit", "32"]  # the cheaper stem by far
    [record] = run("cifar10_resnet18", *arguments, "--classes", "0-4", "--epochs", "1")
    weights = str(Path("results", "smoke", record["notes"]["backbone-0-4"]))
    with pytest.raises(SystemExit, match=r"does not fit .* --stem cifar [^\n]*$"):
        run("transfer_resnet18", *arguments, "--stem", "cifar", "--weights", weights)
    [record] = run("transfer_resnet18", *arguments, "--weights", weights)
    assert len(record["metrics"]["loss"]) == 2
    assert not record["diverged"]


@on_torch
@pytest.mark.parametrize("backbone", ["keras-hub", "keras-cv"])
@pytest.mark.filterwarnings("ignore")
def test_the_cifar_stem_keeps_every_pixel(backbone):
    pytest.importorskip(backbone.replace("-", "_"), reason=f"needs {backbone}")
    from examples import resnet

    whole = resnet.BACKBONES[backbone]()
    assert whole(np.zeros((1, 32, 32, 3), "float32")).shape == (1, 1, 1, 512)
    small = resnet.cifar_stem(whole)
    assert small(np.zeros((1, 32, 32, 3), "float32")).shape == (1, 4, 4, 512)
    # ResNet-18 for CIFAR has 11.17 million weights, its 10-class head apart.
    assert small.count_params() == pytest.approx(11.17e6, rel=2e-3)


@on_torch
@pytest.mark.filterwarnings("ignore")
def test_resnet18_from_a_preset():
    """The way of --weights imagenet, with a preset on disk in place of a download."""
    pytest.importorskip("keras_hub", reason="needs keras-hub")
    from examples import resnet

    resnet.keras_hub_backbone().save_to_preset("preset")
    arguments = "--optimizer", "neuroplastic", "--limit", "16"
    [record] = run("transfer_resnet18", *arguments, "--weights", "preset")
    assert len(record["metrics"]["loss"]) == 2


def refuse(capsys, *arguments):
    """The line with which the script refuses its arguments."""
    with pytest.raises(SystemExit) as stop:
        transfer_resnet18.main(arguments)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


@once
@pytest.mark.parametrize("classes", ["0-9", "5-9"])
def test_a_backbone_that_has_seen_the_classes_is_refused(classes, tmp_path, capsys):
    path = tmp_path / f"backbone-{classes}-0123.weights.h5"
    path.touch()
    assert "is not a backbone-0-4-" in refuse(capsys, "--weights", str(path))


@once
@pytest.mark.parametrize("name", ["backbone-0-4-0123.weights.h5", "folder"])
def test_missing_weights_get_one_line(name, capsys):
    assert f"'{name}' does not exist" in refuse(capsys, "--weights", name)


@once
def test_the_head_phase_leaves_epochs_for_the_rest(capsys):
    message = refuse(capsys, "--epochs", "3", "--head-epochs", "1", "3")
    assert "--head-epochs: 3 leaves none of --epochs 3" in message


@once
@pytest.mark.parametrize("package", ["keras_hub", "keras_cv"])
def test_a_missing_package_gets_one_line(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    backbone = package.replace("_", "-")
    with pytest.raises(SystemExit, match=f"pip install.*{backbone}") as stop:
        cifar10_resnet18.main(["--smoke", "--backbone", backbone])
    assert "\n" not in stop.value.code


@once
def test_a_diverged_head_phase_is_the_last(monkeypatch, tmp_path):
    """A network of one layer stands in for the backbone."""

    def load_backbone(run):
        return keras.Sequential([keras.Input((32, 32, 3)), explode]), "0-9"

    explode = keras.layers.Rescaling(1e18)
    monkeypatch.setattr(transfer_resnet18, "load_backbone", load_backbone)
    arguments = "--optimizer", "sgd", "--learning-rate", "100", "--epochs", "3"
    [record] = run("transfer_resnet18", *arguments)
    assert record["diverged"]
    assert len(record["metrics"]["loss"]) == 1
