"""Every wrong value of every argument is refused by name."""

import inspect
import math
from fractions import Fraction

import keras
import numpy as np
import pytest

from keras_neuroplastic import (
    BoundedResidual,
    NeuroPlastic,
    OrthogonalResidual,
    PlasticityModulated,
    PlasticityMonitor,
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
    "max_ratio",
}
OTHERS = {"residual", "weight_decay_exclude", "name"}
# Those of PlasticityModulated that NeuroPlastic has not; it shares the most with it.
OF_MODULATED = {
    "strength": (0, 1e6, [-1e-9]),
    "max_ratio": (0, 1e6, [-1e-9]),
}
SHARED = set(inspect.signature(PlasticityModulated).parameters) & set(
    inspect.signature(NeuroPlastic).parameters
) - {"kwargs"}


def modulated(**arguments):
    return PlasticityModulated(keras.optimizers.SGD(), **arguments)


def of_both(names):
    """Cases of a maker and an argument that it takes."""
    cases = [(NeuroPlastic, name) for name in names]
    return cases + [(modulated, name) for name in names if name in SHARED]


def refuses(name, value, error=(TypeError, ValueError), make=NeuroPlastic):
    with pytest.raises(error) as caught:
        make(**{name: value})
    assert f"`{name}`" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_every_argument_is_covered():
    arguments = set(inspect.signature(NeuroPlastic).parameters)
    assert arguments == {*NUMBERS, *INTEGERS, *BOOLEANS, *OTHERS, "kwargs"}
    arguments = set(inspect.signature(PlasticityModulated).parameters)
    own = {*OF_MODULATED, "optimizer", "target", "modulate"}
    assert arguments - SHARED - {"kwargs"} == own
    assert {*NUMBERS, *BOOLEANS, *OTHERS} > SHARED


@pytest.mark.parametrize(
    ("make", "name"), of_both(NUMBERS) + [(modulated, name) for name in OF_MODULATED]
)
def test_numbers(make, name):
    _, _, outside = (NUMBERS | OF_MODULATED)[name]
    for value in [*outside, math.nan, math.inf, -math.inf, np.float32("nan"), 10**400]:
        refuses(name, value, ValueError, make)
    for value in ["0.1", [0.1], {}, True, 1j, b"1"]:
        refuses(name, value, TypeError, make)
    if name not in NONE_ALLOWED:
        refuses(name, None, TypeError, make)


def test_what_lies_outside_once_it_is_a_float():
    refuses("max_update_norm", Fraction(1, 10**400), ValueError)
    refuses("beta_1", Fraction(10**20 - 1, 10**20), ValueError)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (make, name)
        for make, name in of_both(NUMBERS)
        if name not in ("activity_weight", "memory_weight")
    ]
    + [(modulated, name) for name in OF_MODULATED],
)
def test_number_limits_and_types_are_accepted(make, name):
    low, high, _ = (NUMBERS | OF_MODULATED)[name]
    weights = {"activity_weight": 0.0, "gradient_weight": 1.0, "memory_weight": 0.0}
    for value in (low, high, np.float64(high), np.float32(high), np.array(high)[()]):
        if name == "gradient_weight" and value != 1:
            continue
        options = {**weights, name: value}
        if name in ("min_alpha", "max_alpha"):
            options = {"min_alpha": 0.2, "max_alpha": 2.0} | options
        optimizer = make(**options)
        assert math.isclose(float(getattr(optimizer, name)), value, rel_tol=1e-6)
    if name in NONE_ALLOWED:
        assert getattr(make(**{name: None}), name) is None


@pytest.mark.parametrize("value", [1, np.float32(0.25), np.float64(0.5), np.int64(2)])
def test_learning_rate_types(value):
    assert float(NeuroPlastic(learning_rate=value).learning_rate) == value


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name):
    for value in [INTEGERS[name] - 1, 0, -3, 2**31]:
        refuses(name, value, ValueError)
    for value in [2.0, "2", True, math.nan, [2]]:
        refuses(name, value, TypeError)
    for value in [None, INTEGERS[name], np.int64(7)]:
        assert getattr(NeuroPlastic(**{name: value}), name) == value


@pytest.mark.parametrize(("make", "name"), of_both(BOOLEANS))
def test_booleans(make, name):
    for value in [1, 0.0, "yes", None, math.nan]:
        refuses(name, value, TypeError, make)
    for value in [True, False, np.True_]:
        assert getattr(make(**{name: value}), name) is bool(value)


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


