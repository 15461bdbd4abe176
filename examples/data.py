"""Image data sets through tensorflow-datasets, as NumPy arrays."""

import sys

import numpy as np

# Python finds the frameworks in any order, but torch has to be loaded before
# tensorflow, which reads the files; Keras on the torch backend does that.
import keras  # noqa: F401  isort: skip


def load(name):
    """((x, y), (x_test, y_test)): images in [-1, 1], float32, and integer labels.

    Reads from the folder in TFDS_DATA_DIR, or from TFDS's own, to which it downloads
    what is missing.
    """
    import tensorflow_datasets as tfds

    try:
        splits = tfds.load(name, split=["train", "test"], batch_size=-1)
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        sys.exit(
            f"Cannot load {name!r} ({type(error).__name__}: {reason}). Go online once, "
            "or set TFDS_DATA_DIR to a folder that holds it."
        )
    train, test = (tfds.as_numpy(split) for split in splits)
    return (scale(train["image"]), train["label"]), (
        scale(test["image"]),
        test["label"],
    )


def scale(images):
    """(x / 255 - 0.5) / 0.5, as in the paper."""
    return (images / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
