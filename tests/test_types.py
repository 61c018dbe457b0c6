"""Every type of column gives its numbers or one clear error, alone and beside other columns."""

import datetime
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from fastnn import HierarchicalSoftmax
from fastnn.inputs.arrays import as_numbers
from fastnn.inputs.checks import (
    as_class_labels,
    as_class_weight,
    as_inputs,
    as_regression_targets,
    as_sample_weight,
)

pl = pytest.importorskip("polars")

NAN = float("nan")
DATES = [datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)]
DATETIMES = [datetime.datetime(2020, 1, 1), datetime.datetime(2021, 1, 1)]
DURATIONS = [datetime.timedelta(1), datetime.timedelta(2)]
TIMES = [datetime.time(1), datetime.time(2)]
DECIMALS = [Decimal("1.5"), Decimal("2.5")]
UTC = [each.replace(tzinfo=datetime.UTC) for each in DATETIMES]
BIG = 2**53 + 1

POLARS = {
    "Int8": ([1, -2], pl.Int8, [1, -2]),
    "Int64": ([1, BIG], pl.Int64, [1, BIG]),
    "Int64 with null": ([1, None], pl.Int64, [1, NAN]),
    "UInt64": ([2**64 - 1, 0], pl.UInt64, [2**64 - 1, 0]),
    "Float16": ([0.5, 2], pl.Float16, [0.5, 2]),
    "Float32": ([0.5, None], pl.Float32, [0.5, NAN]),
    "Float64": ([0.1, 0.2], pl.Float64, [0.1, 0.2]),
    "Boolean": ([True, False], pl.Boolean, [1, 0]),
    "Null": ([None, None], pl.Null, [NAN, NAN]),
    "Int128": ([1, 2], pl.Int128, "of Int128) cannot be read as an array"),
    "UInt128": ([1, 2], pl.UInt128, "of UInt128) cannot be read as an array"),
    "Date": (DATES, pl.Date, "dtype datetime64[D], wanted real numbers"),
    "Datetime": (DATETIMES, pl.Datetime, "dtype datetime64[us], wanted real numbers"),
    "Datetime ns": (DATETIMES, pl.Datetime("ns"), "dtype datetime64[ns], wanted real numbers"),
    "Datetime UTC": (UTC, pl.Datetime("us", "UTC"), "dtype datetime64[us], wanted real numbers"),
    "Duration": (DURATIONS, pl.Duration, "dtype timedelta64[us], wanted real numbers"),
    "Time": (TIMES, pl.Time, "datetime.time(1, 0) (time) at row 0"),
    "Decimal": (DECIMALS, pl.Decimal(5, 2), "dtype object (Decimal), wanted numbers: "),
    "String": (["1", "2"], pl.String, "'1' (str) at row 0, wanted numbers"),
    "Categorical": (["1", "2"], pl.Categorical, "'1' (str) at row 0, wanted numbers"),
    "Enum": (["1", "2"], pl.Enum(["1", "2"]), "'1' (str) at row 0, wanted numbers"),
    "Binary": ([b"1", b"2"], pl.Binary, "b'1' (bytes) at row 0, wanted numbers"),
    "List": ([[1], [2]], pl.List(pl.Int64), "array([1]) (ndarray) at row 0, wanted numbers"),
    "Struct": ([{"a.b": 1.0, "c": DATES[0]}] * 2, None, "dtype Struct({"),
    "Object": ([{1}, {2}], pl.Object, "{1} (set) at row 0, wanted numbers"),
}


def outcome(data, name="X"):
    """Return the numbers as a list, or the message."""
    try:
        return as_numbers(data, name).tolist()
    except (TypeError, ValueError) as error:
        return str(error)


def check_alone_and_beside(frames, series, expected):
    """Check a column, and frames of it by itself, beside floats, beside integers and twice."""
    alone, beside = outcome(series), [outcome(frame) for frame in frames]
    if isinstance(expected, str):
        assert expected in alone
        for message in beside:
            assert isinstance(message, str), message
            assert expected in message and message.startswith("X['it']")
        return
    np.testing.assert_array_equal(alone, expected)
    for numbers in beside:
        got = np.array(numbers, object)[:, -1].astype(float)
        np.testing.assert_array_equal(got, np.array(expected, object).astype(float))


BESIDE = {}, {"other": [0.5, 1.5]}, {"other": [5, 6]}, {"other": [True, False]}


@pytest.mark.parametrize("kind", POLARS)
def test_polars(kind):
    values, dtype, expected = POLARS[kind]
    series = pl.Series("it", values, dtype=dtype)
    check_alone_and_beside([pl.DataFrame({**o, "it": series}) for o in BESIDE], series, expected)


