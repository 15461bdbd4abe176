"""A study: every combination of settings trained once, on the command line."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import keras
from filelock import FileLock, Timeout
from keras.backend import backend
from tqdm import tqdm

from benchmarks.machine import gpu
from examples.harness import results
from examples.harness.command_line import SMOKE, make_parser
from examples.harness.disk import message_when_full
from examples.harness.metric import ACCURACY
from examples.harness.plan import cost, foresee, key, make_plan, with_rate
from examples.harness.run import Run
from keras_neuroplastic import __version__

FULL_ADVICE = "Finished runs are kept: free some space and give the same command again."


class Study:
    """Trains what a results file does not hold yet."""

    def __init__(self, train, path, metric=ACCURACY):
        self.train, self.path, self.metric = train, path, metric
        self.file, self.records = results.Reader(path), {}
        self.bar = tqdm(total=0, unit="epoch", disable=True)
        self.elsewhere = 0

    def finished(self):
        """The records in the results file, by the key of their settings."""
        self.records |= {key(r["config"]): r for r in self.file.new()}
        return self.records

    def folder(self, config):
        """Where an unfinished run keeps its state."""
        return self.path.with_suffix("") / key(config)

    def run(self, plan):
        """Every run of the plan; trials before the runs that depend on them."""
        configs, _ = foresee(plan, self.finished())
        self.foreseen = {key(config) for config in configs}
        epochs = sum(config["epochs"] for config in configs)
        with tqdm(total=epochs, unit="epoch") as self.bar:
            for configs, tuning in plan:
                if tuning:
                    configs = with_rate(configs, self.tune(tuning))
                for config in configs:
                    if self.result(config) is None:
                        self.elsewhere += 1
                        self.skip(config["epochs"])
        if self.elsewhere:
            print(f"{self.elsewhere} runs are left to another process.")

    def tune(self, tuning):
        """The best learning rate."""
        scores = tuning.scores(self.trials)
        if warning := tuning.warning(scores):
            self.bar.write(warning)
        return tuning.best_rate(scores)

    def trials(self, configs):
        """The records of all; those that another process is making come last."""
        new = [config for config in configs if key(config) not in self.foreseen]
        self.bar.total += sum(config["epochs"] for config in new)
        records = [self.result(config) for config in configs]
        return [
            record or self.result(config, wait=True)
            for config, record in zip(configs, records, strict=True)
        ]

    def result(self, config, wait=False):
        """The record of a run, made now if need be; None if another process makes it.

        With wait=True it waits for the other process.
        """
        if record := self.finished().get(key(config)):
            self.skip(config["epochs"])
            return record
        # Beside the folder, which is removed while others may wait for the lock.
        lock = self.folder(config).with_suffix(".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock, timeout=-1 if wait else 0):
                if record := self.finished().get(key(config)):
                    self.skip(config["epochs"])
                    return record
                return self.make(config)
        except Timeout:
            return None

    def skip(self, epochs):
        """Takes epochs that need no time out of the progress bar."""
        self.bar.total -= epochs
        self.bar.refresh()

    def make(self, config):
        run = Run(config, self.folder(config), on_epoch_end=self.bar.update)
        self.bar.set_description(f"{config['optimizer']}, seed {config['seed']}")
        self.skip(run.epochs_done)
        keras.utils.clear_session()
        keras.utils.set_random_seed(config["seed"])
        if not run.diverged:  # stopped between that and its record, it is finished
            self.train(run)
        record = {
            "config": config,
            "metric": self.metric,
            "metrics": run.metrics,
            "diverged": run.diverged,
            "notes": run.notes,
            "seconds": round(sum(run.metrics["seconds"]), 2),
            **circumstances(),
        }
        results.append(self.path, record)
        run.forget()
        self.skip(config["epochs"] - len(run.metrics["loss"]))
        return record


def circumstances():
    """What else may change a result."""
    name = backend()
    system = f"{platform.system()} {platform.machine()}"
    return {
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "keras_neuroplastic": __version__,
            name: sys.modules[name].__version__,
        },
        "machine": ", ".join(filter(None, [system, f"{os.cpu_count()} CPUs", gpu()])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def check_tuning(args):
    tuning_seeds = vars(args).get("tuning_seeds", [])
    if both := args.tune and sorted({*args.seeds} & {*tuning_seeds}):
        return f"argument --tuning-seeds: {both[0]} is among --seeds"
    if args.tune and len(args.learning_rate or []) > 1:
        return "argument --learning-rate: with --tune, one is the middle of the grid"
    return None


def main(
    study,
    train,
    description,
    epochs,
    batch_size,
    seconds_per_epoch,
    smoke=None,
    check=lambda args: None,
    argv=None,
    metric=ACCURACY,
    tune_each_seed=False,
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
        smoke: Dict of what --smoke replaces, beside or in place of the usual.
        check: Function of the arguments that says what is wrong with them, if anything.
        argv: Arguments in place of the command line's.
        metric: What --tune and the report go by: "val_accuracy" or "val_loss".
        tune_each_seed: Whether --tune finds a rate for each seed, with that seed's
            own trials, which must not see what the seed is tested with.
        **axes: Further settings of which a study makes every combination: for each
            a dict of arguments for `add_argument`, with "default" (a list) and "help".
    """
    parser = make_parser(study, description, epochs, batch_size, axes, tune_each_seed)
    args = parser.parse_args(argv)
    if args.smoke:
        first = {name: options["default"][:1] for name, options in axes.items()}
        parser.set_defaults(**{**first, **SMOKE, **(smoke or {})})
        args = parser.parse_args(argv)
    if problem := check_tuning(args) or check(args):
        parser.error(problem)
    folder = Path("results", "smoke") if args.smoke else Path("results")
    path = args.results or folder / f"{study}.jsonl"
    plan = list(make_plan(study, args, axes, metric, tune_each_seed))
    study = Study(train, path, metric)
    print(cost(plan, study.finished(), study.folder, seconds_per_epoch))
    try:
        with message_when_full(path.parent, FULL_ADVICE):
            study.run(plan)
    except KeyboardInterrupt:
        sys.exit(
            "\nStopped. Finished runs are kept; the same command goes on from here."
        )
    print(f"Results are in {path}; python -m examples.report {path} shows them.")
