"""Columns of numbers, texts, booleans and dates, each read by itself."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastnn.inputs.arrays import as_array, check_kind, is_frame, items_of, labels_of
from fastnn.inputs.checks import as_inputs

_CATEGORIES = "category", "categorical", "enum", "dictionary"
"""How the names of types of categories begin, in lower case: pandas', polars' and pyarrow's."""
_PLAIN = str, bool, np.bool_, Real, Decimal, datetime.date, np.datetime64
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, eq=False)
class Columns:
    """What stands in for an array of rows while columns are of different kinds.

    A column of numbers is float64, with NaN where a value is missing.  One of dates is
    datetime64[us], in UTC, with NaT.  All others are objects: texts, and None; booleans and
    categories are texts too.
    """

    values: tuple[np.ndarray, ...]
    labels: tuple[Any, ...] | None = None
    name: str = "X"

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), len(self.values)

    def __len__(self) -> int:
        return len(self.values[0])

    def __getitem__(self, rows: Any) -> "Columns":
        return Columns(tuple(each[rows] for each in self.values), self.labels, self.name)

    def view(self) -> "Columns":
        return self

    def called(self, place: int) -> str:
        """Return how messages call a column."""
        return _called(self.name, self.labels, place)


def _called(name: str, labels: tuple[Any, ...] | None, place: int) -> str:
    return f"{name} column {place}" if labels is None else f"{name}[{labels[place]!r}]"


@np.errstate(all="ignore")
def as_columns(
    X: Any, n_inputs: int | None = None, name: str = "X", *, empty: bool = False
) -> Columns:
    """Return the columns of a frame, of an array of numbers, or of rows of any values.

    Arguments are those of :func:`fastnn.inputs.checks.as_inputs`.

    Raises
    ------
    TypeError
        If a column holds anything but numbers, texts, booleans or dates.
    ValueError
        If `X` is not 2-D, is empty, has the wrong width, or holds an infinity.

    Examples
    --------
    >>> columns = as_columns([[1, "red"], [None, "blue"]])
    >>> columns.values
    (array([ 1., nan]), array(['red', 'blue'], dtype=object))
    """
    if isinstance(X, Columns):
        columns = X
    elif is_frame(X):
        check_kind(X, name)
        labels = tuple(labels_of(X))
        pairs = items_of(X)
        values = tuple(_column(each, f"{name}[{label!r}]") for label, each in pairs)
        columns = Columns(values, labels, name)
    else:
        columns = _of_rows(X, name, empty)
    if not columns.values:
        raise ValueError(f"{name} has no columns, wanted at least one")
    rows, width = columns.shape
    if rows == 0 and not empty:
        raise ValueError(f"{name} has no rows, wanted at least one")
    if n_inputs is not None and width != n_inputs:
        raise ValueError(f"{name} has {width} columns, wanted {n_inputs}")
    return columns


@np.errstate(all="ignore")
def texts_of(column: np.ndarray) -> np.ndarray:
    """Return a column's values as texts, with None for what is missing.

    A whole number has one text, whatever its type.
    """
    if column.dtype == object:
        return column
    values, places = np.unique(column, return_inverse=True)
    texts = np.array([None if is_missing(each) else _text(each, "X") for each in values], object)
    return texts[places.reshape(-1)]


def _of_rows(X: Any, name: str, empty: bool) -> Columns:
    """Return the columns of what has no labels, which are numbered instead."""
    check_kind(X, name)
    array = X
    if isinstance(X, list | tuple):
        try:
            array = np.array(X, object)  # a common type would turn numbers beside texts into texts
        except ValueError:
            raise ValueError(f"{name} has rows of different lengths, wanted equal ones") from None
    elif not isinstance(X, np.ndarray):
        array = as_array(X, name)
    if array.ndim == 0:
        raise TypeError(
            f"{name} is {X!r:.100} ({type(X).__name__}), wanted a frame, an array or rows of values"
        )
    if array.dtype.kind not in "OUSTMm":
        array = as_inputs(array, None, np.float64, name, empty=empty, missing=True)
    if array.ndim == 1 and any(isinstance(each, list | tuple) for each in array):
        raise ValueError(f"{name} has rows of different lengths, wanted equal ones")
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}, wanted 2-D (rows, columns)")
    places = range(array.shape[1])
    values = tuple(_column(array[:, each], _called(name, None, each)) for each in places)
    return Columns(values, None, name)


