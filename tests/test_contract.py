"""What every Keras optimizer promises, held against ours and Adam, the control.

Each test runs over the whole line-up, and compares weights with those of a NumPy
twin. What wraps or mixes optimizers is in test_composition.py, what spreads them
over devices in test_distribution.py, files are in test_saving.py.
"""

import json
import pickle

import keras
import numpy as np
import pytest
from keras import ops
from lineup import ADAM_ERROR, LINEUP, assert_weights, tensors, value

from keras_neuroplastic import NeuroPlastic

BACKEND = keras.backend.backend()
ON_CUDA = BACKEND == "torch" and ops.zeros(1).is_cuda
INITIAL = np.array([[1.0, -2.0], [3.0, 4.0]], "float32")
# Of very different size, so that neither clipping nor scaling goes unnoticed.
GRADIENTS = [
    np.array(g, "float32")
    for g in (
        [[0.1, 0.6], [-0.7, 0.2]],
        [[30.0, -4.0], [5.0, 0.0]],
        [[-1e-3, 2e-3], [4e-3, 1e-3]],
        [[0.5, 0.5], [0.5, -0.5]],
        [[2.0, 1.0], [-3.0, 0.25]],
        [[0.01, 0.3], [0.7, -0.9]],
    )
]


@pytest.fixture(params=LINEUP)
def entry(request):
    return LINEUP[request.param]


def walk(optimizer, variable, gradients=GRADIENTS):
    """The values of the variable after each step."""
    values = []
    for gradient in gradients:
        optimizer.apply(tensors(gradient), [variable])
        values.append(value(variable))
    return values


def slots(optimizer, ending):
    return [value(v) for v in optimizer.variables if v.name.endswith(ending)]


# Steps


def test_every_step_is_that_of_the_twin(entry):
    twin = entry.twin(INITIAL, learning_rate=0.05)
    variable = keras.Variable(INITIAL)
    for got, gradient in zip(
        walk(entry.optimizer(learning_rate=0.05), variable), GRADIENTS, strict=True
    ):
        assert_weights(got, twin.step(gradient), INITIAL, entry.error)


def test_a_learning_rate_off_by_one_percent_is_noticed(entry):
    twin = entry.twin(INITIAL, learning_rate=0.05)
    got = walk(entry.optimizer(learning_rate=0.0505), keras.Variable(INITIAL))[0]
    with pytest.raises(AssertionError):
        assert_weights(got, twin.step(GRADIENTS[0]), INITIAL, entry.error)


def test_iterations_count_steps(entry):
    optimizer = entry.optimizer()
    variable = keras.Variable(INITIAL)
    assert int(optimizer.iterations) == 0
    for count in (1, 2):
        returned = optimizer.apply_gradients([(tensors(GRADIENTS[0])[0], variable)])
        assert int(optimizer.iterations) == int(returned) == count


def test_apply_without_variables_uses_those_of_the_build(entry):
    one, other = keras.Variable(INITIAL), keras.Variable(INITIAL)
    optimizer = entry.optimizer()
    with pytest.raises(ValueError, match="must already be built"):
        optimizer.apply(tensors(INITIAL))
    optimizer.build([one])
    optimizer.apply(tensors(GRADIENTS[0]))
    walk(entry.optimizer(), other, GRADIENTS[:1])
    np.testing.assert_array_equal(value(one), value(other))
    with pytest.raises(ValueError, match="must match"):
        optimizer.apply(tensors(INITIAL, INITIAL))
    optimizer.apply([])
    assert int(optimizer.iterations) == 1


def test_build_with_no_variables(entry):
    optimizer = entry.optimizer()
    optimizer.build([])
    assert optimizer.built


def test_unknown_variables_are_rejected(entry):
    optimizer = entry.optimizer()
    known, unknown = keras.Variable(INITIAL), keras.Variable(INITIAL)
    optimizer.apply(tensors(GRADIENTS[0]), [known])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply(tensors(GRADIENTS[0]), [unknown])
    np.testing.assert_array_equal(value(unknown), INITIAL)


