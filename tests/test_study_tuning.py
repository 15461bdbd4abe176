"""The search for a learning rate: what is tried, what wins, what is said of it."""

import threading

import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from test_study import run_study

from examples.harness import results
from examples.harness.tuning import Tuning

FIRST = [0.1, 0.3, 1, 3, 10]
LOWER, HIGHER = [0.03, 0.01, 0.003, 0.001], [30, 100, 300, 1000]


def search(
    accuracies,
    diverged=(),
    seeds=(0,),
    losses=lambda rate, seed: 1.0,
    metric="val_accuracy",
):
    """(rates in the order of trial, the best, warning), around a rate of 1.

    Args:
        accuracies: Function of rate and seed.
        diverged: Pairs of rate and seed whose runs do.
        losses: As accuracies.
        metric: Which of the two counts.
    """
    tuning, tried = Tuning("toy", {"learning_rate": 1.0}, seeds, metric), []

    def get_records(trials):
        pairs = [(t["learning_rate"], t["seed"]) for t in trials]
        tried.extend(rate for rate, seed in pairs if seed == seeds[0])
        return [
            {
                "metrics": {
                    "val_accuracy": [0.0, accuracies(*pair)],
                    "val_loss": [9.0, losses(*pair)],
                },
                "diverged": pair in diverged,
            }
            for pair in pairs
        ]

    scores = tuning.scores(get_records)
    return tried, tuning.best_rate(scores), tuning.warning(scores)


def peak(at):
    """Accuracy that falls off from a rate to both sides."""
    return lambda rate, seed: min(rate / at, at / rate)


@pytest.mark.parametrize("at", [0.3, 1, 3])
def test_a_grid_whose_inside_wins_stays_as_it_is(at):
    assert search(peak(at)) == (FIRST, at, None)


@pytest.mark.parametrize(
    ("at", "more"),
    [
        (0.1, LOWER[:1]),
        (0.03, LOWER[:2]),
        (0.003, LOWER),
        (10, HIGHER[:1]),
        (100, HIGHER[:3]),
        (300, HIGHER),
    ],
)
def test_a_grid_whose_edge_wins_widens_until_its_inside_does(at, more):
    assert search(peak(at)) == (FIRST + more, at, None)


@pytest.mark.parametrize(
    ("at", "more", "end"), [(1e-3, LOWER, "lowest"), (1e9, HIGHER, "highest")]
)
def test_a_search_that_ends_at_its_bound_says_so(at, more, end):
    tried, best, warning = search(peak(at))
    assert (tried, best) == (FIRST + more, more[-1])
    assert warning == (
        f"toy: the best learning rate, {more[-1]:g}, is at the edge of the grid, the "
        f"{end} that was tried"
    )


def test_a_diverged_edge_does_not_win():
    """Though its last accuracy, before it diverged, is the highest."""
    assert search(peak(1e9), {(30, 0)}) == ([*FIRST, 30], 10, None)
    assert search(peak(1e9), {(10, 0)}) == (FIRST, 3, None)
    assert search(lambda rate, seed: 0.0, {(0.1, 0)}) == (FIRST, 0.3, None)


def test_where_all_diverge_lower_rates_are_tried():
    everything = {(rate, 0) for rate in FIRST}
    assert search(peak(0.03), everything) == ([*FIRST, *LOWER[:2]], 0.03, None)


def test_the_mean_over_the_seeds_decides():
    def accuracies(rate, seed):
        return {0.3: (0.8, 0.8), 3: (0.9, 0.5)}.get(rate, (0.1, 0.1))[seed]

    assert search(accuracies)[1] == 3
    assert search(accuracies, seeds=(0, 1))[1] == 0.3
    # One diverged run of two is worse than any accuracy.
    assert search(accuracies, {(0.3, 1)}, seeds=(0, 1))[1] == 3
    everything_but_one = {(rate, 1) for rate in FIRST} - {(1, 1)}
    assert search(accuracies, everything_but_one, seeds=(0, 1))[1] == 1


def valley(at):
    """Loss that rises from a rate to both sides."""
    return lambda rate, seed: max(rate / at, at / rate)


def test_where_the_loss_counts_the_lowest_wins():
    counts = {"losses": valley(0.3), "metric": "val_loss"}
    assert search(peak(3), **counts)[1] == 0.3
    assert search(peak(3), {(0.3, 0)}, **counts)[1] != 0.3


def test_of_equal_accuracies_the_lower_loss_wins():
    def accuracies(rate, seed):
        return 0.5 + 0.1 * (0.2 < rate < 5)

    assert search(accuracies)[1] == 0.3
    assert search(accuracies, losses=valley(3))[1] == 3
    assert search(accuracies, losses=valley(10))[1] == 3  # accuracy comes first


