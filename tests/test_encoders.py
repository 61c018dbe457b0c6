"""Encoders: frames of any kind and mess become the same numbers, and means do not leak."""

import datetime
import json
import re

import numpy as np
import pytest

import fastnn
from fastnn import Dense, Network
from fastnn.preprocessing import Chain, OneHot, Ordinal, TargetMean
from fastnn.training import planning

N = 40
RNG = np.random.default_rng(0)
DATA = {
    "size": [None if i % 7 == 0 else float(i) for i in range(N)],
    "color": [None if i % 9 == 0 else ("red", "green", "blue")[i % 3] for i in range(N)],
    "flag": [bool(i % 2) for i in range(N)],
    "when": [datetime.datetime(2024, 1, 1, 6) + datetime.timedelta(20 * i) for i in range(N)],
    "empty": [None] * N,
    "id": [f"u{i:02}" for i in range(N)],
}
ROWS = [list(row) for row in zip(*DATA.values(), strict=True)]
Y = RNG.standard_normal(N)
NAMES = [
    *("size", "color=blue", "color=green", "color=red", "flag"),
    *(f"when.{part}" for part in ("days", "year", "month", "day", "weekday", "hour")),
    "id",
]


def _frames():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pandas, polars = pd.DataFrame(DATA), pl.DataFrame(DATA)
    codes = polars.with_columns(
        pl.col("size").cast(pl.Float32),
        pl.col("color").cast(pl.Categorical),
        pl.col("when").dt.replace_time_zone("UTC"),
    )
    return [
        pandas,
        pandas.assign(
            size=pandas["size"].astype("Float64"),
            color=pandas.color.astype("category"),
            flag=pandas.flag.astype("boolean"),
            when=pandas.when.dt.tz_localize("UTC"),
            empty=np.nan,
        ),
        polars,
        codes,
        *([polars.to_arrow(), codes.to_arrow()] if _has("pyarrow") else []),
    ]


def _has(library):
    try:
        __import__(library)
    except ModuleNotFoundError:
        return False
    return True


def _pandas():
    return pytest.importorskip("pandas").DataFrame(DATA)


def test_frames_of_all_libraries_and_types_become_the_same_numbers():
    expected = OneHot(max_categories=8).fit(ROWS).transform(ROWS)
    assert expected[1].tolist() == [1, 0, 1, 0, 1, 19743.25, 2024, 1, 21, 6, 6, 1]
    assert np.isnan(expected[0, 0]) and not expected[0, 1:4].any()
    frames = _frames()
    for one in frames:
        encoder = OneHot(max_categories=8).fit(one)
        assert encoder.feature_names_out_ == NAMES and encoder.codes_ == {11: N}
        for other in frames:
            np.testing.assert_array_equal(encoder.transform(other), expected)


@pytest.mark.parametrize("kind", [Ordinal, OneHot])
def test_round_trip(kind):
    encoder = kind().fit(ROWS)
    again = encoder.inverse_transform(encoder.transform(ROWS))
    flags = [[*row[:2], str(row[2]), *row[3:]] for row in ROWS]
    assert again.tolist() == flags
    np.testing.assert_array_equal(encoder.transform(again), encoder.transform(ROWS))
    chain = Chain([OneHot(binary=False), "impute", "robust_scale"]).fit(ROWS)
    np.testing.assert_array_equal(
        chain.inverse_transform(chain.transform(ROWS))[:, [1, 5]], np.array(flags)[:, [1, 5]]
    )


def test_orders_and_numbers_for_categories():
    rows = [[10, "b"], [9.0, "a"], [None, None], [10, "B"]]
    ordinal = Ordinal(categorical_features=[0]).fit(rows)
    assert ordinal.categories_ == [["9", "10"], ["B", "a", "b"]]
    assert ordinal.transform(rows).tolist() == [[1, 2], [0, 1], [-1, -1], [1, 0]]
    assert ordinal.transform([["9", "c"], ["11", None]]).tolist() == [[0, -1], [-1, -1]]
    numbers = Ordinal(categorical_features=[1]).fit(np.array([[0.5, 3], [np.nan, 7]]))
    np.testing.assert_array_equal(numbers.transform([[1, 7], [2, 8.0]]), [[1, 1], [2, -1]])


def test_categories_may_be_anything():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": pd.cut([1, 2, 9], 2), "k": pd.Categorical([2, 10, None])})
    ordinal = Ordinal().fit(frame)
    assert ordinal.transform(frame).tolist() == [[0, 0], [0, 1], [1, -1]]
    assert ordinal.categories_[1] == ["2", "10"]


def test_dates():
    days = [datetime.date(1900, 2, 28), datetime.date(2000, 2, 29), None]
    done = Ordinal().fit_transform([[day] for day in days])
    assert done[:2].tolist() == [[-25509, 1900, 2, 28, 2, 0], [11016, 2000, 2, 29, 1, 0]]
    assert np.isnan(done[2]).all()


