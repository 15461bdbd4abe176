"""The command line that every study shares."""

import argparse

from examples.arguments import Parser, count, learning_rate, results_file, seed
from examples.harness.optimizers import (
    KERAS,
    MODULATIONS,
    OPTIMIZERS,
)
from examples.harness.tuning import FIRST_STEPS, MOST_WIDENINGS, factor
from examples.harness.variants import BASES, CHANGES

# --smoke replaces these: it shows in seconds that a script works, nothing more.
SMOKE = {"epochs": 2, "seeds": [41], "limit": 1024}


def make_parser(study, description, epochs, batch_size, axes, tune_each_seed=False):
    held_out = "a tenth of the training set held out"
    if tune_each_seed:
        held_out = "each seed's own training samples"
    parser = Parser(
        prog=f"python -m examples.{study}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--optimizer",
        nargs="+",
        choices=OPTIMIZERS,
        default=["neuroplastic", "gradient-only"],
        metavar="NAME",
        help=f"one or more of {', '.join((*BASES, *KERAS))}; or one of the first "
        f"{len(BASES)} with a change, as neuroplastic-free (or, in place of free, "
        f"{', '.join(name for name in CHANGES if name != 'free')}); or one of the "
        "others in PlasticityModulated, as plastic-adam (or "
        f"{', '.join(f'{m}-adam' for m in MODULATIONS if m != 'plastic')}); "
        "neuroplastic is the paper's locked configuration, neuroplastic-default "
        "NeuroPlastic(), adamw-1 AdamW with a weight decay of 1, sgd-l1-1e-3 SGD with "
        "an L1 penalty of 0.001, activity-only-wide-free-l1-1e-3 many_inputs with "
        "one; docs/studies.md says what the names mean "
        "(default: neuroplastic gradient-only)",
    )
    for name, options in axes.items():
        options = {"nargs": "+", **options}
        given = " ".join(map(str, options["default"]))
        options["help"] += f" (default: {given})"
        if "choices" in options:
            options["metavar"] = "NAME"
            options["help"] = f"{', '.join(options['choices'])}: {options['help']}"
        add(f"--{name.replace('_', '-')}", **options)
    add(
        "--seeds",
        nargs="+",
        type=seed,
        default=[41, 42, 43],
        metavar="N",
        help="one run for each (default: 41 42 43)",
    )
    add("--epochs", type=count, default=epochs, help=f"of a run (default: {epochs})")
    add(
        "--batch-size",
        type=count,
        default=batch_size,
        help=f"training examples a step (default: {batch_size})",
    )
    add(
        "--learning-rate",
        nargs="+",
        type=learning_rate,
        metavar="RATE",
        help="one run for each, in place of each optimizer's own",
    )
    add(
        "--tune",
        action="store_true",
        help="first try, for each optimizer, its learning rate times "
        f"{', '.join(f'{factor(step):g}' for step in FIRST_STEPS)}, and further, up "
        f"to {MOST_WIDENINGS} times on each side, as long as the best is the lowest "
        f"or the highest tried; on {held_out}, never on the "
        "test set; then use the best",
    )
    if not tune_each_seed:
        add(
            "--tuning-seeds",
            nargs="+",
            type=seed,
            default=[0],
            metavar="N",
            help="each learning rate that --tune tries is trained with each, and the "
            "mean decides (default: 0)",
        )
    add("--limit", type=count, help="use only so many examples of each split")
    add(
        "--smoke",
        action="store_true",
        help="a trial in seconds: one seed, two epochs, few examples, of every "
        "other setting the first value alone, results in a folder of its own; what "
        "is given beside it counts",
    )
    add(
        "--results",
        type=results_file,
        help=f"file to add to (default: results/{study}.jsonl)",
    )
    return parser
