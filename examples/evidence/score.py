"""What counts of a finished run: accuracy, or loss where accuracy says little."""

from dataclasses import dataclass

from examples.harness import compare
from examples.harness.compare import interval
from examples.harness.metric import ACCURACY, HEADINGS, LOSS, better, metric_of


@dataclass(frozen=True)
class Score:
    """A metric, and how to speak of it.

    Attributes:
        name: In the head of a table, with its unit.
        metric: Its name in a record.
        factor: From the record to the unit.
        better: 1 if more is better, -1 if less is.
        points: Gain in points for one unit: 1 for a percent of accuracy; for a loss
            100, so that its gain in hundredths fits into one figure with accuracies.
        digits: After the decimal point.
    """

    name: str
    metric: str
    factor: float
    better: int
    points: float
    digits: int

    def error(self, value):
        """What is left to be learnt: the share of wrong answers, or the loss."""
        return 100 - value if self.better > 0 else value

    def text(self, values, sign=""):
        """Mean ± half the width of the 95 % interval; sign="+" for a difference."""
        if not len(values):
            return "–"
        mean, half = interval(values)
        text = f"{mean:{sign}.{self.digits}f}".replace("-", "−")
        # One value has no interval: its half width is no number, unequal to itself.
        return text if half != half else f"{text} ± {half:.{self.digits}f}"


def make_score(metric, points):
    name, factor, digits = HEADINGS[metric]
    return Score(name, metric, factor, better(metric), points, digits)


SCORES = {ACCURACY: make_score(ACCURACY, 1), LOSS: make_score(LOSS, 100)}


def score_of(runs):
    """The score of runs of one study."""
    return SCORES[metric_of(runs)]


def final(runs):
    """The score after the last epoch by seed; none of a loss that was not finite."""
    factor = score_of(runs).factor
    return {seed: factor * value for seed, value in compare.final(runs).items()}
