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

WHOLE = "Fashion-MNIST, 100 %, batch 128"


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
    ours, theirs = found.get("Fashion-MNIST"), found.get("MNIST")
    if not (ours and theirs):
        return {}
    return {"Fashion-MNIST, less the gap of MNIST": ours.minus(theirs)}


def more_with_less(records):
    found = gaps(reduced(records))
    whole = found.get(WHOLE)
    return {
        f"{cell}, less the gap of 100 %": gap.minus(whole)
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


# Claim, its comparisons, how many there are to be, and how they decide.
CLAIMS = [
    ("always ahead of its gradient-only ablation", everywhere, 6, by_wins),
    ("further ahead on Fashion-MNIST than on MNIST", more_on_fashion, 1, by_wins),
    ("ahead with reduced data", less_data, 3, by_wins),
    ("further ahead with reduced data than with all", more_with_less, 3, by_wins),
    ("ahead where signals are noisy (wrong labels)", wrong_labels, 4, by_wins),
    ("stable and competitive on CIFAR-10, not retuned", against_rivals, 4, by_losses),
]
RULE = (
    "A claim to be ahead *holds* if every comparison wins, and *holds weakly* if one "
    "wins and none loses; else it *does not hold*, be it for want of seeds. The claim "
    "to be competitive holds if no run diverged and no comparison loses, weakly if not "
    "all lose: with few seeds that is soon had."
)


def claims(records):
    found = [measured(pairs(records)) for _, pairs, _, _ in CLAIMS]
    # A comparison that two claims come down to is one, by its name.
    family = {name: pair for pairs in found for name, pair in pairs.items()}
    words = dict(zip(family, judge([*family.values()]), strict=True))
    rows = []
    for (claim, _, wanted, rule), pairs in zip(CLAIMS, found, strict=True):
        lines = [f"{name}: {pair} {words[name]}" for name, pair in pairs.items()]
        verdict = rule([words[name] for name in pairs], pairs.values())
        so_far = f" so far ({len(pairs)} of {wanted})" * (len(pairs) < wanted)
        verdict = f"**{verdict}**{so_far}" if pairs else NOT_RUN
        rows.append([claim, verdict, "<br>".join(lines)])
    table = markdown(["claim", "verdict", "difference"], rows, "---")
    return f"{table}\n\n{RULE}" + (f" {note(len(family))}" if family else "")
