"""Two optimizers in one cell, and what may be said of many such pairs at once."""

import numpy as np
from scipy import stats

from examples.evidence.score import final, score_of
from examples.harness.compare import diverged, interval

LEVEL = 0.05


class Pair:
    """Differences in one cell, paired by seed.

    Attributes:
        score: What they are differences of.
        differences: A dict from seed to ours less theirs, in the unit of the score.
        gains: The same as an array in points, of which more is better.
        diverged: How many of our runs did.
    """

    def __init__(self, score, differences, diverged=0):
        self.score, self.differences, self.diverged = score, differences, diverged

    @classmethod
    def of(cls, ours, theirs):
        """Runs of one optimizer against those of another."""
        a, b = final(ours), final(theirs)
        by_seed = {seed: a[seed] - b[seed] for seed in a if seed in b}
        return cls(score_of(ours), by_seed, diverged(ours))

    def minus(self, other):
        """How much further ahead than in another cell, by seed."""
        a, b = self.differences, other.differences
        by_seed = {seed: a[seed] - b[seed] for seed in a if seed in b}
        return Pair(self.score, by_seed, self.diverged)

    @property
    def gains(self):
        values = np.array([*self.differences.values()])
        return values * self.score.better * self.score.points

    def __str__(self):
        """As "+1.20 ± 0.30 (4/1/0)": seeds that were better, worse and equal."""
        signs = [sum(np.sign(self.gains) == sign) for sign in (1, -1, 0)]
        text = self.score.text([*self.differences.values()], "+")
        lost = f", {self.diverged} diverged" if self.diverged else ""
        return f"{text} ({'/'.join(map(str, signs))}{lost})"


def measured(pairs):
    """Of a dict of pairs those that have a seed in common."""
    return {key: pair for key, pair in pairs.items() if pair.differences}


def p_value(values):
    """Of a two-sided t test that their mean is zero; 1 if there is nothing to test."""
    mean, half = interval(values)
    if not half > 0:  # one value, or no spread
        return float(len(values) < 2 or mean == 0)
    degrees = len(values) - 1
    t = mean / half * stats.t.ppf(0.975, degrees)
    return 2 * stats.t.sf(abs(t), degrees)


def holm(values):
    """The p-values of one family, corrected for their number."""
    order, corrected, most = np.argsort(values), np.empty(len(values)), 0
    for rank, i in enumerate(order):
        most = max(most, min(1, (len(values) - rank) * values[i]))
        corrected[i] = most
    return corrected


def judge(pairs):
    """A verdict on each pair of one table: "wins", "loses" or "level".

    Who diverged does not win.
    """
    words = []
    for pair, p in zip(pairs, holm([p_value(p.gains) for p in pairs]), strict=True):
        ahead = np.mean(pair.gains) > 0
        if p >= LEVEL or (ahead and pair.diverged):
            words.append("level")
        else:
            words.append("wins" if ahead else "loses")
    return words


def note(count, tables=1):
    """What stands under a table, or several, with so many comparisons."""
    where = "this table" if tables == 1 else f"these {tables} tables"
    return (
        "Differences are paired by seed: mean ± half of the 95 % interval, and in "
        "brackets how many were better/worse/equal. *Wins* and *loses* say that a "
        f"paired t test has p < {LEVEL} after Holm's correction for the {count} "
        f"comparison{'s' * (count > 1)} of {where}; *level* says that it has not."
    )
