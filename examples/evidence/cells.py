"""The records by study, cell and optimizer: the runs that count, and the trials."""

from examples.evidence.labels import label, labels
from examples.harness import results
from examples.harness.compare import cell_name, group
from examples.harness.optimizers import LEARNING_RATES, OPTIMIZERS
from examples.harness.variants import BASES, VARIANTS

# NeuroPlastic by itself.
FORMS = [*BASES, *VARIANTS]


def load(folder):
    """A dict from study to its records in all files of the folder."""
    records = [
        run for path in sorted(folder.glob("*.jsonl")) for run in results.read(path)
    ]
    return group(records, lambda config: config["study"])


def select(records, **settings):
    """Those of the records whose settings are among the given values."""
    return [
        record
        for record in records
        if all(record["config"].get(k) in values for k, values in settings.items())
    ]


def counting(records, tuned):
    """The runs on test data, of whole data sets."""
    runs = select(records, evaluate_on=["test"], limit=[None])
    return [run for run in runs if bool(run["config"]["tuned"]) == tuned]


def trials(records):
    """The runs on held-out data that chose a learning rate."""
    return select(records, evaluate_on=["validation"], limit=[None])


def at_own_rate(records):
    """Those at the customary rate of their optimizer."""
    return [
        r
        for r in records
        if r["config"]["learning_rate"] == LEARNING_RATES.get(r["config"]["optimizer"])
    ]


def by_label(records):
    """A dict from a cell in words to its records, numbers in their order."""
    cells = group(records, cell_name)
    # The first setting varies fastest: it is what the tables put side by side.
    order = sorted(cells, key=lambda cell: [(str(type(v)), v) for _, v in cell[::-1]])
    return dict(zip(labels(order), map(cells.get, order), strict=True))


def by_optimizer(runs):
    """A dict from optimizer to its runs in a cell, in the order of `OPTIMIZERS`.

    Raises:
        ValueError: if a seed has several learning rates: which to take would decide.
    """
    groups = group(runs, lambda config: config["optimizer"])
    for name, of_one in groups.items():
        seeds = [run["config"]["seed"] for run in of_one]
        if len(seeds) > len({*seeds}):
            rates = sorted({run["config"]["learning_rate"] for run in of_one})
            cell = label(of_one[0]["config"])
            raise ValueError(f"{cell}: {name} has a seed with several rates of {rates}")
    return {name: groups[name] for name in in_order(groups)}


def in_order(names):
    """Names of optimizers as `OPTIMIZERS` has them, each once, then any others."""
    names = dict.fromkeys(names)
    return [n for n in OPTIMIZERS if n in names] + [
        n for n in names if n not in OPTIMIZERS
    ]
