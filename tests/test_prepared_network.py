"""A network with preprocessing, partial_fit and train_on_batch."""

import re

import numpy as np
import pytest

import fastnn
from fastnn import L2, SGD, Adam, Dense, Network
from fastnn.preprocessing import PCA, Chain, MinMax, Standardize, Whiten

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4)) * [1, 10, 100, 1000] + [0, 5, 50, 1e4]
Y = X[:, 3:] / 1000 - X[:, :1]


def _network(preprocessing=None, **options):
    options = {"optimizer": Adam(0.01), "dtype": "float64"} | options
    return Network([Dense(5, "tanh"), Dense(1)], preprocessing=preprocessing, **options)


def _same(one, two):
    return all(
        a.tobytes() == b.tobytes()
        for a, b in zip(one.get_weights(), two.get_weights(), strict=True)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "steps", [["standardize"], [Standardize(), PCA(3)], [Whiten()], [MinMax(), Whiten(2, eps=0.1)]]
)
def test_the_network_does_what_was_done_by_hand(steps, dtype, tmp_path):
    network = _network(steps, dtype=dtype)
    options = {"validation_split": 0.2, "validation_shuffle": False}
    history = network.fit(X, Y, epochs=3, batch_size=8, **options)
    chain = Chain(steps).fit(X[:40])  # only the training rows
    hand = _network(dtype=dtype)
    inputs = chain.transform(X, dtype=dtype)
    expected = hand.fit(inputs, Y, epochs=3, batch_size=8, **options)
    assert history.history == expected.history and _same(network, hand)
    assert network.predict(X).tobytes() == hand.predict(inputs).tobytes()
    assert network.predict(X[7:9]).tobytes() == hand.predict(inputs)[7:9].tobytes()
    assert network.evaluate(X, Y) == hand.evaluate(inputs, Y)
    network.save(tmp_path / "net")
    loaded = fastnn.load(tmp_path / "net")
    assert repr(loaded.preprocessing) == repr(network.preprocessing)
    assert loaded.predict(X).tobytes() == network.predict(X).tobytes()
    # Continuing, even with other rows, does not change what was learned about the inputs.
    for each in (network, loaded):
        each.fit(X[20:], Y[20:], epochs=2)
    hand.fit(inputs[20:], Y[20:], epochs=2)
    assert _same(network, hand) and _same(loaded, hand)


def test_missing_values_need_a_step_that_takes_them(tmp_path):
    rows = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
    network = _network(["robust_scale", "impute"])
    network.fit(rows, Y, validation_data=(rows, Y))
    network.save(tmp_path / "net")
    assert fastnn.load(tmp_path / "net").predict(rows).tobytes() == network.predict(rows).tobytes()
    for steps in (None, "standardize", ["robust_scale"]):
        with pytest.raises(ValueError, match="X has nan at row .*, wanted finite numbers"):
            _network(steps).fit(rows, Y)


def test_validation_data_are_transformed_and_not_learned_from():
    network = _network("standardize")
    history = network.fit(X[:30], Y[:30], validation_data=(X[30:], Y[30:]))
    np.testing.assert_array_equal(network.preprocessing.steps_[0].mean_, X[:30].mean(axis=0))
    assert history.history["val_loss"] == [network.evaluate(X[30:], Y[30:])]


def test_memory_maps_lists_and_what_was_given_stay_as_they_were(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    scaler = Standardize()
    networks = [_network(scaler, dtype="float32") for _ in range(3)]
    for network, rows in zip(networks, (mapped, np.array(mapped), mapped.tolist()), strict=True):
        network.fit(rows, Y)
    assert _same(networks[0], networks[1]) and _same(networks[0], networks[2])
    assert not scaler.fitted


def test_a_chain_may_be_fitted_by_hand():
    network = _network(["standardize"])
    network.preprocessing.fit(X * 2)
    network.build(4)
    assert network.predict(X).shape == (50, 1)
    network.fit(X, Y)
    np.testing.assert_allclose(network.preprocessing.steps_[0].mean_, 2 * X.mean(axis=0))


def test_a_saved_network_that_was_never_fitted(tmp_path):
    network = _network([PCA(2)])
    network.build(2)
    network.save(tmp_path / "net")
    loaded = fastnn.load(tmp_path / "net")
    assert not loaded.preprocessing.fitted
    for each in (network, loaded):
        each.fit(X, Y)
    assert _same(network, loaded)


def test_scikit_learn_in_its_place(tmp_path):
    sklearn = pytest.importorskip("sklearn.preprocessing")
    network, ours = _network([sklearn.StandardScaler()]), _network([Standardize()])
    for each in (network, ours):
        each.fit(X, Y, epochs=2)
    np.testing.assert_allclose(network.predict(X), ours.predict(X), rtol=1e-9)
    message = "preprocessing has a StandardScaler, which only pickle could store, and reading a"
    with pytest.raises(TypeError, match=message):
        network.save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda n: n.predict(X[:, :3]), "X has 3 columns, wanted 4"),
        (ValueError, lambda n: n.evaluate(X[:, :3], Y), "X has 3 columns, wanted 4"),
        (ValueError, lambda n: n.fit(X[:, :3], Y), "X has 3 columns, wanted 4"),
        (
            ValueError,
            lambda n: n.fit(X, Y, validation_data=(X[:, :2], Y)),
            "validation X has 2 columns, wanted 4",
        ),
        (ValueError, lambda n: n.predict(X * np.nan), "X has nan at row 0, column 0"),
        (ValueError, lambda n: n.predict(X + 1e38), "transformed X has inf at row 0, column 0"),
    ],
)
def test_errors_of_a_fitted_network(error, call, message):
    network = _network(["standardize"], dtype="float32")
    small = X * 1e-3
    network.fit(small, Y)
    before = network.get_weights()
    with pytest.raises(error, match="^" + re.escape(message)):
        call(network)
    assert all(map(np.array_equal, before, network.get_weights())) and network.epochs_done == 1


