"""Losses that sum over rows: against the mean, by hand, and wherever a loss is reported."""

import numpy as np
import pytest

import fastnn
from fastnn import L2, LBFGS, SGD, Adam, Dense, Network, losses

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + RNG.standard_normal((20, 1))
W = RNG.random(20) + 0.5


def _network(reduction="sum", optimizer=None, penalty=None, loss=losses.MSE, **options):
    layers = [Dense(4, "tanh", kernel_regularizer=penalty), Dense(1)]
    given = {"loss": loss(reduction=reduction), "optimizer": optimizer or SGD(0.001)}
    return Network(layers, **given, dtype="float64", **options)


def _assert_equal(one, two, rtol=1e-12):
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-15)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_it_moves_weights_as_many_times_as_far_as_there_are_rows(backend):
    summed = _network(penalty=L2(0.1), backend=backend)
    mean = _network("mean", SGD(0.005), L2(0.1 / 5), backend=backend)
    for network in (summed, mean):
        network.fit(X, Y, epochs=3, batch_size=5)
    _assert_equal(summed, mean)


def test_a_linear_model_by_hand():
    layers = [Dense(1, use_bias=False, kernel_initializer="zeros")]
    loss = losses.MSE(reduction="sum")
    network = Network(layers, loss=loss, optimizer=SGD(0.001), dtype="float64")
    history = network.fit(X, Y, batch_size=3, shuffle=False, sample_weight=W)
    w, total = np.zeros((3, 1)), 0.0
    for first in range(0, 20, 3):
        x, y, weight = (each[first : first + 3] for each in (X, Y, W[:, None]))
        total += (weight * (x @ w - y) ** 2).sum()
        w = w - 0.001 * x.T @ (2 * weight * (x @ w - y))
    np.testing.assert_allclose(network.get_weights()[0], w, rtol=1e-12)
    assert history.history["loss"][0] == pytest.approx(total, rel=1e-12)


def test_all_that_reports_a_loss_reports_the_sum():
    network = _network(penalty=L2(0.1))
    network.build(3)
    errors = (network.predict(X) - Y)[:, 0] ** 2
    penalty = 0.05 * (network.get_weights()[0] ** 2).sum()
    assert network.evaluate(X, Y) == pytest.approx(errors.sum() + penalty, rel=1e-12)
    assert network.evaluate(X, Y, W) == pytest.approx((W * errors).sum() + penalty, rel=1e-12)
    assert network.evaluate(X, Y, 3 * W) > 2 * network.evaluate(X, Y, W)
    total = network.evaluate(X, Y)
    still = _network(penalty=L2(0.1), optimizer=SGD(1e-300))
    history = still.fit(X, Y, epochs=2, batch_size=6, validation_data=(X[:7], Y[:7])).history
    assert history["loss"] == pytest.approx([total, total], rel=1e-12)
    assert history["val_loss"] == pytest.approx([errors[:7].sum() + penalty] * 2, rel=1e-12)
    still = _network(penalty=L2(0.1), optimizer=SGD(1e-300))
    for _ in range(3):  # from the third call on in one call of compiled code
        assert still.train_on_batch(X, Y) == pytest.approx(total, rel=1e-12)
        assert still.fit(X, Y, batch_size=20).history["loss"] == pytest.approx([total], rel=1e-12)
    history = still.fit(X, Y, epochs=40, batch_size=20, callbacks=[lambda epoch, logs: None])
    assert history.history["loss"] == pytest.approx([total] * 40, rel=1e-12)


def test_lbfgs_ends_where_the_mean_ends():
    pytest.importorskip("scipy")
    summed, mean = (
        Network([Dense(1, kernel_regularizer=L2(strength))], optimizer=LBFGS(), dtype="float64",
                loss=losses.MSE(reduction=reduction))
        for reduction, strength in (("sum", 2.0), ("mean", 0.1))
    )  # fmt: skip
    ends = [each.fit(X, Y, epochs=300).history["loss"][-1] for each in (summed, mean)]
    assert ends[0] == pytest.approx(20 * ends[1], rel=1e-9)
    _assert_equal(summed, mean, 1e-4)


def test_rows_without_weight_are_still_refused():
    with pytest.raises(ValueError, match="is 0 for all rows to train on"):
        _network().fit(X, np.zeros(20), validation_split=0.5, validation_shuffle=False,
                       sample_weight=np.repeat([0.0, 1.0], 10))  # fmt: skip


def test_a_file_has_it_and_the_rest_follows(tmp_path):
    network = _network(optimizer=Adam(0.01))
    network.fit(X, Y)
    network.save(tmp_path / "network")
    loaded = fastnn.load(tmp_path / "network")
    assert loaded.loss == losses.MSE(reduction="sum") != losses.MSE()
    assert loaded.evaluate(X, Y) == network.evaluate(X, Y)
    assert fastnn.check_gradients(network, X, Y)
    many = [_network(seed=seed) for seed in range(2)]
    fastnn.fit_many(many, X, Y, epochs=2)
    alone = _network(seed=1)
    alone.fit(X, Y, epochs=2)
    _assert_equal(many[1], alone, 0)


def test_an_estimator_minimizes_the_same_objective():
    MLPRegressor = pytest.importorskip("fastnn.sklearn").MLPRegressor
    how = {"hidden_layer_sizes": 4, "alpha": 0.1, "batch_size": 20, "max_iter": 5,
           "dtype": "float64", "random_state": 0}  # fmt: skip
    mean = MLPRegressor(solver=SGD(0.02), loss=losses.HalfMSE(), **how)
    summed = MLPRegressor(solver=SGD(0.001), loss=losses.HalfMSE(reduction="sum"), **how)
    with pytest.warns(Warning, match="hasn't converged"):
        one, two = mean.fit(X, Y.ravel()), summed.fit(X, Y.ravel())
    np.testing.assert_allclose(one.predict(X), two.predict(X), rtol=1e-10)
    np.testing.assert_allclose(20 * np.array(one.loss_curve_), two.loss_curve_, rtol=1e-10)
