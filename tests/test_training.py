"""Training: every way to run a step gives the same weights, and compiles once."""

import shutil

import keras
import pytest
from keras import ops
from toy import BATCH, assert_close, data, fit, make_model, weights

from keras_neuroplastic import NeuroPlastic, PlasticityWarmup

BACKEND = keras.backend.backend()
EPOCHS = 3


def make_optimizer():
    return NeuroPlastic(
        learning_rate=0.05,
        plasticity_scale=PlasticityWarmup(8, 2.0, 4),
        weight_decay=1e-3,
        weight_decay_exclude="bias",
        skip_nonfinite=True,
    )


def train(optimizer=None, **compile_options):
    model = make_model(optimizer or make_optimizer(), **compile_options)
    return weights(fit(model, epochs=EPOCHS))


def batches():
    x, y = data()
    for _ in range(EPOCHS):
        for i in range(0, len(x), BATCH):
            yield x[i : i + BATCH], y[i : i + BATCH]


def loss_fn(y, prediction):
    return ops.mean(ops.square(y - prediction))


def custom_loop():
    """The plainest loop of the backend in use."""
    model, optimizer = make_model(), make_optimizer()
    optimizer.build(model.trainable_variables)
    if BACKEND == "jax":
        jax_loop(model, optimizer)
    elif BACKEND == "tensorflow":
        tensorflow_loop(model, optimizer)
    else:
        torch_loop(model, optimizer)
    return model.get_weights()


def jax_loop(model, optimizer):
    import jax

    def loss(trainable, x, y):
        prediction, _ = model.stateless_call(trainable, [], x)
        return loss_fn(y, prediction)

    @jax.jit
    def step(trainable, state, x, y):
        grads = jax.grad(loss)(trainable, x, y)
        return optimizer.stateless_apply(state, grads, trainable)

    trainable = [v.value for v in model.trainable_variables]
    state = [v.value for v in optimizer.variables]
    for x, y in batches():
        trainable, state = step(trainable, state, x, y)
    for variable, value in zip(model.trainable_variables, trainable, strict=True):
        variable.assign(value)


def tensorflow_loop(model, optimizer):
    import tensorflow as tf

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x))
        grads = tape.gradient(loss, model.trainable_weights)
        optimizer.apply(grads, model.trainable_weights)

    for x, y in batches():
        step(tf.constant(x), tf.constant(y))


def torch_loop(model, optimizer):
    for x, y in batches():
        model.zero_grad()
        loss_fn(ops.convert_to_tensor(y), model(x)).backward()
        # No torch.no_grad() around it: the built-in optimizers need none.
        optimizer.apply([v.value.grad for v in model.trainable_weights])


needs_compiler = pytest.mark.skipif(
    BACKEND == "torch" and not shutil.which("g++"),
    reason="torch.compile needs a C++ compiler",
)


@pytest.mark.parametrize(
    "jit_compile", ["auto", pytest.param(True, marks=needs_compiler)]
)
def test_fit_is_the_same_compiled_and_eager(jit_compile):
    assert_close(train(jit_compile=jit_compile), train(run_eagerly=True))


def test_custom_loop_is_the_same_as_fit():
    assert_close(custom_loop(), train(run_eagerly=True))


def test_a_learning_rate_off_by_one_percent_is_noticed():
    optimizer = make_optimizer()
    optimizer.learning_rate = 0.0505
    with pytest.raises(AssertionError):
        assert_close(train(optimizer), train())


def test_training_moves_towards_the_solution():
    model = make_model(NeuroPlastic())
    before = model.evaluate(*data(), verbose=0)
    fit(model, epochs=60)
    assert model.evaluate(*data(), verbose=0) < before / 50


@pytest.mark.skipif(BACKEND == "torch", reason="runs eagerly, there is no trace")
@pytest.mark.parametrize("jit_compile", ["auto", True])
def test_no_recompilation_after_the_first_step(jit_compile):
    traces = []

    class Counting(NeuroPlastic):
        def update_step(self, gradient, variable, learning_rate):
            traces.append(variable)
            super().update_step(gradient, variable, learning_rate)

    model = fit(make_model(Counting(), jit_compile=jit_compile))
    first = len(traces)
    assert first % len(model.trainable_variables) == 0
    model.optimizer.learning_rate = 0.01
    fit(model, epochs=5)
    assert len(traces) == first


@pytest.mark.skipif(BACKEND != "torch", reason="torch.compile")
@needs_compiler
def test_no_recompilation_after_the_first_step_on_torch():
    import torch
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    model, optimizer = make_model(), make_optimizer()
    optimizer.build(model.trainable_variables)
    x, y = data()
    model.zero_grad()
    loss_fn(ops.convert_to_tensor(y), model(x)).backward()
    grads = [v.value.grad for v in model.trainable_weights]
    step = torch.compile(optimizer.apply, backend=counter)
    step(grads)
    first = counter.frame_count
    for _ in range(5):
        step(grads)
    assert counter.frame_count == first
