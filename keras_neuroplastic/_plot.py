"""The page that `PlasticityMonitor.plot` draws."""

from itertools import pairwise
from operator import itemgetter

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_neuroplastic.collecting import share_at_bounds

MOST_ROWS, MOST_BANDS, LONGEST_NAME = 40, 6, 30
# Two colours that everyone can tell apart, also in grey.
BLUE, ORANGE, GREY = "#0072b2", "#e69f00", "#666666"
# What makes the values of a row, and the limits of the colours.
HEATMAPS = {
    "share of elements at a bound": (share_at_bounds, (0, 1)),
    "share of steps cut to the norm limit": (itemgetter("share_clipped"), (0, 1)),
    "update / weight, as a power of ten": (itemgetter("update_to_weight"), None),
}


def page(epochs, history, logs):
    """A figure of all that a monitor has kept."""
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        epochs = list(range(len(epochs)))  # of several fits, one after another
    history = chosen(history)
    names = dict(zip(history, short_names(list(history)), strict=True))
    bands = spread(list(history), MOST_BANDS)
    band_rows = -(-len(bands) // 3)
    heights = [*[1.7] * band_rows, max(1.6, 0.2 * len(history)), 1.9]
    figure = Figure(figsize=(11, 1.2 + sum(heights) * 1.3), layout="constrained")
    figure.suptitle("What plasticity did", fontsize=14)
    parts = figure.subfigures(3, 1, height_ratios=[sum(heights[:-2]), *heights[-2:]])
    draw_bands(parts[0], epochs, {names[path]: history[path] for path in bands})
    draw_heatmaps(parts[1], epochs, {names[path]: h for path, h in history.items()})
    draw_logs(parts[2], epochs, logs)
    return figure


def spread(items, most):
    """At most so many, evenly from the first to the last."""
    if len(items) <= most:
        return items
    indices = np.linspace(0, len(items) - 1, most).round().astype(int)
    return [items[i] for i in indices]


def chosen(history):
    """What there is room for: the larger half of the variables before the others."""
    paths = list(history)
    if len(paths) > MOST_ROWS:
        sizes = [np.nanmax(history[path]["size"]) for path in paths]
        median = np.median(sizes)
        paths = [p for p, size in zip(paths, sizes, strict=True) if size >= median]
    return {path: history[path] for path in spread(paths, MOST_ROWS)}


def short_names(paths):
    """Without what all begin with, and not longer than there is room for."""
    first = [path.split("/")[0] for path in paths]
    if len({*first}) == 1 and all("/" in path for path in paths):
        paths = [path.split("/", 1)[1] for path in paths]
    keep = LONGEST_NAME - 1
    names = [p if len(p) <= LONGEST_NAME else "…" + p[-keep:] for p in paths]
    if len({*names}) == len(names):
        return names
    keep -= len(str(len(names))) + 1  # numbered, or one would hide another
    return [
        f"{i} {p if len(p) <= keep + 1 else '…' + p[-keep:]}"
        for i, p in enumerate(paths, 1)
    ]


def marker(points):
    return "." if len(points) < 30 else ""


def draw_bands(figure, epochs, series):
    rows = -(-len(series) // 3)
    columns = min(len(series), 3)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    figure.suptitle("α: median, middle half, 5 to 95 %, extremes", fontsize=11)
    # A single epoch has a width, too, or nothing would be seen of it.
    wide = len(epochs) == 1
    at = [epochs[0] - 0.4, epochs[0] + 0.4] if wide else epochs
    for axes in grid.flat[len(series) :]:
        axes.remove()
    for axes, (name, values) in zip(grid.flat, series.items(), strict=False):
        least, low, first, middle, third, high, most = np.repeat(
            values["alpha_quantiles"], 1 + wide, 0
        ).T
        axes.fill_between(at, low, high, color=BLUE, alpha=0.2, linewidth=0)
        axes.fill_between(at, first, third, color=BLUE, alpha=0.4, linewidth=0)
        axes.plot(at, middle, color=BLUE, marker="" if wide else marker(epochs))
        for extreme in (least, most):
            axes.plot(at, extreme, color=GREY, linestyle=":", linewidth=1)
        axes.set_title(name, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in grid[:, 0]:
        axes.set_ylabel("α")
    for axes in grid.flat[:columns]:
        axes.label_outer()


def draw_heatmaps(figure, epochs, series):
    maps = figure.subplots(1, len(HEATMAPS), sharey=True)
    for axes, (title, (value, limits)) in zip(maps, HEATMAPS.items(), strict=True):
        values = np.array([value(s) for s in series.values()])
        if limits is None:
            values = np.log10(np.where(values > 0, values, np.nan))
        low, high = limits or (None, None)
        edges = np.arange(len(epochs) + 1) - 0.5
        rows = np.arange(len(series) + 1) - 0.5
        image = axes.pcolormesh(
            edges, rows, values, cmap="cividis", vmin=low, vmax=high, rasterized=True
        )
        bar = figure.colorbar(image, ax=axes, location="bottom", aspect=30)
        bar.ax.tick_params(labelsize=8)
        axes.set_title(title, fontsize=10)
        axes.set_yticks(range(len(series)), series, fontsize=8)
        ticks = spread(list(range(len(epochs))), 6)
        axes.set_xticks(ticks, [epochs[i] for i in ticks], fontsize=8)
        axes.set_xlabel("epoch", fontsize=9)
    maps[0].invert_yaxis()  # and with it those that share it


def draw_logs(figure, epochs, logs):
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "loss"), (right, "accuracy")):
        for key, color, style in ((name, BLUE, "-"), (f"val_{name}", ORANGE, "--")):
            there = [i for i, log in enumerate(logs) if key in log]
            at, values = [epochs[i] for i in there], [logs[i][key] for i in there]
            if there:
                look = {"color": color, "marker": marker(there), "label": key}
                axes.plot(at, values, style, **look)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("epoch", fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if axes.lines:
            axes.legend(fontsize=8)
        else:
            axes.remove()