def _column(data: Any, name: str) -> np.ndarray:
    """Return one column."""
    check_kind(data, name)
    kind = str(getattr(data, "dtype", getattr(data, "type", ""))).lower()
    if kind.startswith(_CATEGORIES):  # anything, such as intervals
        plain = data.to_pylist() if hasattr(data, "to_pylist") else as_array(data, name)
        return _texts([str(each) if _is_other(each) else each for each in plain], name)
    array = as_array(data, name)
    if array.ndim != 1:
        raise TypeError(f"{name} has shape {array.shape}, wanted one value a row")
    if array.dtype.kind == "b":
        return _texts(array, name)
    if array.dtype.kind in "fiu":
        return _finite(array, name)
    if array.dtype.kind == "M":
        return _dates(array, name)
    if array.dtype.kind == "m":
        return array / _DAY
    if array.dtype.kind in "OUT":
        return _objects(array.astype(object), name)
    raise TypeError(f"{name} has dtype {array.dtype}, {_WANTED}")


_WANTED = "wanted numbers, texts, booleans or dates"


def _objects(array: np.ndarray, name: str) -> np.ndarray:
    """Return a column of any objects as what they are."""
    if set(map(type, array)) <= {str, type(None)}:
        return array
    there = np.array([not is_missing(each) for each in array], bool)
    kinds = set(map(type, array[there]))
    if kinds and all(issubclass(kind, datetime.timedelta | np.timedelta64) for kind in kinds):
        array[~there] = None
        return array.astype("timedelta64[us]") / _DAY
    if kinds and all(issubclass(kind, Real | Decimal) and not _boolean(kind) for kind in kinds):
        numbers = np.full(len(array), np.nan)
        numbers[there] = [_float(each) for each in array[there]]
        return _finite(numbers, name)
    if kinds and all(issubclass(kind, datetime.date | np.datetime64) for kind in kinds):
        dates = np.full(len(array), "NaT", "datetime64[us]")
        dates[there] = [_utc(each) for each in array[there]]
        return dates
    return _texts(array, name)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _dates(array: np.ndarray, name: str) -> np.ndarray:
    dates = array.astype("datetime64[us]")
    wrapped = dates.astype("datetime64[Y]") != array.astype("datetime64[Y]")
    wrapped &= ~np.isnat(array)
    if wrapped.any():
        row = int(wrapped.argmax())
        raise ValueError(
            f"{name} has {array[row]} at row {row}, wanted years that microseconds reach"
        )
    return dates


def _texts(array: Iterable[Any], name: str) -> np.ndarray:
    found = [None if is_missing(each) else _text(each, name) for each in array]
    return np.array([*found, None], object)[:-1]  # 1-D, however many there are


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    numbers = array.astype(np.float64)
    infinite = np.isinf(numbers)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(f"{name} has {numbers[row]} at row {row}, wanted finite numbers")
    return numbers


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA, which is not even unequal to NA."""
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, float | np.floating | np.datetime64 | np.timedelta64):
        return bool(value != value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _is_other(value: Any) -> bool:
    """Return whether a value is none of those that columns may hold."""
    return not (isinstance(value, _PLAIN) or is_missing(value))


def _boolean(kind: type) -> bool:
    return issubclass(kind, bool | np.bool_)


def _text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return str(value)
    if _boolean(type(value)):
        return str(bool(value))
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real | Decimal):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, datetime.date | np.datetime64):
        return str(_utc(value))
    raise TypeError(f"{name} has {value!r} ({type(value).__name__}), {_WANTED}")


def _utc(value: Any) -> np.datetime64:
    """Return a date or a time as UTC, which is what one without a zone is taken for."""
    if getattr(value, "tzinfo", None) is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")
