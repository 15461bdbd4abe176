"""Accuracy over the epochs, and its gap to a reference over the training share."""

from itertools import zip_longest

import matplotlib
import numpy as np

from examples.harness.compare import (
    REFERENCE,
    differences,
    diverged,
    group,
    interval,
    line_name,
    rate_of,
    reference,
)
from examples.harness.disk import message_when_full
from examples.harness.metric import HEADINGS, metric_of

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def plot_courses(rows, title, path):
    """Mean accuracy over the epochs, with the range over the seeds.

    A run that diverged is in the mean as long as it lasted.
    """
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for row, runs in rows.items():
        heading, factor, _ = HEADINGS[metric_of(runs)]
        courses = [run["metrics"][metric_of(runs)] for run in runs]
        # One row an epoch; NaN after the end of a run.
        courses = np.array([*zip_longest(*courses, fillvalue=np.nan)], dtype="float64")
        courses *= factor
        epochs = np.arange(1, len(courses) + 1)
        label = f"{row[0]}, {rate_of(row)}"
        label += f", {diverged(runs)} diverged" if diverged(runs) else ""
        [line] = axes.plot(epochs, np.nanmean(courses, axis=1), label=label)
        low, high = np.nanmin(courses, axis=1), np.nanmax(courses, axis=1)
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="epoch", ylabel=heading, title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    save(figure, axes, path)


def plot_gaps(records, title, path, name=REFERENCE):
    """Paired difference from the reference, with its interval, over the fraction."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for row in group(records, line_name):
        points = []
        for cell, runs in group(records, lambda c: c["fraction"]).items():
            rows = group(runs, line_name)
            pairs = differences(rows.get(row, []), reference(rows, row, name))
            if pairs and row[0] != name:
                points.append((cell, *interval(100 * np.array(pairs))))
        if points:
            fractions, means, halves = np.transpose(points)
            label = f"{row[0]}, {rate_of(row)}"
            axes.errorbar(
                fractions, means, np.nan_to_num(halves), marker="o", capsize=3
            )
            axes.lines[-1].set_label(label)
    axes.axhline(0, color="gray", linewidth=1)
    axes.set(
        xlabel="share of the training set",
        ylabel=f"accuracy, difference from {name} (points)",
        title=title,
    )
    save(figure, axes, path)


def save(figure, axes, path):
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    axes.grid(alpha=0.3)
    with message_when_full(path.parent, "Free some space and try again."):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"![{path.stem}]({path})\n")