@pytest.mark.parametrize(
    ("error", "fit", "message"),
    [
        (ValueError, {"y": np.hstack([Y, Y])}, "y has shape (50, 2), wanted"),
        (ValueError, {"X": X[:2], "y": Y[:2]}, "n_components is 3, wanted at most 2"),
        (ValueError, {"validation_data": (X[:, :3], Y)}, "validation X has 3 columns, wanted 4"),
        (TypeError, {"callbacks": [3]}, "callbacks has 3"),
    ],
)
def test_a_failed_first_fit_learns_nothing(error, fit, message):
    network = _network([PCA(3)])
    with pytest.raises(error, match="^" + re.escape(message)):
        network.fit(**({"X": X, "y": Y} | fit))
    assert not network.preprocessing.fitted and not network.built
    network.build(2)
    with pytest.raises(ValueError, match="n_inputs is 3, but the network is built for 2 inputs"):
        network.fit(X, Y)
    assert not network.preprocessing.fitted
    with pytest.raises(ValueError, match="Chain is not fitted: call fit before transform"):
        network.predict(X)


def test_partial_fit_with_an_optimizer_for_full_batches():
    network = Network([Dense(1)], optimizer="gd").partial_fit(X, Y)
    assert network.epochs_done == 1


def test_partial_fit_is_an_epoch_of_its_rows():
    one, two = _network("standardize"), _network("standardize")
    for part in (slice(0, 30), slice(30, 50)):
        weight = np.linspace(1, 2, 50)[part]
        assert one.partial_fit(X[part], Y[part], weight, batch_size=8) is one
        two.fit(X[part], Y[part], sample_weight=weight, batch_size=8)
    assert _same(one, two) and one.epochs_done == 2


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9), Adam(0.01)], ids=repr)
def test_batches_by_hand_are_an_epoch(optimizer):
    def network():
        layers = [Dense(5, "tanh", kernel_regularizer=L2(0.1)), Dense(1)]
        return Network(layers, optimizer=optimizer, dtype="float64", preprocessing="standardize")

    one, two = network(), network()
    one.preprocessing.fit(X)
    for _ in range(2):
        for start in range(0, 50, 20):
            part = slice(start, start + 20)
            if one.built:
                expected = one.evaluate(X[part], Y[part])
                assert one.train_on_batch(X[part], Y[part]) == pytest.approx(expected, rel=1e-12)
            else:
                one.train_on_batch(X[part], Y[part])
    two.fit(X, Y, epochs=2, batch_size=20, shuffle=False)
    assert _same(one, two)
    assert (one.epochs_done, two.epochs_done) == (0, 2)
    assert one.model.updates == two.model.updates == 6


def test_train_on_batch_stops_before_an_update_that_is_not_finite():
    network = Network([Dense(1)], optimizer=SGD(1e30))
    x, y = np.full((3, 1), 1e15), np.full((3, 1), 1e15)
    network.build(1)
    before = network.get_weights()
    with pytest.raises(FloatingPointError, match="in epoch 0 made the kernel of layer 0"):
        network.train_on_batch(x, y)
    assert all(map(np.array_equal, before, network.get_weights())) and network.epochs_done == 0
    with pytest.raises(ValueError, match="X has 2 columns, wanted 1"):
        network.train_on_batch(np.ones((3, 2)), y)