@pytest.mark.parametrize("kind", [Ordinal, OneHot, TargetMean])
def test_what_held_nothing_says_nothing_later(kind):
    encoder = kind().fit([[None, 1.0], [np.nan, 2.0]], [1.0, 3.0])
    for value in (5.0, "x", True, None, datetime.date(2020, 1, 1)):
        expected = {Ordinal: [-1, 3], OneHot: [3], TargetMean: [2, 3]}[kind]
        assert encoder.transform([[value, 3.0]]).tolist() == [expected]


def test_many_texts_and_many_rows():
    texts = [[f"text {i % 10_000}", float(i)] for i in range(30_000)]
    ordinal = Ordinal().fit(texts)
    assert ordinal.codes_ == {0: 10_000}
    done = ordinal.transform(texts)
    assert ordinal.transform(texts[-5:]).tobytes() == done[-5:].tobytes()
    assert len(np.unique(done[:, 0])) == 10_000
    means = TargetMean(smooth=0).fit(texts, done[:, 1]).transform(texts)
    np.testing.assert_allclose(means[:10_000, 0], done[:10_000, 1] + 10_000)


def test_means_are_smoothed_and_training_rows_see_none_of_their_own_targets():
    rows, y = [[str(i % 100)] for i in range(200)], RNG.standard_normal(200)
    encoder = TargetMean(smooth=3.0).fit(rows, y)
    own = np.array([y[7] + y[107] + 3 * y.mean()]) / 5
    np.testing.assert_allclose(encoder.transform([["7"], ["unseen"], [None]])[0], own)
    np.testing.assert_allclose(encoder.transform([["unseen"], [None]])[:, 0], y.mean())
    assert np.corrcoef(encoder.transform(rows)[:, 0], y)[0, 1] > 0.5
    crossed = encoder.fit_transform(rows, y)
    changed = y.copy()
    changed[7] += 1e6
    moved = encoder.fit_transform(rows, changed)[:, 0] - crossed[:, 0]
    assert moved[7] == 0 and np.count_nonzero(moved) >= 150
    assert abs(np.corrcoef(crossed[:, 0], y)[0, 1]) < 0.3  # noise predicts nothing
    assert TargetMean().fit_transform([["a"]], [3.0]).tolist() == [[3.0]]


def test_scikit_learn_agrees():
    sklearn = pytest.importorskip("sklearn.preprocessing")
    rows = np.array([["a"], ["b"], ["a"], ["c"], ["c"]], object)
    y = np.array([1.0, 2, 4, 0, 7])
    theirs = sklearn.TargetEncoder(target_type="continuous", smooth=2.0).fit(rows, y)
    np.testing.assert_allclose(
        TargetMean(smooth=2.0).fit(rows, y).transform(rows), theirs.transform(rows)
    )
    theirs = sklearn.OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(rows)
    later = [["a"], ["d"]]
    assert OneHot().fit(rows).transform(later).tolist() == theirs.transform(later).tolist()


@pytest.mark.parametrize("encoder", [Ordinal(), OneHot(max_categories=3), TargetMean(smooth=1)])
def test_a_network_takes_frames_and_keeps_the_encoder(encoder, tmp_path):
    frame = _pandas()
    labels = np.arange(N) % 3
    network = Network(
        [Dense(5, "relu"), Dense(3, "softmax")],
        loss="softmax_cross_entropy",
        preprocessing=[encoder, "robust_scale", "impute"],
    )
    network.fit(frame, labels, validation_split=0.2)
    plan = planning.make_plan(network.model, frame, labels, validation_split=0.2)
    kept = planning.adapt(network.model, plan).data.rows
    chain = Chain(network.preprocessing.steps).fit(frame.iloc[kept], np.eye(3)[labels[kept]])
    later = frame.assign(color="violet", size=np.nan)
    expected = network.predict(later)
    np.testing.assert_array_equal(network.preprocessing.transform(later), chain.transform(later))
    network.save(tmp_path / "net")
    loaded = fastnn.load(tmp_path / "net")
    assert loaded.predict(later).tobytes() == expected.tobytes()
    first = loaded.preprocessing.steps_[0]
    assert first.feature_names_out_ == network.preprocessing.steps_[0].feature_names_out_
    assert first.feature_names_out_[0] == "size" and first.categories_[1][0] == "blue"
    assert first.to_config() == json.loads(json.dumps(first.to_config()))
    if not isinstance(encoder, TargetMean):  # which needs y
        assert len(fastnn.check_units(network.clone(), frame)) == 1
    one_row = network.evaluate(frame[:1], labels[:1])
    assert np.isfinite(one_row) and fastnn.diagnose(network, frame, labels)


def test_continued_training_does_not_leak_either():
    rows, y = [[str(i)] for i in range(64)], RNG.standard_normal(64)
    network = Network([Dense(1)], preprocessing="target_mean", optimizer=fastnn.SGD(0.1))
    for _ in range(2):
        network.fit(rows, y, epochs=20)
    assert network.evaluate(rows[:32], y[:32]) > 0.5 * y.var()


