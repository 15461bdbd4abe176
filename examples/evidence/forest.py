"""Gains with their intervals: one panel an optimizer, one line a task."""

import numpy as np

from examples.evidence.cells import in_order
from examples.evidence.pictures import BLUE, GREY, RED, STYLE, plt, save
from examples.harness.compare import interval

# Colour, marker and filling of a verdict.
VERDICTS = {
    "wins": (BLUE, "o", BLUE),
    "level": (GREY, "o", "white"),
    "loses": (RED, "s", RED),
}


def reach(gains):
    """How far a panel goes to either side: around most, as one may dwarf all others."""
    means, halves = np.transpose([interval(each) for each in gains])
    ends = np.nanquantile(np.abs(means) + np.nan_to_num(halves), 0.9)
    return max(1.5 * ends, 0.1)


def line(axes, height, pair, word, far):
    """A gain and its interval; an arrow at the edge where the gain is `far` away."""
    color, marker, filling = VERDICTS[word]
    mean, half = interval(pair.gains)
    if abs(mean) > far:
        marker = ">" if mean > 0 else "<"
    axes.errorbar(
        mean,
        height,
        xerr=np.nan_to_num(half),
        color=color,
        capsize=3,
    )
    axes.plot(
        np.clip(mean, -far, far),
        height,
        marker=marker,
        markersize=5,
        markerfacecolor=filling,
        color=color,
        clip_on=False,
        zorder=3,
    )


def forest(found, path):
    """One panel an optimizer, one line a task: gain and its interval.

    Args:
        found: A dict from (optimizer, task) to (`Pair`, verdict).
        path: File to write.
    """
    optimizers = in_order(optimizer for optimizer, _ in found)
    tasks = list(dict.fromkeys(task for _, task in found))
    far = reach([pair.gains for pair, _ in found.values()])
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1,
            len(optimizers),
            figsize=(3 + 1.3 * len(optimizers), 1.7 + 0.3 * len(tasks)),
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for optimizer, axes in zip(optimizers, panels[0], strict=True):
            axes.axvline(0, color="black", linewidth=1)
            axes.set_title(optimizer.replace(" (", "\n("), fontsize=11)
            for height, task in enumerate(tasks):
                if (optimizer, task) in found:
                    line(axes, height, *found[optimizer, task], far)
        panels[0, 0].set_xlim(-far, far)
        panels[0, 0].set_yticks(range(len(tasks)), tasks)
        panels[0, 0].set_ylim(len(tasks) - 0.5, -0.5)
        losses = any(pair.score.better < 0 for pair, _ in found.values())
        figure.supxlabel(
            "test accuracy with plasticity less that without, in points, with its 95 % "
            "interval" + "\n(of losses: hundredths by which it is less)" * losses,
            fontsize=10,
        )
        handles = [
            plt.Line2D([], [], color=c, marker=m, markerfacecolor=f, label=word)
            for word, (c, m, f) in VERDICTS.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
        save(figure, path)
