"""Runs of a study side by side: cells, rows, intervals, differences paired by seed."""

from itertools import groupby

import numpy as np
from scipy import stats

REFERENCE = "gradient-only"
# What tells the rows of one cell apart.
ROW = ("optimizer", "learning_rate", "tuned")


def interval(values):
    """(mean, half the width of its 95 % t interval; NaN for a single value)."""
    values = np.asarray(values, dtype="float64")
    if len(values) < 2:
        return values.mean(), np.nan
    error = values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), stats.t.ppf(0.975, len(values) - 1) * error


def final(runs):
    """Final accuracy by seed."""
    return {r["config"]["seed"]: r["metrics"]["val_accuracy"][-1] for r in runs}


def group(records, name):
    """Lists of records with the same name(config), by that name, sorted."""
    records = sorted(records, key=lambda r: repr(name(r["config"])))
    return {
        name(part[0]["config"]): part
        for part in (list(g) for _, g in groupby(records, lambda r: name(r["config"])))
    }


def cell_name(config):
    return tuple((k, v) for k, v in config.items() if k not in (*ROW, "seed"))


def row_name(config):
    return tuple(config[name] for name in ROW)


def rate_of(row):
    """The learning rate of a row in words."""
    _, rate, tuned = row
    return f"{rate:g}" + (" (tuned)" if tuned else "")


def reference(rows, row):
    """The gradient-only runs to compare a row with: tuned with tuned."""
    rows = {name: runs for name, runs in rows.items() if name[0] == REFERENCE}
    rows = {name: runs for name, runs in rows.items() if name[2] == row[2]}
    same_rate = [runs for name, runs in rows.items() if name[1] == row[1]]
    return next(iter(same_rate or rows.values()), [])


def differences(runs, others):
    """Final accuracies of runs less those of others, paired by seed."""
    ours, theirs = final(runs), final(others)
    return [ours[seed] - theirs[seed] for seed in ours.keys() & theirs.keys()]
