"""Markdown tables of scores and of judged differences."""

from examples.evidence.cells import in_order
from examples.evidence.score import final, score_of
from examples.evidence.verdicts import Pair, judge, measured, note
from examples.harness.compare import diverged

NONE = "–"


def markdown(heads, rows, others="--:"):
    """The first column is text, the others are numbers if nothing else is said."""
    lines = [heads, ["---"] + [others] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def narrow(heads, rows, fixed=1, widest=3):
    """Several tables where there would be more than `widest` columns beside the fixed.

    Rows that have no entry in a table are left out of it.
    """
    tables = []
    for start in range(fixed, len(heads), widest):
        part = slice(start, start + widest)
        some = [row for row in rows if {*row[part]} != {NONE}]
        tables.append(
            markdown(
                [*heads[:fixed], *heads[part]],
                [[*row[:fixed], *row[part]] for row in some],
            )
        )
    return tables


def mean(runs):
    """Mean score with its interval, and how many of the runs diverged."""
    lost = diverged(runs)
    text = score_of(runs).text([*final(runs).values()])
    return text + (f" ({lost} diverged)" if lost else "")


def seeds(cells):
    """In words, over all cells of a table."""
    numbers = sorted({len(runs) for rows in cells.values() for runs in rows.values()})
    return " to ".join(str(n) for n in {numbers[0]: 0, numbers[-1]: 0}) + " seeds"


def scores(cells):
    """Optimizers × cells: the mean of each.

    Args:
        cells: A dict from a cell in words to a dict from optimizer to runs.
    """
    names = in_order(name for rows in cells.values() for name in rows)
    rows = [
        [name, *(mean(c[name]) if name in c else NONE for c in cells.values())]
        for name in names
    ]
    [score] = {score_of(r) for rows in cells.values() for r in rows.values()}
    return (
        markdown(["", *cells], rows)
        + f"\n\nTest {score.name}: mean ± half of the 95 % interval, {seeds(cells)}."
    )


def differences(pairs):
    """Optimizers × columns: each pair with its verdict.

    Args:
        pairs: A dict from (optimizer, column) to `Pair`.
    """
    words = dict(zip(pairs, judge([*pairs.values()]), strict=True))
    columns = dict.fromkeys(column for _, column in pairs)
    lines = []
    for row in in_order(row for row, _ in pairs):
        entries = [
            f"{pairs[row, column]} {emphasis(words[row, column])}"
            if (row, column) in pairs
            else NONE
            for column in columns
        ]
        lines.append([row, *entries])
    tables = narrow(["", *columns], lines)
    return "\n\n".join([*tables, note(len(pairs), len(tables))])


def versus(cells, ours, others):
    """One row for each cell and other optimizer: ours less theirs, with the verdict."""
    found = {
        (cell, other): Pair.of(rows[ours], rows[other])
        for cell, rows in cells.items()
        for other in others
        if ours in rows and other in rows
    }
    found = measured(found)
    words = judge([*found.values()])
    lines = [
        [
            *(cell, len(pair.differences), mean(cells[cell][ours]), other),
            *(mean(cells[cell][other]), pair, emphasis(word)),
        ]
        for ((cell, other), pair), word in zip(found.items(), words, strict=True)
    ]
    [score] = {pair.score for pair in found.values()}
    heads = ["", "seeds", ours, "against", score.name, "difference", "verdict"]
    return f"{markdown(heads, lines)}\n\n{note(len(found))}"


def emphasis(word):
    return word if word == "level" else f"**{word}**"
