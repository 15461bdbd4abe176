"""The compiled step of the TensorFlow backend does what the rules do."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from test_twin import OPTIONS

from keras_neuroplastic import NeuroPlastic

if keras.backend.backend() != "tensorflow":
    pytest.skip("the TensorFlow backend only", allow_module_level=True)
import tensorflow as tf

from keras_neuroplastic import _tensorflow

SHAPES = [(5, 7), (3,), (3,), (3,), (), (0, 4)]
CASES = {name: {**common, **own} for name, (common, own, _) in OPTIONS.items()} | {
    "skipping": {"skip_nonfinite": True, "weight_decay": 0.3},
}


def run(optimizer, dtype="float64", nonfinite=False):
    """Values of all variables and slots after each step."""
    rng = np.random.default_rng(5)
    variables = [keras.Variable(rng.normal(size=s), dtype=dtype) for s in SHAPES]
    states = []
    for step in range(5):
        grads = [rng.normal(size=shape) for shape in SHAPES]
        if nonfinite:
            grads[step % 3].flat[0] = [np.nan, np.inf][step % 2]
        optimizer.apply([ops.convert_to_tensor(g, dtype) for g in grads], variables)
        state = variables + optimizer.variables
        states.append(np.concatenate([np.ravel(v.numpy()) for v in state]))
    assert np.all(np.isfinite(states))
    return np.array(states)


@pytest.mark.parametrize("case", CASES)
def test_every_step(case, monkeypatch, float64):
    compiled = NeuroPlastic(**CASES[case])
    got = run(compiled, nonfinite=case == "skipping")
    assert compiled._compiled
    monkeypatch.setattr(_tensorflow, "has_xla", lambda: False)
    uncompiled = NeuroPlastic(**CASES[case])
    want = run(uncompiled, nonfinite=case == "skipping")
    assert not hasattr(uncompiled, "_compiled")
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_variables_of_one_kind_share_what_is_compiled():
    optimizer = NeuroPlastic()
    run(optimizer, "float32")
    functions = optimizer._compiled.values()
    assert len(functions) == len(set(SHAPES))
    assert all(f.experimental_get_tracing_count() == 1 for f in functions)


def test_a_step_is_compiled_within_an_uncompiled_one():
    variable = keras.Variable(np.ones(3, "float32"))
    optimizer = NeuroPlastic()
    optimizer.build([variable])
    step = tf.function(lambda g: optimizer.apply([g], [variable]))
    graph = step.get_concrete_function(tf.ones(3)).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "StatefulPartitionedCall" in kinds
    assert not kinds & {"Abs", "Sqrt", "Sum"}


def test_a_scale_that_is_a_number_is_compiled_once():
    class Constant(keras.optimizers.schedules.LearningRateSchedule):
        calls = 0

        def __call__(self, step):
            self.calls += 1
            return 1.0 + self.calls

    optimizer = NeuroPlastic(plasticity_scale=Constant())
    run(optimizer, "float32")
    functions = optimizer._compiled.values()
    assert all(f.experimental_get_tracing_count() == 1 for f in functions)


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
NeuroPlastic().apply([tf.ones(3), [1.0, 1.0, 1.0]], variables)
assert "CPU:1" in variables[1].value.device
np.testing.assert_array_equal(*variables)
"""


def test_variables_on_two_devices():
    subprocess.run([sys.executable, "-c", ON_TWO_DEVICES], check=True)


def test_without_xla_nothing_is_compiled(monkeypatch):
    def function(*args, **kwargs):
        raise tf.errors.UnimplementedError(None, None, "XLA is not linked")

    assert _tensorflow.has_xla()
    monkeypatch.setattr(tf, "function", function)
    assert not _tensorflow.has_xla.__wrapped__()


def test_a_rule_of_a_subclass_is_followed():
    class Still(NeuroPlastic):
        def update_step(self, gradient, variable, learning_rate):
            pass

    variable = keras.Variable(np.ones(3, "float32"))
    Still().apply([tf.ones(3)], [variable])
    assert np.all(variable.numpy() == 1)
