"""Optimizers that ran with several strengths of a penalty: the best stands for all."""

import re

from examples.evidence.curves import peak
from examples.harness.optimizers import BARE, KERAS, MODULATIONS, OPTIMIZERS

L1_SGD = "sgd (L1 tuned)"
L1_MANY_INPUTS = "activity-only-wide-free (L1 tuned)"
# From what a family is called to how its members are.
MEMBERS = {
    "adamw (decay tuned)": r"adamw(-\d+)?",
    L1_SGD: r"sgd-l1-.*",
    L1_MANY_INPUTS: r"activity-only-wide-free-l1-.*",
}


def members(family):
    return [name for name in OPTIMIZERS if re.fullmatch(MEMBERS[family], name)]


FAMILIES = {family: members(family) for family in MEMBERS}
# What each modulates, families too.
BARES = BARE | {
    f"{beginning}-{family}": family
    for beginning in MODULATIONS
    for family, names in FAMILIES.items()
    if {*names} <= {*KERAS}
}
FAMILIES |= {
    name: [f"{name.removesuffix(bare)}{member}" for member in FAMILIES[bare]]
    for name, bare in BARES.items()
    if bare in FAMILIES
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
