"""Write arrays of rows to .npy files, a block at a time."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.inputs.checks import blocks

_HEADER = 128
"""Bytes before the numbers, however many rows there are."""


def header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Return the beginning of a .npy file, of the same length for all arrays.

    Examples
    --------
    >>> len(header(np.dtype("float32"), (10, 3)))
    128
    """
    described = np.lib.format.dtype_to_descr(dtype)
    text = repr({"descr": described, "fortran_order": False, "shape": shape}).encode("latin1")
    start = np.lib.format.magic(1, 0) + (_HEADER - 10).to_bytes(2, "little")
    return start + text.ljust(_HEADER - 11) + b"\n"


class ArrayFile:
    """A .npy file that grows."""

    def __init__(self, path: Path, dtype: np.dtype, row: tuple[int, ...]):
        self.path, self.dtype, self.row = path, np.dtype(dtype), row
        self._file: Any = None

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return math.prod(self.row) * self.dtype.itemsize

    def size(self, rows: int) -> int:
        """Return how large the file is with so many rows."""
        return _HEADER + rows * self.row_bytes

    def open(self, rows: int) -> None:
        """Go on after so many rows, or start with none."""
        if rows:
            self._file = open(self.path, "r+b")
            self._file.truncate(self.size(rows))
            self._file.seek(self.size(rows))
        else:
            # Whoever has mapped an older file keeps it.
            self.path.unlink(missing_ok=True)
            self._file = open(self.path, "x+b")
            self._file.write(bytes(_HEADER))

    def append(self, block: np.ndarray) -> None:
        """Write rows."""
        self._file.write(np.ascontiguousarray(block, self.dtype).data)

    def sync(self) -> None:
        """Make what is written last."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self, rows: int) -> None:
        """Write the header, which makes it a .npy file."""
        self._file.seek(0)
        self._file.write(header(self.dtype, (rows, *self.row)))
        self.sync()

    def widen(self, dtype: np.dtype, rows: int) -> None:
        """Write all rows again, as another type that holds them."""
        self._file.flush()
        old = self.read(rows)
        wide = ArrayFile(self.path.with_suffix(".wider"), dtype, self.row)
        wide.open(0)
        for _, block in blocks(old):
            wide.append(block)
        self._file.close()
        os.replace(wide.path, self.path)
        self._file, self.dtype = wide._file, wide.dtype

    def read(self, rows: int) -> np.ndarray:
        """Return the rows that are written, as a view of the file."""
        return np.memmap(self.path, self.dtype, "r", _HEADER, (rows, *self.row))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
