"""The contract of Keras's optimizers under tf.distribute.MirroredStrategy.

test_distribution.py runs this file in a process of its own, since TensorFlow takes
logical devices only before it starts. Replica i has the gradient (i + 1) g, so the
optimizer must step with the sum of the two, 3 g.
"""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
from lineup import LINEUP, assert_weights, tensors, value
from reference_statistics import WRONG, Watched

from keras_neuroplastic import plasticity_statistics

RATE = 0.05
INITIAL = np.array([[1.0, -2.0], [3.0, 4.0]], "float32")
GRADIENTS = [
    (size * np.random.default_rng(41).normal(size=(2, 2))).astype("float32")
    for size in (0.1, 10.0, 0.01, 1.0, 0.3, 3.0)
]


@pytest.fixture(scope="session", autouse=True)
def strategy():
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(processor, [half, half])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        yield strategy


# One of each kind; `test_steps_with_the_sum_in_a_graph` takes all.
@pytest.fixture(params=["default", "modulated_adam", "modulated_sgd"])
def entry(request):
    return LINEUP[request.param]


def step(strategy, optimizer, gradient, *variables, first=lambda: None):
    """One step on both replicas, from which all copies come out alike.

    Each replica does `first` what it is told.
    """
    import tensorflow as tf

    def on_replica():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        (g,) = tensors(gradient)
        share = g * tf.cast(replica + 1, g.dtype)
        first()
        optimizer.apply([share] * len(variables), list(variables))

    strategy.run(on_replica)
    for variable in [*variables, *optimizer.variables]:
        one, other = strategy.experimental_local_results(variable.value)
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_steps_with_the_sum(entry, strategy):
    optimizer = entry.optimizer(learning_rate=RATE)
    variable = keras.Variable(INITIAL)
    twin = entry.twin(INITIAL, learning_rate=RATE)
    for gradient in GRADIENTS:
        step(strategy, optimizer, gradient, variable)
        assert_weights(value(variable), twin.step(3 * gradient), INITIAL, entry.error)
    assert value(optimizer.iterations) == len(GRADIENTS)


def in_a_graph(strategy, optimizer, *variables):
    """A step with the sum of the gradients, as `fit` makes it."""
    import tensorflow as tf

    def on_replica(gradient):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        share = gradient * tf.cast(replica + 1, gradient.dtype)
        optimizer.apply([share] * len(variables), list(variables))

    return tf.function(lambda gradient: strategy.run(on_replica, args=(gradient,)))


@pytest.mark.parametrize("name", LINEUP)
def test_steps_with_the_sum_in_a_graph(name, strategy):
    entry = LINEUP[name]
    optimizer = entry.optimizer(learning_rate=RATE)
    variables = [keras.Variable(INITIAL) for _ in range(2)]
    twin = entry.twin(INITIAL, learning_rate=RATE)
    optimizer.build(variables)
    graph_step = in_a_graph(strategy, optimizer, *variables)
    for gradient in GRADIENTS:
        graph_step(*tensors(gradient))
        want = twin.step(3 * gradient)
        for variable in variables:
            for copy in strategy.experimental_local_results(variable.value):
                assert_weights(copy.numpy(), want, INITIAL, entry.error)


def test_a_step_with_one_of_the_gradients_is_noticed(strategy):
    entry = LINEUP["default"]
    optimizer, variable = entry.optimizer(learning_rate=RATE), keras.Variable(INITIAL)
    optimizer.build([variable])
    in_a_graph(strategy, optimizer, variable)(*tensors(GRADIENTS[0]))
    for share, error in ((3, None), (1, AssertionError)):
        want = entry.twin(INITIAL, learning_rate=RATE).step(share * GRADIENTS[0])
        with pytest.raises(error) if error else nullcontext():
            assert_weights(value(variable), want, INITIAL, entry.error)


def operations(strategy, optimizer):
    """How many operations a step in a graph has, beside constants and arguments."""
    variables = [keras.Variable(INITIAL) for _ in range(5)]
    optimizer.build(variables)
    graph_step = in_a_graph(strategy, optimizer, *variables)
    graph = graph_step.get_concrete_function(*tensors(GRADIENTS[0])).graph
    nothing = {"Const", "Placeholder", "Identity", "NoOp"}
    return sum(o.type not in nothing for o in graph.get_operations())


def test_a_step_has_few_operations(strategy):
    """Those of the rules are compiled on each device."""
    adam = operations(strategy, keras.optimizers.Adam())
    entry = LINEUP["default"]
    assert operations(strategy, entry.optimizer()) < adam / 2
    assert operations(strategy, entry.optimizer(jit_compile=False)) > 2 * adam


@pytest.mark.parametrize(
    ("name", "options"),
    [("default", {}), ("default", {"jit_compile": False}), ("modulated_sgd", {})],
)
def test_statistics_are_those_of_the_sum(name, options, strategy):
    entry = LINEUP[name]
    optimizer = entry.optimizer(learning_rate=RATE, **options)
    optimizer.collect_statistics()
    variables = [keras.Variable(INITIAL) for _ in range(2)]
    optimizer.build(variables)
    graph_step = in_a_graph(strategy, optimizer, *variables)
    twin = Watched(entry.twin(INITIAL, learning_rate=RATE))
    for gradient in GRADIENTS:
        graph_step(*tensors(gradient))
        twin.step(3 * gradient)
    told, want = plasticity_statistics(optimizer), twin.summary()
    assert len(told) == 2
    for found in told.values():
        for statistic in WRONG:
            np.testing.assert_allclose(
                found[statistic], want[statistic], 2e-5, 1e-6, err_msg=statistic
            )


