"""The learning rates that were best, and how much a score depends on them."""

from examples.evidence.cells import in_order
from examples.evidence.curves import NEAR, curves, peak, span
from examples.evidence.paper import NOT_RUN
from examples.evidence.score import score_of
from examples.evidence.tables import NONE, narrow
from examples.harness.optimizers import LEARNING_RATES


def table(records):
    """Optimizers × cells: the best rate, and how far from it nothing much is lost."""
    texts = []
    for of_study in records.values():
        if found := curves(of_study):
            texts.extend(best_of(found, score_of(of_study)))
    if not texts:
        return NOT_RUN
    return "\n\n".join(
        [
            *texts,
            "The best learning rate on held-out data, and in brackets by what factor "
            f"the rates around it reach that are within {NEAR} point of it; ≥ where "
            "the rates that were tried end there.",
        ]
    )


def best_of(found, score):
    """The tables of one study, from a dict from cell to optimizer to curve."""
    rows = []
    for name in in_order(name for of_cell in found.values() for name in of_cell):
        row = [name, f"{LEARNING_RATES[name]:g}"]
        for of_cell in found.values():
            if name in of_cell:
                best, _ = peak(of_cell[name], score)
                factor, open_end = span(of_cell[name], score)
                row.append(f"{best:g} ({'≥ ' * open_end}{factor:.0f})")
            else:
                row.append(NONE)
        rows.append(row)
    return narrow(["", "own rate", *found], rows, fixed=2)