def test_a_missing_truth_value():
    for other in BESIDE:  # beside floats it is NaN, which is refused as well
        with pytest.raises((TypeError, ValueError), match=r"^X.* has (None|nan).* at row 1"):
            as_inputs(pl.DataFrame({**other, "it": [True, None]}))


def test_columns_of_arrays():
    arrays = pl.Series("it", [[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2))
    assert outcome(arrays) == [[1, 2], [3, 4]]
    assert outcome(arrays.to_frame()) == "X['it'] has shape (2, 2), wanted one number a row"
    dates = pl.Series([DATES, DATES], dtype=pl.Array(pl.Date, 2))
    assert outcome(dates) == "X has dtype datetime64[D], wanted real numbers"
    structs = pl.Series([[{"a": 1}]], dtype=pl.Array(pl.Struct({"a": pl.Int64}), 1))
    assert "wanted real numbers" in outcome(structs)


def test_pandas():
    pandas = pytest.importorskip("pandas")
    some = {
        "int64": (pandas.Series([1, BIG]), [1, BIG]),
        "uint64": (pandas.Series([2**64 - 1, 0], dtype="uint64"), [2**64 - 1, 0]),
        "float16": (pandas.Series([0.5, 2], dtype="float16"), [0.5, 2]),
        "bool": (pandas.Series([True, False]), [1, 0]),
        "Int64": (pandas.Series([1, 2], dtype="Int64"), [1, 2]),
        "Int64 with NA": (pandas.Series([1, None], dtype="Int64"), [1, NAN]),
        "Float32": (pandas.Series([0.5, None], dtype="Float32"), [0.5, NAN]),
        "boolean": (pandas.Series([True, False], dtype="boolean"), [1, 0]),
        "boolean with NA": (pandas.Series([True, None], dtype="boolean"), "<NA> (NAType) at row 1"),
        "sparse": (pandas.Series(pandas.arrays.SparseArray([0.0, 1.0])), [0, 1]),
        "numbers as categories": (pandas.Series([7, 9], dtype="category"), [7, 9]),
        "some missing": (pandas.Series([7, None], dtype="category"), [7, NAN]),
        "texts as categories": (pandas.Series(["u", "v"], dtype="category"), "'u' (str) at row 0"),
        "dates as categories": (pandas.Series(DATETIMES, dtype="category"), "dtype datetime64["),
        "text": (pandas.Series(["1", "2"]), "'1' (str) at row 0"),
        "datetime": (pandas.Series(DATETIMES), "dtype datetime64["),
        "datetime UTC": (pandas.Series(UTC), "(Timestamp) at row 0"),
        "timedelta": (pandas.Series(DURATIONS), "dtype timedelta64["),
        "date": (pandas.Series(DATES), "datetime.date(2020, 1, 1) (date) at row 0"),
        "period": (pandas.Series(pandas.period_range("2020", periods=2, freq="D")), "(Period) at"),
        "interval": (pandas.Series(pandas.interval_range(0, 2)), "(Interval) at row 0"),
        "Decimal": (pandas.Series(DECIMALS), "dtype object (Decimal), wanted numbers: "),
        "Fraction": (
            pandas.Series([Fraction(1, 2)] * 2),
            "dtype object (Fraction), wanted numbers",
        ),
        "object": (pandas.Series([1, 2], dtype=object), "dtype object (int), wanted numbers: "),
        "None": (pandas.Series([1, None], dtype=object), "None (NoneType) at row 1"),
        "complex": (pandas.Series([1j, 2]), "dtype complex128, wanted real numbers"),
        "bytes": (pandas.Series([b"1", b"2"]), "b'1' (bytes) at row 0"),
    }
    for series, expected in some.values():
        frames = [pandas.DataFrame({**other, "it": series}) for other in BESIDE]
        check_alone_and_beside(frames, series, expected)
    twice = pandas.concat([some["some missing"][0]] * 2, axis=1)
    np.testing.assert_array_equal(outcome(twice), [[7, 7], [NAN, NAN]])


def test_pyarrow():
    pa = pytest.importorskip("pyarrow")
    some = [
        ([1, BIG], pa.int64(), [1, BIG]),
        ([1, None], pa.int64(), [1, NAN]),
        ([0.5, None], pa.float32(), [0.5, NAN]),
        ([True, False], pa.bool_(), [1, 0]),
        ([True, None], pa.bool_(), "None (NoneType) at row 1"),
        ([7, 9], pa.dictionary(pa.int8(), pa.int64()), [7, 9]),
        (["1", "2"], pa.string(), "'1' (str) at row 0"),
        (["1", "2"], pa.dictionary(pa.int8(), pa.string()), "'1' (str) at row 0"),
        (DATES, pa.date32(), "dtype datetime64[D]"),
        (DATETIMES, pa.timestamp("us"), "dtype datetime64[us]"),
        (DURATIONS, pa.duration("us"), "dtype timedelta64[us]"),
        (TIMES, pa.time64("us"), "datetime.time(1, 0) (time) at row 0"),
        (DECIMALS, pa.decimal128(5, 2), "dtype object (Decimal), wanted numbers: "),
        ([[1], [2]], pa.list_(pa.int64()), "array([1]) (ndarray) at row 0"),
        ([{"a": 1}] * 2, pa.struct({"a": pa.int64()}), "{'a': 1} (dict) at row 0"),
        ([None, None], pa.null(), "None (NoneType) at row 0"),
    ]
    for values, kind, expected in some:
        column = pa.array(values, kind)
        tables = [pa.table({**other, "it": column}) for other in BESIDE]
        check_alone_and_beside([*tables, tables[1].to_batches()[0]], column, expected)
        check_alone_and_beside([], pa.chunked_array([column, column[:0]]), expected)
    hint = outcome(pa.array(DECIMALS)).rpartition(": ")[2]
    assert hint == "np.asarray(X).astype(float)"


OTHERS = [
    (np.array([[1, 2]], np.float16), [[1, 2]]),
    (np.array([[2**64 - 1, 0]], np.uint64), [[2**64 - 1, 0]]),
    (np.array([DATES], "M8[D]"), "X has dtype datetime64[D], wanted real numbers"),
    (np.array([DURATIONS], "m8[s]"), "X has dtype timedelta64[s], wanted real numbers"),
    ([[np.timedelta64(3, "s"), 1.5]], "X has np.timedelta64(3,'s') (timedelta64) at row 0, column"),
    (np.array([[np.timedelta64(3, "s")]], object), "X has np.timedelta64(3,'s') (timedelta64) at"),
    ([[DATES[0], 1.5]], "X has datetime.date(2020, 1, 1) (date) at row 0, column 0"),
    ([DECIMALS], "X has dtype object (Decimal), wanted numbers: np.asarray(X).astype(float)"),
    ([[Decimal(1), 0.5]], "X has dtype object (Decimal), wanted numbers: np.asarray(X).astype"),
    ([[2**70, 1]], "X has dtype object (int), wanted numbers: np.asarray(X).astype(float)"),
    ([[b"1"]], "X has dtype |S1, wanted numbers"),
    (np.zeros((1, 1), "V8"), "X has dtype |V8, wanted real numbers"),
    (np.zeros(1, [("a", "f8"), ("b", "M8[s]")]), "X has dtype [('a', '<f8')"),
    (bytearray(b"12"), "X is bytearray(b'12') (bytearray), wanted an array of numbers"),
    ([bytearray(b"12"), bytearray(b"34")], "X has a bytearray in it, wanted plain numbers"),
    ([np.ma.array([1.0, 2.0], mask=[0, 1])], "X has a MaskedArray in it, wanted plain numbers"),
    (
        pl.LazyFrame({"a": [1]}),
        "X is a LazyFrame, a query whose rows do not exist yet, wanted the rows: X.collect()",
    ),
]


@pytest.mark.parametrize(("data", "expected"), OTHERS)
def test_others(data, expected):
    found = outcome(data)
    assert found == expected or isinstance(expected, str) and found.startswith(expected)


def test_small_floats_of_other_libraries():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for kind in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4):
        taken = as_inputs(np.array([[1, 2]], kind))
        assert taken.dtype == np.float32 and taken.tolist() == [[1, 2]]


