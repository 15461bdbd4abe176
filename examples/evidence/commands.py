"""The command lines that make the runs of a table."""

import textwrap
from itertools import product

from examples.evidence.labels import axes
from examples.harness.compare import group
from examples.harness.optimizers import LEARNING_RATES, OPTIMIZERS
from examples.harness.tuning import EACH_SEED

COMMON = ("study", "backend", "epochs", "batch_size", "limit", "tuned")


def common(config):
    """The settings that all runs of a command share."""
    own = config["tuned"] or config["learning_rate"] == LEARNING_RATES.get(
        config["optimizer"]
    )
    rate = None if own else config["learning_rate"]
    return (*((name, config[name]) for name in COMMON), ("learning_rate", rate))


def combination(config):
    return tuple(axes(config).items())


def rectangles(combinations):
    """The combinations as products of values, few of them.

    Each is a tuple of columns, one an axis. Where one product does not do, values of an
    axis that go with the same values of the others stay together.
    """
    columns = [tuple(sorted({*pairs})) for pairs in zip(*combinations, strict=True)]
    if {*product(*columns)} == {*combinations}:
        return [tuple(columns)]
    ways = (split(combinations, axis) for axis in range(len(columns)))
    return min(ways, key=len)


def split(combinations, axis):
    """The same, the values of one axis apart but for those with the same others."""
    others, together = {}, {}
    for one in sorted(combinations, key=repr):
        others.setdefault(one[axis], set()).add(one[:axis] + one[axis + 1 :])
    for pair, rest in others.items():
        together.setdefault(frozenset(rest), []).append(pair)
    return [
        (*columns[:axis], tuple(pairs), *columns[axis:])
        for rest, pairs in together.items()
        for columns in rectangles(rest)
    ]


def shortened(seeds):
    """A long row of seeds as the shell counts it."""
    first, last = seeds[0], seeds[-1]
    if len(seeds) > 5 and seeds == (*range(first, last + 1),):
        return [f"$(seq {first} {last})"]
    return seeds


def flag(name, values):
    return f"--{name.replace('_', '-')} {' '.join(map(str, values))}"


def command(settings, optimizers, seeds, tuning_seeds, columns):
    settings = dict(settings)
    parts = [f"KERAS_BACKEND={settings['backend']} python -m"]
    parts += [f"examples.{settings['study']}"]
    for column in columns:
        values = [value for _, value in column if value is not None]
        parts += [flag(column[0][0], values)] if values else []
    for name in ("epochs", "batch_size", "limit", "learning_rate"):
        parts += [flag(name, [settings[name]])] if settings[name] else []
    parts += [flag("seeds", shortened(seeds))] + ["--tune"] * bool(settings["tuned"])
    own = settings["tuned"] == EACH_SEED  # which it is also while some are not done
    if not own and tuning_seeds not in ((), (0,)):  # none, or the default
        parts += [flag("tuning_seeds", shortened(tuning_seeds))]
    parts += [flag("optimizer", optimizers)]
    return " \\\n".join(
        textwrap.wrap(" ".join(parts), 78, subsequent_indent="    ", break_on_hyphens=0)
    )


def seeds(records, part):
    of_part = [r for r in records if r["config"]["evaluate_on"] == part]
    return tuple(sorted({r["config"]["seed"] for r in of_part}))


def commands(records):
    """As few as make all of the runs among the records, and nothing else."""
    made = {}  # from all that is in a command, but the optimizers, to those
    for settings, runs in group(records, common).items():
        for name, of_one in group(runs, lambda c: c["optimizer"]).items():
            by_seeds = {}
            for key, cell in group(of_one, combination).items():
                both = seeds(cell, "test"), seeds(cell, "validation")
                by_seeds.setdefault(both, []).append(key)
            for (tested, tried), combinations in by_seeds.items():
                for columns in rectangles(combinations) if tested else []:
                    key = settings, tested, tried, columns
                    made.setdefault(key, []).append(name)
    for (settings, tested, tried, columns), names in made.items():
        names = sorted(names, key=list(OPTIMIZERS).index)
        yield command(settings, names, tested, tried, columns)
