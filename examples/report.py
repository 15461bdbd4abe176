"""Tables and figures from results files, as Markdown and PNG.

    python -m examples.report results/*.jsonl --figures results/figures

For every cell of a study (all settings but optimizer and seed) it prints the final
accuracy of each optimizer, its mean with a 95 % t interval over the seeds, and the
paired difference from the gradient-only ablation of the same cell: mean, interval, and
how many seeds were better, worse or equal. Diverged runs count, and are marked.
"""

import argparse
from pathlib import Path

import numpy as np

from examples.harness import results
from examples.harness.compare import (
    cell_name,
    differences,
    diverged,
    final,
    group,
    interval,
    rate_of,
    reference,
    row_name,
)
from examples.harness.figures import plot_courses, plot_gaps


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


def table(rows):
    lines = [
        "| optimizer | learning rate | seeds | accuracy (%) | from gradient-only "
        "| better/worse/equal | diverged |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row, runs in rows.items():
        accuracies = percent(list(final(runs).values()))
        cells = (
            row[0],
            rate_of(row),
            len(runs),
            accuracies,
            *difference(runs, reference(rows, row)),
        )
        lines.append("| " + " | ".join(map(str, (*cells, diverged(runs) or ""))) + " |")
    return "\n".join(lines)


def describe(cell):
    """The settings of a cell in words, "study" first."""
    settings = dict(cell)
    study = settings.pop("study")
    given = [f"{k} {v}" for k, v in settings.items() if v is not None]
    return study, ", ".join(given).replace("_", " ")


def has_gap(config):
    """Whether a run belongs in a figure of gaps; the trials of --tune do not."""
    return "fraction" in config and config.get("evaluate_on") != "validation"


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
    for position, path in enumerate(args.files, 1):
        # Files of one name, from several folders, each get figures of their own.
        again = path.stem in [other.stem for other in args.files[: position - 1]]
        stem = f"{path.stem}_{position}" if again else path.stem
        if not path.exists():
            parser.exit(2, f"{path} does not exist. Give files made by a study.\n")
        records = results.read(path)
        if not records:
            parser.exit(2, f"{path} holds no results. Give files made by a study.\n")
        cells = group(records, cell_name)
        for number, (cell, runs) in enumerate(cells.items(), 1):
            study, settings = describe(cell)
            rows = group(runs, row_name)
            print(f"**{study}**: {settings}\n\n{table(rows)}\n")
            if args.figures:
                figure = args.figures / f"{stem}-{number}.png"
                plot_courses(rows, f"{study}\n{settings}", figure)
        if args.figures:
            for number, (cell, runs) in enumerate(
                group(
                    [r for r in records if has_gap(r["config"])],
                    lambda c: tuple(kv for kv in cell_name(c) if kv[0] != "fraction"),
                ).items(),
                1,
            ):
                study, settings = describe(cell)
                figure = args.figures / f"{stem}-gap-{number}.png"
                plot_gaps(runs, f"{study}\n{settings}", figure)


if __name__ == "__main__":
    main()
