"""The public API's input validation: every check of what a caller passes in, made once.

Code behind this module does not check again.  Every failure raises one ``ValueError`` (wrong value)
or ``TypeError`` (wrong type) that names the argument and says what it got and what it wanted.

Data sets are not copied, except labels.  An array of native float32, float64, integers or booleans
is returned as it is, with any strides; training gathers and casts its rows one batch at a time.
Only other representations (float16, foreign byte order, lists) are converted, which makes a copy.
"""

import difflib
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.inputs.arrays import as_expression, as_numbers, by_label, describe_place

_BLOCK = 1 << 18  # numbers checked at a time, so that temporaries stay in the cache
_LISTED = 12  # a message lists at most this many names


def as_inputs(
    X: ArrayLike,
    n_inputs: int | None = None,
    dtype: DTypeLike = np.float32,
    name: str = "X",
    *,
    empty: bool = False,
    missing: bool = False,
) -> np.ndarray:
    """Return `X` as a 2-D array of finite numbers, without a copy if its type allows.

    Parameters
    ----------
    X : array_like, shape (rows, columns)
        A list, a NumPy array or memory map with any strides, a pandas or polars frame, a tensor.
    n_inputs : int, optional
        The required number of columns; by default any number from one up.
    dtype : data type
        The network's dtype.  Values that would overflow it are refused.
    name : str
        The argument's name in messages.
    empty : bool
        Whether no rows will do.
    missing : bool
        Whether NaN will do, for a missing value.

    Raises
    ------
    TypeError
        If `X` does not consist of real numbers.
    ValueError
        If `X` is not 2-D, is empty, has the wrong width, or holds NaN, an infinity or a number
        too large for `dtype`.

    Examples
    --------
    >>> as_inputs([[1, 2], [3, 4]]).shape
    (2, 2)
    >>> as_inputs([[1, 2], [3, float("nan")]])
    Traceback (most recent call last):
    ValueError: X has nan at row 1, column 1, wanted finite numbers
    """
    array = as_rows(X, n_inputs, name, empty=empty)
    _check_finite(array, X, name, dtype, missing)
    return array


def as_rows(
    X: ArrayLike, n_inputs: int | None = None, name: str = "X", *, empty: bool = False
) -> np.ndarray:
    """Return `X` like :func:`as_inputs`, but without checking the numbers themselves."""
    array = as_numbers(X, name)
    if array.ndim == 1:
        expression = as_expression(X, name)
        raise ValueError(
            f"{name} has shape {array.shape}, wanted 2-D (rows, columns): "
            f"{expression}.reshape(-1, 1) makes it one column, {expression}[None, :] one row"
        )
    if array.ndim != 2:
        raise ValueError(
            f"{name} has shape {array.shape}, wanted 2-D (rows, columns): "
            f"{as_expression(X, name)}.reshape(len({name}), -1) makes each item one row"
        )
    rows, columns = array.shape
    if rows == 0 and not empty:
        raise ValueError(f"{name} has no rows, wanted at least one")
    if columns == 0:
        raise ValueError(f"{name} has no columns, wanted at least one")
    if n_inputs is not None and columns != n_inputs:
        raise ValueError(
            f"{name} has {columns} columns, wanted {n_inputs} "
            f"(the network was built for {n_inputs} inputs)"
        )
    return array


def as_regression_targets(
    y: ArrayLike, n_rows: int, n_outputs: int, dtype: DTypeLike = np.float32, name: str = "y"
) -> np.ndarray:
    """Return `y` as a 2-D array (n_rows, n_outputs) of finite numbers, like :func:`as_inputs`.

    For a single output, `y` may be a vector.  Nothing behind this door sees one: (n,) against
    (n, 1) would broadcast to (n, n).

    Examples
    --------
    >>> as_regression_targets([1.0, 2.0, 3.0], n_rows=3, n_outputs=1).shape
    (3, 1)
    """
    return as_target_numbers(y, n_rows, n_outputs, dtype, name).reshape(n_rows, n_outputs)


