"""Libraries that train Keras models, given our optimizers by config or object."""

import pickle

import keras
import numpy as np
import pytest
from toy import assert_identical

from keras_neuroplastic import NeuroPlastic, PlasticityModulated

MAKERS = {
    "NeuroPlastic": lambda: NeuroPlastic(0.05, max_alpha=4.0),
    "modulated": lambda: PlasticityModulated(
        keras.optimizers.Adam(0.05), max_alpha=4.0
    ),
}
# One of them where they are compiled.
COMPILED = {"jax": ["modulated"], "tensorflow": ["NeuroPlastic"]}
TRIED = COMPILED.get(keras.backend.backend(), list(MAKERS))
each_optimizer = pytest.mark.parametrize(
    "make", [MAKERS[name] for name in TRIED], ids=TRIED
)
# Their models take half a minute to compile elsewhere, and are not what is tried.
large_models = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="where nothing is compiled"
)


def assert_made(optimizer, rate=0.05):
    """It has the arguments of above, by their values: configurations may lack them."""
    assert isinstance(optimizer, (NeuroPlastic, PlasticityModulated))
    assert optimizer.max_alpha == 4.0
    assert np.isclose(float(optimizer.learning_rate), rate)
    if isinstance(optimizer, PlasticityModulated):
        assert optimizer.inner_optimizer.name.startswith("adam")


def state(optimizer):
    return [v.numpy() for v in optimizer.variables]


def small_model(optimizer):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse")
    return model


def samples():
    x = np.random.default_rng(0).normal(size=(64, 6))
    return x, x.sum(1)


@each_optimizer
def test_scikit_learn(make):
    """Each split has a model and an optimizer of its own."""
    model_selection = pytest.importorskip("sklearn.model_selection")
    made = []

    def build(X, y, optimizer):  # noqa: N803  # as scikit-learn names it
        model = small_model(optimizer)
        made.append(model.optimizer)
        return model

    config = keras.optimizers.serialize(make())
    regressor = keras.wrappers.SKLearnRegressor(
        build, model_kwargs={"optimizer": config}
    )
    options = {"batch_size": 16, "verbose": 0}
    model_selection.cross_val_score(
        regressor, *samples(), cv=2, params=options, error_score="raise"
    )
    assert len(made) == 2
    for optimizer in made:
        assert_made(optimizer)
        assert int(optimizer.iterations) == 2
    regressor.fit(*samples(), **options)
    again = pickle.loads(pickle.dumps(regressor.model_))
    assert_identical(state(again.optimizer), state(made[2]))


@each_optimizer
def test_keras_tuner(make, tmp_path):
    """Each trial has the optimizer of the configuration at its own rate."""
    keras_tuner = pytest.importorskip("keras_tuner")
    made = {}

    def build(hp):
        rate = hp.Float("rate", 0.01, 0.1)
        model = small_model(keras.optimizers.serialize(make()))
        model.optimizer.learning_rate = rate
        made[rate] = model.optimizer
        return model

    tuner = keras_tuner.RandomSearch(
        build, keras_tuner.Objective("loss", "min"), max_trials=2, directory=tmp_path
    )
    tuner.search(*samples(), batch_size=16, verbose=0)
    for trial in tuner.oracle.trials.values():
        rate = trial.hyperparameters["rate"]
        optimizer = made[rate]
        assert_made(optimizer, rate)
        assert int(optimizer.iterations) == 4


@large_models
@each_optimizer
def test_keras_hub(make, tmp_path):
    keras_hub = pytest.importorskip("keras_hub")
    tokens = np.random.default_rng(0).integers(1, 100, (32, 8))
    inputs = {
        "token_ids": tokens,
        "segment_ids": np.zeros_like(tokens),
        "padding_mask": np.ones_like(tokens),
    }

    def compiled():
        backbone = keras_hub.models.BertBackbone(
            vocabulary_size=100,
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=32,
        )
        task = keras_hub.models.BertTextClassifier(
            backbone, num_classes=2, preprocessor=None
        )
        task.compile(optimizer=keras.optimizers.serialize(make()))
        return task

    first, second = compiled(), compiled()
    first.fit(inputs, tokens[:, 0] % 2, batch_size=16, shuffle=False, verbose=0)
    assert_made(first.optimizer)
    first.save_weights(tmp_path / "task.weights.h5")
    second.optimizer.build(second.trainable_variables)
    second.load_weights(tmp_path / "task.weights.h5")
    assert int(second.optimizer.iterations) == 2
    assert_identical(state(second.optimizer), state(first.optimizer))


@large_models
@each_optimizer
def test_bayesflow(make, tmp_path):
    bayesflow = pytest.importorskip("bayesflow")

    def prior():
        return {"theta": np.random.normal(size=2)}

    def likelihood(theta):
        return {"x": theta + 0.1 * np.random.normal(size=2)}

    workflow = bayesflow.BasicWorkflow(
        simulator=bayesflow.make_simulator([prior, likelihood]),
        inference_network=bayesflow.networks.CouplingFlow(depth=2),
        inference_variables=["theta"],
        inference_conditions=["x"],
        optimizer=make(),
    )
    workflow.fit_offline(workflow.simulate(64), epochs=2, batch_size=32, verbose=0)
    approximator = workflow.approximator
    approximator.save(tmp_path / "flow.keras")
    again = keras.saving.load_model(tmp_path / "flow.keras")
    assert_made(again.optimizer)
    assert int(again.optimizer.iterations) == 4
    assert_identical(state(again.optimizer), state(approximator.optimizer))
