"""The compiled step of the TensorFlow backend does what the rules do, where wanted."""

import gc
import subprocess
import sys
import warnings
import weakref

import keras
import numpy as np
import pytest
from keras import ops
from test_twin import OPTIONS
from toy import fit, make_model

from keras_neuroplastic import NeuroPlastic

if keras.backend.backend() != "tensorflow":
    pytest.skip("the TensorFlow backend only", allow_module_level=True)
import tensorflow as tf

from keras_neuroplastic._steps import tensorflow as steps
from keras_neuroplastic._sums import tensorflow as sums

SHAPES = [(5, 7), (3,), (3,), (3,), (), (0, 4)]
CASES = {name: {**common, **own} for name, (common, own, _) in OPTIONS.items()} | {
    "skipping": {"skip_nonfinite": True, "weight_decay": 0.3},
}
# They differ in what is summed or left out; `test_twin.py` has all, compiled, too.
KINDS = [
    "default",
    "activity alone",
    "no activity",
    "one alpha a variable, extrapolated",
    "neither",
    "skipping",
]


@pytest.fixture(autouse=True)
def _nothing_is_compiled_yet():
    steps.compiled.cache_clear()


def functions():
    """How many functions there are for XLA to compile."""
    return steps.compiled.cache_info().currsize


def run(optimizer, dtype="float64", nonfinite=False):
    """Values of all variables and slots after each step."""
    rng = np.random.default_rng(5)
    variables = [keras.Variable(rng.normal(size=s), dtype=dtype) for s in SHAPES]
    optimizer.build(variables)
    step = tf.function(lambda grads: optimizer.apply(grads, variables))
    states = []
    for count in range(5):
        grads = [rng.normal(size=shape) for shape in SHAPES]
        if nonfinite:
            grads[count % 3].flat[0] = [np.nan, np.inf][count % 2]
        step([ops.convert_to_tensor(g, dtype) for g in grads])
        state = variables + optimizer.variables
        states.append(np.concatenate([np.ravel(v.numpy()) for v in state]))
    assert np.all(np.isfinite(states))
    return np.array(states)


def operations(optimizer):
    """Of the graph of a step."""
    variable = keras.Variable(np.ones(3, "float32"))
    optimizer.build([variable])
    step = tf.function(lambda g: optimizer.apply([g], [variable]))
    graph = step.get_concrete_function(tf.ones(3)).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("case", KINDS)
def test_every_step(case, float64):
    got = run(NeuroPlastic(**CASES[case]), nonfinite=case == "skipping")
    compiled = functions()
    assert compiled
    uncompiled = NeuroPlastic(**CASES[case], jit_compile=False)
    want = run(uncompiled, nonfinite=case == "skipping")
    assert functions() == compiled
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_variables_of_one_kind_share_what_is_compiled(monkeypatch):
    made = []
    function = tf.function
    monkeypatch.setattr(
        tf, "function", lambda *a, **k: made.append(function(*a, **k)) or made[-1]
    )
    run(NeuroPlastic(), "float32")
    run(NeuroPlastic(learning_rate=0.3), "float32")  # and those of another optimizer
    assert functions() == len(set(SHAPES))
    traced = [f.experimental_get_tracing_count() for f in made]
    assert max(traced) == 1
    run(NeuroPlastic(beta_1=0.8), "float32")
    assert functions() == 2 * len(set(SHAPES))


def test_what_is_compiled_holds_no_variables():
    """Or a search over many models would keep them all."""
    optimizer = NeuroPlastic()
    run(optimizer, "float32")
    held = [
        weakref.ref(optimizer),
        *(weakref.ref(v.value) for v in optimizer.variables),
    ]
    assert functions()
    del optimizer
    keras.utils.clear_session()
    gc.collect()
    assert not any(reference() is not None for reference in held)


def test_a_step_is_compiled_within_an_uncompiled_one():
    kinds = operations(NeuroPlastic())
    assert "StatefulPartitionedCall" in kinds
    assert not kinds & {"Abs", "Sqrt", "Sum"}


def test_not_where_the_optimizer_says_so():
    kinds = operations(NeuroPlastic(jit_compile=False))
    assert "StatefulPartitionedCall" not in kinds
    assert kinds >= {"Abs", "Sqrt", "Sum"}


def test_a_scale_that_is_a_number_is_compiled_once():
    class Constant(keras.optimizers.schedules.LearningRateSchedule):
        calls = 0

        def __call__(self, step):
            self.calls += 1
            return 1.0 + self.calls

    run(NeuroPlastic(plasticity_scale=Constant()), "float32")
    assert functions() == len(set(SHAPES))


