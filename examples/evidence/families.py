"""Optimizers that ran with several strengths of a penalty: the best stands for all."""

import re

from examples.evidence.curves import peak
from examples.harness.optimizers import BARE, MODULATIONS, OPTIMIZERS

ADAMW = "adamw (decay tuned)"
L1_SGD = "sgd (L1 tuned)"
L1_MANY_INPUTS = "activity-only-wide-free (L1 tuned)"
# Those that may be modulated, as all optimizers of Keras.
OF_KERAS = ADAMW, L1_SGD
# From what a family is called to how its members are.
MEMBERS = {
    ADAMW: r"adamw(-\d+)?",
    L1_SGD: r"sgd-l1-.*",
    L1_MANY_INPUTS: r"activity-only-wide-free-l1-.*",
}


def members(family):
    return [name for name in OPTIMIZERS if re.fullmatch(MEMBERS[family], name)]


# What each modulates, families too.
BARES = BARE | {f"{m}-{family}": family for m in MODULATIONS for family in OF_KERAS}
FAMILIES = {family: members(family) for family in MEMBERS} | {
    f"{m}-{family}": [f"{m}-{name}" for name in members(family)]
    for m in MODULATIONS
    for family in OF_KERAS
}


def in_one(rows, curves, score):
    """The optimizers of a cell, of a family the one that is best on held-out data.

    Args:
        rows: A dict from optimizer to runs.
        curves: A dict from optimizer to its curve in the same cell.
        score: What they are scores of.
    """

    def held_out(name):
        return score.better * peak(curves[name], score)[1]

    several = {}
    for family, names in FAMILIES.items():
        ran = [name for name in names if name in rows and name in curves]
        if len(ran) > 1:
            several[family] = ran
    best = {family: rows[max(ran, key=held_out)] for family, ran in several.items()}
    within = {name for ran in several.values() for name in ran}
    # One that is modulated in this form alone is what its modulation is compared with.
    alone = {BARE[name] for name in rows if name in BARE and name not in within}
    return best | {n: r for n, r in rows.items() if n not in within or n in alone}
