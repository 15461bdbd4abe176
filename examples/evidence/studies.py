"""A study with every learning rate tuned: all scores, and what plasticity changes."""

from examples.evidence.cells import (
    FORMS,
    by_label,
    by_optimizer,
    counting,
    select,
    trials,
)
from examples.evidence.curves import curves, favourite
from examples.evidence.families import (
    BARES,
    L1_MANY_INPUTS,
    L1_SGD,
    in_one,
    members,
)
from examples.evidence.labels import axes
from examples.evidence.origin import origin
from examples.evidence.paper import NOT_RUN
from examples.evidence.score import score_of
from examples.evidence.tables import differences, scores
from examples.evidence.verdicts import Pair, measured
from examples.harness.optimizers import KERAS


def tuned(records):
    """A dict from cell to optimizer to its runs at the rate that tuning found."""
    held_out = curves(records)
    return {
        cell: in_one(rows, held_out.get(cell, {}), score_of(next(iter(rows.values()))))
        for cell, rows in singly(records).items()
    }


def singly(records):
    """The same with the members of families by themselves."""
    cells = by_label(counting(records, tuned=True))
    return {cell: by_optimizer(runs) for cell, runs in cells.items()}


def modulated(cells, bares=BARES):
    """Each modulated optimizer less the bare one: a dict for `differences`."""
    pairs = {
        (name, cell): Pair.of(rows[name], rows[bares[name]])
        for cell, rows in cells.items()
        for name in bares
        if name in rows and bares[name] in rows
    }
    return measured(pairs)


def forms(records, rivals=KERAS):
    """NeuroPlastic less the best of the rivals: a dict for `differences`.

    Which is the best is decided on the data that chose the learning rates.
    """
    best, cells = favourite(records, rivals), singly(records)
    pairs = {
        (name, f"{cell}, from {best[cell]}"): Pair.of(rows[name], rows[best[cell]])
        for cell, rows in cells.items()
        for name in FORMS
        if name in rows and best.get(cell) in rows
    }
    return measured(pairs)


def part(records):
    """The tables of the cells that differ in the first axis of the study alone."""
    cells = tuned(records)
    texts = [scores(cells)]
    if pairs := modulated(cells):
        texts.append("Modulated, less the same optimizer bare:")
        texts.append(differences(pairs))
    if pairs := modulated(cells, {L1_MANY_INPUTS: L1_SGD}):
        texts.append("`many_inputs` with an L1 penalty, less SGD with one:")
        texts.append(differences(pairs))
    if pairs := forms(records):
        texts.append("Less the other optimizer that was best on held-out data:")
        texts.append(differences(pairs))
    penalised = members(L1_SGD)
    plain = forms(records, [name for name in KERAS if name not in penalised])
    if plain.keys() != pairs.keys():
        texts.append("Less the best there without an L1 penalty:")
        texts.append(differences(plain))
    return texts


def study(name):
    """A function from all records to the block of a tuned study."""

    def block(records):
        all_tuned = [r for r in records.get(name, []) if r["config"]["tuned"]]
        all_tuned = select(all_tuned, limit=[None])
        runs = counting(all_tuned, tuned=True)
        if not runs:
            return NOT_RUN
        parts = {}
        for cell in by_label(all_tuned).values():
            others = (*axes(cell[0]["config"]).items(),)[1:]
            parts.setdefault(others, []).extend(cell)
        texts = [text for p in parts.values() if tuned(p) for text in part(p)]
        return "\n\n".join([*texts, origin(runs + trials(all_tuned))])

    return block
