"""Accuracy over the number of useless inputs: where plasticity is worth something."""

from itertools import chain

import numpy as np

from examples.evidence.cells import select
from examples.evidence.families import ADAMW, L1_SGD, members
from examples.evidence.labels import NETWORKS
from examples.evidence.pictures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    STYLE,
    legend,
    plt,
    save,
)
from examples.evidence.score import final, score_of
from examples.evidence.studies import tuned
from examples.harness.compare import group, interval

LOWEST = 50  # percent that are drawn: one failure would dwarf all differences
MODULATED = {"linestyle": "--", "markerfacecolor": "white"}


def both(label, name, color, marker, again=None):
    """The lines of an optimizer and of the same with plasticity, called `again`."""
    style = {"color": color, "marker": marker}
    return {
        label: ([name], style),
        f"{again or label} with plasticity": ([f"plastic-{name}"], style | MODULATED),
    }


# In the legend's words: who is drawn, the first of several that ran, and how.
LINES = {
    **both("Adam", "adam", ORANGE, "^"),
    **both("AdamW, decay tuned", ADAMW, PINK, "v", "the same"),
    **both("momentum", "momentum", GREEN, "s"),
    "NeuroPlastic.many_inputs": (
        ["activity-only-wide-free"],
        {"color": BLUE, "marker": "o"},
    ),
    "SGD with an L1 penalty": (
        [L1_SGD, *members(L1_SGD)],
        {"color": GREY, "marker": "D", "linestyle": ":"},
    ),
}


def points(cells, names):
    """Mean and half of its interval over the columns, of the first name there is."""
    found = {}
    for noise, rows in cells.items():
        if name := next((name for name in names if name in rows), None):
            found[noise] = interval([*final(rows[name]).values()])
    return found


def draw(axes, cells, columns):
    """The lines of one model and number of images.

    Args:
        cells: A dict from columns of noise to a dict from optimizer to runs.
        columns: All that are on the axis. They stand at equal distances: there are
            none, hundreds and thousands.
    """
    for label, (names, style) in LINES.items():
        if found := points(cells, names):
            means, halves = np.transpose([*found.values()])
            places = [columns.index(noise) for noise in found]
            axes.errorbar(places, means, np.nan_to_num(halves), label=label, **style)
    axes.set_xticks(range(len(columns)), [f"{noise:,}" for noise in columns])


def panel(config):
    return config["model"], config["examples"]


def by_columns(runs):
    """A dict from columns of noise to a dict from optimizer to its tuned runs."""
    cells = group(runs, lambda config: config["noise"])
    return {
        noise: rows for noise in sorted(cells) for rows in tuned(cells[noise]).values()
    }


def picture(records, path):
    """A row of panels for each model, a column for each number of images."""
    runs = select(records.get("irrelevant_inputs", []), tuned=[True], limit=[None])
    if not runs:
        return
    by_panel = {key: by_columns(own) for key, own in group(runs, panel).items()}
    columns = sorted({*chain(*by_panel.values())})
    models, examples = (sorted({*each}) for each in zip(*by_panel, strict=True))
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(models),
            len(examples),
            figsize=(0.8 + 3 * len(examples), 1 + 2.8 * len(models)),
            sharex=True,
            sharey="row",
            squeeze=False,
            layout="constrained",
        )
        for model, row in zip(models, panels, strict=True):
            for number, axes in zip(examples, row, strict=True):
                draw(axes, by_panel.get((model, number), {}), columns)
                axes.set_title(f"{NETWORKS.get(model, model)}, {number:,} images")
            row[0].set_ylim(bottom=max(row[0].get_ylim()[0], LOWEST))
            row[0].set_ylabel(f"test {score_of(runs).name}")
        figure.supxlabel("columns of noise (bars: 95 % intervals)", fontsize=10)
        legend(figure, panels, LINES, 4)
        save(figure, path)
