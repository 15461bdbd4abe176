"""The time of one optimizer step, beside the optimizers that users would pick.

    KERAS_BACKEND=torch python -m benchmarks.step --sets mlp resnet18

In every round each optimizer makes one timed sample, so that a noisy neighbour
disturbs all of them alike; ratios are taken within a round. Results are added to a
JSONL file, one line a parameter set; `python -m benchmarks.report` makes the tables.
"""

import argparse
import gc
import math
import statistics
import time
from pathlib import Path

import keras

from benchmarks import contestants
from benchmarks.machine import append, described, peak_extra_bytes
from benchmarks.parameter_sets import PARAMETER_SETS
from benchmarks.report import ratios

SAMPLE_S = 0.05  # a sample repeats its step until it takes about so long


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--sets", nargs="+", choices=PARAMETER_SETS, default=list(PARAMETER_SETS)
    )
    parser.add_argument(
        "--optimizers",
        nargs="+",
        choices=contestants.names(),
        default=contestants.names(),
        metavar="NAME",
        help=f"of {', '.join(contestants.names())}; Adam, the unit, is always there",
    )
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--results", default="benchmarks/results/step.jsonl", type=Path)
    return parser.parse_args()


def timed(step, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def measure(shapes, names, rounds):
    """For each optimizer: seconds of a step in each round, and what it keeps."""
    grads = contestants.gradients(shapes)
    steps, repeats, measured = {}, {}, {}
    for name in names:
        gc.collect()
        step, state = contestants.contestant(name, shapes, grads)
        first = timed(step, 1)  # compiles
        step()
        peak = peak_extra_bytes(step)
        repeats[name] = max(1, round(SAMPLE_S / timed(step, 1)))
        steps[name] = step
        measured[name] = {
            "state_bytes": state,
            "peak_bytes": peak,
            "first_seconds": first,
            "seconds": [],
        }
    for _ in range(rounds):
        for name in names:
            measured[name]["seconds"].append(timed(steps[name], repeats[name]))
    return measured


def main():
    options = arguments()
    names = [n for n in contestants.names() if n in {*options.optimizers, "Adam"}]
    for set_name in options.sets:
        shapes = PARAMETER_SETS[set_name]
        measured = measure(shapes, names, options.rounds)
        append(
            options.results,
            {
                "benchmark": "step",
                "set": set_name,
                "parameters": sum(math.prod(shape) for shape in shapes),
                "backend": keras.backend.backend(),
                **described(),
                "optimizers": measured,
            },
        )
        adam = measured["Adam"]["seconds"]
        backend = keras.backend.backend()
        print(f"\n{backend}, {set_name}: ms a step, ratio to Adam; s, the first step")
        for name, entry in measured.items():
            ratio, *_ = ratios(entry["seconds"], adam)
            ms = 1e3 * statistics.median(entry["seconds"])
            first = entry["first_seconds"]
            print(f"{name:24}{ms:9.2f}{ratio:8.2f}{first:8.2f}", flush=True)


if __name__ == "__main__":
    main()