@pytest.mark.parametrize("make", [NeuroPlastic, NeuroPlastic.many_inputs])
def test_a_learning_rate_that_is_called_takes_no_arguments(make):
    """Keras calls it in the step, and its error would not say whose it is."""
    for value in [keras.optimizers.schedules.CosineDecay, lambda step: 0.1]:
        refuses("learning_rate", value, TypeError, make)
    for value in [lambda: 0.1, lambda step=0: 0.1, PlasticityWarmup(3)]:
        make(learning_rate=value)


@pytest.mark.parametrize("name", ["activity_weight", "memory_weight"])
def test_gradient_only_has_its_weights(name):
    refuses(name, 0.5, TypeError, NeuroPlastic.gradient_only)


@pytest.mark.parametrize("make", [NeuroPlastic, modulated])
def test_variables_and_gradients_come_in_lists_of_one_length(make):
    variable = keras.Variable(np.ones(3))
    with pytest.raises(TypeError, match=r"`variables` must be a list"):
        make().build(variable)
    optimizer = make()
    optimizer.build(v for v in [variable])
    gradients = [keras.ops.ones(3)] * 2
    with pytest.raises(ValueError, match="2 gradients, 1 variables"):
        optimizer.apply(gradients, [variable])


def test_target():
    for value in ["Gain", "", "trust_ratio", None, 1, ["gain"], math.nan]:
        refuses("target", value, ValueError, modulated)
    for value in ["gain", "trust"]:
        assert modulated(target=value).target == value


def test_modulate():
    for value in [3, [3], [["kernel"]], math.nan, {"kernel": 1}]:
        refuses("modulate", value, TypeError, modulated)
    refuses("modulate", ["kernel", "("], ValueError, modulated)
    refuses("modulate", [], ValueError, modulated)
    refuses("layers", [], ValueError, PlasticityMonitor)
    for value in ["kernel", ["kernel"], ("kernel",)]:
        assert modulated(modulate=value).get_config()["modulate"] == ["kernel"]
    assert modulated(modulate=None).modulate is None


@pytest.mark.parametrize(
    ("make", "name"), [(NeuroPlastic, "neuro_plastic"), (modulated, "plasticity_mod")]
)
def test_name(make, name):
    refuses("name", 3, TypeError, make)
    refuses("name", "", ValueError, make)
    keras.backend.clear_session()
    first, second = (make().name for _ in range(2))
    assert first.startswith(name)
    assert second == f"{first}_1"


def test_arguments_of_a_modulated_optimizer_that_depend_on_each_other():
    with pytest.raises(ValueError, match=r"memory_weight=0\.5, which sum to 1\.5"):
        modulated(memory_weight=0.5)
    with pytest.raises(ValueError, match=r"`min_alpha`.*min_alpha=6\.0, max_alpha=5"):
        modulated(min_alpha=6)
    optimizer = modulated()
    with pytest.raises(ValueError, match="`strength`"):
        optimizer.strength = -1.0
    optimizer.max_alpha, optimizer.min_alpha = 1.0, 2.0
    with pytest.raises(ValueError, match="`min_alpha`"):
        optimizer.build([keras.Variable(np.ones(2))])


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
    with pytest.raises(TypeError, match=r"`beta_3` .* write beta_2"):
        NeuroPlastic(beta_3=0.9)
    with pytest.raises(TypeError, match=r"`kwarg` is no argument of NeuroPlastic\."):
        NeuroPlastic(kwarg=1)


@pytest.mark.parametrize("name", ["warmup_steps", "stair_steps"])
def test_warmup_steps(name):
    def make(**arguments):
        return PlasticityWarmup(**{"warmup_steps": 4, **arguments})

    for value in [0, -1, 2**31]:
        refuses(name, value, ValueError, make)
    for value in [1.5, "1", None, True]:
        refuses(name, value, TypeError, make)


def test_window():
    refuses("start", -1, ValueError, PlasticityWindow)
    refuses("start", 2**31 - 1, ValueError, PlasticityWindow)  # no end could follow
    refuses("end", 0, ValueError, PlasticityWindow)
    refuses("end", 2**31, ValueError, PlasticityWindow)
    assert float(PlasticityWindow(end=2**31 - 1)(2**31 - 2)) == 1
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
    refuses("steps_per_epoch", 2**30, ValueError, NeuroPlastic.paper)
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


def test_a_subclass_may_have_attributes_of_its_own():
    class Targeted(NeuroPlastic):
        def __init__(self, target, **kwargs):
            super().__init__(**kwargs)
            self.target = target

    with pytest.raises(TypeError, match="write learning_rate"):
        Targeted(2.0, learning_rat=1)
    optimizer = Targeted(2.0)
    optimizer.arguments = "its own"
    optimizer.build([keras.Variable(np.ones(2))])
    optimizer.target = 3.0
    assert optimizer.target == 3
