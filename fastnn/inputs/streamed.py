"""Whether rows are in memory, or something says where to read them: a path, a query, batches."""

import os
from typing import Any

import numpy as np

from fastnn.inputs.arrays import is_frame

_IN_MEMORY = "__array__", "__getitem__", "toarray"


class InFiles:
    """Base of what has its rows in files."""


def is_fed(given: Any) -> bool:
    """Return whether `given` is rows in files, or where to read rows; :mod:`fastnn.data` has both.

    Examples
    --------
    >>> is_fed("table.parquet"), is_fed(iter([])), is_fed([[1, 2]])
    (True, True, False)
    """
    return type(given) is not np.ndarray and (isinstance(given, InFiles) or is_streamed(given))


def is_query(given: Any) -> bool:
    """Return whether `given` is a query of Polars."""
    return hasattr(type(given), "collect_schema") and hasattr(type(given), "collect")


def is_streamed(given: Any) -> bool:
    """Return whether `given` is a source of rows that are not in memory, and no array or frame."""
    kind = type(given)
    if isinstance(given, str | os.PathLike) or is_query(given):
        return True
    if isinstance(given, list | tuple):
        return bool(given) and all(isinstance(each, str | os.PathLike) for each in given)
    if is_frame(given) or any(hasattr(kind, name) for name in _IN_MEMORY):
        return False
    return hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__iter__") or callable(given)
