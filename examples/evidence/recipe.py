"""What a recipe measured: the rate of each form, and whether it comes near Adam."""

from examples.evidence.cells import counting, trials
from examples.evidence.curves import curve, peak
from examples.evidence.score import final, score_of
from examples.harness.compare import diverged, group

NEAR = 0.02  # a share, by which a score may be worse than another
NOT_RUN = "not run yet"


def gain(value, other, score):
    """By what share of the other it is better."""
    return score.better * (value - other) / abs(other)


def form(config):
    return config["optimizer"], config["schedule"]


class Recipe:
    """The records of a recipe: trials and test runs of every form and schedule."""

    def __init__(self, records):
        self.tests = group(counting(records, tuned=True), form)
        held_out = group(trials(records), form)
        self.curves = {name: curve(held_out[name]) for name in self.tests}
        self.score = score_of(records)

    def best(self, names):
        """Of the named optimizers the form that is best on held-out data, or None."""
        peaks = {
            key: self.score.better * peak(found, self.score)[1]
            for key, found in self.curves.items()
            if key[0] in names
        }
        return max(peaks, key=peaks.get, default=None)

    def text(self, key):
        lost = diverged(self.tests[key])
        if lost:
            return f"{lost} diverged"
        return self.score.text([*final(self.tests[key]).values()])

    def rate(self, key):
        return peak(self.curves[key], self.score)[0]

    def search(self, key):
        """(low, high): around the best rate those near it, and one more on each side.

        Near is within `NEAR` on held-out data.
        """
        found = self.curves[key]
        best, top = peak(found, self.score)
        rates = [*found]
        near = [gain(found[r], top, self.score) >= -NEAR for r in rates]
        low = high = rates.index(best)
        while low > 0 and near[low]:
            low -= 1
        while high < len(rates) - 1 and near[high]:
            high += 1
        return rates[low], rates[high]

    def verdict(self, key, adam):
        """Whether a form comes near Adam, in words; by the seeds that both have."""
        if diverged(self.tests[key]):
            return "**no**"
        ours, theirs = (final(self.tests[k]) for k in (key, adam))
        both = ours.keys() & theirs.keys()
        if not both or diverged(self.tests[adam]):
            return NOT_RUN
        means = [sum(v[seed] for seed in both) / len(both) for v in (ours, theirs)]
        share = gain(*means, self.score)
        text = f"{100 * share:+.1f} %".replace("-", "−")
        if share < -NEAR:
            return f"**no**, {text}: Adam's mean is better"
        return f"yes, {text}" + (": Adam's mean is better" if share < 0 else "")
