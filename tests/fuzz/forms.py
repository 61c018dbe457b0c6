"""Forms in which a caller may have data: types, layouts, places in memory, and containers."""

import functools
import importlib.util
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.guard import GuardedRegion

_COUNT = itertools.count()


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    """Return this process's folder for memory maps."""
    return tempfile.TemporaryDirectory()


def _memory_map(a: np.ndarray) -> np.ndarray:
    path = Path(_folder().name) / str(next(_COUNT) % 50)
    path.unlink(missing_ok=True)
    a.tofile(path)
    return np.memmap(path, a.dtype, "r", shape=a.shape)


def _gaps(a: np.ndarray) -> np.ndarray:
    filled = np.full([2 * n for n in a.shape], np.nan if a.dtype.kind == "f" else 0, a.dtype)
    view = filled[tuple([slice(1, None, 2)] * a.ndim)]
    view[...] = a
    return view


def _misaligned(a: np.ndarray) -> np.ndarray:
    view = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _field(a: np.ndarray) -> np.ndarray:
    records = np.zeros(len(a), [("before", "i1"), ("it", a.dtype, a.shape[1:])])
    records["it"] = a
    return records["it"]


def _read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def _frame(library: str) -> Callable[[np.ndarray], Any]:
    def made(a: np.ndarray) -> Any:
        module = importlib.import_module(library)
        if a.ndim == 1:
            return module.Series(a)
        return module.DataFrame({f"c{n}": column for n, column in enumerate(a.T.copy())})

    return made


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "plain": np.copy,
    "guarded, last": lambda a: GuardedRegion(a.nbytes).place(a, "last"),
    "guarded, first": lambda a: GuardedRegion(a.nbytes).place(a, "first"),
    "column order": np.asfortranarray,
    "gaps": _gaps,
    "reversed": lambda a: np.flip(np.flip(a).copy()),
    "rows reversed": lambda a: a[::-1].copy()[::-1],
    "read-only": _read_only,
    "misaligned": _misaligned,
    "inside records": _field,
    "memory map": _memory_map,
    "lists": lambda a: a.tolist(),
    "arrays in a list": list,
} | {name: _frame(name) for name in ("pandas", "polars") if importlib.util.find_spec(name)}
"""What to make of an array; the memory around guarded ones cannot be touched."""

TYPES = (
    "float32", "float64", "float16", "longdouble", ">f4", ">f8", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", ">i4", "bool",
)  # fmt: skip


def cast(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float64 values in a data type, those that it cannot hold cut off at its ends."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return values > np.median(values)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        ends = np.array([info.min, info.max], np.float64)
        ends[1] = np.nextafter(ends[1], 0)  # 2**63 - 1 is no float64
        return np.rint(values).clip(*ends).astype(kind)
    largest = min(float(np.finfo(kind).max), np.finfo(np.float64).max)
    with np.errstate(under="ignore"):
        return values.clip(-largest, largest).astype(kind)
