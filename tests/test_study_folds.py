"""Few samples of each class: which are trained on, and trials within them."""

import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

import keras

from examples.harness import folds
from examples.harness.run import Run

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [6, 11, 20]))


def test_the_frequent_classes_are_numbered():
    names = np.array(["b", "c", "a", "b", "a", "b"])
    chosen, labels = folds.frequent(names, 2)
    np.testing.assert_array_equal(chosen, [0, 2, 3, 4, 5])
    np.testing.assert_array_equal(labels, [1, 0, 1, 0, 1])


def test_a_split_is_stratified_disjoint_and_fixed_by_the_seed():
    [(chosen, others)] = folds.splits(LABELS, 5, 41, "test")
    np.testing.assert_array_equal(np.bincount(LABELS[chosen]), [5, 5, 5])
    assert sorted([*chosen, *others]) == list(range(len(LABELS)))
    [(again, _)] = folds.splits(LABELS, 5, 41, "test")
    np.testing.assert_array_equal(chosen, again)
    [(other, _)] = folds.splits(LABELS, 5, 42, "test")
    assert {*chosen} != {*other}


def test_trials_hold_out_each_training_sample_once_and_see_no_other():
    [(chosen, _)] = folds.splits(LABELS, 5, 41, "test")
    pairs = folds.splits(LABELS, 5, 41, "validation")
    assert sorted(np.concatenate([held for _, held in pairs])) == sorted(chosen)
    for trained, held in pairs:
        assert sorted([*trained, *held]) == sorted(chosen)
        np.testing.assert_array_equal(np.bincount(LABELS[held]), [1, 1, 1])


def make(tmp_path):
    """A run, its model, and what trains that on one pair."""
    config = {"optimizer": "adam", "learning_rate": 0.1, "epochs": 2, "seed": 1}
    run = Run({**config, "batch_size": 4}, tmp_path)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    optimizer = run.optimizer(run.batches(x, y))
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])

    def fit(chosen, others):
        batches, data = run.batches(x[chosen], y[chosen]), (x[others], y[others])
        options = {"callbacks": run.callbacks(batches), "verbose": 0}
        model.fit(batches, epochs=2, validation_data=data, **options)

    return run, model, fit


def test_each_pair_begins_anew_and_the_means_count(tmp_path):
    first, second = np.arange(8), np.arange(8, 12)
    pairs = [(first, second), (first[::-1], second - 8)]
    alone = []
    for pair in pairs:
        run, model, fit = make(tmp_path)
        folds.train_each(run, model, [pair], fit)
        alone.append(run.metrics)
    run, model, fit = make(tmp_path)
    folds.train_each(run, model, pairs, fit)
    for name in "loss", "val_loss", "val_accuracy":
        expected = np.mean([metrics[name] for metrics in alone], axis=0)
        np.testing.assert_allclose(run.metrics[name], expected, atol=1e-4)


def test_a_diverged_pair_is_a_diverged_trial(tmp_path):
    run, model, _ = make(tmp_path)
    courses = iter([[0.5, 0.4], [None]])

    def fit(*_):
        run.metrics = {"loss": next(courses)}

    folds.train_each(run, model, [(0, 0)] * 3, fit)
    assert run.diverged
