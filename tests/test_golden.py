"""The optimizer moves variables as the published implementation does."""

from pathlib import Path

import keras
import numpy as np
import pytest
from lineup import stepper
from reference import WRONG_VARIANTS, Reference

from keras_neuroplastic import NeuroPlastic, PlasticityWarmup

GOLDEN = Path(__file__).parent / "golden"
STEPS_PER_EPOCH = 6


def staircase(step):
    return 2 * min(step // STEPS_PER_EPOCH / 2, 1)


# For each case: the arguments of the optimizer, and those of the twin.
CASES = {
    "full": ({}, {}),
    "grad_only": (
        {"activity_weight": 0, "gradient_weight": 1, "memory_weight": 0},
        {"weights": (0, 1, 0)},
    ),
    "locked_paper_config": (
        {"plasticity_scale": PlasticityWarmup(12, 2.0, STEPS_PER_EPOCH)},
        {"plasticity_scale": staircase},
    ),
    "scale_half": ({"plasticity_scale": 0.5}, {"plasticity_scale": 0.5}),
    "tensorwise": ({"per_parameter": False}, {"per_parameter": False}),
    "other_weights": (
        {
            "activity_weight": 0.1,
            "gradient_weight": 0.2,
            "memory_weight": 0.7,
            "min_alpha": 0.5,
            "max_alpha": 1.5,
        },
        {"weights": (0.1, 0.2, 0.7), "min_alpha": 0.5, "max_alpha": 1.5},
    ),
    "large_gradients": ({}, {}),
    "tiny_gradients": ({}, {}),
    "sparse_gradients": ({}, {}),
    "strong_homeostasis": (
        {"max_update_norm": 0.5, "target_rms": 0.4, "adaptation_rate": 1.0},
        {"max_update_norm": 0.5, "target_rms": 0.4, "adaptation_rate": 1.0},
    ),
    "decoupled_weight_decay": ({"weight_decay": 0.05}, {"weight_decay": 0.05}),
}
# The cases in which a mistake leaves no trace, for a reason.
INVISIBLE = {
    "trace read before its update": {"grad_only"},  # has no trace
    # α stays in its range unless κ > 1.
    "alpha clipped a second time": set(CASES) - {"locked_paper_config"},
    "epsilon left out of a mean": set(),
    # The norm is below its limit, where its place does not matter.
    "norm taken after the gain": set(CASES) - {"large_gradients", "strong_homeostasis"},
    "learning rate off by 1 %": set(),
}


# float32 rounds the value by up to 2⁻²⁴ in each of 24 steps, which adds up to about
# √24 times that, and the step by a few more: both with a margin of two.
FLOAT32 = (1e-6, 2 * 24**0.5 * 2**-24)


def load(case):
    """Lists over the variables: initial values, gradients, values by epoch."""
    with np.load(GOLDEN / f"{case}.npz") as file:
        return [
            [file[f"{part}_{i}"] for i in range(6)]
            for part in ("initial", "gradients", "parameters")
        ]


def run_optimizer(optimizer, initial, gradients):
    """The values of each variable after each epoch."""
    dtype = keras.config.floatx()
    variables = [keras.Variable(x, dtype=dtype) for x in initial]
    move = stepper(optimizer, variables, dtype)
    epochs = []
    for step in range(len(gradients[0])):
        move([g[step] for g in gradients])
        if (step + 1) % STEPS_PER_EPOCH == 0:
            epochs.append([np.array(v.numpy()) for v in variables])
    return [np.stack(values) for values in zip(*epochs, strict=True)]


def run_reference(initial, gradients, **options):
    twins = [Reference(x, **options) for x in initial]
    steps = [[t.step(x) for x in g] for t, g in zip(twins, gradients, strict=True)]
    return [np.stack(s[STEPS_PER_EPOCH - 1 :: STEPS_PER_EPOCH]) for s in steps]


def excess(got, golden, initial, relative, resolution=0.0):
    """The worst deviation from the golden values, in units of what is allowed.

    Allowed is `relative` of the distance that the variable has moved, measured by
    its farthest element, and `resolution` of the size of its values.
    """
    worst = 0.0
    for got_i, golden_i, initial_i in zip(got, golden, initial, strict=True):
        for x, y in zip(got_i, golden_i, strict=True):
            moved = np.max(np.abs(y - initial_i))
            allowed = relative * moved + resolution * np.max(np.abs(y))
            worst = max(worst, np.max(np.abs(x - y)) / max(allowed, 1e-300))
            if np.any(np.isnan(x)):
                return np.inf
    return worst


@pytest.mark.parametrize("case", CASES)
def test_float64(case, float64):
    initial, gradients, golden = load(case)
    got = run_optimizer(NeuroPlastic(**CASES[case][0]), initial, gradients)
    assert excess(got, golden, initial, 1e-12) <= 1


@pytest.mark.parametrize("case", CASES)
def test_float32(case):
    initial, gradients, golden = load(case)
    got = run_optimizer(NeuroPlastic(**CASES[case][0]), initial, gradients)
    assert got[0].dtype == "float32"
    assert excess(got, golden, initial, *FLOAT32) <= 1


@pytest.mark.parametrize("case", CASES)
def test_wrong_variants_are_noticed(case):
    initial, gradients, golden = load(case)
    options = CASES[case][1]
    assert (
        excess(run_reference(initial, gradients, **options), golden, initial, 1e-12)
        <= 1
    )
    for wrong in WRONG_VARIANTS:
        got = run_reference(initial, gradients, wrong=wrong, **options)
        noticed = excess(got, golden, initial, 1e-12) > 1
        assert noticed == (case not in INVISIBLE[wrong]), wrong


def test_float32_notices_a_learning_rate_off_by_one_percent():
    initial, gradients, golden = load("full")
    got = run_optimizer(NeuroPlastic(learning_rate=0.101), initial, gradients)
    assert excess(got, golden, initial, *FLOAT32) > 1
