"""The optimizers that only the studies have."""

import keras
import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")

from examples.harness.l1 import L1SGD, L1NeuroPlastic
from examples.harness.optimizers import BARE, KERAS, LEARNING_RATES, OPTIMIZERS
from examples.harness.variants import BASES, CHANGES
from keras_neuroplastic import NeuroPlastic


def test_a_step_with_an_l1_penalty():
    kernel = keras.Variable(np.array([[1.0, -0.3], [0.05, -0.05]], "float32"))
    bias = keras.Variable(np.array([0.05, -1.0], "float32"))
    gradients = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([0.0, 1.0])
    gradients = [keras.ops.convert_to_tensor(g, "float32") for g in gradients]
    L1SGD(0.1, penalty=0.8).apply(gradients, [kernel, bias])
    # After the step 0.8 -0.3 0.05 -0.15, and then 0.08 nearer to zero.
    expected = [[0.72, -0.22], [0.0, -0.07]]
    result = keras.ops.convert_to_numpy(kernel)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert result[1, 0] == 0
    result = keras.ops.convert_to_numpy(bias)
    np.testing.assert_allclose(result, [0.05, -1.1], rtol=1e-6)


def test_plasticity_leaves_the_shrinking_as_it_is():
    kernels = [keras.Variable(np.full((2, 2), 9.0, "float32")) for _ in range(2)]
    gradient = keras.ops.convert_to_tensor([[2.0, -1.0], [0.1, 0.0]], "float32")
    penalised = L1NeuroPlastic.many_inputs(0.1, penalty=0.8)
    optimizers = NeuroPlastic.many_inputs(0.1), penalised
    for optimizer, kernel in zip(optimizers, kernels, strict=True):
        optimizer.apply([gradient], [kernel])
    bare, shrunk = map(keras.ops.convert_to_numpy, kernels)
    np.testing.assert_allclose(shrunk, bare - 0.08, rtol=1e-6)


def test_names_say_what_is_changed():
    def arguments(name):
        return OPTIMIZERS[name](0.1, 10).get_config()

    default = arguments("neuroplastic-default")
    for base in BASES:
        own = arguments(base)
        for change, options in CHANGES.items():
            new = arguments(f"{base}-{change}")
            assert {k for k in new if new[k] != own[k]} - {"name"} <= {*options}
            assert options.items() <= new.items()
    assert default["activity_weight"] == 0.4
    own = arguments("activity-only-wide-free")
    named = NeuroPlastic.many_inputs(0.1, name=own["name"])
    assert own == named.get_config()
    assert arguments("activity-only")["activity_weight"] == 1
    assert arguments("no-gradient")["gradient_weight"] == 0
    assert OPTIMIZERS["sgd-l1-3e-3"](0.1, 10).penalty == 0.003
    penalised = arguments("activity-only-wide-free-l1-3e-3")
    assert {**own, "penalty": 0.003, "name": penalised["name"]} == penalised
    assert BARE["plastic-sgd-l1-3e-3"] == "sgd-l1-3e-3"


SOME = (
    "activity-only-wide-free",
    "activity-only-wide-free-l1-1e-3",
    "plastic-adam",
    "plastic-full-muon",
)


@pytest.mark.parametrize("name", [*BASES, *KERAS, *SOME])
def test_goes_downhill(name):
    optimizer = OPTIMIZERS[name](LEARNING_RATES[name], steps_per_epoch := 2)
    # A penalty shrinks what is positive in any case.
    start = -1 if "-l1-" in name else 1
    variable = keras.Variable(np.full((4, 4), start, "float32"))
    for _ in range(steps_per_epoch):
        optimizer.apply([keras.ops.ones((4, 4))], [variable])
    assert (keras.ops.convert_to_numpy(variable) < start).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_has_its_rate(name):
    optimizer = OPTIMIZERS[name](LEARNING_RATES[name], 2)
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    assert rate == pytest.approx(LEARNING_RATES[name])
