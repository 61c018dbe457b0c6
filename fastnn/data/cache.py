"""Write the rows of a source into a folder, in bounded memory, and know them again."""

import contextlib
import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.data.layout import Arrays, Layout, Reader, rounded
from fastnn.data.progress import Progress
from fastnn.data.sources import Source
from fastnn.data.writing import ArrayFile
from fastnn.files.atomic import whole_file
from fastnn.inputs.precision import Rounded

if sys.platform != "win32":
    import fcntl

FORMAT = 1
"""The version of what is in such a folder."""
MANIFEST = "fastnn-data.json"
_CALLED = {"x": "X", "y": "y", "weight": "sample_weight"}
FILES = {"x": "X.npy", "y": "y.npy", "weight": "sample_weight.npy"}
LOCK = "fastnn-data.lock"
_PIECE = 2**26
"""Bytes after which what is written is made to last."""
_RESERVE = 2**28
"""Bytes of the disk that are left to others; batches need not end."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let no other process use a folder meanwhile; wait for one that does."""
    if sys.platform == "win32":
        yield
        return
    try:
        file = open(folder / LOCK, "ab")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        yield  # whoever may not write here changes nothing
        return
    with file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def manifest(folder: Path) -> dict[str, Any] | None:
    """Return what is known of a folder's rows; None if there are none, or nobody knows."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def is_whole(folder: Path, found: dict[str, Any] | None) -> bool:
    """Return whether all rows are there."""
    return bool(found and found["whole"]) and _has(folder, found, exactly=True)


def _has(folder: Path, found: Any, exactly: bool = False) -> bool:
    """Return whether the files have the rows that they should have, or more."""
    for file in _files(folder, found).values():
        try:
            size, wanted = file.path.stat().st_size, file.size(found["rows"])
        except FileNotFoundError:
            return False
        if size < wanted or (exactly and size > wanted):
            return False
    return True


def _files(folder: Path, found: Any) -> dict[str, ArrayFile]:
    return {
        name: ArrayFile(folder / FILES[name], np.dtype(dtype), tuple(row))
        for name, (dtype, row) in found["arrays"].items()
    }


def wanted(source: Source, layout: Layout, dtype: Any, fingerprint: Any) -> dict[str, Any]:
    """Return what a folder must be made from for nothing to be done; None in it never is."""
    own = source.fingerprint()
    given = None if fingerprint is None else str(fingerprint)
    columns = None if layout.columns is None else list(layout.columns)
    target = layout.target if isinstance(layout.target, str | None) else list(layout.target)
    return {
        "source": None if own is None and given is None else [own, given],
        "target": target,
        "sample_weight": layout.sample_weight,
        "columns": columns,
        "dtype": None if dtype is None else np.dtype(dtype).name,
    }


def same(found: dict[str, Any] | None, made: dict[str, Any]) -> bool:
    """Return whether a folder's rows are certainly those that are wanted."""
    return found is not None and made["source"] is not None and found["made_from"] == made


def remove(folder: Path) -> None:
    """Remove what was written into a folder, the word that it is there first."""
    for name in (MANIFEST, *FILES.values()):
        (folder / name).unlink(missing_ok=True)


def write(
    folder: Path, source: Source, layout: Layout, dtype: Any, made: dict[str, Any], shown: bool
) -> None:
    """Write the source's rows, going on where an earlier call was killed."""
    found = manifest(folder)
    if not (same(found, made) and found is not None and _has(folder, found)):
        remove(folder)
        found = None
    writer = _Writer(folder, dtype, made, found)
    try:
        reader = layout.read(source, writer.rows)
        progress = Progress(source.name, source.rows, writer.rows, shown)
        for arrays in reader:
            writer.write(arrays, reader, source.rows)
            progress.rows(writer.rows)
        source.check_unchanged()
        writer.finish(reader.layout)
        progress.end(writer.rows)
    except Exception as error:
        writer.close()
        remove(folder)  # whatever is wrong with the rows, or the disk, will be there again
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
            told = f"the rows of {source.name} do not fit"
            raise OSError(errno.ENOSPC, told, str(folder)) from None
        raise
    finally:
        writer.close()


