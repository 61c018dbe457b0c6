"""Arrays that live in files: rows that may be more than memory, and what is computed from them.

They are ordinary arrays, also their views and slices.  What the system knows of a file's pages in
memory is its own to take back, so that they count as nobody's memory.
"""

import errno
import math
import mmap
import os
import sys
import tempfile
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import DTypeLike

_FOLDERS: WeakKeyDictionary[mmap.mmap, str] = WeakKeyDictionary()
"""Where files may be made for what is computed from the rows in a mapped one."""
_LARGE = 2**24
"""Bytes from which on results are in files too."""


def mapped(path: str | os.PathLike[str], folder: str) -> np.ndarray:
    """Return the array in a .npy file, not to be written; larger results go to files in `folder`.

    Those have no names, and are gone with the last array that needs them, or with the process.
    """
    array: np.ndarray = np.load(path, mmap_mode="r")
    source = _map_of(array)
    assert source is not None
    _FOLDERS[source] = folder
    return array


def _map_of(array: object) -> mmap.mmap | None:
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


def is_on_disk(array: object) -> bool:
    """Return whether an array is one that :func:`mapped` or :func:`empty` put into a file."""
    return _map_of(array) in _FOLDERS


def empty(shape: tuple[int, ...], dtype: DTypeLike, like: object) -> np.ndarray:
    """Return an array to fill with what is computed from `like`: in a file if that one is.

    Raises
    ------
    OSError
        If the file does not fit on the disk.
    """
    source = _map_of(like)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if source is None or source not in _FOLDERS or size < _LARGE:
        return np.empty(shape, dtype)
    folder = _FOLDERS[source]
    if not os.access(folder, os.W_OK):
        folder = tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # Later, a full disk would be a signal that ends the process.
            if sys.platform == "linux":
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(
                errno.ENOSPC, f"{size / 1e9:.1f} GB for transformed rows do not fit", folder
            ) from None
        room = mmap.mmap(file.fileno(), size)
    _FOLDERS[room] = folder
    return np.ndarray(shape, dtype, room)


def taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return ``array[rows]``, the rows at some positions, in a file if `array` is in one."""
    out = empty((len(rows), *array.shape[1:]), array.dtype, array)
    step = max(1, _LARGE // max(1, array[:1].nbytes))
    for start in range(0, len(rows), step):
        out[start : start + step] = array[rows[start : start + step]]
    return out
