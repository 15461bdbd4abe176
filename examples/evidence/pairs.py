"""Plasticity around another optimizer, less that optimizer, over all tasks."""

from collections import Counter

from examples.evidence.cells import in_order
from examples.evidence.families import BARES
from examples.evidence.forest import forest
from examples.evidence.paper import NOT_RUN
from examples.evidence.studies import modulated, tuned
from examples.evidence.tables import markdown
from examples.evidence.verdicts import LEVEL, judge
from examples.harness.optimizers import MODULATIONS


def everywhere(records):
    """All pairs of all tuned studies, with their verdicts: by (name, cell)."""
    pairs = {}
    for of_study in records.values():
        pairs |= modulated(tuned(of_study))
    words = judge([*pairs.values()])
    return {
        key: (pair, word)
        for (key, pair), word in zip(pairs.items(), words, strict=True)
    }


def tally(records):
    """How often each modulation wins, is level and loses."""
    found = everywhere(records)
    if not found:
        return NOT_RUN
    counts = {}
    for (name, _), (_, word) in found.items():
        key = BARES[name], name.removesuffix(f"-{BARES[name]}")
        counts.setdefault(key, Counter())[word] += 1
    columns = [m for m in MODULATIONS if any(m == c for _, c in counts)]
    rows = [
        [bare]
        + [
            "/".join(str(counts[bare, m][w]) for w in ("wins", "level", "loses"))
            if (bare, m) in counts
            else "–"
            for m in columns
        ]
        for bare in in_order(bare for bare, _ in counts)
    ]
    return (
        markdown(["optimizer", *(f"{m}-" for m in columns)], rows)
        + "\n\nOn how many tasks the modulated optimizer wins/is level/loses against "
        f"the bare one: paired t tests, p < {LEVEL} after Holm's correction for the "
        f"{len(found)} comparisons of this table, each rate tuned."
    )


def picture(records, path):
    """The default modulation on every task, with the verdicts of the tally."""
    found = {
        (BARES[name], cell): value
        for (name, cell), value in everywhere(records).items()
        if name == f"plastic-{BARES[name]}"
    }
    if found:
        forest(found, path)
