"""The search for a learning rate: a grid that widens until its best rate is inside."""

import numpy as np

from examples.harness.metric import ACCURACY, LOSS, better

# The grid by steps from an optimizer's own rate: the same trials for everyone.
FIRST_STEPS = range(-2, 3)
MOST_WIDENINGS = 4  # on each side
# In the place of True in "tuned", where every seed has a rate of its own.
EACH_SEED = "each seed"
LOWEST = FIRST_STEPS[0] - MOST_WIDENINGS
HIGHEST = FIRST_STEPS[-1] + MOST_WIDENINGS


def factor(step):
    """..., 0.1, 0.3, 1, 3, 10, ...: half a power of ten a step, in round numbers."""
    return (1, 3)[step % 2] * 10.0 ** (step // 2)


def next_steps(scores):
    """What to try after the steps in scores: the first grid, then beyond its edges."""
    if not scores:
        return list(FIRST_STEPS)
    step = best(scores)
    if step == min(scores) and step > LOWEST:
        return [step - 1]
    if step == max(scores) and step < HIGHEST:
        return [step + 1]
    return []


def best(scores):
    """The step of the highest score, of equal ones the lowest."""
    return max(sorted(scores), key=scores.get)


def score(records, metric=ACCURACY):
    """Of a rate's trials, greater is better; least if any diverged.

    The mean of the metric decides, where that is equal the mean loss.
    """
    if any(record["diverged"] for record in records):
        return -np.inf, -np.inf
    return tuple(
        better(name) * np.mean([r["metrics"][name][-1] for r in records])
        for name in (metric, LOSS)
    )


class Tuning:
    """The trials of one optimizer in one cell.

    Args:
        name: What to call them.
        config: Settings of a run, with the learning rate in the middle of the grid.
        seeds: List of those that each rate is tried with.
        metric: What decides.
    """

    def __init__(self, name, config, seeds, metric=ACCURACY):
        self.name, self.config, self.seeds = name, config, seeds
        self.metric = metric

    def rate(self, step):
        return float(f"{self.config['learning_rate'] * factor(step):.3g}")

    def trials(self, step):
        """The settings of each run with the learning rate of a step."""
        config = {**self.config, "learning_rate": self.rate(step)}
        return [
            {**config, "evaluate_on": "validation", "seed": seed} for seed in self.seeds
        ]

    def scores(self, get_records):
        """Dict of the score of each step of the finished search.

        get_records turns a list of trials into their records, or None to give up;
        then the answer is None, too.
        """
        scores = {}
        while steps := next_steps(scores):
            records = get_records([t for step in steps for t in self.trials(step)])
            if records is None:
                return None
            size = len(self.seeds)
            for i, step in enumerate(steps):
                scores[step] = score(records[i * size : (i + 1) * size], self.metric)
        return scores

    def best_rate(self, scores):
        return self.rate(best(scores))

    def warning(self, scores):
        """What to say of a search that ended at its bound."""
        for end, step in ("lowest", min(scores)), ("highest", max(scores)):
            if best(scores) == step:
                return (
                    f"{self.name}: the best learning rate, {self.rate(step):g}, is "
                    f"at the edge of the grid, the {end} that was tried"
                )
        return None
