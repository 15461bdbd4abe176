"""What a study consists of: the settings of every run, and what they will cost."""

import hashlib
import itertools
import json
from datetime import timedelta

from keras.backend import backend

from examples.harness.metric import ACCURACY
from examples.harness.optimizers import LEARNING_RATES
from examples.harness.run import Run
from examples.harness.tuning import EACH_SEED, Tuning


def make_plan(study, args, axes, metric=ACCURACY, tune_each_seed=False):
    """For each cell and optimizer its seeds' settings, and its `Tuning` or None."""
    for *cell, name, rate in itertools.product(
        *(vars(args)[a] for a in axes), args.optimizer, args.learning_rate or [None]
    ):
        config = {
            "study": study,
            **dict(zip(axes, cell, strict=True)),
            "optimizer": name,
            "learning_rate": rate or LEARNING_RATES[name],
            "epochs": args.epochs,
            "batch_size": args.batch_size,
            "limit": args.limit,
            "backend": backend(),
            "evaluate_on": "test",
            "tuned": args.tune,
        }
        title = ", ".join([name, *(f"{a} {config[a]}" for a in axes)])
        if args.tune and tune_each_seed:
            config["tuned"] = EACH_SEED
            for seed in args.seeds:
                tuning = Tuning(f"{title}, seed {seed}", config, [seed], metric)
                yield [{**config, "seed": seed}], tuning
        else:
            configs = [{**config, "seed": seed} for seed in args.seeds]
            tuning = args.tune and Tuning(title, config, args.tuning_seeds, metric)
            yield configs, tuning or None


def key(config):
    """A short name for the settings of a run."""
    text = json.dumps(config, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def with_rate(configs, rate):
    return [{**config, "learning_rate": rate} for config in configs]


def foresee(plan, finished):
    """The settings of all runs that are sure to be needed, and whether those are all.

    Not where trials are missing: they may widen their grid.
    """
    configs, whole = [], True

    def look_up(trials):
        configs.extend(trials)
        records = [finished.get(key(trial)) for trial in trials]
        return None if None in records else records

    for runs, tuning in plan:
        scores = tuning and tuning.scores(look_up)
        if scores:
            runs = with_rate(runs, tuning.best_rate(scores))
        elif tuning:
            whole = False
        configs += runs
    return configs, whole


def cost(plan, finished, folder_of, seconds_per_epoch):
    """A sentence: how many runs and epochs there are to do, and about how long.

    Args:
        plan: List of what `make_plan` yields.
        finished: Dict of records by the key of their settings.
        folder_of: Function from settings to the folder of an interrupted run.
        seconds_per_epoch: Of the whole training set, for want of anything measured.
    """
    configs, whole = foresee(plan, finished)
    unfinished = [config for config in configs if key(config) not in finished]
    left = sum(Run(config, folder_of(config)).epochs_left for config in unfinished)
    sentence = f"{len(configs)} runs, {left} epochs to go on the {backend()} backend"
    if not whole:
        sentence = f"at least {sentence}, more where --tune has to widen its grid"
    # Epochs of as many examples: those of --smoke say nothing about whole ones.
    same = {"backend": backend(), "limit": configs[0]["limit"]}
    timed = [r for r in finished.values() if same.items() <= r["config"].items()]
    if timed:
        epochs = sum(len(record["metrics"]["seconds"]) for record in timed)
        seconds_per_epoch = sum(record["seconds"] for record in timed) / epochs
    elif same["limit"]:
        return sentence
    duration = timedelta(seconds=round(left * seconds_per_epoch))
    source = "as in the runs finished so far" if timed else "on two CPU cores"
    epoch = f"{seconds_per_epoch:.1f} s an epoch {source}"
    more = "" if whole else " or more"
    return f"{sentence}: about {duration} h{more}, at {epoch}"
