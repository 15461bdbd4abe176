"""Image data sets through tensorflow-datasets, as NumPy arrays."""

import functools
import sys

import keras  # before tensorflow: with the torch backend, torch must be loaded first
import numpy as np

# The share of the training set to train on while tuning, which never sees the test set.
TUNING_SHARE = 0.9


@functools.lru_cache(maxsize=1)
def load(name, evaluate_on="test", limit=None):
    """(x, y), (x_eval, y_eval): images as uint8 of shape (n, h, w, c), integer labels.

    Reads from the folder in TFDS_DATA_DIR, or from TFDS's own, into which TFDS
    downloads what is missing. With a limit, only so many of the first examples.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")  # TensorFlow only reads files here
    try:
        builder = tfds.builder(name)
        if not builder.is_prepared():
            print(
                f"{name!r} is not in {builder.data_dir}; trying to download it. "
                "Without a network this takes some minutes to fail."
            )
        builder.download_and_prepare()
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        sys.exit(
            f"Cannot load {name!r} ({type(error).__name__}: {reason}). Go online once "
            "to download it, or set TFDS_DATA_DIR to a folder that holds it."
        )
    size = {part: split.num_examples for part, split in builder.info.splits.items()}
    edge = round(TUNING_SHARE * size["train"])
    splits = {
        "test": (("train", 0, size["train"]), ("test", 0, size["test"])),
        "validation": (("train", 0, edge), ("train", edge, size["train"])),
    }
    chosen = [
        f"{part}[{start}:{min(end, start + limit) if limit else end}]"
        for part, start, end in splits[evaluate_on]
    ]
    parts = builder.as_dataset(split=chosen, batch_size=-1, as_supervised=True)
    return tuple((np.asarray(x), np.asarray(y)) for x, y in parts)


def subset(size, fraction, seed):
    """Sorted indices of a random share of `size` examples, the same for each seed.

    A smaller fraction is a subset of a larger one; the smallest has one example.
    """
    order = np.random.default_rng([seed, 1]).permutation(size)
    return np.sort(order[: max(1, round(fraction * size))])


def flip_labels(labels, rate, classes, seed):
    """A copy in which exactly the share `rate` of labels is another, random class."""
    random = np.random.default_rng([seed, 2])
    flipped = random.permutation(len(labels))[: round(rate * len(labels))]
    labels = labels.copy()
    offsets = random.integers(1, classes, len(flipped))
    labels[flipped] = (labels[flipped] + offsets) % classes
    return labels


# Classes by the name of their choice.
CLASSES = {"0-9": range(10), "0-4": range(5), "5-9": range(5, 10)}


def select(examples, classes):
    """Those examples (x, y) whose label is among the classes, numbered from 0."""
    x, y = examples
    chosen = np.isin(y, classes)
    return x[chosen], y[chosen] - min(classes)


class Batches(keras.utils.PyDataset):
    """Shuffled batches whose order depends on the seed and the epoch alone.

    So a run that is resumed sees the same batches as one that never stopped. The
    epoch is set by the callback of the run.
    """

    def __init__(self, x, y, batch_size, seed):
        super().__init__()
        self.x, self.y, self.batch_size, self.seed = x, y, batch_size, seed
        self.set_epoch(0)

    def set_epoch(self, epoch):
        self.order = np.random.default_rng([self.seed, 0, epoch]).permutation(
            len(self.x)
        )

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        chosen = self.order[start : start + self.batch_size]
        return self.x[chosen], self.y[chosen]
