"""Every recipe in turn, the quickest first, all with the arguments that are given.

python -m examples.recipes.every --tune --optimizer adam plastic-adam
"""

import argparse
import importlib

from examples.arguments import Parser

NAMES = ["dense", "policy", "tabular", "recommender", "convolutional", "flow", "vae"]
NAMES += ["gan", "lstm", "resnet", "transformer_classifier", "gpt"]


def main(argv=None):
    parser = Parser(
        prog="python -m examples.recipes.every",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The arguments are those of each: python -m examples.recipes.dense -h",
    )
    parser.parse_known_args(argv)  # for --help
    for name in NAMES:
        importlib.import_module(f"examples.recipes.{name}").main(argv)


if __name__ == "__main__":
    main()