def as_target_numbers(y, n_rows, n_outputs, dtype, name):
    """Return `y` checked, (n_rows, n_outputs) or, for a single output, perhaps (n_rows,)."""
    array = as_numbers(y, name)
    if array.shape[1:] != (n_outputs,) and (array.ndim, n_outputs) != (1, 1):
        vector = f"({n_rows},) or " if n_outputs == 1 else ""
        raise ValueError(
            f"{name} has shape {array.shape}, wanted {vector}({n_rows}, {n_outputs}) "
            f"(targets of the network's outputs: {n_outputs})"
        )
    _check_rows(array, n_rows, name)
    _check_finite(array, y, name, dtype)
    return array


def as_class_labels(y: ArrayLike, n_rows: int, n_classes: int, name: str = "y") -> np.ndarray:
    """Return a copy of `y`, a 1-D integer array of `n_rows` labels from 0 to `n_classes` - 1.

    Examples
    --------
    >>> as_class_labels([0, 1, 3], n_rows=3, n_classes=3)
    Traceback (most recent call last):
    ValueError: y has label 3 at row 2, wanted 0 to 2 (the network has 3 outputs)
    """
    array = as_numbers(y, name)
    expression = as_expression(y, name)
    wanted = f"integer class labels of shape ({n_rows},)"
    if array.ndim == 2 and array.shape[1] == n_classes > 1:
        raise ValueError(
            f"{name} has shape {array.shape}, wanted {wanted}: "
            f"{expression}.argmax(axis=1) turns one-hot rows into labels"
        )
    if array.ndim == 2 and array.shape[1] == 1:
        raise ValueError(
            f"{name} has shape {array.shape}, wanted {wanted}: {expression}[:, 0] makes it so"
        )
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, wanted {wanted}")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():  # libraries turn integers and missing values into floats
            row = int(np.isfinite(array).argmin())
            raise ValueError(f"{name} has {array[row]} at row {row}, wanted {wanted}")
        raise TypeError(
            f"{name} has dtype {array.dtype}, wanted {wanted}: "
            f"{expression}.astype(int) if the values are whole"
        )
    _check_rows(array, n_rows, name)
    array = array.copy()  # compiled code indexes with them, and the caller may change the others
    if array.min() < 0 or array.max() >= n_classes:
        row = int(((array < 0) | (array >= n_classes)).argmax())
        raise ValueError(
            f"{name} has label {array[row]} at row {row}, wanted 0 to {n_classes - 1} "
            f"(the network has {n_classes} outputs)"
        )
    return array


