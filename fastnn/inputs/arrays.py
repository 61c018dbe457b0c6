"""Convert what a caller has (lists, arrays, frames, tensors) to one array of numbers."""

from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_FLOATS = np.dtype("float32"), np.dtype("float64")
_PLAIN = frozenset(
    "float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool boolean".split()
)
"""Types of columns, in lower case, that a frame converts together without changing any number."""


def as_numbers(data: ArrayLike, name: str) -> np.ndarray:
    """Return `data` as an array of native float32, float64, int or uint, copying only if needed.

    The result's items are aligned, and its strides are multiples of the item size.  A column of a
    frame is read as it would be alone.  Frames find a common type of their columns instead, for
    which they turn dates beside numbers into numbers.
    """
    if type(data) is np.ndarray and data.dtype in _FLOATS:
        if data.flags.c_contiguous and data.flags.aligned:
            return data
    check_kind(data, name)
    framed = is_frame(data)
    if framed and not _converts_safely(data):
        return _column_by_column(data, name)
    array = as_array(data, name)
    if array.dtype == object and framed:  # some value is missing
        return _column_by_column(data, name)
    if array.ndim == 0:
        raise TypeError(f"{name} is {data!r} ({type(data).__name__}), wanted an array of numbers")
    if array.dtype == object and not array.size:  # what an empty frame has if nobody says otherwise
        array = array.astype(np.float64)
    if array.dtype.kind in "OUST":
        raise TypeError(_not_a_number(array, data, name))
    if array.dtype.kind == "V" and np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32)  # bfloat16 and the like, which are not NumPy's own
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, wanted real numbers")
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    item = array.dtype.itemsize
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if item > 8:
        with np.errstate(all="ignore"):  # an overflow is reported later, as an infinity
            return array.astype(np.float64)
    whole_strides = all(stride % item == 0 for stride in array.strides)
    if array.dtype.isnative and array.flags.aligned and whole_strides:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def check_kind(data: Any, name: str) -> None:
    """Raise TypeError, with a hint, for what NumPy cannot read or would read wrongly.

    Examples
    --------
    >>> check_kind(np.ma.masked_equal([1, 2], 2), "y")
    Traceback (most recent call last):
    TypeError: y is a masked array, wanted plain numbers: y.filled(value)
    """
    kind = type(data)
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, wanted plain numbers: {name}.filled(value)")
    if issubclass(kind, bytearray):
        raise TypeError(f"{name} is {data!r} (bytearray), wanted an array of numbers")
    if issubclass(kind, list | tuple):
        for each in set(map(type, data)):
            if issubclass(each, np.ma.MaskedArray | bytearray):
                raise TypeError(f"{name} has a {each.__name__} in it, wanted plain numbers")
    if hasattr(kind, "toarray"):
        raise TypeError(
            f"{name} is a sparse {kind.__name__}, wanted a dense array: {name}.toarray()"
        )
    if hasattr(kind, "collect") and not hasattr(kind, "__array__"):
        raise TypeError(
            f"{name} is a {kind.__name__}, a query whose rows do not exist yet, wanted the rows: "
            f"{name}.collect()"
        )
    if "struct" in _dtype_name(data):  # NumPy would make columns of the fields
        raise TypeError(f"{name} has dtype {data.dtype}, wanted real numbers")


def as_array(data, name):
    """Return what NumPy or the data's own library makes of `data`, whatever the type of items."""
    kind = type(data)
    try:
        return data.to_numpy() if _has_to_numpy(data) else np.asarray(data)
    except MemoryError:
        raise
    except Exception as error:  # every library has its own classes
        if isinstance(data, list | tuple) and isinstance(error, ValueError):
            message = f"{name} has rows of different lengths, wanted equal ones"
            raise ValueError(message) from error
        what, wanted, dtype = kind.__name__, "", _dtype_name(data)
        if dtype and dtype not in _PLAIN:
            what = f"{what} of {data.dtype}"
            wanted = "; wanted float32, float64 or integers of at most 64 bits"
        raise TypeError(f"{name} ({what}) cannot be read as an array: {error}{wanted}") from error


