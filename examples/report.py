"""Tables and figures from results files, as Markdown and PNG.

    python -m examples.report results/*.jsonl --figures results/figures

For every cell of a study (all settings but optimizer and seed) it prints the final
accuracy of each optimizer, its mean with a 95 % t interval over the seeds, and the
paired difference from the reference of the same cell, by default the gradient-only
ablation: mean, interval, and how many seeds were better, worse or equal. A modulated
optimizer is compared with the bare one, too. Diverged runs count, and are marked.
"""

import argparse

from examples.arguments import Parser, folder, results_file
from examples.harness import results
from examples.harness.compare import REFERENCE, cell_name, group, row_name
from examples.harness.figures import plot_courses, plot_gaps
from examples.harness.tables import describe, table


def has_gap(config):
    """Whether a run belongs in a figure of gaps; the trials of --tune do not."""
    return "fraction" in config and config.get("evaluate_on") != "validation"


def print_cells(records, stem, args):
    for number, (cell, runs) in enumerate(group(records, cell_name).items(), 1):
        study, settings = describe(cell)
        rows = group(runs, row_name)
        print(f"**{study}**: {settings}\n\n{table(rows, args.reference)}\n")
        if args.figures:
            figure = args.figures / f"{stem}-{number}.png"
            plot_courses(rows, f"{study}\n{settings}", figure)


def draw_gaps(records, stem, args):
    cells = group(
        [r for r in records if has_gap(r["config"])],
        lambda c: tuple(kv for kv in cell_name(c) if kv[0] != "fraction"),
    )
    for number, (cell, runs) in enumerate(cells.items(), 1):
        study, settings = describe(cell)
        figure = args.figures / f"{stem}-gap-{number}.png"
        plot_gaps(runs, f"{study}\n{settings}", figure, args.reference)


def main(argv=None):
    parser = Parser(
        prog="python -m examples.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", type=results_file, help="results/*.jsonl")
    add(
        "--figures",
        type=folder,
        help="folder for accuracy over epoch and over fraction",
    )
    add(
        "--reference",
        default=REFERENCE,
        metavar="NAME",
        help=f"to compare with (default: {REFERENCE})",
    )
    args = parser.parse_args(argv)
    files = [results.read(path) for path in args.files]
    for path, records in zip(args.files, files, strict=True):
        if not records:
            trouble = "holds no results" if path.exists() else "does not exist"
            parser.exit(2, f"{path} {trouble}. Give files made by a study.\n")
    names = {r["config"]["optimizer"] for records in files for r in records}
    if args.reference not in {REFERENCE, *names}:
        known = ", ".join(sorted(names))
        parser.error(f"argument --reference: {args.reference!r} is none of {known}")
    for position, (path, records) in enumerate(zip(args.files, files, strict=True), 1):
        # Files of one name, from several folders, each get figures of their own.
        again = path.stem in [other.stem for other in args.files[: position - 1]]
        stem = f"{path.stem}_{position}" if again else path.stem
        print_cells(records, stem, args)
        if args.figures:
            draw_gaps(records, stem, args)


if __name__ == "__main__":
    main()
