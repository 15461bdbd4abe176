"""Gradients that are no tensors, and gradients and variables that are refused."""

import re

import keras
import numpy as np
import pytest
from keras import ops
from lineup import assert_weights, value
from reference import Reference
from toy import assert_close, assert_identical

from keras_neuroplastic import NeuroPlastic, PlasticityModulated

INITIAL = np.array([[1.0, -2.0, 0.5], [3.0, 4.0, -1.0]], "float32")
# Integers, for each form to hold them exactly.
GRADIENT = np.array([[1, 2, -3], [-4, 0, 6]])
STEPS = 2


def after_steps(gradient, **options):
    """The variable and its slots."""
    variable, optimizer = keras.Variable(INITIAL), NeuroPlastic(**options)
    for _ in range(STEPS):
        optimizer.apply([gradient], [variable])
    return [value(v) for v in (variable, *optimizer.variables)]


def tensor(array):
    return ops.convert_to_tensor(array, "float32")


FORMS = {
    "Variable": lambda g: keras.Variable(g, dtype="float32"),
    "Variable of float16": lambda g: keras.Variable(g, dtype="float16"),
    "Variable of int32": lambda g: keras.Variable(g, dtype="int32", trainable=False),
    "float64": lambda g: g.astype("float64"),
    "float32": lambda g: g.astype("float32"),
    "float16": lambda g: g.astype("float16"),
    "int64": lambda g: g.astype("int64"),
    "int8": lambda g: g.astype("int8"),
    "list": lambda g: g.tolist(),
    "tuple": lambda g: tuple(map(tuple, g.tolist())),
    "list of tensors": lambda g: [tensor(row) for row in g],
}


# What Keras does with gradients before a step, of one dtype.
KERAS_DOES = {
    "nothing": {},
    "clipping": {"global_clipnorm": 2.5},
    "accumulation": {"gradient_accumulation_steps": STEPS, "loss_scale_factor": 4.0},
}


@pytest.mark.parametrize("options", KERAS_DOES.values(), ids=KERAS_DOES)
@pytest.mark.parametrize("form", FORMS)
def test_what_can_be_a_tensor_is_taken_for_one(form, options):
    got = after_steps(FORMS[form](GRADIENT), **options)
    assert_identical(got, after_steps(tensor(GRADIENT), **options))
    wrong = tensor(GRADIENT * np.array([1 + 2**-12, 1, 1]))
    with pytest.raises(AssertionError):
        assert_identical(got, after_steps(wrong, **options))


OWN = {"Variable": lambda v: v, "of the backend": lambda v: v.value}


@pytest.mark.parametrize("make", [NeuroPlastic, lambda: PlasticityModulated("sgd")])
@pytest.mark.parametrize("form", OWN)
def test_a_gradient_that_moves_with_the_step_is_read_before(form, make):
    """In a game of two, each one's gradient may be the other's own value."""

    def play(own, in_graph):
        variables = [keras.Variable(INITIAL), keras.Variable(3 - INITIAL)]
        optimizer = make()
        optimizer.build(variables)

        def step():
            optimizer.apply([own(v) for v in variables[::-1]], variables)

        if in_graph:
            import tensorflow as tf

            step = tf.function(step)
        for _ in range(STEPS):
            step()
        return [value(v) for v in (*variables, *optimizer.variables)]

    want = play(lambda v: ops.convert_to_tensor(v) + 0, False)
    assert_identical(play(OWN[form], False), want)
    if keras.backend.backend() == "tensorflow":
        assert_close(play(OWN[form], True), want)


BROADCAST = {
    "int": 2,
    "float": 2.0,
    "NumPy scalar": np.float64(2.0),
    "scalar tensor": ops.convert_to_tensor(2.0),
    "row": np.array([1.0, -2.0, 3.0]),
    "row tensor": tensor([1.0, -2.0, 3.0]),
    "column": np.array([[1.0], [-2.0]]),
    "column tensor": tensor([[1.0], [-2.0]]),
    "list": [1, -2, 3],
}


@pytest.mark.parametrize("name", BROADCAST)
def test_what_is_smaller_is_broadcast(name):
    """Before it is read: the mean of a repeated row is over its repetitions."""
    gradient = BROADCAST[name]
    whole = np.broadcast_to(ops.convert_to_numpy(gradient), INITIAL.shape)
    got = after_steps(gradient)
    assert_identical(got, after_steps(tensor(whole)))
    twin, wrong = Reference(INITIAL), Reference(INITIAL, learning_rate=0.0999)
    for _ in range(STEPS):
        twin.step(whole)
        wrong.step(whole)
    assert_weights(got[0], twin.theta, INITIAL, 1e-6)
    with pytest.raises(AssertionError):
        assert_weights(got[0], wrong.theta, INITIAL, 1e-6)


