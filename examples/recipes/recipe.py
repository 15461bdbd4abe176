"""What the recipes share: parts of their data, the schedule, the study."""

import math
import sys

import keras
import numpy as np

from examples import harness

SCHEDULES = {
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "constant": lambda progress: 1,
}


def split(run, *arrays):
    """Two lists, of the arrays' rows to train on and of those to evaluate on.

    Of five equal parts, in an order that is always the same, the last is the test set,
    and for --tune the one before it is held out. What fills no batch is left out: an
    epoch has equal batches, for which all is compiled once.
    """
    order = np.random.default_rng(6).permutation(len(arrays[0]))
    fifth = len(order) // 5
    start = fifth * (4 if run.evaluate_on == "test" else 3)
    train, held_out = order[:start][: run.limit], order[start : start + fifth]
    if len(train) < run.batch_size:
        most = f"the {len(train)} training examples that there are"
        sys.exit(f"argument --batch-size: {run.batch_size} is more than {most}")
    train = train[: len(train) // run.batch_size * run.batch_size]
    return [a[train] for a in arrays], [a[held_out] for a in arrays]


def callbacks(run, batches):
    """For `fit`: the learning rate of each epoch, and what the study records."""

    def rate(epoch):
        return run.learning_rate * SCHEDULES[run.schedule](epoch / run.epochs)

    return [keras.callbacks.LearningRateScheduler(rate), *run.callbacks(batches)]


def main(name, train, description, argv=None, **options):
    """The study of a recipe, as `harness.main` runs it."""
    schedule = {
        "choices": SCHEDULES,
        "default": ["cosine"],
        "help": "how the learning rate goes, epoch by epoch",
    }
    harness.main(
        f"recipes.{name}",
        train,
        description,
        seconds_per_epoch=0.3,
        argv=argv,
        schedule=schedule,
        **options,
    )
