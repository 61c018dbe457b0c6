"""What rounding does to columns: spreads that are nothing else, and digits that a type lacks."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.inputs.arrays import describe_place
from fastnn.inputs.checks import blocks
from fastnn.inputs.labeled import Labeled

_UNITS = 8
"""Values at most this many units of rounding apart count as equal.  The sums of 1,000 rows of 100
shares, which should all be 1, lie up to five apart."""
_SHARE = 1e-3
"""A type lacks digits if it moves values by more than this share of a column's range."""
_BFLOAT16_SHARE = 2.0**-4
"""bfloat16, whose numbers lie up to 2**-7 apart, holds few numbers of a range that is a smaller
share of the largest."""
_FIRST_ROWS = 32


def rounding(low: ArrayLike, high: ArrayLike, dtype: DTypeLike) -> np.ndarray:
    """Return how far apart equal numbers from `low` to `high` can be, because `dtype` rounds them.

    Integers are exact.

    Examples
    --------
    >>> rounding([0.1], [1.0], np.float64).tolist() == [8 * 2.0**-52]
    True
    """
    dtype = np.dtype(dtype)
    unit = np.finfo(dtype).eps if dtype.kind == "f" else 0.0
    return _UNITS * unit * _largest(low, high)


def is_constant(low: ArrayLike, high: ArrayLike, dtype: DTypeLike) -> np.ndarray:
    """Return whether columns from `low` to `high` are constant except for rounding in `dtype`.

    Whatever divides by a column's spread asks this first: the spread of [0.3, 0.1 + 0.2] is a
    rounding error, however exactly it is known.

    Examples
    --------
    >>> is_constant([0.3, 1e-20], [0.1 + 0.2, 2e-20], np.float64)
    array([ True, False])
    """
    if np.dtype(dtype).kind != "f":
        return np.equal(low, high)
    with np.errstate(all="ignore"):
        spread = np.subtract(high, low, dtype=np.float64)
        return (spread <= rounding(low, high, dtype)) & np.isfinite(spread)


def constant_columns(array: np.ndarray) -> np.ndarray:
    """Return which columns of an array with rows are constant; see :func:`is_constant`."""
    return is_constant(array.min(axis=0), array.max(axis=0), array.dtype)


def warn_of_lost_digits(
    array: Any, data: Any, name: str, dtype: DTypeLike, stacklevel: int
) -> None:
    """Warn if `dtype` cannot tell a column's values apart, or only roughly.

    Parameters
    ----------
    array : array, (rows, columns)
        Finite numbers, as :mod:`fastnn.inputs.checks` returned them for the caller's `data`.
    dtype : data type
        What computations start with.
    stacklevel : int
        As in :func:`warnings.warn`, as if that were called in place of this function.
    """
    dtype = np.dtype(dtype)
    if not isinstance(array, np.ndarray):  # mixed columns, which are encoded in float64
        return
    if array.dtype == dtype or array.dtype.itemsize < dtype.itemsize:
        return
    with np.errstate(all="ignore"):
        for column in _suspects(array, 2 * float(np.finfo(dtype).eps) / _SHARE):
            moved, low, high = _moved(array[:, column], dtype)
            spread = float(high.item() - low.item())
            if moved <= _SHARE * spread:
                continue
            _warn_of_moved(name, _told(data, column, low, high), moved, dtype, stacklevel + 1)