SHAPES = [(2,), (3, 2), (1, 2, 3), (5, 2, 3), (2, 0)]
MAKERS = {"array": np.ones, "tensor": ops.ones, "list": lambda s: np.ones(s).tolist()}


def assert_refuses(error, gradient, *words):
    """Nothing moves, and the message holds each of the words."""
    good, variable = keras.Variable(INITIAL), keras.Variable(INITIAL, name="kernel")
    optimizer = NeuroPlastic()
    optimizer.apply([tensor(GRADIENT)] * 2, [good, variable])
    everything = [good, variable, *optimizer.variables]
    before = [value(v) for v in everything]
    with pytest.raises(error) as caught:
        optimizer.apply([tensor(GRADIENT), gradient], [good, variable])
    for word in (variable.path, *words):
        assert re.search(re.escape(word), str(caught.value))
    assert_identical([value(v) for v in everything], before)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_cannot_be_broadcast_is_refused(shape, maker):
    gradient = MAKERS[maker](shape)
    assert_refuses(ValueError, gradient, str(shape), str(INITIAL.shape))


@pytest.mark.parametrize(
    "gradient", ["steep", b"steep", {"a": 1.0}, object(), [[1.0, 2.0], [3.0]], print]
)
def test_what_cannot_be_a_tensor_is_refused(gradient):
    assert_refuses(TypeError, gradient, type(gradient).__name__)


WORKING = ["float16", "bfloat16", "float32", "float64"]


@pytest.mark.parametrize(
    "dtype", ["complex64", "int32", "uint8", "bool", "float8_e4m3fn", "float8_e5m2"]
)
@pytest.mark.parametrize("options", [{}, {"use_ema": True}])
def test_a_variable_that_cannot_be_stepped_is_refused(dtype, options):
    """Before anything is made, so that the optimizer can be built on others."""
    good = keras.Variable(INITIAL)
    # PyTorch takes no gradients of most of these.
    bad = keras.Variable(np.ones((2, 2)), dtype=dtype, trainable=False, name="bad")
    optimizer, fresh = NeuroPlastic(**options), NeuroPlastic(**options)
    made = len(optimizer.variables)
    with pytest.raises(TypeError) as caught:
        optimizer.build([good, bad])
    for word in (bad.path, dtype, *WORKING):
        assert word in str(caught.value)
    assert not optimizer.built
    assert len(optimizer.variables) == made
    states = []
    for each in (optimizer, fresh):
        variable = keras.Variable(INITIAL)
        each.apply([tensor(GRADIENT)], [variable])
        states.append([value(v) for v in (variable, *each.variables)])
    assert_identical(*states)
    assert_identical([value(good)], [INITIAL])


@pytest.mark.parametrize("dtype", WORKING)
def test_the_dtypes_that_work(dtype, request):
    if dtype == "float64":
        request.getfixturevalue("float64")
    variable = keras.Variable(INITIAL, dtype=dtype)
    NeuroPlastic().apply([tensor(GRADIENT)], [variable])
    want = Reference(INITIAL).step(GRADIENT)
    rounding = {"float16": 2**-11, "bfloat16": 2**-8}.get(dtype, 2**-22)
    got = ops.convert_to_numpy(ops.cast(variable, "float32"))
    assert_weights(got, want, INITIAL, 1e-6, rounding)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="others know every shape"
)
@pytest.mark.parametrize("shape", [[None, 3], None])
def test_a_shape_that_is_known_late(shape):
    import tensorflow as tf

    weights = []
    for known in ([4, 3], shape):
        variable = keras.Variable(np.ones((4, 3), "float32"))
        optimizer = NeuroPlastic()
        optimizer.build([variable])
        gradient = np.arange(12, dtype="float32").reshape(4, 3)
        step = tf.function(
            lambda g, optimizer=optimizer: optimizer.apply([g]),
            input_signature=[tf.TensorSpec(known)],
        )
        step(tf.constant(gradient))
        weights.append(variable.numpy())
    np.testing.assert_array_equal(*weights)
