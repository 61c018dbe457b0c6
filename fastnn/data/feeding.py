"""Rows for a network from what is not in memory: all of them in files, or a block at a time."""

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastnn.data import cache
from fastnn.data.dataset import Dataset, opened, to_memmap
from fastnn.data.layout import Layout
from fastnn.data.sources import as_source, block_rows
from fastnn.inputs.labeled import Labeled
from fastnn.preprocessing.encoding import Encoder
from fastnn.preprocessing.transformer import Transformer

if sys.platform != "win32":
    import fcntl

VARIABLE = "FASTNN_DATA_DIR"
_PREFIX = "fastnn-data-"
_SECONDS_TO_LOCK = 60.0


def fed(
    model: Any,
    X: Any,
    y: Any,
    weight: Any,
    *,
    shown: bool = False,
    prefix: str = "",
    names: Any = None,
) -> Any:
    """Return X, y and weights to check as a caller's arrays, after writing rows into files.

    `names` are those of the columns of X, if the model does not know them yet; messages put
    `prefix` before the arguments' names.

    Raises
    ------
    TypeError, ValueError, OSError
        As :func:`to_memmap`, and if the model's preprocessing takes whole columns.
    """
    check_chain(model)
    if isinstance(X, Dataset):
        if y is not None or weight is not None:
            what = "y" if y is not None else "sample_weight"
            raise TypeError(f"{prefix}X is a Dataset, which has its own {what}, wanted none")
        data = X
    else:
        if not isinstance(y, str | list | tuple | None):
            told = f"{prefix}X is {X!r:.60} ({type(X).__name__})"
            raise TypeError(
                f"{told}, wanted an array of numbers, or the name of a column as y, which is a "
                f"{type(y).__name__}"
            )
        names = names or model.names.x
        own = None if names is None or y is None else [*map(str, names)]
        data = _in_files(X, Layout.of(y, weight, own), shown)
    if data.y is None:
        raise TypeError(f"{prefix}y is missing, wanted the name of the target's column")
    x, targets = data.labeled()
    return x, targets, data.sample_weight


def check_chain(model: Any) -> None:
    """Refuse preprocessing that copies all rows into memory."""
    for step in () if model.preprocessing is None else model.preprocessing.steps:
        if isinstance(step, Encoder) or not isinstance(step, Transformer):
            what = "reads whole columns" if isinstance(step, Encoder) else "copies all rows"
            raise ValueError(
                f"preprocessing has {type(step).__name__}, which {what}, and X is not in memory: "
                "wanted transformers of numbers from fastnn.preprocessing, or X as a frame"
            )


def blocks(model: Any, X: Any) -> Iterator[Any]:
    """Yield rows to predict for, a block at a time; columns of other names are left out."""
    check_chain(model)
    if isinstance(X, Dataset):
        x, _ = X.labeled()
        array, size = X.X, block_rows(X.X.shape[1])
        for start in range(0, len(array), size):
            some = array[start : start + size]
            yield some if X.columns is None else Labeled(x.columns, some)
        return
    names = model.names.x
    layout = Layout.of(columns=None if names is None else [*map(str, names)])
    reader = layout.read(as_source(X, "X"), by_name=False)
    for arrays in reader:
        if arrays.y is not None:
            raise TypeError("X has batches with targets, wanted batches of X alone")
        columns = reader.layout.columns
        yield arrays.x if columns is None else Labeled(columns, arrays.x)


def _in_files(given: Any, layout: Layout, shown: bool) -> Dataset:
    """Return a source's rows in files: kept in FASTNN_DATA_DIR, or gone with the arrays."""
    source = as_source(given, "X")
    how: dict[str, Any] = {
        "target": layout.target,
        "sample_weight": layout.sample_weight,
        "columns": layout.columns,
        "verbose": int(shown),
    }
    home = os.environ.get(VARIABLE)
    made = cache.wanted(source, layout, None, None)
    if home:
        _sweep(Path(home))
    if home and made["source"] is not None:
        key = hashlib.sha256(json.dumps(made).encode()).hexdigest()[:32]
        return to_memmap(source, Path(home) / key, **how)
    if home:
        Path(home).mkdir(parents=True, exist_ok=True)
    with temporary(home or tempfile.gettempdir()) as (folder, results):
        to_memmap(source, folder, **how)
        return opened(folder, results)


@contextlib.contextmanager
def temporary(home: str) -> Iterator[tuple[Path, Path]]:
    """Make a folder that goes at the end, with its files as soon as nobody has them mapped."""
    _sweep(Path(home))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home))
    if sys.platform == "win32":  # which removes no files that are mapped
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        yield folder, folder
        return
    try:
        yield folder, Path(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove the folders of processes that were killed."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        for folder in home.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime < _SECONDS_TO_LOCK:
                    continue  # it may be about to be locked
                with open(folder / cache.LOCK, "ab") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