@np.errstate(all="ignore")
def as_sample_weight(w: ArrayLike, n_rows: int, name: str = "sample_weight") -> np.ndarray:
    """Return `w` as a 1-D float64 array of `n_rows` weights, none negative and not all zero."""
    array = as_numbers(w, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, wanted one weight a row, ({n_rows},)")
    _check_rows(array, n_rows, name)
    _check_finite(array, w, name, np.float64)
    weights = np.ascontiguousarray(array, dtype=np.float64)
    if weights.min() < 0:
        row = int((weights < 0).argmax())
        raise ValueError(f"{name} has {weights[row]} at row {row}, wanted weights of at least 0")
    if weights.max() == 0:
        raise ValueError(f"{name} is all zero, wanted at least one weight above 0")
    return weights


def as_class_weight(w: Any, classes: Sequence[int], counts: np.ndarray) -> np.ndarray:
    """Return one weight per label in `classes`, of each of which there are `counts` rows.

    Examples
    --------
    >>> as_class_weight({1: 5.0}, range(3), np.array([1, 2, 3]))
    array([1., 5., 1.])
    """
    if isinstance(w, str):
        if w != "balanced":
            raise ValueError(f"class_weight is {w!r}, wanted 'balanced', a dict or an array")
        return counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    w = by_label(w, "class_weight")
    if not isinstance(w, Mapping):
        array = as_numbers(w, "class_weight")
        if array.shape != (len(classes),):
            raise ValueError(
                f"class_weight has shape {array.shape}, wanted ({len(classes)},), a weight for "
                "each class"
            )
        w = dict(zip(classes, array, strict=True))
    unknown = [label for label in w if label not in classes]
    if unknown:
        raise ValueError(
            f"class_weight has label {unknown[0]!r}, wanted labels from {min(classes)} to "
            f"{max(classes)}"
        )
    return np.array(
        [non_negative_float(w.get(c, 1.0), f"class_weight[{c}]") for c in classes], np.float64
    )


@np.errstate(all="ignore")
def as_cost_matrix(cost: ArrayLike, name: str = "cost") -> np.ndarray:
    """Return `cost` as a square float64 matrix without negative numbers and with diagonal 0."""
    array = as_numbers(cost, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise ValueError(f"{name} has shape {array.shape}, wanted (n_classes, n_classes)")
    _check_finite(array, cost, name, np.float64)
    check_each(array, cost, name, lambda it: it < 0, "numbers of at least 0", {})
    if np.diagonal(array).any():
        row = int(np.diagonal(array).nonzero()[0][0])
        raise ValueError(f"{name} has {array[row, row]} at [{row}, {row}], wanted a diagonal of 0")
    return array.astype(np.float64)


@np.errstate(all="ignore")
def as_weights(
    weights: Iterable[ArrayLike],
    shapes: Sequence[tuple[int, ...]],
    dtype: DTypeLike,
    name: str = "weights",
) -> list[np.ndarray]:
    """Return `weights` as C-contiguous arrays of `dtype`, one per shape in `shapes`, in order."""
    if not isinstance(weights, Iterable) or isinstance(weights, str | bytes):
        raise TypeError(f"{name} is a {type(weights).__name__}, wanted a list of arrays")
    given = list(weights)
    if len(given) != len(shapes):
        wanted = ", ".join(map(str, shapes))
        raise ValueError(f"{name} has {len(given)} arrays, wanted {len(shapes)}: {wanted}")
    arrays = []
    for position, (weight, shape) in enumerate(zip(given, shapes, strict=True)):
        label = f"{name}[{position}]"
        array = as_numbers(weight, label)
        if array.shape != tuple(shape):
            raise ValueError(f"{label} has shape {array.shape}, wanted {tuple(shape)}")
        _check_finite(array, weight, label, dtype)
        arrays.append(np.ascontiguousarray(array, dtype=dtype))
    return arrays


def positive_int(value: Any, name: str) -> int:
    """Return `value` as an int of at least 1.

    Examples
    --------
    >>> positive_int(0, "batch_size")
    Traceback (most recent call last):
    ValueError: batch_size is 0, wanted a whole number of at least 1
    """
    return _integer(value, name, 1)


def non_negative_int(value: Any, name: str) -> int:
    """Return `value` as an int of at least 0."""
    return _integer(value, name, 0)


def positive_float(value: Any, name: str) -> float:
    """Return `value` as a finite float above 0."""
    number = _real(value, name, wanted := "a finite number above 0")
    if number <= 0:
        raise ValueError(f"{name} is {value}, wanted {wanted}")
    return number


def non_negative_float(value: Any, name: str) -> float:
    """Return `value` as a finite float of at least 0."""
    number = _real(value, name, wanted := "a finite number of at least 0")
    if number < 0:
        raise ValueError(f"{name} is {value}, wanted {wanted}")
    return number


def finite_float(value: Any, name: str) -> float:
    """Return `value` as a finite float."""
    return _real(value, name, "a finite number")


def probability(value: Any, name: str) -> float:
    """Return `value` as a float from 0 to 1."""
    number = _real(value, name, wanted := "a number from 0 to 1")
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is {value}, wanted {wanted}")
    return number


def fraction(value: Any, name: str) -> float:
    """Return `value` as a float from 0 up to, but not including, 1."""
    number = _real(value, name, wanted := "a number from 0 up to but not including 1")
    if not 0 <= number < 1:
        raise ValueError(f"{name} is {value}, wanted {wanted}")
    return number


def boolean(value: Any, name: str) -> bool:
    """Return `value` as a bool; 0 and 1 are refused."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), wanted True or False")
    return bool(value)


def one_of(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of the names in `choices`.

    Examples
    --------
    >>> one_of("adm", "optimizer", ["sgd", "adam"])
    Traceback (most recent call last):
    ValueError: optimizer is 'adm', wanted one of 'sgd', 'adam'; did you mean 'adam'?
    """
    known = list(choices)
    wanted = f"one of {listed(known)}"
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), wanted {wanted}")
    if value in known:
        return value
    close = difflib.get_close_matches(value.lower(), known, n=3)
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise ValueError(f"{name} is {value!r}, wanted {wanted}{hint}")


def listed(names: Iterable[Any]) -> str:
    """Return names for a message; if there are many, only the first ones.

    Examples
    --------
    >>> listed(["sgd", "adam"])
    "'sgd', 'adam'"
    """
    known = [repr(name) for name in names]
    more = f" ... ({len(known)} names)" if len(known) > _LISTED else ""
    return ", ".join(known[:_LISTED]) + more


def _check_rows(array, n_rows, name):
    if len(array) != n_rows:
        raise ValueError(f"{name} has {len(array)} rows, wanted {n_rows} (as many as X)")


def _check_finite(array, data, name, dtype, missing=False):
    """Refuse numbers that are NaN or infinite once cast to `dtype`, checking block by block."""
    if array.dtype.kind != "f":
        return
    for start, block in blocks(array):
        with np.errstate(all="ignore"):
            finite = np.isfinite(block.astype(dtype, copy=False))
            if missing:
                finite |= np.isnan(block)
        if not finite.all():
            place, value = _first(~finite, array, start)
            reason = "finite numbers"
            if math.isfinite(value):
                reason = f"numbers that {np.dtype(dtype)} can hold"
            where = describe_place(place, data)
            raise ValueError(f"{name} has {value} at {where}, wanted {reason}")


def check_each(array, data, name, is_bad, wanted, hints):
    """Refuse the array if any element is bad; `hints` maps bad values to hints."""
    for start, block in blocks(array):
        bad = is_bad(block)
        if bad.any():
            place, value = _first(bad, array, start)
            hint = f": {hints[value]}" if value in hints else ""
            where = describe_place(place, data)
            raise ValueError(f"{name} has {value} at {where}, wanted {wanted}{hint}")


def blocks(array):
    """Yield (first row, block of rows) over `array`."""
    per_row = math.prod(array.shape[1:])
    rows = max(1, _BLOCK // max(1, per_row))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def _first(mask, array, start):
    """Return the index in `array` of the first True in a block's `mask`, and the value there."""
    index = tuple(int(i) for i in np.argwhere(mask)[0])
    index = (start + index[0], *index[1:])
    return index, array[index]


def _integer(value, name, least):
    wanted = f"a whole number of at least {least}"
    try:
        if isinstance(value, bool) or getattr(value, "dtype", None) == np.bool_:
            raise TypeError
        number = operator.index(value)
    except TypeError:
        message = f"{name} is {value!r} ({type(value).__name__}), wanted {wanted}"
        raise TypeError(message) from None
    if number < least:
        raise ValueError(f"{name} is {number}, wanted {wanted}")
    return number


def _real(value, name, wanted):
    scalar = np.asarray(value)
    if scalar.ndim != 0 or scalar.dtype.kind not in "fiu":
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), wanted {wanted}")
    number = float(scalar)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}, wanted {wanted}")
    return number