def check_room(folder: Path, size: int) -> None:
    """Raise OSError if there is no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        told = f"{size / 1e9:.1f} GB of rows do not fit into the {free / 1e9:.1f} GB that are free"
        raise OSError(errno.ENOSPC, told, str(folder))


class _Writer:
    """Writes rows, and from time to time how many there are."""

    def __init__(self, folder: Path, dtype: Any, made: dict[str, Any], found: Any):
        self._folder, self._made = folder, made
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._files: dict[str, ArrayFile] = {}
        self._pending = 0
        self._rounded = Rounded()
        self.rows = 0
        if found:
            self._files, self.rows = _files(folder, found), found["rows"]
            self._rounded = Rounded.of(found["rounded"])
            for file in self._files.values():
                file.open(self.rows)

    def write(self, arrays: Arrays, reader: Reader, total: int | None) -> None:
        """Write some rows."""
        given = {name: getattr(arrays, name) for name in FILES}
        given = {name: array for name, array in given.items() if array is not None}
        if not self._files:
            self._begin(given, total)
        if given.keys() != self._files.keys():
            has, had = (", ".join(_CALLED[each] for each in some) for some in (given, self._files))
            raise ValueError(f"{arrays.where} has {has}, wanted {had}, as those before")
        for name, array in given.items():
            self._append(name, array, arrays.where)
        self.rows += len(arrays.x)
        if self._pending >= _PIECE:
            for file in self._files.values():
                file.sync()
            self._save(self.rows)
            if shutil.disk_usage(self._folder).free < _RESERVE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _begin(self, given: dict[str, np.ndarray], total: int | None) -> None:
        for name, array in given.items():
            dtype = np.dtype(np.float64) if name == "weight" else array.dtype
            dtype = self._dtype if name == "x" and self._dtype is not None else dtype
            self._files[name] = ArrayFile(self._folder / FILES[name], dtype, array.shape[1:])
        check_room(self._folder, sum(file.size(total or 0) for file in self._files.values()))
        self._save(0)  # from now on, these files are ours
        for file in self._files.values():
            file.open(0)

    def _append(self, name: str, array: np.ndarray, where: str) -> None:
        file = self._files[name]
        if array.shape[1:] != file.row:
            raise ValueError(
                f"{_CALLED[name]} of {where} has shape {array.shape}, wanted rows of shape "
                f"{file.row}, as those before"
            )
        if name == "x" and self._dtype is not None:
            array = self._rounded_to(array, where)
        elif (common := np.result_type(file.dtype, array.dtype)) != file.dtype:
            if self.rows:
                self._save(0)  # until they are written again
                file.widen(common, self.rows)
            file.dtype = common
        file.append(array)
        self._pending += len(array) * file.row_bytes

    def _rounded_to(self, array: np.ndarray, where: str) -> np.ndarray:
        out = rounded(array, self._dtype, where)
        if array.dtype != out.dtype:
            self._rounded.see(array, out)
        return out

    def _save(self, rows: int, layout: Layout | None = None) -> None:
        """Write down how many rows are there: all, if this is their layout."""
        found = {
            "format": FORMAT,
            "made_from": self._made,
            "arrays": {
                name: [file.dtype.name, list(file.row)] for name, file in self._files.items()
            },
            "rows": rows,
            "names": layout and layout.columns,
            "rounded": self._rounded.state(),
            "whole": layout is not None,
        }
        with whole_file(self._folder / MANIFEST) as out:
            out.write(json.dumps(found).encode())
        self._pending = 0

    def finish(self, layout: Layout) -> None:
        """Say that these are all rows."""
        if not self.rows:
            raise ValueError("source has no rows, wanted at least one")
        for file in self._files.values():
            file.finish(self.rows)
        self._save(self.rows, layout)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
