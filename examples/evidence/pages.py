"""docs/results.md: which block of it is made by what."""

from examples.evidence import (
    best_rates,
    claims,
    components,
    defaults,
    noise,
    page,
    pairs,
    paper,
    rates,
)
from examples.evidence.cells import load
from examples.evidence.studies import study

# From the name of a block to a function of all records.
BLOCKS = {
    "claims": claims.claims,
    "paper": paper.images,
    "cifar10": paper.resnet("cifar10_resnet18"),
    "transfer": paper.resnet("transfer_resnet18"),
    "pairs": pairs.tally,
    "irrelevant-inputs": study("irrelevant_inputs"),
    "low-data": study("low_data"),
    "gene-expression": study("gene_expression"),
    "language-model": study("language_model"),
    "components": components.table,
    "rates": best_rates.table,
    "defaults": defaults.table,
}
# From the name of a file, without .png, to a function of all records and its path.
PICTURES = {
    "noise": noise.picture,
    "pairs": pairs.picture,
    "rates": rates.picture,
    "defaults": defaults.picture,
}


def blocks(records):
    return {name: text(records) for name, text in BLOCKS.items()}


def write(measured, path, pictures):
    """Fills in the page at path, and draws the pictures, from the records measured."""
    records = load(measured)
    text = page.fill(path.read_text(encoding="utf-8"), blocks(records))
    path.write_text(text, encoding="utf-8")
    for name, draw in PICTURES.items():
        draw(records, pictures / f"{name}.png")
