"""Scores on held-out data over the learning rate, from the trials that chose it."""

import numpy as np

from examples.evidence.cells import by_label, trials
from examples.evidence.score import final, score_of
from examples.harness.compare import diverged, group

NEAR = 1  # point, by which a rate may be worse than the best


def curve(runs):
    """A dict from learning rate to the mean score, NaN where a run diverged."""
    rates = group(runs, lambda config: config["learning_rate"])
    # Where each seed widens its own grid, the rates at its ends are not everyone's.
    most = max(map(len, rates.values()))
    means = {}
    for rate in sorted(rate for rate in rates if len(rates[rate]) == most):
        scores = [*final(rates[rate]).values()]
        means[rate] = np.nan if diverged(rates[rate]) else np.mean(scores)
    return means


def curves(records):
    """A dict from cell to optimizer to its curve, if it has a finite score."""
    found = {}
    for cell, runs in by_label(trials(records)).items():
        by_name = group(runs, lambda config: config["optimizer"])
        of_cell = {name: curve(by_name[name]) for name in by_name}
        found[cell] = {
            n: c for n, c in of_cell.items() if np.isfinite([*c.values()]).any()
        }
    return found


def peak(curve, score):
    """(learning rate, score) of the best rate, the lowest of equal ones."""
    finite = {rate: value for rate, value in curve.items() if np.isfinite(value)}
    rate = max(finite, key=lambda rate: score.better * finite[rate])
    return rate, finite[rate]


def span(curve, score):
    """By what factor the rates reach that are near the best, with no gap between.

    (factor, whether the trials end there)
    """
    best, top = peak(curve, score)
    rates = list(curve)
    near = [score.points * score.better * (top - curve[r]) <= NEAR for r in rates]
    low = high = rates.index(best)
    while low > 0 and near[low - 1]:
        low -= 1
    while high < len(rates) - 1 and near[high + 1]:
        high += 1
    return rates[high] / rates[low], low == 0 or high == len(rates) - 1


def favourite(records, names):
    """Which of the named optimizers is best on held-out data, by cell."""
    best = {}
    for cell, runs in by_label(trials(records)).items():
        score, found = score_of(runs), curves(runs)[cell]
        peaks = {name: peak(found[name], score)[1] for name in names if name in found}
        if peaks:
            best[cell] = max(peaks, key=lambda name: score.better * peaks[name])
    return best


def all_curves(records):
    """A dict from cell to (score, dict from optimizer to curve), over all studies."""
    return {
        cell: (score_of(of_study), found)
        for of_study in records.values()
        for cell, found in curves(of_study).items()
    }
