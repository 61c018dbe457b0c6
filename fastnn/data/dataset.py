"""`to_memmap`, which puts rows into files, and `Dataset`, the rows there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastnn.callbacks.progress import as_verbose
from fastnn.data import cache
from fastnn.data.layout import Layout
from fastnn.data.sources import Source, as_source
from fastnn.inputs import on_disk
from fastnn.inputs.checks import one_of
from fastnn.inputs.labeled import Labeled
from fastnn.inputs.precision import Rounded
from fastnn.inputs.streamed import InFiles


class Dataset(InFiles):
    """Rows in files, mapped into memory: what :func:`to_memmap` returns, and `fit` takes.

    It unpacks into X and y, and the weights if there are some: ``X, y = dataset``.  Arrays know
    nothing of columns' names; ``network.fit(dataset)`` does.  The system reads a row when it is
    used, and forgets it when memory is short.  Pickled, it is the name of its folder: who loads it
    maps the same files.

    Attributes
    ----------
    X : array, (n, n_columns)
        Read-only, as `y` and `sample_weight` are.
    y : array, (n,) or (n, n_targets), or None
        None if there was no `target`.
    sample_weight : array, (n,), or None
    columns : list of str or None
        The names of the columns of X.
    folder : Path
    """

    def __init__(self, folder: Path, arrays: dict[str, np.ndarray], made: dict[str, Any]):
        self.folder = folder
        self.X, self.y = arrays["x"], arrays.get("y")
        self.sample_weight = arrays.get("weight")
        self.columns: list[str] | None = made["names"]
        self._made = made
        self._target = made["made_from"]["target"]

    def __repr__(self) -> str:
        n, width = self.X.shape
        return f"Dataset({n:,} rows, {width:,} columns, {self.X.dtype}, in {str(self.folder)!r})"

    def __len__(self) -> int:
        return len(self.X)

    def __iter__(self) -> Iterator[np.ndarray | None]:
        found = [self.X, self.y]
        return iter(found if self.sample_weight is None else [*found, self.sample_weight])

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (str(self.folder.absolute()), self._made)

    def labeled(self) -> tuple[Any, Any]:
        """Return X and y as frames, where their columns have names."""
        x: Any = self.X if self.columns is None else Labeled(self.columns, self.X)
        several = self.y is not None and isinstance(self._target, list)
        return x, Labeled(self._target, self.y) if several else self.y


def to_memmap(
    source: Any,
    folder: str | os.PathLike[str],
    *,
    target: Any = None,
    sample_weight: str | None = None,
    columns: Any = None,
    dtype: DTypeLike | None = None,
    fingerprint: str | None = None,
    changed: str = "rebuild",
    verbose: int = 0,
) -> Dataset:
    """Write the rows of a source into a folder, in bounded memory, unless they are there.

    A second call returns at once.  One after a call that was killed goes on where that stopped, and
    gives the same bits.  Files that other processes have mapped stay as they are for these.

    Parameters
    ----------
    source : path, frame, LazyFrame, Arrow stream or batches
        The path of a Parquet file, of a folder of them (in the order of their names; those that
        begin with ``.`` or ``_`` and what is no Parquet are left out, and so is an index of pandas
        without a name), a pattern such as ``"2026-*.parquet"``, or a list of paths; a frame of
        pandas, Polars or pyarrow; a query of Polars, streamed; whatever has ``__arrow_c_stream__``,
        such as a result of DuckDB; or an iterable, or a function that returns one, of frames or of
        ``(X, y)`` or ``(X, y, sample_weight)``.  Parquet and Arrow want pyarrow (extra `data`).
    folder : path
        Where to write ``X.npy``, ``y.npy`` and ``sample_weight.npy``.  It is made if need be.
    target : str or list of str, optional
        The column of y, which is then (n,), or the columns, (n, n_targets).
    sample_weight : str, optional
        The column of the rows' weights.
    columns : list of str, optional
        The columns of X; by default all others.
    dtype : float type, optional
        What X is written as; by default a type that holds all columns, as NumPy finds it.
        ``"float32"`` halves the files of float64, and is what a network computes with, but what
        `preprocessing` then learns may differ in last digits.
    fingerprint : str, optional
        What you call the rows of a source that nothing else tells apart: a stream, a query, batches
        or a frame.  The folder is written again if it changes, and without it each time.  That of
        Parquet files is their paths, sizes, times of change, schemas and numbers of rows.
    changed : {"rebuild", "error"}
        What to do if the folder holds other rows than these, or others of their columns.
    verbose : {0, 1} or bool
        Show nothing, or how far it has come.

    Returns
    -------
    Dataset

    Raises
    ------
    TypeError, ValueError
        If there are no rows, columns are missing, differ between files or hold no numbers, or if
        the target or a weight is missing in a row.  Missing numbers and infinity in X are for `fit`
        to judge.
    FileExistsError
        If the folder has files of these names that :func:`to_memmap` did not write.
    OSError
        If the rows do not fit on the disk, before anything is written if their number is known.
        Errors but Ctrl-C remove what has been written.
    RuntimeError
        If a file changes while it is read.
    ImportError
        Without pyarrow, for what wants it.

    Examples
    --------
    >>> import tempfile, numpy as np, fastnn
    >>> def batches():
    ...     for start in range(0, 100, 10):
    ...         x = np.linspace(-1, 1, 100)[start : start + 10, None]
    ...         yield x, x[:, 0] ** 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = fastnn.data.to_memmap(batches, folder)
    ...     network = fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1)])
    ...     history = network.fit(rows, epochs=2)
    ...     print(rows.X.shape, rows.y.shape)
    (100, 1) (100,)
    """
    layout = Layout.of(target, sample_weight, columns)
    one_of(changed, "changed", ("rebuild", "error"))
    if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype is {np.dtype(dtype)}, wanted float32 or float64")
    if fingerprint is not None and not isinstance(fingerprint, str):
        raise TypeError(f"fingerprint is {fingerprint!r:.50}, wanted a str")
    shown = bool(as_verbose(verbose, 1))
    found = as_source(source)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    made = cache.wanted(found, layout, dtype, fingerprint)
    with cache.locked(path):
        _fill(path, found, layout, dtype, made, changed, shown)
        return opened(path)


def _fill(
    path: Path, source: Source, layout: Layout, dtype: Any, made: Any, changed: str, shown: bool
) -> None:
    there = cache.manifest(path)
    if cache.same(there, made) and cache.is_whole(path, there):
        return
    if not (path / cache.MANIFEST).exists():
        foreign = [name for name in cache.FILES.values() if (path / name).exists()]
        if foreign:
            raise FileExistsError(
                f"{path / foreign[0]} exists, and to_memmap did not write it: wanted another folder"
            )
    elif changed == "error" and not cache.same(there, made):
        raise ValueError(
            f"{path} holds other rows than those of {source.name}, or others of their columns: "
            "wanted another folder, or changed='rebuild'"
        )
    cache.write(path, source, layout, dtype, made, shown)


def load(folder: str | os.PathLike[str]) -> Dataset:
    """Return the rows that :func:`to_memmap` wrote into a folder, whatever their source is now.

    Raises
    ------
    ValueError
        If there are none, or not all.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is no folder, wanted one that to_memmap wrote")
    with cache.locked(path):
        if not cache.is_whole(path, cache.manifest(path)):
            raise ValueError(f"{path} does not hold all rows of a source: call to_memmap again")
        return opened(path)


def _same(folder: str, made: dict[str, Any]) -> Dataset:
    """Return the rows in a folder, if it has not been written again since."""
    found = load(folder)
    if cache.manifest(Path(folder)) != made:
        raise ValueError(f"{folder} holds other rows than when this Dataset was pickled")
    return found


def opened(path: Path, results: Path | None = None) -> Dataset:
    """Return the rows in a folder; what is computed from them goes to files there, or elsewhere."""
    found = cache.manifest(path)
    assert found is not None
    home = str(results or path)
    arrays = {
        name: on_disk.mapped(path / cache.FILES[name], home) for name in sorted(found["arrays"])
    }
    rounded = Rounded.of(found["rounded"])
    rounded.warn(arrays["x"].dtype, found["names"], stacklevel=3)
    return Dataset(path, arrays, found)
