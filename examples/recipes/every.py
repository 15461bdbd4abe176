"""Every recipe in turn, the quickest first, all with the arguments that are given.

python -m examples.recipes.every --tune --optimizer adam plastic-adam
"""

import importlib

NAMES = ["dense", "policy", "tabular", "recommender", "convolutional", "flow", "vae"]
NAMES += ["gan", "lstm", "resnet", "transformer_classifier", "gpt"]


def main(argv=None):
    for name in NAMES:
        importlib.import_module(f"examples.recipes.{name}").main(argv)


if __name__ == "__main__":
    main()
