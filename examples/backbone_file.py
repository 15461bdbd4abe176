"""The weights of a trained backbone in a file: which may be moved, and to what."""

import argparse
import sys
from pathlib import Path


def weights(text):
    """A converter for argparse that refuses what is missing or has seen the classes."""
    path = Path(text)
    if text != "imagenet" and not path.exists():
        raise argparse.ArgumentTypeError(f"{text!r} does not exist")
    if path.suffix == ".h5" and not path.name.startswith("backbone-0-4-"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a backbone-0-4-... of examples.cifar10_resnet18, which "
            "alone is sure not to have seen the classes 5-9"
        )
    return text


def load(backbone, run):
    """Loads run.weights, or exits with a line if they are of another network."""
    try:
        backbone.load_weights(run.weights)
    except (ValueError, KeyError, OSError) as error:
        sys.exit(
            f"{run.weights} does not fit --backbone {run.backbone} --stem {run.stem} "
            f"({type(error).__name__}): give those that it was trained with."
        )
    return backbone
