"""A study: every combination of settings trained once, on the command line."""

import errno
import hashlib
import itertools
import json
import os
import platform
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keras
from filelock import FileLock, Timeout
from keras.backend import backend
from tqdm import tqdm

from examples.harness import results
from examples.harness.command_line import SMOKE, make_parser
from examples.harness.optimizers import LEARNING_RATES, TUNING_FACTORS
from examples.harness.run import Run
from keras_neuroplastic import __version__


def make_configs(study, args, axes):
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


class Study:
    """Trains what a results file does not hold yet."""

    def __init__(self, train, path):
        self.train, self.path = train, path
        self.bar = tqdm(total=0, unit="epoch", disable=True)
        self.elsewhere = 0

    def finished(self):
        """The records in the results file, by the key of their settings."""
        return {key(record["config"]): record for record in results.read(self.path)}

    def run(self, plan):
        """Every run of the plan; trials before the runs that depend on them."""
        epochs = sum(c["epochs"] for runs, trials in plan for c in runs + trials)
        with tqdm(total=epochs, unit="epoch") as self.bar:
            for configs, trials in plan:
                tried = [self.result(config, wait=True) for config in trials]
                if tried:
                    rate = max(tried, key=final_accuracy)["config"]["learning_rate"]
                    configs = [{**config, "learning_rate": rate} for config in configs]
                for config in configs:
                    self.result(config)
        if self.elsewhere:
            print(f"{self.elsewhere} runs are left to another process.")

    def result(self, config, wait=False):
        """The record of a run, made now if need be; None if another process makes it.

        With wait=True it waits for the other process.
        """
        folder = self.path.with_suffix("") / key(config)
        if record := self.finished().get(key(config)):
            return self.skip(config["epochs"], record)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / "lock", timeout=-1 if wait else 0):
                if record := self.finished().get(key(config)):
                    return self.skip(config["epochs"], record)
                return self.make(config, folder)
        except Timeout:
            self.elsewhere += 1
            return self.skip(config["epochs"], None)

    def skip(self, epochs, record):
        """Takes epochs that need no time out of the progress bar."""
        self.bar.total -= epochs
        self.bar.refresh()
        return record

    def make(self, config, folder):
        run = Run(config, folder, on_epoch_end=self.bar.update)
        self.bar.set_description(f"{config['optimizer']}, seed {config['seed']}")
        self.skip(run.epochs_done, None)
        keras.utils.clear_session()
        keras.utils.set_random_seed(config["seed"])
        self.train(run)
        record = {
            "config": config,
            "metrics": run.metrics,
            "diverged": run.diverged,
            "notes": run.notes,
            "seconds": round(sum(run.metrics["seconds"]), 2),
            **circumstances(),
        }
        results.append(self.path, record)
        run.forget()
        return self.skip(config["epochs"] - len(run.metrics["loss"]), record)


def key(config):
    """A short name for the settings of a run."""
    text = json.dumps(config, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def final_accuracy(record):
    return -1 if record["diverged"] else record["metrics"]["val_accuracy"][-1]


def circumstances():
    """What else may change a result."""
    name = backend()
    return {
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "keras_neuroplastic": __version__,
            name: sys.modules[name].__version__,
        },
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cost(plan, finished, seconds_per_epoch):
    """A sentence: how many runs and epochs there are to do, and about how long."""
    configs = [config for runs, trials in plan for config in runs + trials]
    left = sum(c["epochs"] for c in configs if key(c) not in finished)
    timed = [r for r in finished.values() if r["config"]["backend"] == backend()]
    if timed:
        epochs = sum(len(record["metrics"]["seconds"]) for record in timed)
        seconds_per_epoch = sum(record["seconds"] for record in timed) / epochs
    duration = timedelta(seconds=round(left * seconds_per_epoch))
    source = "as in the runs finished so far" if timed else "on two CPU cores"
    return (
        f"{len(configs)} runs, {left} epochs to go on the {backend()} backend: about "
        f"{duration} h, at {seconds_per_epoch:.1f} s an epoch {source}"
    )


def main(
    study,
    train,
    description,
    epochs,
    batch_size,
    seconds_per_epoch,
    smoke_limit=1024,
    argv=None,
    **axes,
):
    """Runs the study that the command line asks for.

    Args:
        study: Name of the script and of its results file.
        train: Function of a `Run` that trains it once.
        description: Text for --help.
        epochs, batch_size: Default settings.
        seconds_per_epoch: What an epoch took on the machine of the documentation,
            to say what a study will cost before there are any results.
        smoke_limit: How many examples --smoke trains on.
        argv: Arguments in place of the command line's.
        **axes: Further settings of which a study makes every combination: for each
            a dict of arguments for `add_argument`, with "default" (a list) and "help".
    """
    parser = make_parser(study, description, epochs, batch_size, axes)
    args = parser.parse_args(argv)
    if args.smoke:
        parser.set_defaults(**SMOKE, limit=smoke_limit)
        args = parser.parse_args(argv)
    folder = Path("results", "smoke") if args.smoke else Path("results")
    path = args.results or folder / f"{study}.jsonl"
    plan = list(make_configs(study, args, axes))
    study = Study(train, path)
    print(cost(plan, study.finished(), seconds_per_epoch))
    try:
        study.run(plan)
    except KeyboardInterrupt:
        sys.exit(
            "\nStopped. Finished runs are kept; the same command goes on from here."
        )
    except OSError as error:
        if error.errno != errno.ENOSPC and "No space left" not in str(error):
            raise
        sys.exit(
            f"\nThe disk of {path.resolve().parent} is full. Finished runs are kept: "
            "free some space and give the same command again."
        )
    print(f"Results are in {path}; python -m examples.report {path} shows them.")