@pytest.mark.parametrize("name", ["kinds_", "counts_", "lengths_", "texts_", "prior_", "means_"])
def test_a_damaged_encoder_is_refused(name):
    encoder = TargetMean().fit(ROWS, Y)
    state = {key: array.copy() for key, array in encoder.state().items()}
    again = TargetMean()
    again.restore(state)
    np.testing.assert_array_equal(again.transform(ROWS), encoder.transform(ROWS))
    wrong = {"f": np.nan, "i": -1, "u": 255}[state[name].dtype.kind]
    whole = np.full_like(state[name], wrong)
    for damaged in (state[name][:-1], state[name].astype(np.float32), whole):
        fresh = TargetMean()
        with pytest.raises(ValueError):
            fresh.restore(state | {name: damaged})
        assert not fresh.fitted


MESS = {
    "a text for a number": ({"size": "x"}, TypeError, "X['size'] held numbers in training; now it"
                            " has 'x' (str) at row 0"),
    "a number for a text": ({"color": 3.0}, TypeError, "X['color'] held texts such as 'blue', 'gre"
                            "en', 'red' in training; now it has 3.0 (float) at row 0"),
    "a number for a date": ({"when": 1.0}, TypeError, "X['when'] held dates in training; now it"),
    "infinity": ({"size": -np.inf}, ValueError, "X['size'] has -inf at row 0, wanted finite"),
    "a list": ({"id": [[1]] * N}, TypeError, "X['id'] has [1] (list), wanted numbers, texts, bo"),
    "complex": ({"size": 1j}, TypeError, "X['size'] has dtype complex128, wanted numbers, texts"),
    "one more": ({"more": 1}, ValueError, "X has the column 'more' that training had not"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "error", "message"), MESS.values(), ids=MESS)
def test_a_frame_that_changed_gets_one_clear_error(changes, error, message):
    frame = _pandas()
    encoder = Ordinal().fit(frame)
    with pytest.raises(error, match="^" + re.escape(message)):
        encoder.transform(frame.assign(**changes))


def test_columns_by_name():
    frame, pd = _pandas(), pytest.importorskip("pandas")
    encoder = Ordinal(categorical_features=["size"]).fit(frame)
    assert encoder.categories_[0][:2] == ["1", "2"]
    with pytest.raises(ValueError, match="X has column 'id' at position 0, where training had 'si"):
        encoder.transform(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="X lacks the column 'id' of training"):
        encoder.transform(frame.drop(columns="id"))
    with pytest.raises(ValueError, match="X has two columns 'id', wanted a different name for"):
        encoder.fit(pd.concat([frame, frame[["id"]]], axis=1))
    assert encoder.transform(frame[:0]).shape == (0, encoder.n_features_out_)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda: Ordinal().fit(np.eye(2)[:0]), "X has no rows"),
        (ValueError, lambda: Ordinal().fit([["a"], ["b", "c"]]), "X has rows of different lengths"),
        (ValueError, lambda: Ordinal().fit(["a", "b"]), "X has shape (2,), wanted 2-D"),
        (ValueError, lambda: Ordinal().fit([["a", np.inf]]), "X column 1 has inf at row 0, wanted"),
        (
            ValueError,
            lambda: Ordinal().fit(np.eye(2)).transform([["a"]]),
            "X has 1 columns, wanted 2 (Ordinal was fitted on 2)",
        ),
        (
            ValueError,
            lambda: Ordinal(categorical_features=[2]).fit(np.eye(2)),
            "categorical_features has 2, wanted at most 1",
        ),
        (
            ValueError,
            lambda: Ordinal(categorical_features=["a"]).fit(np.eye(2)),
            "categorical_features has 'a', wanted columns of X: ",
        ),
        (TypeError, lambda: Ordinal(categorical_features="a"), "categorical_features is 'a', want"),
        (ValueError, lambda: Ordinal(categorical_features=[1, 1]), "categorical_features has a co"),
        (TypeError, lambda: TargetMean().fit([["a"]]), "TargetMean learns from y: call fit(X, y)"),
        (ValueError, lambda: TargetMean().fit([["a"]], [1, 2]), "y has 2 rows, wanted 1"),
        (
            ValueError,
            lambda: TargetMean().fit([["a"], ["b"]], [1.7e308, 1.7e308]),
            "y has numbers too large for the mean",
        ),
        (ValueError, lambda: TargetMean(folds=1), "folds is 1, wanted at least 2"),
        (
            TypeError,
            lambda: TargetMean().fit([["a"]], [1]).inverse_transform([[1]]),
            "TargetMean has no inverse_transform",
        ),
        (
            ValueError,
            lambda: Chain(["ordinal", "standardize"]).fit([[None, "a"], [1.0, "b"]]),
            "X has nan at row 0, column 0, wanted finite numbers",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
