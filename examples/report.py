"""Tables and figures from results files, as Markdown and PNG.

    python -m examples.report results/*.jsonl --figures results/figures

For every cell of a study (all settings but optimizer and seed) it prints the final
accuracy of each optimizer, its mean with a 95 % t interval over the seeds, and the
paired difference from the gradient-only ablation of the same cell: mean, interval, and
how many seeds were better, worse or equal. Diverged runs count, and are marked.
"""

import argparse
from itertools import groupby
from pathlib import Path

import matplotlib
import numpy as np
from scipy import stats

from examples.harness import results

matplotlib.use("Agg")
import matplotlib.pyplot as plt

REFERENCE = "gradient-only"
# What tells the rows of one cell apart.
ROW = ("optimizer", "learning_rate", "tuned")


def interval(values):
    """(mean, half the width of its 95 % t interval; NaN for a single value)."""
    values = np.asarray(values, dtype="float64")
    if len(values) < 2:
        return values.mean(), np.nan
    error = values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), stats.t.ppf(0.975, len(values) - 1) * error


def percent(values):
    mean, half = interval(100 * np.asarray(values))
    return f"{mean:.2f}" + ("" if np.isnan(half) else f" ± {half:.2f}")


def final(runs):
    """Final accuracy by seed."""
    return {r["config"]["seed"]: r["metrics"]["val_accuracy"][-1] for r in runs}


def group(records, name):
    """Lists of records with the same name(config), by that name, sorted."""
    records = sorted(records, key=lambda r: repr(name(r["config"])))
    return {
        name(part[0]["config"]): part
        for part in (list(g) for _, g in groupby(records, lambda r: name(r["config"])))
    }


def cell_name(config):
    return tuple((k, v) for k, v in config.items() if k not in (*ROW, "seed"))


def row_name(config):
    return tuple(config[name] for name in ROW)


def reference(rows, row):
    """The gradient-only runs to compare a row with: tuned with tuned."""
    rows = {name: runs for name, runs in rows.items() if name[0] == REFERENCE}
    rows = {name: runs for name, runs in rows.items() if name[2] == row[2]}
    same_rate = [runs for name, runs in rows.items() if name[1] == row[1]]
    return next(iter(same_rate or rows.values()), [])


def difference(runs, others):
    """Paired by seed: "mean ± half width", and signs as "better/worse/equal"."""
    ours, theirs = final(runs), final(others)
    pairs = [ours[seed] - theirs[seed] for seed in ours.keys() & theirs.keys()]
    if not pairs or runs is others:
        return "", ""
    signs = [sum(np.sign(pairs) == sign) for sign in (1, -1, 0)]
    return percent(pairs), "/".join(map(str, signs))


def table(rows):
    lines = [
        "| optimizer | learning rate | seeds | accuracy (%) | from gradient-only "
        "| better/worse/equal | diverged |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row, runs in rows.items():
        name, rate, tuned = row
        rate = f"{rate:g}" + (" (tuned)" if tuned else "")
        diverged = sum(run["diverged"] for run in runs)
        accuracies = percent(list(final(runs).values()))
        cells = (
            name,
            rate,
            len(runs),
            accuracies,
            *difference(runs, reference(rows, row)),
        )
        lines.append("| " + " | ".join(map(str, (*cells, diverged or ""))) + " |")
    return "\n".join(lines)


def plot_courses(rows, title, path):
    """Mean accuracy over the epochs, with the range over the seeds."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for (name, rate, tuned), runs in rows.items():
        length = min(len(run["metrics"]["val_accuracy"]) for run in runs)
        courses = 100 * np.array([r["metrics"]["val_accuracy"][:length] for r in runs])
        epochs = np.arange(1, length + 1)
        label = f"{name}, {rate:g}" + (" (tuned)" if tuned else "")
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
            ours, theirs = final(rows.get(row, [])), final(reference(rows, row))
            pairs = [100 * (ours[s] - theirs[s]) for s in ours.keys() & theirs.keys()]
            if pairs and row[0] != REFERENCE:
                points.append((cell, *interval(pairs)))
        if points:
            fractions, means, halves = np.transpose(points)
            label = f"{row[0]}, {row[1]:g}" + (" (tuned)" if row[2] else "")
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


def describe(cell):
    """The settings of a cell in words, "study" first."""
    settings = dict(cell)
    study = settings.pop("study")
    given = [f"{k} {v}" for k, v in settings.items() if v is not None]
    return study, ", ".join(given).replace("_", " ")


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m examples.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, help="results/*.jsonl")
    parser.add_argument(
        "--figures", type=Path, help="folder for accuracy over epoch and over fraction"
    )
    args = parser.parse_args(argv)
    for path in args.files:
        if not path.exists():
            parser.exit(2, f"{path} does not exist. Give files made by a study.\n")
        records = results.read(path)
        cells = group(records, cell_name)
        for number, (cell, runs) in enumerate(cells.items(), 1):
            study, settings = describe(cell)
            rows = group(runs, row_name)
            print(f"**{study}**: {settings}\n\n{table(rows)}\n")
            if args.figures:
                figure = args.figures / f"{path.stem}-{number}.png"
                plot_courses(rows, f"{study}\n{settings}", figure)
        if args.figures:
            for number, (cell, runs) in enumerate(
                group(
                    [r for r in records if "fraction" in r["config"]],
                    lambda c: tuple(kv for kv in cell_name(c) if kv[0] != "fraction"),
                ).items(),
                1,
            ):
                study, settings = describe(cell)
                figure = args.figures / f"{path.stem}-gap-{number}.png"
                plot_gaps(runs, f"{study}\n{settings}", figure)


if __name__ == "__main__":
    main()
