"""Messy targets, weights and values: the right thing or one clear error."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from fastnn.inputs.mixed import as_columns
from fastnn.preprocessing import Ordinal, RobustScale
from fastnn.tabular import Recipe, TabularClassifier, TabularRegressor, permutation_importance
from fastnn.tabular.labels import as_labels

QUICK = Recipe(hidden=(8,), epochs=30, batch_size=32, folds=3)
N = 60
X = np.random.default_rng(0).normal(size=(N, 2))
Y = X[:, 0]


def cycle(*values):
    """Return N of these values in turn."""
    return [values[place % len(values)] for place in range(N)]


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor(QUICK).fit(X, Y)


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier(QUICK).fit(X, np.where(Y > 0, "p", "q"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b", None], "y has None at row 2, wanted labels"),
        (np.array(["a", "b", np.nan], object), "y has nan at row 2, wanted labels"),
        (np.array(["2026-01-01", "NaT"], "M8[D]"), "y has NaT at row 1, wanted labels"),
        ([1.0, np.inf], "y has inf at row 1, wanted labels"),
        ([1, "a"], r"y has 1 \(int\) at row 0 and 'a' \(str\) at row 1, wanted .* one type"),
        (np.array([True, 2], object), r"y has True \(bool\) at row 0 and 2 \(int\) at row 1"),
        (np.array([1, 2.5], object), "y has 2.5 at row 1, which is continuous"),
        ([Decimal("1.5"), 2], "y has 1.5 at row 0, which is continuous"),
        (np.array([[0], {1}, ()], object), r"y has \[0\] \(list\) at row 0, wanted labels"),
        ([1j, 2j], "y has dtype complex128, wanted labels"),
        (np.ma.masked_equal([1, 2], 2), "y is a masked array"),
    ],
)
def test_what_is_no_label(y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        as_labels(y)


def test_labels_of_libraries():
    pd = pytest.importorskip("pandas")
    for dtype in ("category", "string", object):
        assert as_labels(pd.Series(["a", "b"], dtype=dtype)).tolist() == ["a", "b"]
    assert as_labels(pd.Series([1, 2], dtype="Int64")).tolist() == [1, 2]
    with pytest.raises(ValueError, match="y has <NA> at row 1, wanted labels"):
        as_labels(pd.Series([True, None], dtype="boolean"))


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e-310])
def test_targets_whose_squares_float64_cannot_hold(size):
    with pytest.raises(ValueError, match="y has numbers from .* to .*: scale y"):
        TabularRegressor(QUICK).fit(X, Y * size)


def test_targets_of_any_other_size(regressor):
    score = regressor.oof_score_
    for y in (Y * 1e140, Y * 1e-140, Y + 1e9, [Decimal(repr(each)) for each in Y.tolist()]):
        assert TabularRegressor(QUICK).fit(X, y).oof_score_ == pytest.approx(score, abs=0.01)
    constant = TabularRegressor(QUICK).fit(X, np.full(N, 1e300))
    assert (constant.predict(X) == 1e300).all()


def test_an_outlier_among_targets_is_no_reason_to_warn():
    TabularRegressor(QUICK).fit(X, np.where(np.arange(N) > 0, Y, 1e7))


@pytest.mark.parametrize("kind", [TabularRegressor, TabularClassifier])
def test_rows_of_weight_0_are_left_out(kind):
    y = Y if kind is TabularRegressor else Y > 0
    kept = np.arange(N) % 4 > 0
    dirty, wrong = X.copy(), np.where(kept, y, y[::-1])
    dirty[~kept] = 1e9
    weighted = kind(QUICK).fit(dirty, wrong, kept * 2.0)
    plain = kind(QUICK).fit(X[kept], y[kept], np.ones(kept.sum()))
    assert weighted.predict(X).tolist() == plain.predict(X).tolist()
    assert weighted.oof_score_ == plain.oof_score_


def test_the_least_weights_are_weights():
    one, two = (TabularRegressor(QUICK).fit(X, Y, np.full(N, w)) for w in (1.0, 5e-324))
    assert two.oof_score_ == one.oof_score_


def test_too_few_rows_or_classes_of_weight_above_0():
    with pytest.raises(ValueError, match="X has 1 sample with sample_weight above 0"):
        TabularRegressor(QUICK).fit(X, Y, np.eye(N)[0])
    with pytest.raises(ValueError, match="only one class in rows of sample_weight above 0, True"):
        TabularClassifier(QUICK).fit(X, Y > 0, (Y > 0) * 1.0)


def test_scores_refuse_other_rows_and_bad_weights(regressor, classifier):
    for model, y in ((regressor, Y), (classifier, cycle("p", "q"))):
        for tell in (model.score, model.errors, lambda *a, m=model: permutation_importance(m, *a)):
            with pytest.raises(ValueError, match="y has 59 rows, but X has 60"):
                tell(X, y[:-1])
        for weight, message in ((np.ones(3), "3 rows, wanted 60"), (np.zeros(N), "is all zero")):
            for tell in (model.score, model.errors):
                with pytest.raises(ValueError, match=f"sample_weight .*{message}"):
                    tell(X, y, weight)


def test_a_frame_of_other_columns_is_told_their_names(regressor):
    pd = pytest.importorskip("pandas")
    model = TabularRegressor(QUICK).fit(pd.DataFrame(X, columns=["a", "b"]), Y)
    with pytest.raises(ValueError, match="X lacks the column 'b' of training"):
        model.predict(pd.DataFrame({"a": Y}))
    with pytest.raises(ValueError, match="X has the column 'c' that training had not"):
        model.predict(pd.DataFrame({"a": Y, "b": Y, "c": Y}))
    for fitted in (model, regressor):
        with pytest.raises(ValueError, match=r"X has shape \(60,\), wanted 2-D"):
            fitted.predict(pd.Series(Y))


@pytest.mark.parametrize("rows", [None, "abc", {"a": [1.0]}, 3])
def test_what_is_no_table(rows):
    with pytest.raises(TypeError, match="X is .*, wanted a frame, an array or rows of values"):
        TabularRegressor(QUICK).fit(rows, Y)


def test_tables_without_rows_or_values():
    with pytest.raises(ValueError, match="X has no values"):
        TabularRegressor(QUICK).fit(np.full((N, 2), np.nan), Y)
    with pytest.raises(ValueError, match=r"X has shape \(0,\)"):
        TabularRegressor(QUICK).fit([], [])


def test_values_far_outside_those_of_training():
    scale = RobustScale().fit([[1e-300], [2e-300], [3e-300]])
    assert scale.transform([[1e10], [-1e10], [np.nan]])[:2].tolist() == [[3.0], [-3.0]]


def test_categories_that_float64_merges():
    ids = np.array([[2**60], [2**60 + 1]])
    with pytest.raises(ValueError, match="X column 0 has categories of 9007199254740992 and more"):
        Ordinal(categorical_features=[0]).fit(ids)
    ordinal = Ordinal(categorical_features=[0]).fit(np.array([[1], [2]]))
    assert ordinal.transform(ids).tolist() == [[-1], [-1]]


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        (np.array([["2026-01-02"], ["NaT"]], "M8[D]"), ["2026-01-02T00:00:00.000000", "NaT"]),
        (np.array([[36], [12]], "m8[h]"), [1.5, 0.5]),
        ([[dt.timedelta(days=2)], [None]], [2.0, np.nan]),
        ([[np.timedelta64(12, "h")], [np.timedelta64("NaT")]], [0.5, np.nan]),
        ([[Decimal("sNaN")], [Decimal(2)]], [np.nan, 2.0]),
    ],
)
def test_times_and_decimals(rows, values):
    (column,) = as_columns(rows).values
    assert column.dtype.kind in "fM"
    assert list(map(str, column)) == list(map(str, values))


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_numbers_that_float64_cannot_hold(value):
    with pytest.raises(ValueError, match="X column 0 has -?inf at row 1, wanted finite numbers"):
        as_columns([[1], [value]])


def test_dates_that_microseconds_cannot_hold():
    far = np.array([[0], [2**55]], "M8[s]")
    with pytest.raises(ValueError, match="X column 0 has 1141.* at row 1, wanted years"):
        as_columns(far)
