"""What the report says of a cell of a study, in words and as a Markdown table."""

import numpy as np

from examples.harness.compare import (
    REFERENCE,
    base,
    differences,
    diverged,
    final,
    interval,
    rate_of,
    reference,
)
from examples.harness.metric import HEADINGS, better, metric_of


def show(values, metric):
    """ "mean ± half width", of accuracies in percent."""
    _, factor, digits = HEADINGS[metric]
    if not len(values):
        return "–"
    mean, half = interval(factor * np.asarray(values))
    half = "" if np.isnan(half) else f" ± {half:.{digits}f}"
    return f"{mean:.{digits}f}{half}"


def difference(runs, others):
    """Paired by seed: as by `show`, and signs as "better/worse/equal"."""
    pairs = differences(runs, others)
    if not pairs or runs is others:
        return "", ""
    metric = metric_of(runs)
    signs = [sum(np.sign(pairs) == sign * better(metric)) for sign in (1, -1, 0)]
    return show(pairs, metric), "/".join(map(str, signs))


def table(rows, name=REFERENCE):
    """One row an optimizer; modulated ones bring columns for what they modulate."""
    modulated = any(reference(rows, row, base(row)) for row in rows)
    metric = metric_of(next(iter(rows.values())))
    heads = ["optimizer", "learning rate", "seeds", HEADINGS[metric][0]]
    for other in (name, "the bare optimizer")[: 1 + modulated]:
        heads += [f"from {other}", "better/worse/equal"]
    lines = [[*heads, "diverged"], ["---"] * (len(heads) + 1)]
    for row, runs in rows.items():
        values = list(final(runs).values())
        cells = [row[0], rate_of(row), len(runs), show(values, metric)]
        for other in (name, base(row))[: 1 + modulated]:
            cells += difference(runs, reference(rows, row, other))
        lines.append([*cells, diverged(runs) or ""])
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def describe(cell):
    """The settings of a cell in words, "study" first."""
    settings = dict(cell)
    study = settings.pop("study")
    given = [f"{k} {v}" for k, v in settings.items() if v is not None]
    return study, ", ".join(given).replace("_", " ")