def test_tensorflow_variables(entry, strategy):
    import tensorflow as tf

    optimizer = entry.optimizer(learning_rate=RATE)
    variable = tf.Variable(INITIAL)
    want = entry.twin(INITIAL, learning_rate=RATE).step(2 * GRADIENTS[0])
    strategy.run(lambda: optimizer.apply(tensors(GRADIENTS[0]), [variable]))
    assert_weights(variable.numpy(), want, INITIAL, entry.error)


@pytest.mark.parametrize("by", ["name", "variable"])
def test_weight_decay(entry, strategy, by):
    """What is excluded may be said on every replica, before every step."""
    decay = {"learning_rate": RATE, "weight_decay": 0.3}
    optimizer = entry.optimizer(**decay)
    variables = [keras.Variable(INITIAL, name=name) for name in ("kernel", "bias")]
    excluded = {"var_names": ["bias"]} if by == "name" else {"var_list": variables[1:]}
    twins = entry.twin(INITIAL, **decay), entry.twin(INITIAL, learning_rate=RATE)
    for gradient in GRADIENTS:
        step(
            strategy,
            optimizer,
            gradient,
            *variables,
            first=lambda: optimizer.exclude_from_weight_decay(**excluded),
        )
        for variable, twin in zip(variables, twins, strict=True):
            want = twin.step(3 * gradient)
            assert_weights(value(variable), want, INITIAL, entry.error)


CLIPS = {
    "clipvalue": lambda g: np.clip(g, -0.5, 0.5),
    "clipnorm": lambda g: g * min(1, 0.5 / np.linalg.norm(g)),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_clipping_acts_on_each_replica(entry, strategy, clip):
    """As for every optimizer of Keras; not the same as clipping the sum."""
    optimizer = entry.optimizer(learning_rate=RATE, **{clip: 0.5})
    variable = keras.Variable(INITIAL)
    twin = entry.twin(INITIAL, learning_rate=RATE)
    for gradient in GRADIENTS:
        step(strategy, optimizer, gradient, variable)
        clipped = [CLIPS[clip](i * gradient) for i in (1, 2)]
        assert_weights(value(variable), twin.step(sum(clipped)), INITIAL, entry.error)


def test_moving_average(entry, strategy):
    optimizer = entry.optimizer(
        learning_rate=RATE, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3
    )
    variable = keras.Variable(INITIAL)
    twin = entry.twin(INITIAL, learning_rate=RATE)
    average = None
    for count, gradient in enumerate(GRADIENTS, 1):
        step(strategy, optimizer, gradient, variable)
        new = twin.step(3 * gradient)
        average = new if average is None else 0.9 * average + 0.1 * new
        if count % 3 == 0:
            twin.theta = average
        assert_weights(value(variable), twin.theta, INITIAL, entry.error)


def test_loss_scale(entry, strategy):
    inner = entry.optimizer(learning_rate=RATE)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    variable = keras.Variable(INITIAL)
    twin = entry.twin(INITIAL, learning_rate=RATE)
    for gradient in GRADIENTS:
        step(strategy, optimizer, 8 * gradient, variable)
        assert_weights(value(variable), twin.step(3 * gradient), INITIAL, entry.error)
    before = [value(v) for v in (variable, *inner.variables)]
    step(strategy, optimizer, np.full_like(INITIAL, np.inf), variable)
    for v, old in zip((variable, *inner.variables), before, strict=True):
        np.testing.assert_array_equal(value(v), old)


def test_accumulation_outside_of_fit(entry, strategy):
    optimizer = entry.optimizer(learning_rate=RATE, gradient_accumulation_steps=3)
    variable = keras.Variable(INITIAL)
    twin = entry.twin(INITIAL, learning_rate=RATE)
    for count, gradient in enumerate(GRADIENTS, 1):
        strategy.run(lambda g=gradient: optimizer.apply(tensors(g), [variable]))
        if count % 3 == 0:
            twin.step(2 * sum(GRADIENTS[count - 3 : count]) / 3)
        assert int(optimizer.iterations) == count // 3
        assert_weights(value(variable), twin.theta, INITIAL, entry.error)


def test_accumulation_in_fit_is_refused(entry, strategy):
    """By TensorFlow, for every optimizer: it cannot merge replicas in a branch."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = entry.optimizer(gradient_accumulation_steps=2)
    model.compile(optimizer, "mse", jit_compile=False)
    with pytest.raises(RuntimeError, match="merge_call"):
        model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=4, verbose=0)


def test_stateless_apply_is_refused(entry):
    optimizer = entry.optimizer()
    variable = keras.Variable(INITIAL)
    optimizer.build([variable])
    with pytest.raises(ValueError, match="not supported"):
        optimizer.stateless_apply(optimizer.variables, tensors(INITIAL), [variable])


def test_config(entry):
    optimizer = entry.optimizer(learning_rate=RATE, weight_decay=0.3)
    revived = type(optimizer).from_config(optimizer.get_config())
    assert revived.get_config() == optimizer.get_config()
