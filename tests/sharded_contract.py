"""Arrays sharded by hand, without `keras.distribution`, are stepped as whole ones.

test_transformations.py runs this file in a process of its own, on four devices.
"""

import jax
import keras
import numpy as np
import pytest
from jax import numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from lineup import LINEUP, assert_weights

KINDS = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}
# The step has other ways from 2**12, 2**15 and 2**17 elements on.
SHAPES = [(512, 256), (128, 256), (64, 128), (16, 8), (8,), ()]
LAYOUTS = {  # of the weights, their slots and their gradients
    "replicated": [P(), P(), P()],
    "rows": [P("d"), P("d"), P("d")],
    "columns": [P(None, "d"), P(None, "d"), P(None, "d")],
    "blocks": [P("a", "b"), P("a", "b"), P("a", "b")],
    "slots alone": [P(), P("d"), P()],
    "gradients alone": [P(), P(), P("d")],
    "all but gradients": [P("d"), P("d"), P()],
    "three ways": [P("a"), P(None, "b"), P("a", "b")],
}
CASES = [("auto", layout) for layout in LAYOUTS]
CASES += [("explicit", layout) for layout in ("rows", "slots alone", "three ways")]
STEPS = 3
RATE = 0.1


def make_mesh(layout, kind):
    if any("a" in spec for spec in layout):
        return jax.make_mesh((2, 2), ("a", "b"), axis_types=(kind,) * 2)
    return jax.make_mesh((4,), ("d",), axis_types=(kind,))


def put(arrays, mesh, spec):
    """The arrays over the mesh, as `spec` says, as far as they have dimensions."""
    return [
        jax.device_put(x, NamedSharding(mesh, P(*spec[: jnp.ndim(x)]))) for x in arrays
    ]


def drawn(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def after_steps(entry, layout, kind):
    """The weights after some steps with arrays that lie as `layout` says."""
    mesh = make_mesh(layout, kind)
    initial = drawn(0)
    optimizer = entry.optimizer(learning_rate=RATE)
    optimizer.build([keras.Variable(x) for x in initial])
    weights = put(initial, mesh, layout[0])
    state = put([v.value for v in optimizer.variables], mesh, layout[1])
    step = jax.jit(optimizer.stateless_apply)
    for i in range(STEPS):
        gradients = put(drawn(1 + i), mesh, layout[2])
        weights, state = step(state, gradients, weights)
    return weights


def wanted(entry, parts=1):
    """Initial weights and NumPy's; with `parts`, each part of the rows by itself."""
    initial = drawn(0)
    gradients = [drawn(1 + i) for i in range(STEPS)]
    final = []
    for x, *gradients_of_x in zip(initial, *gradients, strict=True):
        rows = (parts, -1) if x.size >= parts else (1, -1)
        twins = [entry.twin(row, learning_rate=RATE) for row in x.reshape(rows)]
        for g in gradients_of_x:
            for twin, row in zip(twins, g.reshape(rows), strict=True):
                twin.step(row)
        final.append(np.stack([twin.theta for twin in twins]).reshape(x.shape))
    return initial, final


def assert_all(got, initial, final, error):
    for a, x, b in zip(got, initial, final, strict=True):
        assert_weights(a, b, x, error)


@pytest.mark.parametrize(("kind", "layout"), CASES)
def test_a_step(kind, layout):
    entry = LINEUP["default"]
    got = after_steps(entry, LAYOUTS[layout], KINDS[kind])
    assert_all(got, *wanted(entry), entry.error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_as_on_gpus(kind, monkeypatch):
    """The signals are summed at once there, over all devices."""

    def platform_dependent(*args, default, cuda=None, **others):
        return (cuda or default)(*args)

    monkeypatch.setattr(jax.lax, "platform_dependent", platform_dependent)
    entry = LINEUP["default"]
    got = after_steps(entry, LAYOUTS["three ways"], KINDS[kind])
    assert_all(got, *wanted(entry), entry.error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_modulated_adam(kind):
    entry = LINEUP["modulated_adam"]
    got = after_steps(entry, LAYOUTS["three ways"], KINDS[kind])
    assert_all(got, *wanted(entry), entry.error)


def test_a_step_of_each_part_by_itself_is_noticed():
    entry = LINEUP["default"]
    got = after_steps(entry, LAYOUTS["replicated"], AxisType.Auto)
    with pytest.raises(AssertionError):
        assert_all(got, *wanted(entry, parts=4), entry.error)