def test_missing_gradients(entry):
    without, with_one = keras.Variable(INITIAL), keras.Variable(INITIAL)
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        entry.optimizer().apply_gradients([(None, without)])
    optimizer = entry.optimizer(learning_rate=0.05)
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        optimizer.apply([None, *tensors(GRADIENTS[0])], [without, with_one])
    np.testing.assert_array_equal(value(without), INITIAL)
    want = entry.twin(INITIAL, learning_rate=0.05).step(GRADIENTS[0])
    assert_weights(value(with_one), want, INITIAL, entry.error)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtype_is_preserved(entry, dtype, request):
    if dtype == "float64":
        request.getfixturevalue("float64")
    variable = keras.Variable(INITIAL, dtype=dtype)
    optimizer = entry.optimizer(learning_rate=0.05)
    twin = entry.twin(INITIAL, learning_rate=0.05)
    for gradient in GRADIENTS[:2]:
        optimizer.apply(tensors(gradient, dtype=dtype), [variable])
        want = twin.step(gradient)
    assert keras.backend.standardize_dtype(variable.dtype) == dtype
    if entry.error == ADAM_ERROR and dtype == "bfloat16":
        return  # which rounds its 0.999 to 1, and the whole step to zero
    resolution = {"float16": 2**-9, "bfloat16": 2**-6}.get(dtype, 2**-21)
    assert_weights(value(variable), want, INITIAL, 1e-4, resolution)


# Convergence


def minimize(optimizer, gradient, initial, steps):
    """The point that the optimizer reaches, compiled where the backend compiles."""
    point = keras.Variable(initial)
    optimizer.build([point])
    if BACKEND == "jax":
        import jax

        def step(_, state):
            values, variables = state
            return optimizer.stateless_apply(variables, [gradient(*values)], values)

        state = [point.value], [v.value for v in optimizer.variables]
        values, _ = jax.lax.fori_loop(0, steps, step, state)
        return value(values[0])
    if BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function
        def run():
            for _ in tf.range(steps):
                optimizer.apply([gradient(point.value)])

        run()
    else:
        import torch

        with torch.no_grad():
            for _ in range(steps):
                optimizer.apply([gradient(point.value)])
    return value(point)


def test_parabola(entry):
    target = np.array([1.0, -1.0, 1.0], "float32")

    def gradient(x):
        return 2 * (x - ops.convert_to_tensor(target))

    got = minimize(
        entry.optimizer(learning_rate=0.1), gradient, [-1.0, 10.0, 1.0], 1000
    )
    np.testing.assert_allclose(got, target, atol=1e-6)


def test_rosenbrock(entry):
    """Along the bent valley of 100 (y - x²)² + (1 - x)², with ever smaller steps."""

    def gradient(point):
        x, y = point[0], point[1]
        rise = 200 * (y - x**2)
        return ops.stack([-2 * (1 - x) - 2 * x * rise, rise])

    decay = keras.optimizers.schedules.ExponentialDecay(0.02, 1000, 0.5)
    got = minimize(entry.optimizer(learning_rate=decay), gradient, [0.0, 0.0], 4000)
    np.testing.assert_allclose(got, [1.0, 1.0], atol=1e-2)


# Learning rates


def test_schedule(entry):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.5)
    optimizer = entry.optimizer(learning_rate=schedule)
    twin = entry.twin(INITIAL)
    assert len(optimizer.variables) == 1  # the step count, and no learning rate
    values = walk(optimizer, keras.Variable(INITIAL))
    for step, (got, gradient) in enumerate(zip(values, GRADIENTS, strict=True)):
        twin.options["learning_rate"] = 0.05 * 0.5**step
        assert_weights(got, twin.step(gradient), INITIAL, entry.error)