@pytest.mark.parametrize("kind", ["Date", "Datetime", "Duration", "Time", "Decimal", "Int128"])
def test_every_door(kind):
    values, dtype, _ = POLARS[kind]
    series = pl.Series("it", values, dtype=dtype)
    frame = pl.DataFrame({"a": [0.5, 1.5], "it": series})
    for name, check in {
        "X": lambda: as_inputs(frame),
        "y": lambda: as_regression_targets(frame, 2, 2),
        "sample_weight": lambda: as_sample_weight(series, 2),
        "class_weight": lambda: as_class_weight(series, range(2), "it"),
        "frequencies": lambda: HierarchicalSoftmax(2, tree="huffman", frequencies=series),
    }.items():
        with pytest.raises(TypeError, match="^" + re.escape(name)):
            check()
    with pytest.raises(TypeError, match="^y "):
        as_class_labels(series, 2, 2)


def test_labels_with_gaps_name_the_row():
    message = "^y has nan at row 1, wanted integer class labels of shape"
    for labels in (pl.Series([0, None, 1]), [0, NAN, 1], np.array([0, np.inf, 1])):
        with pytest.raises(ValueError, match=message.replace("nan", "(nan|inf)")) as caught:
            as_class_labels(labels, 3, 2)
        assert "astype" not in str(caught.value)
