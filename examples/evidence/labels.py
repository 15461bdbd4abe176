"""The cells of the studies in the words of the page."""


def percent(share):
    return f"{100 * share:g} %"


def fashion(config):
    return f"Fashion-MNIST, {percent(config['fraction'])}"


def wrong_labels(config):
    return f"{fashion(config)}, {percent(config['noise'])} wrong labels"


NETWORKS = {"mlp": "dense network"}


def irrelevant(config):
    words = f"MNIST, {config['examples']} images, {config['noise']} noise inputs"
    return f"{words}, {NETWORKS.get(config['model'], config['model'])}"


GENES = {"khan": "Khan", "nci60": "NCI60"}
LABELS = {
    "mnist": lambda c: "MNIST" + ("" if c["model"] == "mlp" else f", {c['model']}"),
    "fashion_mnist": lambda c: "Fashion-MNIST",
    "low_data": fashion,
    "noisy_labels": wrong_labels,
    "irrelevant_inputs": irrelevant,
    "gene_expression": lambda c: f"{GENES[c['data']]} genes, {c['model']}",
    "cifar10_resnet18": lambda c: f"CIFAR-10, classes {c['classes']}, {c['stem']} stem",
    "transfer_resnet18": lambda c: f"CIFAR-10, transfer, {c['stem']} stem",
}
# What the records of every study have; the other settings are the axes of a study.
COMMON = {
    *("study", "optimizer", "learning_rate", "epochs", "batch_size", "limit"),
    *("backend", "evaluate_on", "tuned", "seed"),
}


def axes(config):
    return {k: v for k, v in config.items() if k not in COMMON}


def label(config):
    """A cell in words; one of a study that has none here by its settings."""
    if config["study"] in LABELS:
        return LABELS[config["study"]](config)
    given = [str(value) for value in axes(config).values() if value is not None]
    return ", ".join([config["study"].replace("_", " "), *given])


KINDS = {
    "irrelevant_inputs": lambda c: f"{c['noise']:,} noise inputs",
    "low_data": lambda c: "Fashion-MNIST",
    "gene_expression": lambda c: "genes",
}


def kind(config):
    """What a cell has in common with others, in words."""
    if config["study"] in KINDS:
        return KINDS[config["study"]](config)
    return config["study"].replace("_", " ")


def labels(cells):
    """The words for each of several cells, equal ones with what tells them apart."""
    names = [label(dict(cell)) for cell in cells]
    for name in {n for n in names if names.count(n) > 1}:
        same = [i for i, n in enumerate(names) if n == name]
        settings = [set(cells[i]) for i in same]
        for i, own in zip(same, settings, strict=True):
            apart = sorted(own - set.intersection(*settings))
            words = [f"{k} {v}".replace("_", " ") for k, v in apart]
            names[i] = ", ".join([name, *words])
    return names