def test_callable(entry):
    optimizer = entry.optimizer(learning_rate=lambda: 0.05)
    want = entry.twin(INITIAL, learning_rate=0.05).step(GRADIENTS[0])
    got = walk(optimizer, keras.Variable(INITIAL), GRADIENTS[:1])[0]
    assert_weights(got, want, INITIAL, entry.error)


def test_a_new_learning_rate_takes_effect(entry):
    optimizer = entry.optimizer(learning_rate=0.05)
    twin = entry.twin(INITIAL, learning_rate=0.05)
    variable = keras.Variable(INITIAL)
    walk(optimizer, variable, GRADIENTS[:1])
    twin.step(GRADIENTS[0])
    optimizer.learning_rate = 0.025
    twin.options["learning_rate"] = 0.025
    assert float(optimizer.learning_rate) == np.float32(0.025)
    got = walk(optimizer, variable, GRADIENTS[1:2])[0]
    assert_weights(got, twin.step(GRADIENTS[1]), INITIAL, entry.error)


def test_a_schedule_set_later_replaces_the_variable(entry):
    optimizer = entry.optimizer(learning_rate=0.05)
    assert len(optimizer.variables) == 2
    optimizer.learning_rate = keras.optimizers.schedules.PolynomialDecay(0.05, 4)
    assert len(optimizer.variables) == 1
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1


# Clipping, decay, averages, accumulation


