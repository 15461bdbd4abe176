"""PlasticityMonitor tells what happened, wherever and however a model is trained."""

import copy
import csv
import struct
import sys
from functools import cache

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.text import Text
from toy import BATCHES_PER_EPOCH, fit, make_model

from keras_neuroplastic import (
    NeuroPlastic,
    PlasticityModulated,
    PlasticityMonitor,
    _plot,
    plasticity_statistics,
)

BACKEND = keras.backend.backend()
KERNEL = "toy/hidden/kernel"
TOTALS = {
    "plasticity_alpha_std",
    "plasticity_at_bounds",
    "plasticity_clipped",
    "plasticity_update_to_weight",
}


def watch(optimizer, epochs=2, model=None, **options):
    """A monitor that has seen a model train."""
    monitor = PlasticityMonitor()
    model = model or make_model(optimizer)
    fit(model, epochs, callbacks=[monitor], **options)
    return monitor


# An optimizer, and how many steps it makes of the batches of an epoch.
OPTIMIZERS = {
    "NeuroPlastic": (NeuroPlastic, 1),
    "PlasticityModulated": (lambda: PlasticityModulated("adam"), 1),
    "accumulation": (lambda: NeuroPlastic(gradient_accumulation_steps=2), 2),
    "modulated accumulation": (
        lambda: PlasticityModulated(
            keras.optimizers.SGD(gradient_accumulation_steps=2)
        ),
        2,
    ),
    "loss scale": (
        lambda: keras.optimizers.LossScaleOptimizer(
            NeuroPlastic(), initial_scale=2.0, dynamic_growth_steps=10**6
        ),
        1,
    ),
}


@cache
def watched(name="NeuroPlastic"):
    """One for all the tests that only read it."""
    return watch(OPTIMIZERS[name][0]())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_epoch_of_every_variable(name):
    monitor, batches = watched(name), OPTIMIZERS[name][1]
    assert monitor.epochs == [0, 1]
    assert len(monitor.history) == 4
    for series in monitor.history.values():
        assert list(series["steps"]) == [BATCHES_PER_EPOCH // batches] * 2
        assert np.all(series["alpha_quantiles"][:, 0] >= series["alpha_min"])
        assert np.all(series["alpha_std"] > 0)


def test_numbers_are_those_of_the_steps():
    """A monitor says what a loop of one's own would have read."""
    monitor, model = watched(), make_model(NeuroPlastic())
    model.optimizer.collect_statistics()
    fit(model)
    for path, statistics in plasticity_statistics(model.optimizer).items():
        for name in statistics.keys() - {"alpha_sample"}:
            got, _ = monitor.history[path][name]
            assert got == pytest.approx(statistics[name], rel=1e-6), name


@pytest.mark.skipif(BACKEND == "torch", reason="Keras wants one step there")
def test_steps_per_execution():
    model = make_model(NeuroPlastic(), steps_per_execution=2)
    [first, *_] = watch(None, model=model).history.values()
    assert list(first["steps"]) == [BATCHES_PER_EPOCH] * 2


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "MultiOptimizer"), reason="Keras has none yet"
)
def test_within_a_multi_optimizer():
    parts = keras.optimizers.OptimizerMap(
        PlasticityModulated("adam"), {".*hidden/.*": NeuroPlastic()}
    )
    model = make_model()
    optimizer = keras.optimizers.MultiOptimizer(parts)
    model.compile(optimizer, loss="mse")
    monitor = watch(None, model=model)
    assert set(monitor.history) == {v.path for v in model.trainable_variables}


def test_a_second_fit_is_watched_and_adds_to_the_first():
    model = make_model(NeuroPlastic())
    fit(model)  # compiled without statistics
    monitor = watch(None, epochs=1, model=model)
    fit(model, 2, callbacks=[monitor], initial_epoch=1)
    assert monitor.epochs == [0, 1]
    assert list(monitor.history[KERNEL]["steps"]) == [BATCHES_PER_EPOCH] * 2


def test_logs_reach_other_callbacks(tmp_path):
    file = tmp_path / "log.csv"
    stop = keras.callbacks.EarlyStopping(
        "plasticity_alpha_std", min_delta=10.0, mode="max", patience=1
    )
    model = make_model(NeuroPlastic())
    callbacks = [PlasticityMonitor(), keras.callbacks.CSVLogger(file), stop]
    fit(model, 9, callbacks=callbacks)
    assert set(model.history.history) >= TOTALS
    assert len(model.history.epoch) == 2
    with file.open() as lines:
        [row, _] = csv.DictReader(lines)
    assert set(row) >= TOTALS
    assert all(np.isfinite(float(row[name])) for name in TOTALS)


def test_nothing_is_compiled_anew_as_epochs_turn_over():
    traces = []

    class Counting(NeuroPlastic):
        def apply(self, *arguments):
            traces.append(1)
            return super().apply(*arguments)

    model = make_model(Counting(), jit_compile=False if BACKEND == "torch" else "auto")
    watch(None, epochs=3, model=model)
    count = 3 * BATCHES_PER_EPOCH if BACKEND == "torch" else 1
    # TensorFlow traces a step in two forms, JAX for shapes and for values.
    assert len(traces) <= (count if BACKEND == "torch" else 2)


def test_layers():
    model = make_model(NeuroPlastic())
    monitor = PlasticityMonitor(layers="kernel")
    fit(model, callbacks=[monitor])
    assert [path.split("/")[-1] for path in monitor.history] == ["kernel", "kernel"]
    with pytest.raises(ValueError, match="`layers` must match the path of a variable"):
        fit(model, callbacks=[PlasticityMonitor(layers=["kernel", "nowhere"])])


