"""What the studies train on: subsets, wrong labels, batches, and never the test set."""

import os

import numpy as np
import pytest

pytest.importorskip("filelock", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from examples.harness import data


def test_subsets_are_random_nested_and_fixed_by_the_seed():
    small, large = (data.subset(1000, fraction, 41) for fraction in (0.1, 0.25))
    assert len(small) == 100
    assert set(small) < set(large)
    assert len(set(large)) == 250
    np.testing.assert_array_equal(small, data.subset(1000, 0.1, 41))
    assert set(small) != set(data.subset(1000, 0.1, 42))
    np.testing.assert_array_equal(data.subset(1000, 1.0, 41), np.arange(1000))


def test_the_smallest_subset_is_one_example():
    assert len(data.subset(1000, 1e-6, 41)) == 1


@pytest.mark.skipif("TFDS_DATA_DIR" not in os.environ, reason="needs real images")
def test_validation_is_a_part_of_the_training_set():
    whole, test = data.load("fashion_mnist")
    parts = data.load("fashion_mnist", "validation")
    assert [len(y) for _, y in parts] == [54_000, 6_000]
    for held_out, all_of_them in zip(zip(*parts, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(held_out), all_of_them)
    assert (parts[1][0] != test[0][:6_000]).any()  # the comparison can tell them apart


def test_noise_is_exact_symmetric_and_fixed_by_the_seed():
    labels = np.arange(10_000) % 10
    noisy = data.flip_labels(labels, 0.4, 10, 41)
    assert (noisy != labels).sum() == 4000
    # Each other class about as often: 4000 / 9 each, its deviation about 20.
    offsets = np.bincount((noisy - labels) % 10, minlength=10)[1:]
    assert abs(offsets - 4000 / 9).max() < 5 * 20
    np.testing.assert_array_equal(noisy, data.flip_labels(labels, 0.4, 10, 41))
    assert (noisy != data.flip_labels(labels, 0.4, 10, 42)).any()
    np.testing.assert_array_equal(labels, data.flip_labels(labels, 0.0, 10, 41))


def test_batches_cover_each_epoch_once_in_an_order_of_its_own():
    batches = data.Batches(np.arange(50), np.arange(50), 16, seed=41)
    orders = []
    for epoch in (0, 1, 0):
        batches.set_epoch(epoch)
        orders.append(np.concatenate([batches[i][0] for i in range(len(batches))]))
    assert [len(batches[i][0]) for i in range(len(batches))] == [16, 16, 16, 2]
    assert all(set(order) == set(range(50)) for order in orders)
    assert (orders[0] != orders[1]).any()
    np.testing.assert_array_equal(orders[0], orders[2])


def test_a_missing_data_set_gets_one_line(monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs `examples`")

    def refuse(name):
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(tfds, "builder", refuse)
    with pytest.raises(
        SystemExit, match=r"^Cannot load 'mnist'.*TFDS_DATA_DIR"
    ) as stop:
        data.load("mnist", limit=123)
    assert "\n" not in stop.value.code
