"""Convert what a caller has (lists, arrays, frames, tensors) to one array of numbers."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_FLOATS = np.dtype("float32"), np.dtype("float64")


def as_numbers(data: ArrayLike, name: str) -> np.ndarray:
    """Return `data` as an array of native float32, float64, int or uint, copying only if needed.

    The result's items are aligned, and its strides are multiples of the item size.
    """
    if type(data) is np.ndarray and data.dtype in _FLOATS:
        if data.flags.c_contiguous and data.flags.aligned:
            return data
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, wanted plain numbers: {name}.filled(value)")
    if hasattr(data, "toarray"):
        kind = type(data).__name__
        raise TypeError(f"{name} is a sparse {kind}, wanted a dense array: {name}.toarray()")
    try:
        array = data.to_numpy() if hasattr(data, "to_numpy") else np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{name} has rows of different lengths, wanted equal ones") from error
    except (TypeError, RuntimeError) as error:
        kind = type(data).__name__
        raise TypeError(f"{name} ({kind}) cannot be read as an array: {error}") from error
    if array.dtype == object and hasattr(data, "columns") and hasattr(data, "items"):
        array = _column_by_column(data, name)
    if array.ndim == 0:
        raise TypeError(f"{name} is {data!r} ({type(data).__name__}), wanted an array of numbers")
    if array.dtype.kind in "OUST":
        raise TypeError(_not_a_number(array, data, name))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, wanted real numbers")
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    item = array.dtype.itemsize
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if item > 8:
        with np.errstate(over="ignore"):  # an overflow is reported later, as an infinity
            return array.astype(np.float64)
    whole_strides = all(stride % item == 0 for stride in array.strides)
    if array.dtype.isnative and array.flags.aligned and whole_strides:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def _column_by_column(frame, name):
    """Return a pandas frame with numeric columns of mixed types as one float64 array."""
    columns = []
    for label, series in frame.items():
        column = np.asarray(series)
        if column.dtype.kind == "O":
            raise TypeError(_not_a_number(column, frame, name, f", column {label!r}"))
        if column.dtype.kind not in "fiub":
            raise TypeError(f"{name} column {label!r} has dtype {column.dtype}, wanted numbers")
        columns.append(column.astype(np.float64))
    return np.column_stack(columns)


def _not_a_number(array, data, name, where=""):
    """Return the error message for an array of objects or text: name the first non-number."""
    for index, value in np.ndenumerate(array):
        if not _is_number(value, text=array.dtype.kind != "O"):
            plain = value.item() if isinstance(value, np.generic) else value
            kind = type(plain).__name__
            place = describe_place(index, data) + where
            return f"{name} has {plain!r} ({kind}) at {place}, wanted numbers"
    hint = f"{as_expression(data, name)}.astype(float)"
    return f"{name} has dtype {array.dtype}{where}, wanted numbers: {hint}"


def _is_number(value, text):
    if not text:
        return isinstance(value, Real | np.bool_)
    try:
        float(value)
    except ValueError:
        return False
    return True


def describe_place(index: tuple[int, ...], data: Any) -> str:
    """Describe the place `index` in words, with the column's label if `data` has labels."""
    if len(index) > 2:
        return f"index {index}"
    place = f"row {index[0]}"
    if len(index) == 2:
        place += f", column {index[1]}"
        if hasattr(data, "columns") and hasattr(data, "to_numpy"):
            place += f" ({list(data.columns)[index[1]]!r})"
    return place


def as_expression(data: Any, name: str) -> str:
    """Return code for hints that makes a NumPy array of `data`: lists and frames lack methods."""
    if isinstance(data, np.ndarray):
        return name
    return f"{name}.to_numpy()" if hasattr(data, "to_numpy") else f"np.asarray({name})"
