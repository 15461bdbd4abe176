"""What a study consists of: the settings of every run, and what they will cost."""

import hashlib
import itertools
import json
from datetime import timedelta

from keras.backend import backend

from examples.harness.optimizers import LEARNING_RATES, TUNING_FACTORS
from examples.harness.run import Run


def make_plan(study, args, axes):
    """For each cell and optimizer its seeds' settings, and those of its trials."""
    for *cell, name in itertools.product(
        *(vars(args)[a] for a in axes), args.optimizer
    ):
        config = {
            "study": study,
            **dict(zip(axes, cell, strict=True)),
            "optimizer": name,
            "learning_rate": args.learning_rate or LEARNING_RATES[name],
            "epochs": args.epochs,
            "batch_size": args.batch_size,
            "limit": args.limit,
            "backend": backend(),
            "evaluate_on": "test",
            "tuned": args.tune,
        }
        tuning = {**config, "evaluate_on": "validation", "seed": 0}
        rates = [float(f"{config['learning_rate'] * f:.3g}") for f in TUNING_FACTORS]
        yield (
            [{**config, "seed": seed} for seed in args.seeds],
            [{**tuning, "learning_rate": rate} for rate in rates] if args.tune else [],
        )


def key(config):
    """A short name for the settings of a run."""
    text = json.dumps(config, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def with_best_rate(configs, tried):
    """The settings with the learning rate of the best trial, if there were any."""
    if not tried:
        return configs
    rate = max(tried, key=final_accuracy)["config"]["learning_rate"]
    return [{**config, "learning_rate": rate} for config in configs]


def final_accuracy(record):
    return -1 if record["diverged"] else record["metrics"]["val_accuracy"][-1]


def cost(plan, finished, folder_of, seconds_per_epoch):
    """A sentence: how many runs and epochs there are to do, and about how long.

    Args:
        plan: List of what `make_plan` yields.
        finished: Dict of records by the key of their settings.
        folder_of: Function from settings to the folder of an interrupted run.
        seconds_per_epoch: Of the whole training set, for want of anything measured.
    """
    configs = []
    for runs, trials in plan:
        if all(key(trial) in finished for trial in trials):
            runs = with_best_rate(runs, [finished[key(trial)] for trial in trials])
        configs += runs + trials
    unfinished = [config for config in configs if key(config) not in finished]
    left = sum(Run(config, folder_of(config)).epochs_left for config in unfinished)
    sentence = f"{len(configs)} runs, {left} epochs to go on the {backend()} backend"
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
    return f"{sentence}: about {duration} h, at {epoch}"
