"""The paper's comparison with its ablation, once more."""

from examples.evidence.cells import (
    at_own_rate,
    by_label,
    by_optimizer,
    counting,
    select,
)
from examples.evidence.origin import origin
from examples.evidence.tables import versus

OURS, ABLATION = "neuroplastic", "gradient-only"
RIVALS = "momentum", "adam"
NOT_RUN = "*Not run yet.*"


def untuned(records, study, **settings):
    """The cells of a study at the customary rates: by label, then by optimizer."""
    runs = at_own_rate(counting(records.get(study, []), tuned=False))
    cells = by_label(select(runs, **settings))
    return {name: by_optimizer(cell) for name, cell in cells.items()}


def table(cells, others):
    """Ours against the others, and where it comes from; only what can be compared."""
    cells = {
        cell: {name: rows[name] for name in (OURS, *others) if name in rows}
        for cell, rows in cells.items()
        if OURS in rows and {*others} & {*rows}
    }
    if not cells:
        return NOT_RUN
    runs = [
        run for rows in cells.values() for of_one in rows.values() for run in of_one
    ]
    return f"{versus(cells, OURS, others)}\n\n{origin(runs)}"


def published(records):
    """The cells of the paper's settings."""
    return {
        **untuned(records, "mnist", epochs=[10], batch_size=[64], model=["mlp"]),
        **untuned(records, "fashion_mnist", epochs=[10], batch_size=[64]),
        **reduced(records),
    }


def reduced(records):
    """Those of reduced data, and of all in the same setting."""
    cells = untuned(records, "low_data", epochs=[10], batch_size=[128])
    return {f"{cell}, batch 128": rows for cell, rows in cells.items()}


def images(records):
    """MNIST, Fashion-MNIST and reduced data against the ablation."""
    return table(published(records), [ABLATION])


def resnet(study):
    """CIFAR-10 or its transfer against the ablation, momentum and Adam."""
    return lambda records: table(untuned(records, study), [ABLATION, *RIVALS])
