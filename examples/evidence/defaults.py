"""One setting, many tasks: every optimizer at its own rate, a performance profile."""

from itertools import combinations

import numpy as np

from examples.evidence.cells import at_own_rate, by_label, counting, trials
from examples.evidence.paper import NOT_RUN
from examples.evidence.pictures import BLUE, STYLE, plt, save
from examples.evidence.score import final, score_of
from examples.evidence.tables import markdown
from examples.harness.compare import diverged, group

NAMES = ["neuroplastic-default", "neuroplastic", "sgd", "momentum"]
NAMES += ["adam", "adamw", "lion", "muon"]
NAMES += [f"plastic-{name}" for name in NAMES[2:]]
RATIOS = [1, 1.02, 1.05, 1.1, 1.2, 1.5]
FURTHEST = 2  # multiple that is drawn


def error(runs):
    """Mean error of runs, infinite where one diverged."""
    values = [*final(runs).values()]
    return np.inf if diverged(runs) else score_of(runs).error(np.mean(values))


def errors(records):
    """A dict from task to optimizer to error, at the optimizer's own rate.

    Of a tuned study on the data held out for tuning, where every rate was tried.
    """
    tasks = {}
    for of_study in records.values():
        for runs in trials(of_study), counting(of_study, tuned=False):
            for cell, of_cell in by_label(at_own_rate(runs)).items():
                by_name = group(of_cell, lambda c: c["optimizer"])
                key = cell, of_cell[0]["config"]["evaluate_on"]
                tasks[key] = {name: error(by_name[name]) for name in by_name}
    return tasks


def whole(tasks):
    """Optimizers, and the tasks on which the errors of all of them are known.

    The more optimizers, the fewer such tasks: as many pairs of the two as there can be.
    """
    pairs = [
        (names, [task for task in tasks if {*names} <= {*task}])
        for count in range(len(NAMES), 1, -1)
        for names in combinations(NAMES, count)
    ]
    return max(pairs, key=lambda pair: len(pair[0]) * len(pair[1]))


def ratios(records):
    """A dict from optimizer to its error by the smallest, task by task.

    Where the smallest is zero, or everyone diverged, there are no multiples of it.
    """
    names, tasks = whole([*errors(records).values()])
    smallest = [min(task[name] for name in names) for task in tasks]
    pairs = [(t, s) for t, s in zip(tasks, smallest, strict=True) if 0 < s < np.inf]
    return {n: np.array([task[n] / s for task, s in pairs]) for n in names if pairs}


def percent(hits):
    return f"{100 * np.mean(hits):.0f} %"


def table(records):
    found = ratios(records)
    if not found:
        return NOT_RUN
    rows = [
        [name, *(percent(of_name <= ratio) for ratio in RATIOS), f"{max(of_name):.2f}"]
        for name, of_name in found.items()
    ]
    heads = ["", "best", *(f"≤ {r:g}" for r in RATIOS[1:]), "worst"]
    count = len(next(iter(found.values())))
    return (
        f"{markdown(heads, rows)}\n\nEvery optimizer at its own rate on {count} tasks: "
        "the share of them on which its error (wrong answers, or the loss) is the "
        "smallest, and at most so many times the smallest; and its largest multiple. "
        "Tasks whose rates were tuned are judged on the data held out for that."
    )


def picture(records, path):
    """One line an optimizer, one dot a task."""
    if not (found := ratios(records)):
        return
    names = sorted(found, key=lambda name: np.median(found[name]))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            figsize=(8, 1.2 + 0.32 * len(names)), layout="constrained"
        )
        for height, name in enumerate(names):
            dots = np.minimum(found[name], FURTHEST)
            axes.plot(dots, [height] * len(dots), "o", color=BLUE, alpha=0.5)
            axes.plot(np.median(dots), height, "|", color="black", markersize=16)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel(
            "error at the optimizer's own rate, in multiples of the smallest on the "
            f"task\n(a dot a task, {FURTHEST} or more at {FURTHEST}; the bar is the "
            "median)"
        )
        save(figure, path)
