"""Accuracy over the epochs, and its gap to gradient-only over the training share."""

import matplotlib
import numpy as np

from examples.harness.compare import (
    REFERENCE,
    differences,
    group,
    interval,
    rate_of,
    reference,
    row_name,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def plot_courses(rows, title, path):
    """Mean accuracy over the epochs, with the range over the seeds."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for row, runs in rows.items():
        length = min(len(run["metrics"]["val_accuracy"]) for run in runs)
        courses = 100 * np.array([r["metrics"]["val_accuracy"][:length] for r in runs])
        epochs = np.arange(1, length + 1)
        label = f"{row[0]}, {rate_of(row)}"
        [line] = axes.plot(epochs, courses.mean(axis=0), label=label)
        low, high = courses.min(axis=0), courses.max(axis=0)
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="epoch", ylabel="accuracy (%)", title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    save(figure, axes, path)


def plot_gaps(records, title, path):
    """Paired difference from gradient-only, with its interval, over the fraction."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for row in group(records, row_name):
        points = []
        for cell, runs in group(records, lambda c: c["fraction"]).items():
            rows = group(runs, row_name)
            pairs = differences(rows.get(row, []), reference(rows, row))
            if pairs and row[0] != REFERENCE:
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
        ylabel="accuracy, difference from gradient-only (points)",
        title=title,
    )
    save(figure, axes, path)


def save(figure, axes, path):
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"![{path.stem}]({path})\n")