CLIPS = {
    "clipnorm": lambda g: g * min(1, 0.1 / np.linalg.norm(g)),
    "clipvalue": lambda g: np.clip(g, -0.1, 0.1),
    "global_clipnorm": lambda g: g * min(1, 0.1 / np.linalg.norm(g)),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_clipping(entry, clip):
    optimizer = entry.optimizer(learning_rate=0.05, **{clip: 0.1})
    assert getattr(optimizer, clip) == 0.1
    twin = entry.twin(INITIAL, learning_rate=0.05)
    unclipped = entry.twin(INITIAL, learning_rate=0.05)
    for got, gradient in zip(
        walk(optimizer, keras.Variable(INITIAL)), GRADIENTS, strict=True
    ):
        want = twin.step(CLIPS[clip](gradient.astype("float64")))
        assert_weights(got, want, INITIAL, entry.error)
        unclipped.step(gradient)
    with pytest.raises(AssertionError):
        assert_weights(got, unclipped.theta, INITIAL, entry.error)


@pytest.mark.parametrize(
    "arguments",
    [
        {"clipnorm": 0.1, "clipvalue": 0.1},
        {"clipnorm": 0.1, "global_clipnorm": 0.1},
        {"clipvalue": 0.1, "global_clipnorm": 0.1},
        {"gradient_accumulation_steps": 1},
        {"use_ema": True, "ema_momentum": 1.1},
        {"use_ema": True, "ema_overwrite_frequency": -1},
        {"no_such_argument": 1},
    ],
    ids=",".join,
)
def test_bad_arguments_are_rejected(entry, arguments):
    with pytest.raises((TypeError, ValueError), match=list(arguments)[-1]):
        entry.optimizer(**arguments)


def test_weight_decay(entry):
    """Decoupled, after η alone, and not where excluded by name or by variable."""

    def step(exclude=()):
        variables = [
            keras.Variable(INITIAL, name="kernel"),
            keras.Variable(INITIAL, name="bias"),
        ]
        optimizer = entry.optimizer(learning_rate=0.05, weight_decay=0.3)
        if exclude == "name":
            optimizer.exclude_from_weight_decay(var_names=["bias"])
        if exclude == "variable":
            optimizer.exclude_from_weight_decay(var_list=variables[1:])
        optimizer.apply(tensors(GRADIENTS[0], GRADIENTS[0]), variables)
        return [value(v) for v in variables]

    decayed = entry.twin(INITIAL, learning_rate=0.05, weight_decay=0.3)
    decayed = decayed.step(GRADIENTS[0])
    kept = entry.twin(INITIAL, learning_rate=0.05).step(GRADIENTS[0])
    for exclude in ("", "name", "variable"):
        kernel, bias = step(exclude)
        assert_weights(kernel, decayed, INITIAL, entry.error)
        assert_weights(bias, kept if exclude else decayed, INITIAL, entry.error)


def test_weight_decay_of_a_scalar_without_gradient(entry):
    variable = keras.Variable(2.0)
    optimizer = entry.optimizer(learning_rate=1.0, weight_decay=0.004)
    optimizer.apply(tensors(0.0), [variable])
    np.testing.assert_allclose(value(variable), 2 - 2 * 0.004, rtol=2**-23)


def test_moving_average(entry):
    optimizer = entry.optimizer(
        learning_rate=0.05, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3
    )
    variable = keras.Variable(INITIAL)
    twin = entry.twin(INITIAL, learning_rate=0.05)
    average = None
    for step, gradient in enumerate(GRADIENTS):
        optimizer.apply(tensors(gradient), [variable])
        new = twin.step(gradient)
        average = new if average is None else 0.9 * average + 0.1 * new
        if step % 3 == 2:
            twin.theta = average
        assert_weights(value(variable), twin.theta, INITIAL, entry.error)
        assert_weights(slots(optimizer, "average")[0], average, INITIAL, entry.error)
    optimizer.finalize_variable_values([variable])
    assert_weights(value(variable), average, INITIAL, entry.error)


def test_accumulation(entry):
    """Three gradients make one step, with their mean, decay included."""
    arguments = {"learning_rate": 0.05, "weight_decay": 0.3}
    optimizer = entry.optimizer(gradient_accumulation_steps=3, **arguments)
    twin = entry.twin(INITIAL, **arguments)
    variable = keras.Variable(INITIAL)
    gathered = []
    for step, gradient in enumerate(GRADIENTS + GRADIENTS[:1], 1):
        optimizer.apply(tensors(gradient), [variable])
        gathered.append(gradient.astype("float64"))
        if step % 3 == 0:
            twin.step(sum(gathered) / 3)
            gathered = []
        assert int(optimizer.iterations) == step // 3
        assert_weights(value(variable), twin.theta, INITIAL, entry.error)
        np.testing.assert_allclose(
            slots(optimizer, "gradient_accumulator")[0],
            sum(gathered, np.zeros_like(INITIAL)),
            rtol=2**-22,
        )


def test_overwriting_with_gradient_and_accumulation(entry):
    """The variable takes the largest of the gathered gradients."""
    overwritten, stepped = keras.Variable(INITIAL), keras.Variable(INITIAL)
    overwritten.overwrite_with_gradient = True
    optimizer = entry.optimizer(learning_rate=0.05, gradient_accumulation_steps=2)
    first, second = GRADIENTS[:2]
    optimizer.apply(tensors(first, first), [overwritten, stepped])
    np.testing.assert_array_equal(value(overwritten), INITIAL)
    np.testing.assert_array_equal(value(stepped), INITIAL)
    optimizer.apply(tensors(second, second), [overwritten, stepped])
    np.testing.assert_array_equal(value(overwritten), np.maximum(first, second))
    want = entry.twin(INITIAL, learning_rate=0.05).step((first + second) / 2)
    assert_weights(value(stepped), want, INITIAL, entry.error)


def test_static_loss_scale(entry):
    """A power of two leaves no trace, not even a rounding."""
    scaled, plain = keras.Variable(INITIAL), keras.Variable(INITIAL)
    optimizer = entry.optimizer(loss_scale_factor=1024.0)
    assert float(optimizer.scale_loss(3.0)) == 3072
    walk(optimizer, scaled, [1024 * g for g in GRADIENTS])
    walk(entry.optimizer(), plain)
    np.testing.assert_array_equal(value(scaled), value(plain))


# State and configuration


def test_set_weights(entry):
    """An optimizer that is given another one's state goes on as that one would."""
    one, other = keras.Variable(INITIAL), keras.Variable(INITIAL)
    first, second = entry.optimizer(), entry.optimizer()
    walk(first, one, GRADIENTS[:2])
    with pytest.raises(ValueError, match="not yet been built"):
        second.set_weights(first.variables)
    second.build([other])
    second.set_weights(first.variables)
    other.assign(one)
    walk(first, one, GRADIENTS[2:])
    walk(second, other, GRADIENTS[2:])
    np.testing.assert_array_equal(value(one), value(other))


def test_config(entry):
    optimizer = entry.optimizer(
        learning_rate=0.05, weight_decay=0.3, clipnorm=0.1, use_ema=True
    )
    config = optimizer.get_config()
    text = json.dumps(keras.optimizers.serialize(optimizer))
    for revived in (
        type(optimizer).from_config(optimizer.get_config()),
        keras.optimizers.deserialize(json.loads(text)),
        keras.optimizers.get(json.loads(text)),
        pickle.loads(pickle.dumps(optimizer)),
    ):
        assert json.dumps(revived.get_config()) == json.dumps(config)
        assert set(dir(revived)) == set(dir(optimizer))


@pytest.mark.parametrize(
    ("identifier", "cls"),
    [
        ("keras_neuroplastic>NeuroPlastic", NeuroPlastic),
        ("adam", keras.optimizers.Adam),
    ],
)
def test_get(identifier, cls):
    optimizer = keras.optimizers.get(identifier)
    assert isinstance(optimizer, cls)
    assert keras.optimizers.get(optimizer) is optimizer
    assert keras.optimizers.get(None) is None
    with pytest.raises(ValueError, match="typo"):
        keras.optimizers.get("typo")


@pytest.mark.parametrize(
    ("cls", "name"),
    [(NeuroPlastic, "neuro_plastic"), (keras.optimizers.Adam, "adam")],
)
def test_names(cls, name):
    keras.utils.clear_session()  # starts the numbering anew
    names = [cls().name, cls().name, cls(name="own").name]
    if cls is keras.optimizers.Adam and names[1] == name:
        pytest.skip("the built-in optimizers of this Keras are not numbered")
    assert names == [name, f"{name}_1", "own"]
    config = keras.optimizers.serialize(cls())
    assert keras.optimizers.deserialize(config).name == f"{name}_2"


# Training loops


def linear_gradients(kernel, bias, x, y):
    """Of the mean squared error of a linear layer, by hand."""
    residual = 2 * (x @ kernel + bias - y) / y.size
    return x.T @ residual, residual.sum(axis=0)


@pytest.mark.parametrize("jit", [False, True], ids=["plain", "jit"])
def test_fit(entry, jit):
    """The weights after three epochs are those of the same steps by hand."""
    if BACKEND == "torch" and jit:
        pytest.skip("torch.compile is timed and tested elsewhere")
    rng = np.random.default_rng(0)
    data = rng.normal(size=(16, 2)), rng.normal(size=(16, 3))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    initial = [value(v).astype("float64") for v in model.trainable_variables]
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.9)
    model.compile(entry.optimizer(learning_rate=schedule), "mse", jit_compile=jit)
    model.fit(*data, batch_size=4, epochs=3, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 12

    twins = [entry.twin(x) for x in initial]
    for step in range(12):
        batch = [a[4 * (step % 4) :][:4] for a in data]
        gradients = linear_gradients(*(t.theta for t in twins), *batch)
        for twin, gradient in zip(twins, gradients, strict=True):
            twin.options["learning_rate"] = 0.05 * 0.9**step
            twin.step(gradient)
    for got, twin, start in zip(model.trainable_variables, twins, initial, strict=True):
        assert_weights(value(got), twin.theta, start, 10 * entry.error)


def test_fit_ends_with_the_moving_average(entry):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    optimizer = entry.optimizer(use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, "mse")
    model.fit(np.ones((8, 2)), np.zeros((8, 3)), batch_size=2, verbose=0)
    for got, average in zip(
        model.trainable_variables, slots(model.optimizer, "average"), strict=True
    ):
        np.testing.assert_array_equal(value(got), average)


def test_stateless_apply(entry):
    """Returns new values and touches nothing; TensorFlow has none for any optimizer."""
    stateful, variable = keras.Variable(INITIAL), keras.Variable(INITIAL)
    optimizer = entry.optimizer()
    gradients = tensors(GRADIENTS[0])

    def state():
        return [v.value for v in optimizer.variables]

    if BACKEND == "tensorflow":
        optimizer.build([variable])
        with pytest.raises(ValueError, match="not supported"):
            optimizer.stateless_apply(state(), gradients, [variable.value])
        return
    with pytest.raises(ValueError, match="must be built"):
        optimizer.stateless_apply(state(), gradients, [variable.value])
    optimizer.build([variable])
    with pytest.raises(ValueError, match="optimizer_variables"):
        optimizer.stateless_apply(state()[1:], gradients, [variable.value])
    with pytest.raises(ValueError, match="trainable_variables"):
        optimizer.stateless_apply(state(), gradients, [])
    before = [value(v) for v in (variable, *optimizer.variables)]
    (new,), new_state = optimizer.stateless_apply(state(), gradients, [variable.value])
    if BACKEND != "torch" or not entry.of_keras:  # those work in place on PyTorch
        for v, old in zip((variable, *optimizer.variables), before, strict=True):
            np.testing.assert_array_equal(value(v), old)
    reference = entry.optimizer()
    walk(reference, stateful, GRADIENTS[:1])
    tolerance = 2e-6 if ON_CUDA else 0.0  # there, these are two ways
    np.testing.assert_allclose(value(new), value(stateful), tolerance)
    for v, got in zip(reference.variables, new_state, strict=True):
        np.testing.assert_allclose(value(got), value(v), tolerance)


@pytest.mark.skipif(BACKEND == "torch", reason="compiles nothing unless asked to")
def test_the_second_step_is_not_compiled_again(entry):
    optimizer = entry.optimizer()
    variable = keras.Variable(INITIAL)
    optimizer.build([variable])
    traces = 0

    def step(*arguments):
        nonlocal traces
        traces += 1
        if BACKEND == "tensorflow":
            optimizer.apply(*arguments)
        else:
            return optimizer.stateless_apply(*arguments)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(step)
        for gradient in GRADIENTS:
            compiled(tensors(gradient))
    else:
        import jax

        compiled = jax.jit(step)
        values, state = [variable.value], [v.value for v in optimizer.variables]
        for gradient in GRADIENTS:
            values, state = compiled(state, tensors(gradient), values)
    assert traces == 1


def sparse_gradient(rows):
    """Rows 0, 2 and 4 of five, and the same as a dense array."""
    dense = np.zeros((5, *rows.shape[1:]), "float32")
    dense[[0, 2, 4]] = rows
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.IndexedSlices(tf.constant(rows), (0, 2, 4), dense.shape), dense
    from jax.experimental import sparse

    indices = np.array([[0], [2], [4]])
    return sparse.BCOO((ops.convert_to_tensor(rows), indices), shape=dense.shape), dense


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has no sparse tensors there")
def test_sparse_gradients_step_as_dense_ones(entry):
    initial = np.ones((5, 3, 2), "float32")
    one, other = keras.Variable(initial), keras.Variable(initial)
    first, second = entry.optimizer(), entry.optimizer()
    if BACKEND == "jax":  # Keras adds dense and sparse arrays in stateless scope only
        first.build([one])
    rng = np.random.default_rng(0)
    for _ in range(5):
        rows = rng.normal(size=(3, 3, 2)).astype("float32")
        sparse, dense = sparse_gradient(rows)
        if BACKEND == "jax":
            state = [v.value for v in first.variables]
            new, state = first.stateless_apply(state, [sparse], [one.value])
            one.assign(new[0])
            first.set_weights(state)
        else:
            first.apply([sparse], [one])
        second.apply(tensors(dense), [other])
    assert_weights(value(one), value(other), initial, 1e-6)
