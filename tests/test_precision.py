"""Columns beside their rounding: nearly constant ones, and digits that the network's type lacks."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Dense, Network
from fastnn.inputs.precision import is_constant, warn_of_lost_digits
from fastnn.metrics import r2
from fastnn.preprocessing import BinnedTarget, Center, Chain, MinMax, Standardize

RNG = np.random.default_rng(0)
NEARLY_CONSTANT = [
    ([0.3, 0.1 + 0.2], "float64"),
    ([0.7 + 0.1, 0.8], "float64"),
    ([-0.3, -0.1 - 0.2], "float64"),
    ([1e-20, 1e-20 * (1 + 1e-15)], "float64"),
    ([1e150, 1e150 * (1 + 1e-15)], "float64"),
    ([1.0, sum([0.1] * 10)], "float64"),
    ([0.3, 0.3 + 1e-7], "float32"),
    ([1e6, 1e6 + 0.5], "float32"),
]
SPREAD = [
    ([1e-20, 2e-20], "float64"),
    ([1e-150, 3e-150], "float64"),
    ([0.3, 0.3 + 1e-7], "float64"),
    ([1.7e9, 1.7e9 + 1e-3], "float64"),
    ([-1e20, 1e20], "float64"),
    ([0.0, 1e-30], "float32"),
    ([1e6, 1e6 + 1], "float32"),
    ([10**15, 10**15 + 1], "int64"),
    ([2**24, 2**24 + 1], "int32"),
    ([254, 255], "uint8"),
]


class Same:
    """Another library's transformer, which returns the rows that it was given."""

    def fit(self, rows):
        return self

    def transform(self, rows):
        return rows


def _column(pair, dtype="float64"):
    return np.array(pair * 50, dtype)[:, None]


@pytest.mark.parametrize(("pair", "dtype"), NEARLY_CONSTANT)
def test_rounding_is_no_spread(pair, dtype):
    rows = _column(pair, dtype)
    kept, size, new = rows.copy(), np.abs(rows).max(), rows[:1] * np.array(1.1, dtype)
    assert is_constant(rows.min(), rows.max(), rows.dtype)
    for transformer in (
        Standardize(),
        MinMax(),
        Chain(["standardize", "min_max"]),
        Chain(["center", "standardize"]),
        Chain([Center(per_feature=False), "center", "min_max"]),
        Chain(["pca", "standardize"]),
        Chain([Same(), "min_max"]),
    ):
        assert np.abs(transformer.fit_transform(rows)).max() <= 1e-6 * size, transformer
        moved = np.abs(transformer.transform(new))
        np.testing.assert_allclose(moved, 0.1 * size, rtol=1e-5, err_msg=repr(transformer))
    assert rows.tobytes() == kept.tobytes()


@pytest.mark.parametrize(("pair", "dtype"), SPREAD)
def test_a_small_spread_is_a_spread(pair, dtype):
    rows = _column(pair, dtype)
    assert not is_constant(rows.min(), rows.max(), rows.dtype)
    for transformer in (Standardize(), MinMax(), Chain(["center", "standardize"])):
        done = transformer.fit_transform(rows)
        np.testing.assert_allclose(done, _column([-1, 1]), rtol=1e-6, err_msg=repr(transformer))


def test_directions_in_which_rows_do_not_vary_stay_small():
    a, b = RNG.standard_normal((2, 100))
    rows = np.stack([a, 2 * a + 5, b, 3 * b - a], axis=1) * [1, 1, 1e-3, 1e3] + 1e4
    chain = Chain(["standardize", "pca", "standardize"]).fit(rows)
    np.testing.assert_allclose(chain.transform(rows)[:, :2].std(axis=0), 1, rtol=1e-9)
    assert np.abs(chain.transform(rows + RNG.standard_normal(rows.shape))).max() < 1e5
    # A small spread beside a large one is still one.
    rows = np.stack([1e10 * a, b], axis=1)
    done = Chain(["pca", "standardize"]).fit_transform(rows)
    np.testing.assert_allclose(done.std(axis=0), 1, rtol=1e-9)


def test_a_nearly_constant_target():
    y = _column([0.3, 0.1 + 0.2])
    assert (r2(y, y), r2(y, y[::-1]), r2(y, y + 0.01)) == (1, 1, 0)
    with pytest.raises(ValueError, match="^y is 0.3 everywhere, wanted at least two different"):
        BinnedTarget().fit(y)
    assert BinnedTarget().fit(_column([1e-20, 2e-20])).n_bins_ == 2
    network = Network([Dense(1)])
    for x, target, cause in (
        (y + 1, y, "constant_inputs"),
        (RNG.random((100, 1)), y, "constant_t"),
    ):
        assert fastnn.diagnose(network, x, target).findings[0].cause.startswith(cause)


def test_tables():
    pl = pytest.importorskip("polars")
    tables = pytest.importorskip("fastnn.tables")
    noisy, small = [0.3, 0.1 + 0.2] * 50, [1e-20, 2e-20] * 50
    frame = pl.DataFrame({"noisy": noisy, "small": small, "y": noisy})
    frame = frame.with_columns(single=pl.Series([0.3, 0.3 + 1e-7] * 50, dtype=pl.Float32))
    encoder = tables.TableEncoder.fit(frame, "y")
    inputs = encoder.encode(frame)
    assert encoder.scale == 1 and np.abs(inputs[:, [0, 2]]).max() < 1e-6
    np.testing.assert_allclose(np.abs(inputs[:, 1]), 1, rtol=1e-6)


