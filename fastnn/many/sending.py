"""Send data and networks to workers as bytes: arrays apart from all else, memory maps by path."""

import functools
import importlib
import io
import mmap
import os
import pickle
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

_APART = 4096
"""Arrays of so many bytes are not copied into the pickle of what holds them."""
_ALIGNED = 64
_SAMPLES, _SAMPLE = 64, 4096
"""Pieces of a file, and their bytes, by which a worker tells whether it sees the same file."""


class OtherFileError(ValueError):
    """A worker sees no such file as the memory map in the caller's process."""


@dataclass(frozen=True)
class Mapped:
    """An array in a memory-mapped file."""

    path: str
    begin: int
    """Where in the file the array's bytes begin, ..."""
    length: int
    """... and how many bytes there are from the first item to the last."""
    first: int
    """Where among them the first item is: not at 0 if a stride is negative."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    checksum: int

    def open(self) -> np.ndarray:
        """Return the array, mapped for reading."""
        there = os.path.isfile(self.path)
        if not there or os.path.getsize(self.path) < self.begin + self.length:
            raise OtherFileError(f"{self.path}, " + ("which is shorter" if there else "no file"))
        span = np.memmap(self.path, np.uint8, "r", self.begin, (self.length,))
        if _checksum(span) != self.checksum:
            raise OtherFileError(f"{self.path}, which holds something else")
        return np.ndarray(self.shape, self.dtype, span, self.first, self.strides)


def mapped(array: np.ndarray) -> Mapped | None:
    """Return where in a file an array lies, or None if it lies in no file, or has changed there.

    Examples
    --------
    >>> mapped(np.ones(3)) is None
    True
    """
    root: Any = array
    while isinstance(root, np.ndarray) and not isinstance(root.base, mmap.mmap):
        root = root.base
    # What is written to a map of mode "c" does not reach the file.
    if not isinstance(root, np.memmap) or root.mode == "c" or not root.filename or not array.size:
        return None
    if root.mode != "r":
        root.flush()  # for other machines
    low, high = byte_bounds(array)
    begin = low - byte_bounds(root)[0] + root.offset
    path = Path(root.filename).absolute()
    # The map itself begins at a whole page.
    own = begin - root.offset + root.offset % mmap.ALLOCATIONGRANULARITY
    span = np.ndarray((high - low,), np.uint8, root.base, own)
    first = array.__array_interface__["data"][0] - low
    where = str(path), begin, len(span), first, array.shape, array.strides, array.dtype.str
    found = Mapped(*where, _checksum(span))
    with suppress(OtherFileError):  # if another file has taken the place
        found.open()
        return found
    return None


def _checksum(span: np.ndarray) -> int:
    """Return a checksum of some pieces, spread evenly, with the first and the last."""
    found = 0
    for begin in np.linspace(0, max(0, len(span) - _SAMPLE), _SAMPLES).astype(int):
        found = zlib.crc32(span[begin : begin + _SAMPLE].data, found)
    return found


class _DataPickler(pickle.Pickler):
    """Puts the place of an array in a file into the pickle in the array's stead."""

    def persistent_id(self, obj: Any) -> Any:
        return mapped(obj) if isinstance(obj, np.ndarray) else None


class _DataUnpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> np.ndarray:
        return pid.open()


class Parcel:
    """Any value as bytes; its large arrays stay where they are until somebody sends them."""

    def __init__(self, value: Any):
        file, apart = io.BytesIO(), []

        def keep(buffer: pickle.PickleBuffer) -> bool:
            raw = np.frombuffer(buffer.raw(), np.uint8) if buffer.raw().nbytes else None
            if raw is None or len(raw) < _APART:
                return True
            apart.append(raw)
            return False

        _DataPickler(file, 5, buffer_callback=keep).dump(value)
        self.head, self.buffers = file.getvalue(), apart
        self._value: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_value": None}

    def open(self) -> Any:
        """Return the value, whose arrays cannot be written to."""
        if self._value is None:
            self._value = opened(self.head, self.buffers)
        return self._value


@dataclass(frozen=True)
class Filed:
    """A parcel whose arrays are in a file, which everybody on this machine maps."""

    path: str
    head: bytes
    spans: list[tuple[int, int]]

    def open(self) -> Any:
        """Return the value."""
        file = np.memmap(self.path, np.uint8, "r") if self.spans else b""
        return opened(self.head, [file[begin:end] for begin, end in self.spans])


def filed(parcel: Parcel, path: Path) -> Filed:
    """Return a parcel with its arrays in a new file."""
    spans = []
    with open(path, "wb") as file:
        for buffer in parcel.buffers:
            file.write(bytes(-file.tell() % _ALIGNED))
            begin = file.tell()
            file.write(buffer.data)
            spans.append((begin, file.tell()))
    return Filed(str(path), parcel.head, spans)


def opened(head: bytes, buffers: Sequence[Any]) -> Any:
    """Return the value of a parcel, with arrays at whole multiples of a cache line."""
    arrays = [np.frombuffer(buffer, np.uint8) for buffer in buffers]
    for place, array in enumerate(arrays):
        address = array.__array_interface__["data"][0]
        if address % _ALIGNED:
            whole = np.empty(len(array) + _ALIGNED, np.uint8)
            skipped = -whole.__array_interface__["data"][0] % _ALIGNED
            arrays[place] = whole[skipped : skipped + len(array)]
            arrays[place][...] = array
        arrays[place].flags.writeable = False
    return _DataUnpickler(io.BytesIO(head), buffers=arrays).load()


@functools.cache
def _pickler(module: str) -> Any:
    class Pickler(importlib.import_module(module).Pickler):  # type: ignore[misc]
        stand_ins: Mapping[int, str] = {}

        def persistent_id(self, obj: Any) -> Any:
            return self.stand_ins.get(id(obj))

    return Pickler


class _Unpickler(pickle.Unpickler):
    stand_ins: Mapping[str, Any] = {}

    def persistent_load(self, pid: Any) -> Any:
        return self.stand_ins[pid]


def packed(value: Any, module: str, **stand_ins: Any) -> bytes:
    """Return the pickle by `module` of a value, in which names stand for some objects."""
    file = io.BytesIO()
    pickler = _pickler(module)(file, pickle.HIGHEST_PROTOCOL)
    pickler.stand_ins = {id(each): name for name, each in stand_ins.items()}
    pickler.dump(value)
    return file.getvalue()


def unpacked(content: bytes, **stand_ins: Any) -> Any:
    """Return what was packed, with these objects where the names are."""
    unpickler = _Unpickler(io.BytesIO(content))
    unpickler.stand_ins = stand_ins
    return unpickler.load()
