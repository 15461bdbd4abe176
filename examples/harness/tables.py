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


def percent(values):
    mean, half = interval(100 * np.asarray(values))
    return f"{mean:.2f}" + ("" if np.isnan(half) else f" ± {half:.2f}")


def difference(runs, others):
    """Paired by seed: "mean ± half width", and signs as "better/worse/equal"."""
    pairs = differences(runs, others)
    if not pairs or runs is others:
        return "", ""
    signs = [sum(np.sign(pairs) == sign) for sign in (1, -1, 0)]
    return percent(pairs), "/".join(map(str, signs))


def table(rows, name=REFERENCE):
    """One row an optimizer; modulated ones bring columns for what they modulate."""
    modulated = any(reference(rows, row, base(row)) for row in rows)
    heads = ["optimizer", "learning rate", "seeds", "accuracy (%)"]
    for other in (name, "the bare optimizer")[: 1 + modulated]:
        heads += [f"from {other}", "better/worse/equal"]
    lines = [[*heads, "diverged"], ["---"] * (len(heads) + 1)]
    for row, runs in rows.items():
        cells = [row[0], rate_of(row), len(runs), percent(list(final(runs).values()))]
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
