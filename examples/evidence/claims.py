"""What the paper's abstract claims, in our words, and what the records say of it."""

from examples.evidence.paper import (
    ABLATION,
    NOT_RUN,
    OURS,
    RIVALS,
    published,
    reduced,
    untuned,
)
from examples.evidence.tables import markdown
from examples.evidence.verdicts import Pair, judge, measured, note

WHOLE = "Fashion-MNIST, 100 %"


def gaps(cells, other=ABLATION):
    """A dict from cell to ours less the other's, where both ran."""
    pairs = {
        cell: Pair.of(rows[OURS], rows[other])
        for cell, rows in cells.items()
        if OURS in rows and other in rows
    }
    return measured(pairs)


def everywhere(records):
    return gaps(published(records))


def more_on_fashion(records):
    found = everywhere(records)
    if {"MNIST", "Fashion-MNIST"} <= {*found}:
        return {
            "Fashion-MNIST, the gap to that of MNIST": found["Fashion-MNIST"].minus(
                found["MNIST"]
            )
        }
    return {}


def more_with_less(records):
    found = gaps(reduced(records))
    whole = found.get(WHOLE)
    return {
        f"{cell}, the gap to that of 100 %": gap.minus(whole)
        for cell, gap in less_data(records).items()
        if whole
    }


def less_data(records):
    return {c: gap for c, gap in gaps(reduced(records)).items() if c != WHOLE}


def wrong_labels(records):
    cells = gaps(untuned(records, "noisy_labels"))
    return {cell: gap for cell, gap in cells.items() if ", 0 %" not in cell}


def against_rivals(records):
    return {
        f"{cell}, {rival}": pair
        for study in ("cifar10_resnet18", "transfer_resnet18")
        for rival in RIVALS
        for cell, pair in gaps(untuned(records, study), rival).items()
    }


def by_wins(words, pairs):
    """For a claim to be ahead."""
    if set(words) == {"wins"}:
        return "holds"
    weakly = "wins" in words and "loses" not in words
    return "holds weakly" if weakly else "does not hold"


def by_losses(words, pairs):
    """For a claim to keep up."""
    if any(pair.diverged for pair in pairs) or set(words) == {"loses"}:
        return "does not hold"
    return "holds weakly" if "loses" in words else "holds"


CLAIMS = [
    (
        "always ahead of its gradient-only ablation",
        everywhere,
        by_wins,
    ),
    ("further ahead on Fashion-MNIST than on MNIST", more_on_fashion, by_wins),
    ("ahead with reduced data", less_data, by_wins),
    ("further ahead with reduced data than with all", more_with_less, by_wins),
    ("ahead where learning signals are noisy (wrong labels)", wrong_labels, by_wins),
    ("stable and competitive on CIFAR-10, not retuned", against_rivals, by_losses),
]
RULE = (
    "A claim to be ahead *holds* if every comparison wins, *holds weakly* if one wins "
    "and none loses. The claim to be competitive holds if no run diverged and no "
    "comparison loses, weakly if not all lose: with few seeds that is soon had."
)


def claims(records):
    found = [measured(pairs(records)) for _, pairs, _ in CLAIMS]
    words = iter(judge([pair for pairs in found for pair in pairs.values()]))
    rows = []
    for (claim, _, rule), pairs in zip(CLAIMS, found, strict=True):
        verdicts = [next(words) for _ in pairs]
        lines = [
            f"{name}: {pair} {word}"
            for (name, pair), word in zip(pairs.items(), verdicts, strict=True)
        ]
        verdict = rule(verdicts, pairs.values()) if pairs else NOT_RUN
        rows.append([claim, f"**{verdict}**" if pairs else verdict, "<br>".join(lines)])
    count = sum(map(len, found))
    table = markdown(["claim", "verdict", "difference"], rows, "---")
    return f"{table}\n\n{RULE}" + (f" {note(count)}" if count else "")