def peaked(at, before=lambda run: None):
    """In place of training: accuracy that falls off from a rate to both sides."""

    def train(run):
        before(run)
        run.metrics = {name: [0.5] * 4 for name in ("loss", "val_loss", "seconds")}
        run.metrics["val_accuracy"] = [peak(at)(run.learning_rate, run.seed)] * 4
        run.on_epoch_end(run.epochs)

    return train


TUNE = "--tune", "--optimizer", "gradient-only"


def rates(records, evaluate_on):
    configs = [record["config"] for record in records]
    return [c["learning_rate"] for c in configs if c["evaluate_on"] == evaluate_on]


def test_a_study_goes_on_with_the_rate_that_won(tmp_path, capsys):
    records = run_study(tmp_path / "toy.jsonl", *TUNE, train=peaked(3))
    trials = [0.01, 0.03, 0.1, 0.3, 1, 3, 10]
    assert rates(records, "validation") == trials
    assert rates(records, "test") == [3]
    out, err = capsys.readouterr()
    assert "edge" not in out
    assert " 32/32 " in err.split("\r")[-1]  # the bar counts what widened the grid


def test_a_study_says_that_its_best_rate_is_at_the_edge(tmp_path, capsys):
    path = tmp_path / "toy.jsonl"
    for _ in range(2):  # also when the command is given again
        run_study(path, *TUNE, train=peaked(1e9))
        assert "gradient-only: the best learning rate, 100, " in capsys.readouterr().out
    assert rates(results.read(path), "test") == [100]


def test_tuning_seeds(tmp_path, capsys):
    seeds = "--tuning-seeds", "1", "2"
    records = run_study(tmp_path / "toy.jsonl", *TUNE, *seeds, train=peaked(0.1))
    tried = [r["config"] for r in records if r["config"]["evaluate_on"] != "test"]
    assert [c["seed"] for c in tried] == [1, 2] * 5
    with pytest.raises(SystemExit):
        run_study(tmp_path / "toy.jsonl", *TUNE, "--tuning-seeds", "0", "41")
    message = capsys.readouterr().err.splitlines()[-1]
    assert "argument --tuning-seeds: 41 is among --seeds" in message


def test_each_seed_is_tuned_by_itself(tmp_path):
    def train(run):
        at = {1: 0.03, 2: 1.0}[run.seed]
        peaked(at)(run)

    arguments = "--tune", "--optimizer", "gradient-only", "--seeds", "1", "2"
    path = tmp_path / "toy.jsonl"
    records = run_study(path, *arguments, train=train, tune_each_seed=True)
    final = [r["config"] for r in records if r["config"]["evaluate_on"] == "test"]
    assert [(c["seed"], c["learning_rate"]) for c in final] == [(1, 0.03), (2, 1)]
    trials = [r["config"] for r in records if r["config"]["evaluate_on"] != "test"]
    assert [c["seed"] for c in trials] == [1] * 5 + [2] * 6
    with pytest.raises(SystemExit):  # there is nothing to choose
        run_study(path, *arguments, "--tuning-seeds", "3", tune_each_seed=True)


def test_an_interrupted_search_does_not_repeat_its_trials(tmp_path):
    path, trained = tmp_path / "toy.jsonl", []

    def die_at(deadly):
        def before(run):
            if run.learning_rate == deadly:
                raise KeyboardInterrupt
            trained.append((run.learning_rate, run.evaluate_on))

        return before

    for deadly in (0.3, 3, 10):  # of the first grid, and both that widen it
        with pytest.raises(SystemExit):
            run_study(path, *TUNE, train=peaked(3, die_at(deadly)))
    run_study(path, *TUNE, train=peaked(3, die_at(None)))
    trials = [0.01, 0.03, 0.1, 0.3, 1, 3, 10]
    assert trained == [*((rate, "validation") for rate in trials), (3, "test")]


def test_two_processes_share_the_trials(tmp_path):
    path, trained, other_works = tmp_path / "toy.jsonl", [], threading.Event()

    def before(run):
        first = not trained
        trained.append((run.learning_rate, run.evaluate_on))
        if first:  # nothing else is made here before the other has made the rest
            assert other_works.wait(60)
        elif run.learning_rate == 1:
            other_works.set()

    def work():
        run_study(path, *TUNE, train=peaked(3, before))

    other = threading.Thread(target=work)
    other.start()
    work()
    other.join(60)
    trials = {0.01, 0.03, 0.1, 0.3, 1, 3, 10}
    assert set(trained) == {*((rate, "validation") for rate in trials), (3, "test")}
    assert len(trained) == 8
    assert len(results.read(path)) == 8