N = np.arange(1000)
LOST = {
    "seconds": (1.7e9 + N, "float32"),
    "seconds, integers": (1_700_000_000 + N, "float32"),
    "milliseconds": (1_700_000_000_000 + N, "float32"),
    "ids": (2**24 + N % 2, "float32"),
    "ids, int32": ((2**24 + N % 2).astype(np.int32), "float32"),
    "negative ids": (-(2**24) - N % 2, "float32"),
    "noise at 1e6": (1e6 + RNG.standard_normal(1000), "float32"),
    "constant at first": (1.7e9 + np.maximum(N - 500, 0), "float32"),
    "ids, int64": (2**53 + N % 2, "float64"),
    "ids, uint64": (np.uint64(2**63) + N.astype(np.uint64), "float64"),
}
HELD = {
    "seconds in a year": (1.7e9 + N * 3e4, "float32"),
    "years": (2000 + N % 25, "float32"),
    "two years": (2023.0 + N % 2, "float32"),
    "ids that float32 holds": (2.0**24 - 2 + N % 2, "float32"),
    "even ids": (2**24 + 2 * N, "float32"),
    "noise at 1e3": (1e3 + RNG.standard_normal(1000), "float32"),
    "constant": (np.full(1000, 1.7e9 + 0.1), "float32"),
    "nearly constant": (np.array([0.3, 0.1 + 0.2] * 500), "float32"),
    "no longer small": (np.where(N > 500, 1.7e9, 0), "float32"),
    "float32": ((1.7e9 + N).astype(np.float32), "float32"),
    "seconds in float64": (1.7e9 + N, "float64"),
    "ids in float64": (2**53 - 2 + N % 2, "float64"),
    "extremes": (np.array([-(2**63), 2**63 - 1] * 500), "float64"),
}


def _warnings(column, dtype):
    rows = np.stack([column % 7, column], axis=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with np.errstate(all="raise"):
            warn_of_lost_digits(rows, rows, "X", dtype, stacklevel=1)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("name", LOST)
def test_lost_digits_are_said(name):
    (message,) = _warnings(*LOST[name])
    assert message.startswith("X column 1 has numbers near ")


@pytest.mark.parametrize("name", HELD)
def test_what_the_type_holds_is_not(name):
    assert _warnings(*HELD[name]) == []


SECONDS = (1.7e9 + N)[:, None]
Y = (SECONDS - SECONDS.mean()) / SECONDS.std()


def _network(**options):
    return Network([Dense(1)], **options)


TRAIN = {
    "fit": lambda network, x, y: network.fit(x, y),
    "partial_fit": lambda network, x, y: network.partial_fit(x, y),
    "train_on_batch": lambda network, x, y: network.train_on_batch(x, y),
    "fit_many": lambda network, x, y: fastnn.fit_many([network], x, y),
}


@pytest.mark.parametrize("train", TRAIN.values(), ids=TRAIN)
def test_training_says_so_before_anything_changes(train):
    network = _network()
    message = (
        r"^{} column 0 has numbers near 1\.7e\+09 that differ by at most 1e\+03, and float32 moves "
        r"them by up to 6e\+01: subtract a constant first, or use dtype='float64'{}$"
    )
    scaled = " or preprocessing='standardize', which computes in float64"
    with pytest.raises(UserWarning, match=message.format("X", scaled)):
        train(network, SECONDS, Y)
    with pytest.raises(UserWarning, match=message.format("y", "")):
        train(network, Y, SECONDS)
    assert not network.built
    train(_network(preprocessing="standardize"), SECONDS, Y)
    train(_network(dtype="float64", optimizer=SGD(1e-20)), SECONDS, Y)


def test_where_it_is_said():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": Y[:, 0], "when": SECONDS[:, 0]})
    network = _network(optimizer=SGD(1e-20))
    with pytest.warns(UserWarning, match=r"^X column 1 \('when'\) has numbers near") as caught:
        network.fit(frame, Y)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"^X column 1 \('when'\) has numbers near") as caught:
        fastnn.fit_many([network], frame, Y)
    assert caught[0].filename == __file__
    layers = Network([Dense(2, "tanh"), Dense(1)])
    with pytest.raises(UserWarning, match=r"^X column 1 \('when'\) has numbers near"):
        fastnn.pretrain(layers, frame)
    with pytest.warns(UserWarning, match=r"^X column 1 \('when'\) has numbers near") as caught:
        fastnn.initialize_from_data(network, frame)
    assert caught[0].filename == __file__
    assert not layers.built


def test_preprocessing_comes_before_the_networks_type():
    network = _network(preprocessing="standardize")
    for rows in (SECONDS, SECONDS.astype(np.int64), SECONDS * 1e40, SECONDS[::-1] * -1e-60):
        network = _network(preprocessing="standardize", optimizer=SGD(0.1))
        network.fit(rows, Y, epochs=5)
        predicted = network.predict(rows)
        np.testing.assert_allclose(predicted, Y, atol=1e-3)
        assert network.evaluate(rows, Y) < 1e-6
        assert network.predict(rows[7:8]).tobytes() == predicted[7:8].tobytes()
        assert network.layer_outputs(rows)[-1].tobytes() == predicted.tobytes()
    bare, scaled = _network(), _network(preprocessing="standardize")
    with pytest.raises(ValueError, match="^X has .* wanted numbers that float32 can hold"):
        fastnn.fit_many([scaled, bare], SECONDS * 1e40, Y)
