"""Every wrong value of every argument is refused by name."""

import inspect
import math

import keras
import numpy as np
import pytest

from keras_neuroplastic import (
    BoundedResidual,
    NeuroPlastic,
    OrthogonalResidual,
    PlasticityWarmup,
    PlasticityWindow,
)

NUMBERS = {  # name: (smallest allowed, largest allowed, values just outside)
    "learning_rate": (0, 1e6, [-1e-9]),
    "activity_weight": (0, 1, [-1e-9, 1.1]),
    "gradient_weight": (0, 1, [-1e-9, 1.1]),
    "memory_weight": (0, 1, [-1e-9, 1.1]),
    "plasticity_scale": (0, 1e6, [-1e-9]),
    "min_alpha": (0, 2, [-1e-9]),
    "max_alpha": (0.2, 1e6, [-1e-9]),
    "activity_decay": (0, 0.9999, [-1e-9, 1, 1.5]),
    "beta_1": (0, 0.9999, [-1e-9, 1, 1.5]),
    "beta_2": (0, 0.9999, [-1e-9, 1, 1.5]),
    "max_update_norm": (1e-6, 1e6, [0, -1.0]),
    "target_rms": (0, 1e6, [-1e-9]),
    "adaptation_rate": (0, 1e6, [-1e-9]),
    "epsilon": (1e-37, 1, [0, 1e-38, -1e-8]),
    "weight_decay": (0, 1e6, [-1e-9]),
    "clipnorm": (1e-6, 1e6, [0, -1.0]),
    "clipvalue": (1e-6, 1e6, [0, -1.0]),
    "global_clipnorm": (1e-6, 1e6, [0, -1.0]),
    "ema_momentum": (0, 1, [-1e-9, 1.1]),
    "loss_scale_factor": (1e-6, 1e6, [0, -1.0]),
}
INTEGERS = {"ema_overwrite_frequency": 1, "gradient_accumulation_steps": 2}
BOOLEANS = ["per_parameter", "skip_nonfinite", "use_ema", "jit_compile"]
NONE_ALLOWED = {
    "max_update_norm",
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "loss_scale_factor",
}
OTHERS = {"residual", "weight_decay_exclude", "name"}


def refuses(name, value, error=(TypeError, ValueError), make=NeuroPlastic):
    with pytest.raises(error) as caught:
        make(**{name: value})
    assert f"`{name}`" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_every_argument_is_covered():
    arguments = set(inspect.signature(NeuroPlastic).parameters)
    assert arguments == {*NUMBERS, *INTEGERS, *BOOLEANS, *OTHERS}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    _, _, outside = NUMBERS[name]
    for value in [*outside, math.nan, math.inf, -math.inf, np.float32("nan")]:
        refuses(name, value, ValueError)
    for value in ["0.1", [0.1], {}, True, 1j, b"1"]:
        refuses(name, value, TypeError)
    if name not in NONE_ALLOWED:
        refuses(name, None, TypeError)


@pytest.mark.parametrize(
    "name",
    [name for name in NUMBERS if name not in ("activity_weight", "memory_weight")],
)
def test_number_limits_and_types_are_accepted(name):
    low, high, _ = NUMBERS[name]
    weights = {"activity_weight": 0.0, "gradient_weight": 1.0, "memory_weight": 0.0}
    for value in (low, high, np.float64(high), np.float32(high), np.array(high)[()]):
        if name == "gradient_weight" and value != 1:
            continue
        optimizer = NeuroPlastic(**{**weights, name: value})
        assert math.isclose(float(getattr(optimizer, name)), value, rel_tol=1e-6)
    if name in NONE_ALLOWED:
        assert getattr(NeuroPlastic(**{name: None}), name) is None


@pytest.mark.parametrize("value", [1, np.float32(0.25), np.float64(0.5), np.int64(2)])
def test_learning_rate_types(value):
    assert float(NeuroPlastic(learning_rate=value).learning_rate) == value


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name):
    for value in [INTEGERS[name] - 1, 0, -3]:
        refuses(name, value, ValueError)
    for value in [2.0, "2", True, math.nan, [2]]:
        refuses(name, value, TypeError)
    for value in [None, INTEGERS[name], np.int64(7)]:
        assert getattr(NeuroPlastic(**{name: value}), name) == value


@pytest.mark.parametrize("name", BOOLEANS)
def test_booleans(name):
    for value in [1, 0.0, "yes", None, math.nan]:
        refuses(name, value, TypeError)
    for value in [True, False, np.True_]:
        assert getattr(NeuroPlastic(**{name: value}), name) is bool(value)


