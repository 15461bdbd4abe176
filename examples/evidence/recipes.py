"""docs/which-form.md: a form and a rate for each kind of model, by its recipe."""

from examples.evidence import page
from examples.evidence.cells import counting, load
from examples.evidence.origin import origin
from examples.evidence.recipe import NEAR, NOT_RUN, Recipe
from examples.evidence.tables import NONE, markdown, seeds

# From the name of a recipe to its row: the kind of model, and what is measured.
KINDS = {
    "dense": ("dense layers", "accuracy, %"),
    "convolutional": ("convolutions", "accuracy, %"),
    "resnet": ("residual network", "accuracy, %"),
    "lstm": ("LSTM", "loss"),
    "transformer_classifier": ("transformer classifier (like BERT)", "accuracy, %"),
    "gpt": ("causal transformer (like GPT)", "loss"),
    "recommender": ("embeddings, recommender", "squared error"),
    "flow": ("normalizing flow", "negative log-likelihood"),
    "vae": ("variational autoencoder", "negative ELBO"),
    "gan": ("generative adversarial network", "Fréchet distance"),
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
    "plastic-adam-0.5": ("PlasticityModulated(Adam({}, beta_1=0.5))", "None"),
}
HALF = "-0.5"  # so ends the name of what has beta_1=0.5
ADAMS = "adam", f"adam{HALF}"


def by_recipe(records):
    """A dict from the name of a recipe, in the order of `KINDS`, to its `Recipe`."""
    found = {}
    for name in KINDS:
        of_study = records.get(f"recipes.{name}", [])
        if counting(of_study, tuned=True):
            found[name] = Recipe(of_study)
    return found


def settings(recipe, key):
    """The best rate, and what else is not the default."""
    return f"{recipe.rate(key):g}" + ", beta_1=0.5" * key[0].endswith(HALF)


def row(name, recipe):
    kind, measure = KINDS[name]
    head = f"[{kind}](../examples/recipes/{name}.py)<br>{measure}"
    ours, adam = (recipe and recipe.best(names) for names in (FORMS, ADAMS))
    if not (ours and adam):
        return [head, NOT_RUN, *[""] * 3]
    rate, (low, high) = recipe.rate(ours), recipe.search(ours)
    written, norm = FORMS[ours[0]]
    how = f"{low:g} to {high:g}, {ours[1]}, limit {norm}"
    return [
        head,
        f"`{written.format(f'{rate:g}')}`<br>{how}",
        recipe.text(ours),
        f"{recipe.text(adam)}<br>({settings(recipe, adam)}, {adam[1]})",
        recipe.verdict(ours, adam),
    ]


def table(records):
    """Kinds of models: the form that is best on held-out data, beside Adam."""
    found = by_recipe(records)
    heads = ["kind of model", "form and best rate", "its score", "Adam's"]
    heads += [f"within {NEAR:.0%} of Adam".replace("%", " %")]
    rows = [row(name, found.get(name)) for name in KINDS]
    text = markdown(heads, rows, "---")
    if not found:
        return text
    cells = {name: recipe.tests for name, recipe in found.items()}
    return f"{text}\n\nScores: mean ± half of the 95 % interval, {seeds(cells)}."


def cell(recipe, form):
    """The score of a form, and below it with the other beta_1, where that ran."""
    keys = filter(None, (recipe.best([name]) for name in (form, form + HALF)))
    lines = [f"{recipe.text(key)} ({settings(recipe, key)})" for key in keys]
    return "<br>".join(lines) or NONE


def every_form(records):
    """Forms × kinds: each with the schedule that suits it, beside Adam's best."""
    found = by_recipe(records)
    ran = {form for recipe in found.values() for form, _ in recipe.tests}
    forms = [f for f in ("adam", *FORMS) if f in ran and not f.endswith(HALF)]
    rows = [
        [", ".join(KINDS[name]), *(cell(recipe, form) for form in forms)]
        for name, recipe in found.items()
    ]
    runs = [run for name in found for run in records[f"recipes.{name}"]]
    if not runs:
        return f"*{NOT_RUN.capitalize()}.*"
    return f"{markdown(['', *forms], rows)}\n\n{origin(runs)}"


BLOCKS = {"which-form": table, "every-form": every_form}


def blocks(records):
    return {name: text(records) for name, text in BLOCKS.items()}


def write(measured, path):
    """Fills in the page at path from the records measured."""
    text = page.fill(path.read_text(encoding="utf-8"), blocks(load(measured)))
    path.write_text(text, encoding="utf-8")
