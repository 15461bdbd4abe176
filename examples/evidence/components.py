"""What each part of NeuroPlastic is worth: its forms less the default, by task."""

from examples.evidence.cells import FORMS, select
from examples.evidence.labels import axes
from examples.evidence.origin import origin
from examples.evidence.paper import NOT_RUN, untuned
from examples.evidence.studies import tuned
from examples.evidence.tables import differences
from examples.evidence.verdicts import Pair, measured

WHOLE = "neuroplastic-default"
FEWEST = 3  # forms beside it that make a task one on which parts were taken out


def parts(rows):
    """The other forms that ran beside the whole, if they are enough."""
    names = [name for name in FORMS if name != WHOLE and name in rows]
    return names if WHOLE in rows and len(names) >= FEWEST else []


def table(records):
    """Forms × tasks, less the whole; of one study and of one way to choose the rate."""
    texts = []
    for study, of_study in records.items():
        for is_tuned, way, cells in (
            (True, "each rate tuned", tuned(of_study)),
            (False, "at its own rate", untuned(records, study)),
        ):
            pairs = {
                (name, cell): Pair.of(rows[name], rows[WHOLE])
                for cell, rows in cells.items()
                for name in parts(rows)
            }
            if pairs := measured(pairs):
                texts.append(f"Less {WHOLE}, {way}:\n\n{differences(pairs)}")
                runs = select(of_study, optimizer=[WHOLE, *(name for name, _ in pairs)])
                runs = [r for r in runs if bool(r["config"]["tuned"]) == is_tuned]
                tasks = [axes(cells[cell][WHOLE][0]["config"]) for _, cell in pairs]
                runs = [r for r in runs if axes(r["config"]) in tasks]
                texts.append(origin(select(runs, limit=[None])))
    return "\n\n".join(texts) or NOT_RUN