class Unhashable:
    __hash__ = None

    def update(self, *args):
        pass


def test_residual():
    for value in [0.5, "bounded", BoundedResidual, {"max_ratio": 0.5}, [None]]:
        refuses("residual", value, TypeError)
    for value in [
        None,
        BoundedResidual(),
        OrthogonalResidual(match_gradient_norm=True),
    ]:
        assert NeuroPlastic(residual=value).residual == value
    for make in (BoundedResidual, OrthogonalResidual):
        refuses("max_ratio", -1e-9, ValueError, make)
        refuses("max_ratio", None, TypeError, make)
    refuses("strength", -1e-9, ValueError, OrthogonalResidual)
    refuses("strength", "1", TypeError, OrthogonalResidual)
    refuses("match_gradient_norm", 1, TypeError, OrthogonalResidual)


def test_weight_decay_exclude():
    for value in [3, [3], [["bias"]], math.nan, {"bias": 1}]:
        refuses("weight_decay_exclude", value, TypeError)
    refuses("weight_decay_exclude", ["bias", "("], ValueError)
    for value in ["bias", ["bias"], ("bias",)]:
        config = NeuroPlastic(weight_decay_exclude=value).get_config()
        assert config["weight_decay_exclude"] == ["bias"]


def test_name():
    refuses("name", 3, TypeError)
    refuses("name", "", ValueError)
    keras.backend.clear_session()
    names = [NeuroPlastic().name for _ in range(2)]
    assert names == ["neuro_plastic", "neuro_plastic_1"]


def test_arguments_that_depend_on_each_other():
    with pytest.raises(ValueError, match=r"memory_weight=0\.5, which sum to 1\.3"):
        NeuroPlastic(memory_weight=0.5)
    with pytest.raises(ValueError, match=r"`min_alpha`.*min_alpha=3\.0, max_alpha=2"):
        NeuroPlastic(min_alpha=3)
    with pytest.raises(ValueError, match=r"clipnorm=1\.0, clipvalue=1\.0"):
        NeuroPlastic(clipnorm=1.0, clipvalue=1.0)
    # Ten tenths do not sum to one exactly.
    NeuroPlastic(activity_weight=0.1 * 3, gradient_weight=0.1 * 6, memory_weight=0.1)


def test_unknown_argument():
    with pytest.raises(TypeError, match="beta_3"):
        NeuroPlastic(beta_3=0.9)


@pytest.mark.parametrize("name", ["warmup_steps", "stair_steps"])
def test_warmup_steps(name):
    def make(**arguments):
        return PlasticityWarmup(**{"warmup_steps": 4, **arguments})

    for value in [0, -1]:
        refuses(name, value, ValueError, make)
    for value in [1.5, "1", None, True]:
        refuses(name, value, TypeError, make)


def test_window():
    refuses("start", -1, ValueError, PlasticityWindow)
    refuses("end", 0, ValueError, PlasticityWindow)
    refuses("end", 2.5, TypeError, PlasticityWindow)
    refuses("scale", -1.0, ValueError, PlasticityWindow)
    window = PlasticityWindow(2, 4, 0.5)
    assert [float(window(t)) for t in range(6)] == [0, 0, 0.5, 0.5, 0, 0]
    assert float(PlasticityWindow(3)(3)) == 1
    revived = PlasticityWindow.from_config(window.get_config())
    assert revived.get_config() == {"start": 2, "end": 4, "scale": 0.5}


def test_warmup_scale_and_paper_steps():
    def make(**arguments):
        return PlasticityWarmup(4, **arguments)

    refuses("scale", -1.0, ValueError, make)
    refuses("scale", math.nan, ValueError, make)
    refuses("scale", "1", TypeError, make)
    refuses("steps_per_epoch", 0, ValueError, NeuroPlastic.paper)
    refuses("steps_per_epoch", 2.5, TypeError, NeuroPlastic.paper)


def test_attributes_are_checked_as_arguments_are():
    optimizer = NeuroPlastic()
    with pytest.raises(ValueError, match="`beta_1`"):
        optimizer.beta_1 = 2.0
    with pytest.raises(ValueError, match="`learning_rate`"):
        optimizer.learning_rate = math.nan
    optimizer.max_alpha = 0.1
    with pytest.raises(ValueError, match="`min_alpha`"):
        optimizer.build([keras.Variable(np.ones(2))])
