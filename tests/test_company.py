"""Optimizers beside others, in threads and processes, step as they do alone."""

import gc
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import keras
import numpy as np
import pytest
from lineup import tensors, value
from toy import assert_identical, fit, make_model, weights

from keras_neuroplastic import NeuroPlastic, PlasticityWarmup

BACKEND = keras.backend.backend()
MEMBERS = 3
SHAPES = [*[(3, 4)] * 16, (512, 256)]  # many small ones and a large one
OPTIMIZERS = [NeuroPlastic, keras.optimizers.Adam]


def fitting(member):
    """A function that trains a model made before, and returns the weights."""
    model = make_model(NeuroPlastic(0.05 * (1 + member)), seed=member)
    return lambda: weights(fit(model, epochs=2))


def stepping(member):
    """The same without a model."""
    rng = np.random.default_rng(member)
    variables = [keras.Variable(rng.normal(size=shape)) for shape in SHAPES]
    optimizer = NeuroPlastic(0.05 * (1 + member))

    def train():
        for _ in range(3):
            gradients = tensors(*(rng.normal(size=shape) for shape in SHAPES))
            optimizer.apply(gradients, variables)
        return [value(v) for v in variables]

    return train


@pytest.mark.parametrize("make", [fitting, stepping])
def test_threads(make):
    """All at the same time, from the first step, where the functions are compiled."""
    alone = [make(member)() for member in range(MEMBERS)]
    barrier = Barrier(MEMBERS)

    def together(train):
        barrier.wait(60)
        return train()

    trains = [make(member) for member in range(MEMBERS)]
    with ThreadPoolExecutor(MEMBERS) as pool:
        got = list(pool.map(together, trains))
    for member in range(MEMBERS):
        assert_identical(got[member], alone[member])
        with pytest.raises(AssertionError):
            assert_identical(got[member], alone[member - 1])


def test_one_after_another():
    """Nothing is shared that goes with the first model."""
    first = fitting(0)()
    gc.collect()
    second = fitting(0)()
    assert_identical(second, first)
    with pytest.raises(AssertionError):
        assert_identical(fitting(1)(), first)


def trained_further(model):
    return weights(fit(model))


def test_another_process():
    """A model goes there in the middle of its training, and goes on as it does here."""
    scale = PlasticityWarmup(10, 2.0)
    model = fit(make_model(NeuroPlastic(plasticity_scale=scale, weight_decay=0.01)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply_async(trained_further, [model]).get(300)
    fresh = make_model(NeuroPlastic.from_config(model.optimizer.get_config()))
    fresh.set_weights(model.get_weights())
    assert_identical(there, trained_further(model))
    with pytest.raises(AssertionError):
        assert_identical(there, trained_further(fresh))


def test_a_cloned_model():
    """With a new optimizer of the same configuration, it trains in the same way."""
    scale = PlasticityWarmup(10, 2.0)
    model = make_model(NeuroPlastic(0.05, plasticity_scale=scale, weight_decay=0.01))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    optimizer = NeuroPlastic.from_config(model.optimizer.get_config())
    clone.compile(optimizer, loss="mse", jit_compile=model.jit_compile)
    assert_identical(weights(fit(clone)), weights(fit(model)))
    assert optimizer is not model.optimizer
    assert value(optimizer.iterations) == value(model.optimizer.iterations)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX steps arrays, not variables")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_of_another_model_is_refused(optimizer):
    optimizer = fit(make_model(optimizer())).optimizer
    with pytest.raises(ValueError, match="Unknown variable"):
        fit(make_model(optimizer))


@pytest.mark.skipif(BACKEND != "jax", reason="others refuse it")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_of_another_model_goes_on_with_its_traces(optimizer):
    """No better than it sounds: every Keras optimizer does it on JAX."""
    used = fit(make_model(optimizer())).optimizer
    told, fresh = optimizer(), optimizer()
    models = [make_model(each, seed=5) for each in (told, used, fresh)]
    told.build(models[0].trainable_variables)
    for variable, old in zip(told.variables, used.variables, strict=True):
        variable.assign(value(old))
    with_traces, got, without = (weights(fit(model)) for model in models)
    assert_identical(got, with_traces)
    with pytest.raises(AssertionError):
        assert_identical(got, without)
