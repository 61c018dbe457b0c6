"""Prediction with the noise left on: its mean and spread by hand, its bits and its errors."""

import numpy as np
import pytest

from fastnn import (
    BatchNormalization,
    CosineDecay,
    Dense,
    Dropout,
    Network,
    losses,
)  # fmt: skip

X = np.random.default_rng(0).standard_normal((600, 3))


def _network(layers=None, **options):
    layers = layers or [Dense(8, "tanh"), Dropout(0.5), Dense(2, drop_connect=0.3)]
    network = Network(layers, dtype="float64", **options)
    network.build(3)
    return network


def test_it_is_the_mean_and_spread_of_a_sum_with_terms_dropped():
    """y = sum of 3 x_j dropped with probability 0.4: mean sum x, variance sum x^2 0.4/0.6."""
    network = _network([Dropout(0.4), Dense(1, use_bias=False)])
    network.set_weights([np.ones((3, 1))])
    mean, std = network.predict_mc(X, passes=1000, seed=5)
    wanted = np.sqrt((X**2).sum(axis=1) * 0.4 / 0.6)
    assert np.abs(mean[:, 0] - X.sum(axis=1)).max() < 5 * wanted.max() / np.sqrt(1000)
    np.testing.assert_allclose(std[:, 0], wanted, rtol=0.2)
    one, _ = network.predict_mc(X, passes=2)
    errors = (one[:, 0] - X.sum(axis=1)) / wanted
    assert abs(np.corrcoef(errors[:300], errors[300:])[0, 1]) < 0.2  # rows have their own masks


def test_drop_connect_by_hand():
    network = _network([Dense(1, use_bias=False, drop_connect=0.25)])
    network.set_weights([[[1.0], [2.0], [4.0]]])
    mean, std = network.predict_mc(np.ones((1, 3)), passes=1000)
    assert mean == pytest.approx(7.0, abs=0.45)
    assert std == pytest.approx(np.sqrt(21 * 0.25 / 0.75), rel=0.15)


def test_the_numbers_are_those_of_the_passes():
    network = _network()
    mean, std = network.predict_mc(X[:4], passes=2)
    # Two passes give mean (a + b) / 2 and spread |a - b| / sqrt(2); three add one more.
    a, b = mean + std / np.sqrt(2), mean - std / np.sqrt(2)
    assert not np.allclose(a, b)
    again = network.predict_mc(X[:4], passes=3)[0]
    assert again.shape == (4, 2)
    assert not np.allclose(again, mean)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_seed_gives_the_same_bits_on_any_number_of_threads(backend):
    found = [_network(n_threads=n, backend=backend).predict_mc(X, passes=3, seed=7) for n in (1, 2)]
    assert repr(found[0]) == repr(found[1])
    assert (found[0][0] != _network(backend=backend).predict_mc(X, passes=3, seed=8)[0]).any()


def test_it_changes_nothing_and_normalizes_by_moving_averages():
    network = _network([Dense(4), BatchNormalization(), Dropout(CosineDecay(0.5, 10)), Dense(1)])
    network.fit(X, X[:, 0], epochs=1)
    before, updates = network.get_weights(), network.model.updates
    mean, std = network.predict_mc(X, passes=400)
    for old, new in zip(before, network.get_weights(), strict=True):
        assert old.tobytes() == new.tobytes()
    assert network.model.updates == updates
    assert not std.any()  # the schedule has come to its end: no noise is left
    np.testing.assert_allclose(mean, network.predict(X), rtol=1e-12, atol=1e-14)


def test_probabilities_inputs_and_no_rows():
    layers = [Dense(4, "tanh"), Dropout(0.3), Dense(3, "softmax")]
    network = Network(layers, loss=losses.SoftmaxCrossEntropy(), preprocessing="standardize")
    network.fit(X, np.arange(600) % 3)
    mean, std = network.predict_mc(X[:5].tolist(), passes=10)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean.sum(axis=1), 1, rtol=1e-5)
    assert [each.shape for each in network.predict_mc(X[:0], passes=2)] == [(0, 3), (0, 3)]


REFUSED = [
    (lambda: _network([Dense(1)]).predict_mc(X), "wants a layer with noise"),
    (lambda: _network().predict_mc(X, passes=1), "passes is 1, wanted at least 2"),
    (lambda: _network().predict_mc(X, seed=-1), "seed"),
    (lambda: _network().predict_mc(X[:, :2]), "X has 2 columns"),
    (lambda: Network([Dense(1, drop_connect=0.5)]).predict_mc(X), "call fit or build first"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[each[1] for each in REFUSED])
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
