"""Scores over the learning rate, a panel a task, a line an optimizer."""

import textwrap
from itertools import chain

import numpy as np

from examples.evidence.cells import in_order
from examples.evidence.curves import all_curves, curves, peak
from examples.evidence.pictures import (
    BLUE,
    GREEN,
    ORANGE,
    PINK,
    STYLE,
    legend,
    plt,
    save,
)
from examples.harness.metric import ACCURACY, LOSS
from examples.harness.optimizers import LEARNING_RATES

# Colour and marker of who is drawn.
LINES = {
    "neuroplastic-default": (BLUE, "o"),
    "sgd": (GREEN, "s"),
    "adam": (ORANGE, "^"),
    "plastic-adam": (PINK, "v"),
}
PANELS = 6
DEPTH = {ACCURACY: 15, LOSS: 0.5}  # what is drawn below the best


def chosen(records):
    """Of every study the first task with two lines to draw, then of some the last."""
    drawn = [
        [c for c, f in curves(of_study).items() if len({*LINES} & {*f}) > 1]
        for of_study in records.values()
    ]
    ends = [cells[:1] for cells in drawn] + [cells[-1:] for cells in drawn]
    some = [*dict.fromkeys(chain(*ends))][:PANELS]
    return [cell for cells in drawn for cell in cells if cell in some]


def zoom(axes, score, of_cell):
    """Leaves out what is so bad that the rest could not be told apart."""
    top = max(
        (peak(of_cell[name], score)[1] for name in LINES if name in of_cell),
        key=lambda value: score.better * value,
    )
    end = top - score.better * DEPTH[score.metric]
    low, high = sorted(axes.get_ylim())
    limits = (max(low, end), high) if score.better > 0 else (low, min(high, end))
    axes.set_ylim(*limits)


def picture(records, path):
    """Score over the learning rate, in multiples of the optimizer's own."""
    found, cells = all_curves(records), chosen(records)
    if not cells:
        return
    columns = min(3, -(-len(cells) // 2))
    lines = -(-len(cells) // columns)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            lines,
            columns,
            figsize=(3.4 * columns, 0.6 + 2.9 * lines),
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        for axes in panels.flat[len(cells) :]:
            axes.set_visible(False)
        for cell, axes in zip(cells, panels.flat, strict=False):
            score, of_cell = found[cell]
            for name in in_order(LINES.keys() & of_cell.keys()):
                color, marker = LINES[name]
                rates = np.array([*of_cell[name]]) / LEARNING_RATES[name]
                scores = [*of_cell[name].values()]
                axes.semilogx(rates, scores, color=color, marker=marker, label=name)
            axes.axvline(1, color="black", linewidth=1)
            axes.set_title(textwrap.fill(cell, 34), fontsize=10)
            axes.set_ylabel(f"held-out {score.name}")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_tick_params(labelbottom=True)
            zoom(axes, score, of_cell)
        figure.supxlabel(
            "learning rate, in multiples of the optimizer's own", fontsize=10
        )
        legend(figure, panels, in_order(LINES), len(LINES))
        save(figure, path)
