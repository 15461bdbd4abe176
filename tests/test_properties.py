"""Whatever the gradients, the weights stay finite and the steps bounded."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_neuroplastic import NeuroPlastic

RATE, NORM = 0.1, 1.0
SHAPES = [(), (1,), (7,), (3, 5), (2, 1, 4), (300,)]


def step(gradients, **options):
    """The distance moved in each step from zero, and the optimizer."""
    optimizer = NeuroPlastic(learning_rate=RATE, max_update_norm=NORM, **options)
    variable = keras.Variable(np.zeros(gradients[0].shape), dtype="float32")
    distances = []
    for g in gradients:
        before = variable.numpy().astype("float64")
        optimizer.apply([ops.convert_to_tensor(g, "float32")], [variable])
        distances.append(np.linalg.norm(variable.numpy() - before))
    assert all(np.all(np.isfinite(v.numpy())) for v in optimizer.variables)
    assert np.all(np.isfinite(variable.numpy()))
    return distances


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.sampled_from(SHAPES),
    exponents=st.lists(st.integers(-38, 38), min_size=1, max_size=4),
    spread=st.sampled_from([0.0, 1.0, 30.0]),
    scale=st.sampled_from([0.0, 1.0, 2.0]),
    per_parameter=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_magnitude(shape, exponents, spread, scale, per_parameter, seed):
    rng = np.random.default_rng(seed)
    gradients = []
    for exponent in exponents:
        exponent = np.clip(exponent + spread * rng.uniform(-1, 1, size=shape), -45, 38)
        gradients.append(rng.uniform(-1, 1, size=shape) * 10.0**exponent)
    distances = step(gradients, plasticity_scale=scale, per_parameter=per_parameter)
    # The weights, of size up to 0.6, are rounded to 2⁻²⁴ of themselves.
    assert max(distances) <= RATE * NORM * 1.5 * (1 + 1e-5)


@pytest.mark.parametrize("magnitude", [1e-30, 1e-15, 1.0, 1e15, 1e30])
def test_the_step_is_exact_at_any_magnitude(magnitude):
    """One step, where all gradients are alike and α is 1."""
    g = np.full((4, 4), magnitude)
    u = 4 * magnitude
    clipped = NORM if u > NORM else u
    gain = 1 + 0.01 * (0.02 - math.sqrt((clipped / 4) ** 2 + 1e-8))
    if magnitude < 1e-7:  # N(g) is next to zero there, and α its minimum
        clipped = 0.2 * u
        gain = 1 + 0.01 * (0.02 - 1e-4)
    [distance] = step([g])
    assert distance == pytest.approx(RATE * clipped * gain, rel=2e-6)


def test_a_step_has_one_direction_at_any_magnitude():
    g = np.array([1.0, 0.5, 0.2, -0.9])
    moved = []
    for magnitude in 1e30, 8e37:
        variable = keras.Variable(np.zeros(4), dtype="float32")
        gradient = ops.convert_to_tensor(magnitude * g, "float32")
        NeuroPlastic(RATE, max_update_norm=NORM).apply([gradient], [variable])
        moved.append(variable.numpy())
    np.testing.assert_allclose(*moved, rtol=2e-6)


def test_traces_recover_from_a_huge_gradient():
    huge = np.full((3,), 3e38)
    small = np.array([0.1, -0.2, 0.3])
    distances = step([huge, *[small] * 20])
    assert all(distance > 0 for distance in distances)


def test_zero_gradients_move_nothing():
    zeros = np.zeros((3, 2))
    assert step([zeros] * 3) == [0, 0, 0]
    # Nor once there are traces: the update is a multiple of the gradient.
    assert step([np.ones((3, 2)), zeros])[1] == 0


def test_an_empty_variable_is_left_alone():
    assert step([np.zeros((0, 3))]) == [0]


def test_an_empty_gradient_list_is_no_update():
    optimizer = NeuroPlastic()
    optimizer.apply([], [])
    assert int(optimizer.iterations) == 0


def test_none_gradients_leave_their_variable():
    variables = [keras.Variable(np.ones(2)), keras.Variable(np.ones(2))]
    optimizer = NeuroPlastic(weight_decay=0.1)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([None, ops.ones((2,))], variables)
    np.testing.assert_array_equal(variables[0].numpy(), 1)
    assert np.all(variables[1].numpy() < 1)
    with pytest.raises(ValueError, match="No gradients"):
        optimizer.apply([None, None], variables)