def _dtype_name(data):
    """Return the data's own type of items, in lower case and without the name of PyTorch."""
    own = hasattr(type(data), "dtype")  # a frame may have a column of that name
    return str(data.dtype).lower().removeprefix("torch.") if own else ""


def is_frame(data: Any) -> bool:
    """Return whether `data` is a table of labeled columns, as of pandas, polars or pyarrow.

    Examples
    --------
    >>> is_frame(np.ones((2, 3)))
    False
    """
    kind = type(data)  # a frame's own attributes may be columns
    return (
        kind is not np.ndarray
        and (hasattr(kind, "columns") or hasattr(kind, "column_names"))
        and (hasattr(kind, "to_numpy") or hasattr(kind, "__array__"))
    )


def labels_of(frame: Any) -> list[Any]:
    """Return the labels of a frame's columns."""
    return list(frame.column_names if hasattr(type(frame), "column_names") else frame.columns)


def by_label(data: Any, name: str) -> Any:
    """Return a pandas Series as a dict of its values by label, and anything else as it is.

    Its order means nothing where the index says what each value is for: that of ``value_counts()``
    is the values' own.
    """
    kind = type(data)
    if not (hasattr(kind, "to_dict") and hasattr(kind, "index") and data.ndim == 1):
        return data
    found = data.to_dict()
    if len(found) != len(data):
        raise ValueError(f"{name} has labels twice in its index, wanted a value for each label")
    return found


def take_rows(data: Any, index: np.ndarray) -> Any:
    """Return some rows: of a frame as a frame, of anything else as an array."""
    if not is_frame(data):
        return np.asarray(data)[index]
    if hasattr(type(data), "iloc"):
        return data.iloc[index]
    return data.take(index) if hasattr(type(data), "to_pylist") else data[index]


def _converts_safely(frame):
    kinds = {str(kind).lower() for kind in set(getattr(frame, "dtypes", ()))}
    return bool(kinds) and kinds <= _PLAIN


def _column_by_column(frame, name):
    """Return the columns of a frame as one array, each converted by itself."""
    columns = []
    for label, column in items_of(frame):
        own = f"{name}[{label!r}]"
        columns.append(as_numbers(column, own))
        if columns[-1].ndim != 1:
            shape = columns[-1].shape
            raise TypeError(f"{own} has shape {shape}, wanted one number a row")
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def items_of(frame: Any) -> Iterable[tuple[Any, Any]]:
    """Return pairs of a label and a column."""
    if hasattr(type(frame), "items"):
        return frame.items()
    if hasattr(type(frame), "column_names"):
        return zip(frame.column_names, frame.columns, strict=True)
    return ((label, frame[label]) for label in labels_of(frame))


def _not_a_number(array, data, name):
    """Return the error message for an array of objects or text: name the first non-number."""
    text = array.dtype.kind != "O"
    for index, value in np.ndenumerate(array):
        if not _is_number(value, text):
            plain = value.item() if isinstance(value, np.str_ | np.bytes_) else value
            kind = type(plain).__name__
            return f"{name} has {plain!r} ({kind}) at {describe_place(index, data)}, wanted numbers"
    hint = f"{as_expression(data, name)}.astype(float)"
    first = "" if text or not array.size else f" ({type(array.flat[0]).__name__})"
    return f"{name} has dtype {array.dtype}{first}, wanted numbers: {hint}"


def _is_number(value, text):
    if not text:
        is_number = isinstance(value, Real | Decimal | np.bool_)
        return is_number and not isinstance(value, np.timedelta64)  # NumPy counts it as an integer
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
        if is_frame(data):
            place += f" ({labels_of(data)[index[1]]!r})"
    return place


def as_expression(data: Any, name: str) -> str:
    """Return code for hints that makes a NumPy array of `data`: lists and frames lack methods."""
    if isinstance(data, np.ndarray):
        return name
    return f"{name}.to_numpy()" if _has_to_numpy(data) else f"np.asarray({name})"


def _has_to_numpy(data):
    # pyarrow's refuses whatever takes a copy.
    return hasattr(data, "to_numpy") and not hasattr(type(data), "to_pylist")
