"""A GPU to compile for on a machine without one, and a table of what is compiled.

h100.txtpb describes it. XLA needs its CUDA libraries all the same, 5 GB:
`pip install -e '.[gpu-count]'`, in an environment of its own.
"""

import argparse
import math
import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"  # there is no other to ask
os.environ["XLA_FLAGS"] = "--xla_gpu_autotune_level=0"  # nor to try variants on

from jax.experimental import topologies

from benchmarks.contestants import KERAS
from benchmarks.hlo_count import count
from benchmarks.machine import described
from benchmarks.parameter_sets import PARAMETER_SETS
from benchmarks.report import print_table

TARGET = Path(__file__).with_name("h100.txtpb")
OPTIMIZERS = ["Adam", "NeuroPlastic", "gradient-only", "plastic Adam"]
HEADER = ["counted, not timed", "kernels", "copies", "passes", "temporary, MiB"]


def device():
    topology = topologies.get_topology_desc(
        platform="cuda",
        topology_name="h100",
        topology="1x1x1",
        target_config=TARGET.read_text(),
    )
    return topology.devices[0]


def main(description, compiled):
    """Prints what the programs launch and move that `compiled` makes.

    compiled(optimizer, shapes) gives the text of one and its bytes of temporary memory.
    """
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    sets = list(PARAMETER_SETS)
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument(
        "--optimizers", nargs="+", choices=KERAS, default=OPTIMIZERS, metavar="NAME"
    )
    parser.add_argument("--keep", type=Path, help="a folder for the compiled programs")
    options = parser.parse_args()
    rows = []
    for set_name in options.sets:
        shapes = PARAMETER_SETS[set_name]
        parameters = 4 * sum(map(math.prod, shapes))
        for name in options.optimizers:
            text, temporary = compiled(KERAS[name](), shapes)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{set_name}, {name}.txt").write_text(text)
            found = count(text)
            passes = f"{found.moved / parameters:.2f}"
            numbers = [str(found.kernels), str(found.copies), passes]
            rows.append([f"{set_name}, {name}", *numbers, f"{temporary / 2**20:.1f}"])
            print("; ".join(rows[-1]), flush=True)
    print()
    print_table(HEADER, rows)
    seen = described()
    versions = ", ".join(f"{name} {v}" for name, v in seen["versions"].items())
    print(f"{seen['date']}, {versions}")
