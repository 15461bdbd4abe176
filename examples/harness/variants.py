"""NeuroPlastic with parts of it taken away or changed, by systematic names."""

from keras_neuroplastic import NeuroPlastic

# What a name begins with: which signals, and how the rest is set.
SIGNALS = {
    "activity-only": (1, 0, 0),
    "memory-only": (0, 0, 1),
    "no-activity": (0, 2 / 3, 1 / 3),
    "no-gradient": (2 / 3, 0, 1 / 3),
    "no-memory": (1 / 2, 1 / 2, 0),
}
FREE = {"max_update_norm": None, "adaptation_rate": 0.0}
WIDE = {"min_alpha": 0.0, "max_alpha": 5.0}
UNBOUNDED = {"min_alpha": 0.0, "max_alpha": 1e30}
# What a name may end with.
CHANGES = {
    "no-limit": {"max_update_norm": None},
    "no-gain": {"adaptation_rate": 0.0},
    "free": FREE,
    "wide": WIDE,
    "unbounded": UNBOUNDED,
    "wide-free": {**WIDE, **FREE},
    "unbounded-free": {**UNBOUNDED, **FREE},
    "kappa-0.5": {"plasticity_scale": 0.5},
    "kappa-2": {"plasticity_scale": 2.0},
}


def with_signals(weights):
    names = "activity_weight", "gradient_weight", "memory_weight"
    shares = dict(zip(names, weights, strict=True))
    return lambda rate, steps, **options: NeuroPlastic(rate, **{**shares, **options})


# Each makes an optimizer from (learning rate, updates an epoch, further arguments).
BASES = {
    "neuroplastic": lambda rate, steps, **options: NeuroPlastic.paper(
        steps, learning_rate=rate, **options
    ),
    "neuroplastic-default": lambda rate, steps, **options: NeuroPlastic(
        rate, **options
    ),
    "gradient-only": lambda rate, steps, **options: NeuroPlastic.gradient_only(
        rate, **options
    ),
    **{name: with_signals(weights) for name, weights in SIGNALS.items()},
}


def changed(make, options):
    return lambda rate, steps: make(rate, steps, **options)


VARIANTS = {
    f"{base}-{change}": changed(make, options)
    for base, make in BASES.items()
    for change, options in CHANGES.items()
}
