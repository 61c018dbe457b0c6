"""Sample and class weights: what a weight of 2 means, for every batch size and every scale."""

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Dense, Network

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
WEIGHT = rng.uniform(0.01, 1, 20) ** 3


def _linear(rate=1e-9, **options):
    layers = [Dense(1, kernel_initializer="zeros")]
    return Network(layers, optimizer=SGD(rate), dtype="float64", **options)


def _gradient(weight):
    """Return the gradient of the weighted mean of the squares, at weights of 0."""
    w = np.ones(20) if weight is None else weight / weight.sum() * 20
    return -2 * (w[:, None] * Y * X).mean(axis=0)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 20])
@pytest.mark.parametrize("weight", [None, WEIGHT, np.eye(20)[3]])
def test_batches_of_any_size_estimate_the_same_weighted_mean(weight, batch_size):
    network = _linear()
    network.fit(X, Y, batch_size=batch_size, sample_weight=weight)
    moved = network.get_weights()[0][:, 0] / -1e-9 / (20 // batch_size)
    np.testing.assert_allclose(moved, _gradient(weight), rtol=1e-6)


def test_rare_rows_may_be_missing_from_a_batch():
    # 1 row in 50 is positive and weighs as much as all others: the best probability is 0.5.
    y = np.zeros((1000, 1))
    y[::50] = 1
    for batch_size, given in [(1, {1: 49.0}), (32, {1: 49.0}), (32, "balanced"), (1000, [1, 49])]:
        layers = [Dense(1, "sigmoid", kernel_initializer="zeros")]
        network = Network(layers, loss="logistic", optimizer=SGD(0.02))
        options = {"epochs": 50, "batch_size": batch_size, "class_weight": given}
        network.fit(np.zeros((1000, 1)), y, **options)
        assert network.predict([[0.0]])[0, 0] == pytest.approx(0.5, abs=0.05)


def test_balanced_classes_have_equal_totals():
    labels = np.array([0, 0, 0, 0, 0, 0, 2, 2, 2, 3])  # none of class 1
    loss = fastnn.losses.get("softmax_cross_entropy")
    weights = loss.class_weights("balanced", labels, 4)
    totals = np.bincount(labels, weights)
    np.testing.assert_allclose(totals, [10 / 3, 0, 10 / 3, 10 / 3])


@pytest.mark.parametrize("factor", [5e-324, 1e-50, 3.0, 1e39, 1e305])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_common_factor_cancels(factor, dtype):
    small = np.array([1.0, 2.0, 3.0, 5.0] * 5)  # exact multiples of the least float64
    found = []
    for weight in (small, small * factor):
        rows = {"sample_weight": weight}
        layers = [Dense(4, "relu"), Dense(1)]
        network = Network(layers, dtype=dtype, metrics=["mae", "r2"], optimizer=SGD(0.1))
        history = network.fit(X, Y, epochs=3, validation_data=(X, Y, weight), **rows)
        values = [history.history[name] for name in ("loss", "mae", "val_loss", "val_mae")]
        values += [network.evaluate(X, Y, **rows), network.train_on_batch(X, Y, **rows)]
        network.partial_fit(X, Y, **rows)
        (logs,) = fastnn.fit_many([network], X, Y, **rows)
        found.append(np.concatenate([np.ravel(v) for v in [*values, logs.history["loss"]]]))
    assert np.isfinite(found[0]).all()
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_weights_are_relative_across_the_whole_range():
    # Only the first row counts: the others' share is below a float32's, and below a float64's.
    weight = np.array([1e300, *[1e-300] * 19])
    network = _linear(rate=0.05)
    network.fit(X, Y, epochs=500, batch_size=20, sample_weight=weight)
    assert network.predict(X[:1])[0, 0] == pytest.approx(Y[0, 0], rel=1e-6)