ON_TWO_DEVICES = """
import keras, numpy as np, tensorflow as tf
from keras_neuroplastic import NeuroPlastic
cpu = tf.config.list_physical_devices("CPU")[0]
parts = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, parts)
variables = []
for i in range(2):
    with tf.device(f"CPU:{i}"):
        variables.append(keras.Variable(np.ones(3, "float32")))
optimizer = NeuroPlastic()
optimizer.build(variables)
tf.function(optimizer.apply)([tf.ones(3), [1.0, 1.0, 1.0]])
assert "CPU:1" in variables[1].value.device
np.testing.assert_array_equal(*variables)
"""


def test_variables_on_two_devices():
    subprocess.run([sys.executable, "-c", ON_TWO_DEVICES], check=True)


# The sums of a GPU


@pytest.fixture
def as_for_a_gpu(monkeypatch):
    right = steps.compiled_for
    monkeypatch.setattr(steps, "compiled_for", lambda device: right("/GPU:0"))


def compiled_sums(arrays):
    """The sums of arrays, and how many sums XLA is told to make for them."""
    step = tf.function(lambda *x: sums.of_signals(x, None), jit_compile=True)
    program = step.experimental_get_compiler_ir(*arrays)(stage="hlo")
    return step(*arrays), program.count(" reduce(")


@pytest.mark.parametrize("shape", [(300, 500), (7,), (), (0, 4)])
def test_signals_are_summed_at_once_on_a_gpu(shape):
    """Of whole numbers, so that no order of adding rounds."""
    rng = np.random.default_rng(6)
    arrays = [tf.constant(rng.integers(0, 9, shape), "float32") for _ in range(3)]
    want = [x.numpy().sum() for x in arrays]
    elsewhere, several = compiled_sums(arrays)
    with sums.compiled_for("/job:localhost/replica:0/task:0/device:GPU:0"):
        got, one = compiled_sums(arrays)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(elsewhere, want)
    if shape:  # or else there is nothing to add
        assert one == 1 < several


@pytest.mark.parametrize("case", KINDS)
def test_every_step_as_for_a_gpu(case, float64, request):
    skipping = case == "skipping"
    want = run(NeuroPlastic(**CASES[case]), nonfinite=skipping)
    request.getfixturevalue("as_for_a_gpu")
    steps.compiled.cache_clear()
    got = run(NeuroPlastic(**CASES[case]), nonfinite=skipping)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_sums_that_are_wrong_are_noticed(float64, as_for_a_gpu, monkeypatch):
    want = run(NeuroPlastic())
    right = sums.all_at_once
    monkeypatch.setattr(sums, "all_at_once", lambda values: right(values) * 1.0001)
    steps.compiled.cache_clear()
    assert not np.allclose(run(NeuroPlastic()), want, rtol=1e-12, atol=1e-14)


# Where nobody wants it


def test_a_model_that_runs_eagerly():
    fit(make_model(NeuroPlastic(), run_eagerly=True, jit_compile=False))
    assert not functions()


@pytest.fixture
def watched():
    """Every operation checks its result for NaN and infinity."""
    tf.debugging.enable_check_numerics()
    yield
    tf.debugging.disable_check_numerics()


@pytest.mark.parametrize("eagerly", [False, True])
def test_numbers_that_are_checked(eagerly, request):
    """In a process that has trained before, and will go on."""
    options = {"jit_compile": False}
    fit(make_model(NeuroPlastic(), **options))
    compiled = functions()
    assert compiled
    request.getfixturevalue("watched")
    model = make_model(NeuroPlastic(beta_1=0.8), run_eagerly=eagerly, **options)
    fit(model)
    assert functions() == compiled
    model.layers[0].kernel.assign(np.full((6, 8), np.nan))
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN"):
        fit(model)
    tf.debugging.disable_check_numerics()
    fit(make_model(NeuroPlastic(beta_1=0.8), **options))
    assert functions() > compiled


def test_xla_that_fails_is_told_once_and_tried_again(monkeypatch):
    right = steps.probe

    def fails(device):
        raise tf.errors.UnimplementedError(None, None, "libdevice is not found")

    monkeypatch.setattr(steps, "probe", fails)
    steps.tell.cache_clear()
    with pytest.warns(UserWarning, match="libdevice is not found"):
        kinds = operations(NeuroPlastic())
    assert kinds >= {"Abs", "Sqrt", "Sum"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        operations(NeuroPlastic())  # told already
        monkeypatch.setattr(steps, "probe", right)
        assert "StatefulPartitionedCall" in operations(NeuroPlastic())


def test_a_rule_of_a_subclass_is_followed():
    class Still(NeuroPlastic):
        def update_step(self, gradient, variable, learning_rate):
            pass

    variable = keras.Variable(np.ones(3, "float32"))
    Still().apply([tf.ones(3)], [variable])
    assert np.all(variable.numpy() == 1)
