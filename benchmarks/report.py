"""Tables in Markdown, and a picture, from the results of the other benchmarks.

    python -m benchmarks.report benchmarks/measured/*.jsonl --figure docs/step.svg

Of several results for one backend and parameter set the last one counts.
"""

import argparse
import json
import statistics
from pathlib import Path


def ratios(seconds, unit):
    """Median and quartiles of the ratios within the rounds."""
    values = [s / u for s, u in zip(seconds, unit, strict=True)]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, low, high


def read(paths, kind, *keys):
    """The last record of each kind, by the values of `keys`."""
    records = [json.loads(line) for path in paths for line in path.open()]
    wanted = (r for r in records if r["benchmark"] == kind)
    return {tuple(r[key] for key in keys): r for r in wanted}


def cell(seconds, unit):
    median, low, high = ratios(seconds, unit)
    return f"{median:.2f} ({low:.2f}–{high:.2f})"


def print_table(header, rows):
    for row in [header, ["---", *["--:"] * (len(header) - 1)], *rows]:
        print("| " + " | ".join(row) + " |")
    print()


def step_tables(records):
    """For each backend: the ratio to Adam's step, optimizers by parameter sets."""
    for backend in dict.fromkeys(backend for backend, _ in records):
        mine = {s: r["optimizers"] for (b, s), r in records.items() if b == backend}
        names = list(dict.fromkeys(name for r in mine.values() for name in r))
        rows = []
        for name in names:
            row = [name]
            for optimizers in mine.values():
                found = name in optimizers
                unit = optimizers["Adam"]["seconds"]
                row += [cell(optimizers[name]["seconds"], unit) if found else "–"]
            rows.append(row)
        print_table([f"{backend}: step ÷ Adam's step", *mine], rows)


def memory_table(records):
    rows = []
    for (backend, set_name), record in records.items():
        entry = record["optimizers"]["NeuroPlastic"]
        adam = record["optimizers"]["Adam"]
        rows.append(
            [f"{backend}, {set_name}"]
            + [f"{e['state_bytes'] / record['parameters']:.2f}" for e in (entry, adam)]
            + [f"{e['peak_bytes'] / 2**20:.0f}" for e in (entry, adam)]
        )
    header = ["", "state, bytes a parameter", "Adam", "peak extra, MiB", "Adam"]
    print_table(header, rows)


def fit_table(records):
    rows = [
        [f"{b}, {m}", cell(r["seconds"]["NeuroPlastic"], r["seconds"]["Adam"])]
        for (b, m), r in records.items()
    ]
    print_table(["", "epoch of fit ÷ Adam's"], rows)


def provenance(records):
    """Where and with what it was measured."""
    return sorted(
        {
            f"{r['date']}, {r['cores']} cores of {r['processor']}, "
            f"Python {r['python']}, "
            + ", ".join(f"{name} {v}" for name, v in r["versions"].items())
            for r in records
        }
    )


def draw(records, path):
    import matplotlib.pyplot as plt

    backends = list(dict.fromkeys(backend for backend, _ in records))
    figure, axes = plt.subplots(
        1, len(backends), figsize=(4 * len(backends), 3.5), sharey=True, squeeze=False
    )
    for ax, backend in zip(axes[0], backends, strict=True):
        mine = {s: r["optimizers"] for (b, s), r in records.items() if b == backend}
        for name in ("NeuroPlastic", "gradient-only", "AdamW", "Lion", "SGD momentum"):
            points = [
                (s, ratios(o[name]["seconds"], o["Adam"]["seconds"])[0])
                for s, o in mine.items()
                if name in o
            ]
            if points:
                ax.plot(*zip(*points, strict=True), "o", label=name)
        ax.axhline(1, color="grey", linewidth=1)
        ax.set_yscale("log")
        ax.set_title(backend)
        ax.tick_params(axis="x", rotation=30)
    axes[0][0].set_ylabel("step ÷ Keras Adam's step")
    axes[0][-1].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--figure", type=Path, help="where to draw the steps")
    options = parser.parse_args()
    steps = read(options.results, "step", "backend", "set")
    fits = read(options.results, "fit", "backend", "model")
    if steps:
        step_tables(steps)
        memory_table(steps)
        if options.figure:
            draw(steps, options.figure)
    if fits:
        fit_table(fits)
    for line in provenance([*steps.values(), *fits.values()]):
        print(line)


if __name__ == "__main__":
    main()
