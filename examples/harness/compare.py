"""Runs of a study side by side: cells, rows, intervals, differences paired by seed."""

from itertools import groupby

import numpy as np
from scipy import stats

from examples.harness.metric import metric_of
from examples.harness.optimizers import BARE
from examples.harness.tuning import EACH_SEED

REFERENCE = "gradient-only"
# What tells the rows of one cell apart.
ROW = ("optimizer", "learning_rate", "tuned")


def interval(values):
    """(mean, half the width of its 95 % t interval), NaN where there are too few."""
    values = np.asarray(values, dtype="float64")
    if len(values) < 2:
        return (*values, np.nan, np.nan)[:2]
    error = values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), stats.t.ppf(0.975, len(values) - 1) * error


def final(runs):
    """Final value of the metric that counts by seed; none that was not finite."""
    last = {r["config"]["seed"]: r["metrics"][metric_of(runs)][-1] for r in runs}
    return {seed: value for seed, value in last.items() if value is not None}


def diverged(runs):
    """How many of them did."""
    return sum(run.get("diverged", False) for run in runs)


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
    name, rate, tuned = (config[name] for name in ROW)
    trial = config.get("evaluate_on") == "validation"
    return name, None if tuned == EACH_SEED and not trial else rate, tuned


def line_name(config):
    """As row_name, but one for all rates that tuning found in different cells."""
    name, rate, tuned = row_name(config)
    return name, None if tuned else rate, tuned


def rate_of(row):
    """The learning rate of a row in words."""
    _, rate, tuned = row
    if rate is None:
        return "tuned"
    return f"{rate:g}" + (" (tuned)" if tuned else "")


def reference(rows, row, name=REFERENCE):
    """The runs of the named optimizer to compare a row with: tuned with tuned.

    Those at the same rate, else the only ones; where there are several other rates,
    none: which one to take would decide the difference. None for trials either.
    """
    if any(r["config"].get("evaluate_on") == "validation" for r in rows.get(row, [])):
        return []
    others = {n: r for n, r in rows.items() if (n[0], n[2]) == (name, row[2])}
    only = next(iter(others.values())) if len(others) == 1 else []
    return others.get((name, *row[1:]), only)


def base(row):
    """The name of the optimizer that a row's modulates, or None."""
    return BARE.get(row[0])


def differences(runs, others):
    """Final values of runs less those of others, paired by seed."""
    ours, theirs = final(runs), final(others)
    return [ours[seed] - theirs[seed] for seed in ours.keys() & theirs.keys()]