def _warn_of_moved(name: str, told: str, moved: float, dtype: np.dtype, stacklevel: int) -> None:
    remedy = ""
    if dtype == np.float32:
        remedy = ", or use dtype='float64'"
        if name == "X":
            remedy += " or preprocessing='standardize', which computes in float64"
    warnings.warn(
        f"{name} {told}, and {dtype} moves them by up to {moved:.1g}: subtract a constant "
        f"first{remedy}",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


class Rounded:
    """What a type does to the columns of X as they are written, a block of rows at a time.

    Examples
    --------
    >>> seen, x = Rounded(), np.array([[1.7e9], [1.7e9 + 10]])
    >>> seen.see(x, x.astype("float32"))
    >>> seen.notes(np.dtype("float32"))
    [('column 0 has numbers near 1.7e+09 that differ by at most 1e+01', 10.0)]
    """

    def __init__(self, low: ArrayLike = (), high: ArrayLike = (), moved: ArrayLike = ()):
        self._low, self._high, self._moved = (
            np.asarray(each, np.float64) for each in (low, high, moved)
        )

    @classmethod
    def of(cls, state: Sequence[Sequence[str]]) -> "Rounded":
        """Return what :meth:`state` described."""
        return cls(*([float(value) for value in each] for each in state))

    def state(self) -> list[list[str]]:
        """Return what has been seen, as JSON can hold it: NaN and infinity too."""
        return [[*map(repr, each.tolist())] for each in (self._low, self._high, self._moved)]

    def see(self, exact: np.ndarray, rounded: np.ndarray) -> None:
        """Look at a block before and after rounding."""
        if not len(exact):
            return
        large = exact.dtype.kind in "iu" and exact.dtype.itemsize == 8
        with np.errstate(all="ignore"):
            true = exact.astype(np.longdouble if large else np.float64)
            found = np.fmin.reduce(true), np.fmax.reduce(true), np.fmax.reduce(abs(true - rounded))
            low, high, moved = (np.asarray(each, np.float64) for each in found)
            if len(self._low):
                low, high = np.fmin(self._low, low), np.fmax(self._high, high)
                moved = np.fmax(self._moved, moved)
        self._low, self._high, self._moved = low, high, moved

    def notes(self, dtype: np.dtype, names: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return what is to be said of columns of which the type lacks digits, and how many."""
        with np.errstate(all="ignore"):
            spread = self._high - self._low
            poor = (self._moved > _SHARE * spread) & (spread > 0)
        rows = None if names is None else Labeled(names)
        return [
            (_told(rows, column, self._low[column], self._high[column]), float(self._moved[column]))
            for column in map(int, poor.nonzero()[0])
        ]

    def warn(self, dtype: np.dtype, names: Sequence[str] | None, stacklevel: int) -> None:
        """Warn as :func:`warn_of_lost_digits` does."""
        for told, moved in self.notes(dtype, names):
            _warn_of_moved("X", told, moved, dtype, stacklevel + 1)


def warn_of_rounded_inputs(array: Any, data: Any, stacklevel: int) -> None:
    """Warn if bfloat16 holds only a few of the numbers in a column of X; see above."""
    with np.errstate(all="ignore"):
        for column in _suspects(array, _BFLOAT16_SHARE):
            values = array[:, column]
            warnings.warn(
                f"X {_told(data, column, values.min(), values.max())}, and dtype 'mixed_bfloat16' "
                "rounds them to 8 bits: use preprocessing='standardize'",
                UserWarning,
                stacklevel=stacklevel + 1,
            )


def _told(data: Any, column: int, low: Any, high: Any) -> str:
    """Return what is said of a column with numbers from `low` to `high`."""
    _, _, where = describe_place((0, int(column)), data).partition(", ")
    spread = float(high.item() - low.item())
    size = _largest(low, high)
    return f"{where} has numbers near {size:.2g} that differ by at most {spread:.1g}"


def _suspects(array: np.ndarray, share: float) -> np.ndarray:
    """Return the columns whose range is less than this share of their largest number.

    A few rows acquit nearly all columns: further rows only add to the range, and the largest number
    grows by no more than the range does.
    """
    some = array[:_FIRST_ROWS]
    narrow = _is_narrow(np.minimum.reduce(some), np.maximum.reduce(some), share)
    suspects = narrow.nonzero()[0]
    if not len(suspects):
        return suspects
    low = high = array[0, suspects]
    for _, block in blocks(array):
        some = block[:, suspects]
        low, high = np.minimum(low, some.min(axis=0)), np.maximum(high, some.max(axis=0))
    return suspects[_is_narrow(low, high, share) & ~is_constant(low, high, array.dtype)]


def _is_narrow(low: np.ndarray, high: np.ndarray, share: float) -> np.ndarray:
    return share * _largest(low, high) > np.subtract(high, low, dtype=np.float64)


def _largest(low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Return the largest absolute value of numbers from `low` to `high`."""
    return np.maximum(np.negative(low, dtype=np.float64), high)


def _moved(column: np.ndarray, dtype: np.dtype) -> tuple[float, Any, Any]:
    """Return how far `dtype` moves values against the smallest one, that one, and the largest."""
    low, high = column.min(), column.max()
    start, moved = np.float64(low.astype(dtype)), 0.0
    for _, block in blocks(column):
        if column.dtype.kind == "f":
            true = block - low
        else:  # exactly: integers may have more digits than float64, and differences wrap around
            true = (block.astype(np.uint64) - np.asarray(low).astype(np.uint64)).astype(np.float64)
        held = block.astype(dtype).astype(np.float64) - start
        moved = max(moved, float(np.abs(held - true).max()))
    return moved, low, high
