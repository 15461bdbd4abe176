"""Plasticity around another optimizer, less that optimizer, over all tasks."""

from collections import Counter

from examples.evidence.cells import by_label, counting, in_order
from examples.evidence.families import BARES
from examples.evidence.forest import forest
from examples.evidence.labels import kind
from examples.evidence.paper import NOT_RUN
from examples.evidence.studies import modulated, tuned
from examples.evidence.tables import NONE, markdown
from examples.evidence.verdicts import LEVEL, judge
from examples.harness.optimizers import MODULATIONS

DEFAULT = "plastic"


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
    """How often each modulation wins, is level and loses, and the default one where."""
    found = everywhere(records)
    if not found:
        return NOT_RUN
    kinds = kind_of_each(records)
    by_form, by_kind = {}, {}
    for (name, cell), (_, word) in found.items():
        bare = BARES[name]
        form = name.removesuffix(f"-{bare}")
        by_form.setdefault((bare, f"{form}-"), Counter())[word] += 1
        if form == DEFAULT:
            by_kind.setdefault((bare, kinds[cell]), Counter())[word] += 1
    return (
        f"The default, `{DEFAULT}-`, by what it was tried on:\n\n"
        f"{counts(by_kind, dict.fromkeys(kinds.values()))}\n\n"
        f"And each on all of it:\n\n{counts(by_form, [f'{m}-' for m in MODULATIONS])}"
        "\n\nOn how many tasks the modulated optimizer wins/is level/loses against "
        f"the bare one: paired t tests, p < {LEVEL} after Holm's correction for the "
        f"{len(found)} comparisons of the second table, each rate tuned."
    )


def counts(found, columns):
    """Optimizers × columns: "wins/level/loses"."""
    columns = [c for c in columns if any(c == column for _, column in found)]
    rows = [
        [bare]
        + [
            "/".join(str(found[bare, c][w]) for w in ("wins", "level", "loses"))
            if (bare, c) in found
            else NONE
            for c in columns
        ]
        for bare in in_order(bare for bare, _ in found)
    ]
    return markdown(["optimizer", *columns], rows)


def kind_of_each(records):
    """A dict from the cells of all tuned studies to the kind of task they are."""
    return {
        cell: kind(runs[0]["config"])
        for of_study in records.values()
        for cell, runs in by_label(counting(of_study, tuned=True)).items()
    }


def picture(records, path):
    """The default modulation on every task, with the verdicts of the tally."""
    found = {
        (BARES[name], cell): value
        for (name, cell), value in everywhere(records).items()
        if name == f"{DEFAULT}-{BARES[name]}"
    }
    if found:
        forest(found, path)
