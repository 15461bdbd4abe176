"""The optimizers of every study, by name."""

import keras

from examples.harness.l1 import L1SGD, L1NeuroPlastic
from examples.harness.variants import BASES, VARIANTS
from keras_neuroplastic import PlasticityModulated

L1_STRENGTHS = [f"{digit}e-{power}" for power in range(5, 0, -1) for digit in (1, 3)]
DECAYS = 1, 3, 10, 30, 100


def l1(penalty):
    return lambda rate, steps: L1SGD(rate, penalty)


def l1_many_inputs(penalty):
    return lambda rate, steps: L1NeuroPlastic.many_inputs(rate, penalty=penalty)


def adamw(decay):
    return lambda rate, steps: keras.optimizers.AdamW(rate, weight_decay=decay)


def modulated(make, options):
    """What makes the same optimizer with its updates modulated."""
    return lambda rate, steps: PlasticityModulated(make(rate, steps), **options)


# Each makes an optimizer from (learning rate, updates an epoch).
KERAS = {
    "sgd": lambda rate, steps: keras.optimizers.SGD(rate),
    "momentum": lambda rate, steps: keras.optimizers.SGD(rate, momentum=0.9),
    "adam": lambda rate, steps: keras.optimizers.Adam(rate),
    # As is customary in games of two networks.
    "adam-0.5": lambda rate, steps: keras.optimizers.Adam(rate, beta_1=0.5),
    "adamw": lambda rate, steps: keras.optimizers.AdamW(rate),
    **{f"adamw-{decay}": adamw(decay) for decay in DECAYS},
    **{f"sgd-l1-{strength}": l1(float(strength)) for strength in L1_STRENGTHS},
    "lion": lambda rate, steps: keras.optimizers.Lion(rate),
    "muon": lambda rate, steps: keras.optimizers.Muon(rate),
}
# How the name of a modulated optimizer begins, and how it is modulated.
MODULATIONS = {
    "plastic": {},
    "plastic-full": {"max_ratio": None},
    "plastic-half": {"max_ratio": 0.5},
    "plastic-strength-0.5": {"strength": 0.5},
    "plastic-strength-2": {"strength": 2.0},
    "plastic-published": {
        "strength": 0.15,
        "max_ratio": 0.25,
        "activity_weight": 0.4,
        "gradient_weight": 0.4,
        "memory_weight": 0.2,
        "min_alpha": 0.2,
        "max_alpha": 2.0,
    },
}
# The optimizer that each modulates, by name.
BARE = {f"{beginning}-{name}": name for beginning in MODULATIONS for name in KERAS}
MODULATED = {
    f"{beginning}-{name}": modulated(make, options)
    for beginning, options in MODULATIONS.items()
    for name, make in KERAS.items()
}
# many_inputs with the penalty, which plasticity does not scale.
PENALISED_FORMS = {
    f"activity-only-wide-free-l1-{strength}": l1_many_inputs(float(strength))
    for strength in L1_STRENGTHS
}
OPTIMIZERS = {**BASES, **VARIANTS, **PENALISED_FORMS, **KERAS, **MODULATED}

# The paper's for NeuroPlastic and its ablation, customary ones for the others.
LEARNING_RATES = {
    **dict.fromkeys([*BASES, *VARIANTS, *PENALISED_FORMS], 0.1),
    "sgd": 0.1,
    "momentum": 0.01,
    "adam": 0.001,
    "adam-0.5": 0.001,
    "adamw": 0.001,
    **{f"adamw-{decay}": 0.001 for decay in DECAYS},
    **{f"sgd-l1-{strength}": 0.1 for strength in L1_STRENGTHS},
    "lion": 0.0001,
    "muon": 0.001,
}
LEARNING_RATES |= {name: LEARNING_RATES[bare] for name, bare in BARE.items()}