def test_bad_input():
    with pytest.raises(TypeError, match="`layers` must be a regular expression"):
        PlasticityMonitor(layers=3)
    with pytest.raises(TypeError, match="`log_dir` must be a path"):
        PlasticityMonitor(log_dir=3)
    with pytest.raises(ValueError, match="`log_dir` must not be empty"):
        PlasticityMonitor(log_dir="")
    with pytest.raises(TypeError, match="`histograms` must be True or False"):
        PlasticityMonitor(histograms="yes")
    with pytest.raises(ValueError, match="compile the model with one of them"):
        fit(make_model(keras.optimizers.Adam()), callbacks=[PlasticityMonitor()])
    with pytest.raises(ValueError, match="`plot` needs an epoch"):
        PlasticityMonitor().plot()


def test_without_the_writer_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        PlasticityMonitor(log_dir="anywhere")


def records(folder):
    """The values in the event files of a folder, in the order written."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            yield from ((event.step, value) for value in event.summary.value)
            content = content[16 + length :]


def test_tensorboard(tmp_path):
    monitor = PlasticityMonitor(log_dir=tmp_path)
    fit(make_model(NeuroPlastic()), 2, callbacks=[monitor])
    written = {(step, value.tag): value for step, value in records(tmp_path)}
    stds = monitor.history[KERNEL]["alpha_std"]
    for epoch in (0, 1):
        got = written[epoch, f"plasticity_alpha_std/{KERNEL}"].simple_value
        assert got == pytest.approx(stds[epoch], rel=1e-6)
        assert written[epoch, f"alpha/{KERNEL}"].histo.num == 6 * 8
        assert (epoch, "plasticity_clipped") in written


def test_dataframe():
    monitor = watched()
    frame = monitor.to_dataframe()
    assert frame.shape[0] == 2 * 4
    row = frame[(frame.epoch == 1) & (frame.variable == KERNEL)].iloc[0]
    assert row.gain == monitor.history[KERNEL]["gain"][1]


def texts(figure):
    figure.draw_without_rendering()
    renderer = RendererAgg(*figure.bbox.size, figure.dpi)
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible():
            yield text.get_text(), text.get_window_extent(renderer)


@pytest.mark.parametrize("layers", [1, 60])
def test_the_page_is_legible(layers, tmp_path):
    """No two names of variables overlap, and none is cut off."""
    [series, *_] = watched().history.values()
    names = [f"model/a_name_that_is_quite_long_{i}/kernel" for i in range(layers)]
    page = _plot.page([0, 1], dict.fromkeys(names, series), [{"loss": 1.0}] * 2)
    boxes = [box for text, box in texts(page) if text.endswith("kernel") and box.width]
    assert min(40, layers) < len(boxes) <= 3 * 40 + 6
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= page.bbox.width
    for i, box in enumerate(boxes):
        same = [other for other in boxes[:i] if other.x1 == box.x1]
        assert not any(box.overlaps(other) for other in same)


def test_a_page_of_a_run(tmp_path):
    watched().plot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_an_epoch_without_an_update_is_nan(tmp_path):
    """In every column, so that entry i of each is epoch i."""
    file, monitor = tmp_path / "log.csv", PlasticityMonitor()
    model = make_model(NeuroPlastic(gradient_accumulation_steps=BATCHES_PER_EPOCH + 1))
    fit(model, 2, callbacks=[monitor, keras.callbacks.CSVLogger(file)])
    [series, *_] = monitor.history.values()
    assert np.isnan(series["steps"][0])
    assert series["steps"][1] == 1
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    for name in TOTALS:
        assert np.isnan(model.history.history[name]).tolist() == [True, False]
        assert [np.isnan(float(row[name])) for row in rows] == [True, False]


def test_two_monitors_see_the_same():
    kernels, biases = (
        PlasticityMonitor(layers="kernel"),
        PlasticityMonitor(layers="bias"),
    )
    fit(make_model(NeuroPlastic()), 2, callbacks=[kernels, biases])
    for monitor in (kernels, biases):
        assert len(monitor.history) == 2
        for series in monitor.history.values():
            assert list(series["steps"]) == [BATCHES_PER_EPOCH] * 2


def test_variables_of_one_name_are_told_apart():
    variables = [keras.Variable(np.ones(3), name="w") for _ in range(2)]
    optimizer = NeuroPlastic()
    optimizer.collect_statistics()
    gradients = [keras.ops.ones(3), 2 * keras.ops.ones(3)]
    optimizer.apply(gradients, variables)
    norms = {k: s["gradient_norm"] for k, s in plasticity_statistics(optimizer).items()}
    assert norms == pytest.approx({"w": 3**0.5, "w#2": 2 * 3**0.5}, rel=1e-6)


def test_names_that_end_alike_have_a_row_each():
    names = [
        f"m/block_{i}_of_a_transformer_with_attention/query/kernel" for i in range(5)
    ]
    assert len({*_plot.short_names(names)}) == 5


def test_a_page_without_a_step_says_so():
    monitor = PlasticityMonitor()
    model = make_model(NeuroPlastic(gradient_accumulation_steps=50))
    fit(model, callbacks=[monitor])
    with pytest.raises(ValueError, match="`plot` needs a step"):
        monitor.plot()


def test_one_bound_counts_once():
    monitor = PlasticityMonitor()
    model = make_model(NeuroPlastic(min_alpha=1.0, max_alpha=1.0))
    fit(model, callbacks=[monitor])
    assert model.history.history["plasticity_at_bounds"] == [1.0]


def test_a_copied_wrapper_is_watched_before_it_is_built():
    model = fit(make_model(PlasticityModulated("adam")))
    copied = copy.deepcopy(model.optimizer)
    copied.collect_statistics()
    copied.build(model.trainable_variables)
    for mine, theirs in zip(
        copied._activities, model.optimizer._activities, strict=True
    ):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
