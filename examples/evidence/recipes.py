"""docs/which-form.md: a form and a rate for each kind of model, by its recipe."""

from examples.evidence import page
from examples.evidence.cells import counting, load, trials
from examples.evidence.curves import curve, peak
from examples.evidence.origin import origin
from examples.evidence.score import final, score_of
from examples.evidence.tables import markdown
from examples.harness.compare import diverged, group

# From the name of a recipe to its row: the kind of model, and what is measured.
KINDS = {
    "dense": ("dense layers", "accuracy, %"),
    "convolutional": ("convolutions", "accuracy, %"),
    "lstm": ("LSTM", "loss"),
    "transformer_classifier": ("transformer classifier (like BERT)", "accuracy, %"),
    "gpt": ("causal transformer (like GPT)", "loss"),
    "recommender": ("embeddings, recommender", "squared error"),
    "flow": ("normalizing flow", "negative log-likelihood"),
    "vae": ("variational autoencoder", "negative ELBO"),
    "policy": ("policy (REINFORCE)", "time balanced, %"),
    "tabular": ("table of many inputs", "accuracy, %"),
}
# From the name of a form to how it is written, and its max_update_norm.
ACTIVITY = "activity_weight=1, gradient_weight=0, memory_weight=0"
FREE = "max_update_norm=None, adaptation_rate=0"
FORMS = {
    "neuroplastic-default": ("NeuroPlastic({})", "1"),
    "neuroplastic-default-free": (f"NeuroPlastic({{}}, {FREE})", "None"),
    "activity-only-free": (f"NeuroPlastic({{}}, {ACTIVITY}, {FREE})", "None"),
    "plastic-adam": ("PlasticityModulated(Adam({}))", "None"),
}
ADAM = "adam"
NEAR = 0.02
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

    def mean(self, key):
        """On the test set; None if a run diverged."""
        runs, values = self.tests[key], final(self.tests[key]).values()
        return None if diverged(runs) else sum(values) / len(values)

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
        """Whether a form comes near Adam, in words."""
        if None in (self.mean(key), self.mean(adam)):
            return "**no**" if self.mean(key) is None else "yes"
        share = gain(self.mean(key), self.mean(adam), self.score)
        text = f"{100 * share:+.1f} %".replace("-", "−")
        if share < -NEAR:
            return f"**no**, {text}: Adam is better"
        return f"yes, {text}" + (": Adam is better" if share < 0 else "")


def by_recipe(records):
    """A dict from the name of a recipe, in the order of `KINDS`, to its `Recipe`."""
    found = {}
    for name in KINDS:
        of_study = records.get(f"recipes.{name}", [])
        if counting(of_study, tuned=True):
            found[name] = Recipe(of_study)
    return found


def row(name, recipe):
    kind, measure = KINDS[name]
    head = f"[{kind}](../examples/recipes/{name}.py)"
    ours, adam = (recipe and recipe.best(names) for names in (FORMS, [ADAM]))
    if not (ours and adam):
        return [head, NOT_RUN, *[""] * 7]
    rate, (low, high) = recipe.rate(ours), recipe.search(ours)
    written, norm = FORMS[ours[0]]
    return [
        *(head, f"`{written.format(f'{rate:g}')}`", f"{low:g} to {high:g}"),
        *(ours[1], norm, measure, recipe.text(ours)),
        f"{recipe.text(adam)} ({recipe.rate(adam):g}, {adam[1]})",
        recipe.verdict(ours, adam),
    ]


def table(records):
    """Kinds of models: the form that is best on held-out data, beside Adam."""
    found = by_recipe(records)
    heads = ["kind of model", "form and best rate", "rates to search", "schedule"]
    heads += ["`max_update_norm`", "measured", "the form's", "Adam's (rate, schedule)"]
    rows = [row(name, found.get(name)) for name in KINDS]
    return markdown(
        [*heads, f"within {NEAR:.0%} of Adam".replace("%", " %")], rows, "---"
    )


def every_form(records):
    """Forms × kinds: each with the schedule that suits it, beside Adam's best."""
    found = by_recipe(records)
    rows = []
    for name, recipe in found.items():
        cells = [recipe.best([form]) for form in (ADAM, *FORMS)]
        texts = [recipe.text(key) if key else "–" for key in cells]
        rates = [f" ({recipe.rate(key):g})" if key else "" for key in cells]
        rows.append(
            [
                ", ".join(KINDS[name]),
                *(text + rate for text, rate in zip(texts, rates, strict=True)),
            ]
        )
    runs = [run for name in found for run in records[f"recipes.{name}"]]
    if not runs:
        return f"*{NOT_RUN.capitalize()}.*"
    return f"{markdown(['', ADAM, *FORMS], rows)}\n\n{origin(runs)}"


BLOCKS = {"which-form": table, "every-form": every_form}


def blocks(records):
    return {name: text(records) for name, text in BLOCKS.items()}


def write(measured, path):
    """Fills in the page at path from the records measured."""
    text = page.fill(path.read_text(encoding="utf-8"), blocks(load(measured)))
    path.write_text(text, encoding="utf-8")
