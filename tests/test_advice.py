"""Wrong names and rates that lead nowhere are answered with what to write."""

import copy
import pickle
import warnings

import keras
import numpy as np
import pytest
from keras.optimizers import schedules

from keras_neuroplastic import NeuroPlastic, PlasticityModulated

RATE = r"Write NeuroPlastic\(0\.1\)"


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("lr", "write learning_rate"),
        ("learn_rate", "write learning_rate"),
        ("max_aplha", "write max_alpha"),
        ("parameterwise", "write per_parameter"),
        ("hybrid_base", r"write PlasticityModulated\("),
        ("layer_scope", r"write PlasticityModulated\(\.\.\., modulate="),
        ("modulation_strength", r"write PlasticityModulated\(\.\.\., strength="),
        ("momentum", r"write PlasticityModulated\(SGD\(momentum=\.\.\.\)\)\. Rec"),
        ("residual_max_ratio", r"write residual=BoundedResidual\(max_ratio="),
        ("decoupled_weight_decay", "write weight_decay, which"),
        ("zzz", "no argument of NeuroPlastic. Received"),
    ],
)
def test_a_wrong_argument(name, instead):
    with pytest.raises(TypeError, match=rf"`{name}`.*{instead}.*{name}=0\.5"):
        NeuroPlastic(**{name: 0.5})
    with pytest.raises(TypeError, match=f"`{name}`.*{instead}"):
        NeuroPlastic.paper(9, **{name: 0.5})


def test_a_wrong_argument_of_the_wrapper():
    with pytest.raises(TypeError, match=r"`max_ration`.*write max_ratio"):
        PlasticityModulated("adam", max_ration=0.5)
    for name, within in (("lr", "learning_rate"), ("decay", "weight_decay")):
        with pytest.raises(TypeError, match=rf"`{name}`.*as in Adam\({within}=0\.5\)"):
            PlasticityModulated("adam", **{name: 0.5})


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("decoupled_weight_decay", "write weight_decay of the optimizer within"),
        ("layer_scope", "write modulate"),
        ("modulation_strength", "write strength"),
        ("modulation_target", "write target"),
    ],
)
def test_an_argument_of_the_published_hybrid(name, instead):
    with pytest.raises(TypeError, match=rf"`{name}`.*{instead}\. Received"):
        PlasticityModulated("adam", **{name: True})


def test_a_wrong_argument_of_a_subclass():
    classes = (NeuroPlastic, PlasticityModulated)
    own, around = (type("Own", (cls,), {}) for cls in classes)
    with pytest.raises(TypeError, match=r"no argument of Own: write residual="):
        own(bounded_residual=True)
    with pytest.raises(TypeError, match=r"no argument of Own: write modulate\."):
        around("adam", layer_scope="head")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("neuroplastic", "'keras_neuroplastic>NeuroPlastic'"),
        ("keras_neuroplastic>Neuroplastic", "'keras_neuroplastic>NeuroPlastic'"),
        ("admaw", "'adamw'"),
        ("Addam", "'adam'"),
        ("lamb", "'adam'"),  # which Keras knows by its class alone
        ("zzz", "'adam'"),
    ],
)
def test_a_wrong_name_of_an_optimizer(name, instead):
    with pytest.raises(ValueError, match=f"write {instead}.*{name}"):
        PlasticityModulated(name)


def test_the_right_name_of_an_optimizer():
    for name in ("adam", "Adam", "keras_neuroplastic>NeuroPlastic"):
        inner = PlasticityModulated(name).inner_optimizer
        assert type(inner).__name__ == name.split(">")[-1].capitalize().replace(
            "Neuroplastic", "NeuroPlastic"
        )


@pytest.mark.parametrize(
    "rate",
    [
        1e-4,
        9.9e-4,
        np.float32(1e-4),
        schedules.CosineDecay(1e-4, 10),
        schedules.ExponentialDecay(5e-4, 10, 0.9),
        schedules.PiecewiseConstantDecay([5], [5e-4, 1e-4]),
    ],
)
def test_a_rate_that_leads_nowhere(rate):
    with pytest.warns(UserWarning, match=RATE) as caught:
        NeuroPlastic(rate)
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(UserWarning, match=RATE):
        NeuroPlastic.gradient_only(rate)


@pytest.mark.parametrize(
    ("rate", "options"),
    [
        (1e-3, {}),
        (0.0, {}),  # stands still on purpose
        (1e-4, {"max_update_norm": 10.0}),
        (1e-4, {"max_update_norm": None}),
        (1e-3, {"max_update_norm": 0.01}),
        (lambda: 1e-4, {}),
        (schedules.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=5), {}),
        (schedules.CosineDecay(0.1, 10), {}),
        (schedules.PiecewiseConstantDecay([5], [0.1, 1e-5]), {}),
        (schedules.PiecewiseConstantDecay([5], np.array([0.1, 1e-5])), {}),
        (schedules.PolynomialDecay(1e-5, 10, end_learning_rate=0.1), {}),
    ],
)
def test_a_rate_without_a_warning(rate, options):
    NeuroPlastic(rate, **options)  # a warning would be an error here


def test_a_rate_that_has_decayed():
    """It falls in training, and is then saved, loaded and copied."""
    optimizer = NeuroPlastic()
    optimizer.build([keras.Variable(1.0)])
    optimizer.learning_rate = 1e-5
    config = keras.saving.serialize_keras_object(optimizer)
    assert float(keras.optimizers.get(config).learning_rate) == np.float32(1e-5)
    assert float(pickle.loads(pickle.dumps(optimizer)).learning_rate) > 0
    with pytest.warns(UserWarning, match=RATE):  # no longer while loading
        NeuroPlastic(1e-5)


def test_a_rate_in_a_configuration_written_by_hand():
    """As a search over the rates of another optimizer writes it."""
    name = "keras_neuroplastic>NeuroPlastic"
    with pytest.warns(UserWarning, match=RATE):
        keras.optimizers.get({"class_name": name, "config": {"learning_rate": 1e-4}})


def test_a_rate_that_warms_up():
    optimizer = NeuroPlastic()
    optimizer.learning_rate = 1e-4  # a warning would be an error here


@keras.saving.register_keras_serializable(package="tests")
class Nameless(NeuroPlastic):
    """Its configuration has no name, as one written by hand."""

    def get_config(self):
        return {"learning_rate": float(self.learning_rate)}


def test_a_copy_of_one_whose_rate_has_decayed():
    optimizer = Nameless()
    optimizer.learning_rate = 1e-5
    assert float(copy.deepcopy(optimizer).learning_rate) > 0


def test_a_rate_in_the_place_of_the_strength():
    told = r"`strength` .* at 0\.001\. .*write it within, as in .*SGD\(0\.001\)"
    config = keras.optimizers.serialize(keras.optimizers.SGD())
    for optimizer in ("sgd", config):
        with pytest.warns(UserWarning, match=told) as caught:
            PlasticityModulated(optimizer, np.float32(1e-3))
        assert [warning.filename for warning in caught] == [__file__]
    for strength in (0.0, 0.1):
        PlasticityModulated("sgd", strength)  # a warning would be an error here
    weak = PlasticityModulated(keras.optimizers.SGD(), 1e-3)
    assert copy.deepcopy(weak).strength == 1e-3


def test_one_warning_of_many_trials():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for rate in np.geomspace(1e-5, 1e-4, 10):
            NeuroPlastic(rate)
    assert len(caught) == 1
