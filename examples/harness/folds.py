"""A few samples of each class to train on, and trials within them."""

import math

import keras
import numpy as np


def frequent(labels, least):
    """Which samples belong to a class of so many, and their classes as numbers."""
    names, counts = np.unique(labels, return_counts=True)
    chosen = np.isin(labels, names[counts >= least])
    return np.flatnonzero(chosen), np.unique(labels[chosen], return_inverse=True)[1]


def splits(labels, count, seed, evaluate_on):
    """Pairs of indices to train on and to evaluate on, which depend on the seed alone.

    For "test" one: `count` samples of each class, and all others. For "validation" as
    many as `count`, within the samples that the former trains on: each time one sample
    of every class is held out, each once.
    """
    random = np.random.default_rng([seed, 5])
    chosen = np.stack(
        [
            random.permutation(np.flatnonzero(labels == name))[:count]
            for name in np.unique(labels)
        ]
    )
    if evaluate_on == "test":
        others = np.setdiff1d(np.arange(len(labels)), chosen)
        return [(chosen.ravel(), others)]
    return [(np.delete(chosen, i, 1).ravel(), chosen[:, i]) for i in range(count)]


def train_each(run, model, pairs, fit):
    """Calls fit(*pair) for each pair; of several, the run gets the means.

    Each begins with the model and its optimizer as they are given.
    """
    if len(pairs) == 1:
        fit(*pairs[0])
        return
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    start = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    run.save_every = math.inf  # a state would be that of one pair alone
    count_epoch, run.on_epoch_end = run.on_epoch_end, lambda: None
    parts = []
    for pair in pairs:
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        run.metrics = {}
        fit(*pair)
        if run.diverged:
            break
        parts.append(run.metrics)
    else:
        run.metrics = {name: mean([p[name] for p in parts]) for name in parts[0]}
        seconds = np.sum([p["seconds"] for p in parts], axis=0)
        run.metrics["seconds"] = seconds.round(2).tolist()
    for _ in run.metrics["loss"]:
        count_epoch()


def mean(courses):
    """Epoch by epoch. Rounded: there are many trials."""
    return np.mean(courses, axis=0).round(4).tolist()
