"""Where rows come from: Parquet, Arrow, Polars and batches, each read a block of rows at a time."""

import glob
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastnn.inputs.arrays import is_frame, labels_of
from fastnn.inputs.checks import listed
from fastnn.inputs.extras import load
from fastnn.inputs.streamed import is_query

_NUMBERS = 2**20
"""Numbers of a block: enough to be read fast, few enough to take little memory."""
_ROWS = 512, 2**16
"""Rows of a block, at least and at most."""
_BUFFERS = 2**25
"""Bytes of all columns together that pyarrow reads ahead."""
ENDINGS = ".parquet", ".pq"
_INDEX = "__index_level_"
"""How the names of columns begin that hold an unnamed index of pandas."""
_WANTS = "reading Parquet and Arrow", "pyarrow, or fastnn-kernels[data]"


class Block(NamedTuple):
    """Some rows, and what messages call them."""

    rows: Any
    """A frame, or a tuple of X and perhaps y and weights."""
    where: str


class Source:
    """Where rows come from; `fingerprint` tells it from all others, if anything can."""

    name = "source"
    rows: int | None = None
    """How many rows there are, if that is known."""

    def fingerprint(self) -> Any:
        """Return what changes when the rows do, as JSON can hold it; None if nothing does."""
        return None

    def check_unchanged(self) -> None:
        """Raise RuntimeError if the rows have changed since the source was made."""

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield all rows, in order; frames may have more than these `columns`."""
        raise NotImplementedError

    def after(self, done: int, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield the rows after the first `done` ones."""
        for block in self.blocks(columns):
            n = _length(block.rows)
            if done < n:
                yield Block(_part(block.rows, done, n), block.where) if done else block
            done = max(0, done - n)


class Parquet(Source):
    """Parquet files, one after the other."""

    def __init__(self, paths: Iterable[Path], found: Callable[[], list[Path]] | None = None):
        self._errors = OSError, load("pyarrow", *_WANTS).ArrowException
        self._parquet = load("pyarrow.parquet", *_WANTS)
        self.paths, self._found = list(paths), found
        self.name = str(self.paths[0]) if len(self.paths) == 1 else str(self.paths[0].parent)
        self._files: list[list[Any]] = []
        self._groups: list[list[int]] = []
        names: list[str] = []
        schema = hashlib.sha256()
        for path in self.paths:
            seen = _seen(path)
            metadata = self._opened(path).metadata
            own = metadata.schema.to_arrow_schema()
            if len(set(own.names)) < len(own.names):
                twice = next(each for each in own.names if own.names.count(each) > 1)
                raise ValueError(f"{path} has two columns {twice!r}, wanted different names")
            if names and set(names) != set(own.names):
                raise ValueError(_differs(path, own.names, self.paths[0], names))
            names = names or own.names
            schema.update(str(own.remove_metadata()).encode())
            groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
            self._groups.append(groups)
            self._files.append([str(path.resolve()), *seen, sum(groups), len(groups)])
        self.names = [name for name in names if not name.startswith(_INDEX)]
        self._schema = schema.hexdigest()
        self.rows = sum(map(sum, self._groups))

    def fingerprint(self) -> Any:
        return {"parquet": self._files, "schema": self._schema}

    def check_unchanged(self) -> None:
        for path, (_, *seen, _, _) in zip(self.paths, self._files, strict=True):
            if _seen(path) != seen:
                raise RuntimeError(f"{path} changed while it was read: read it again")
        if self._found is not None and self._found() != self.paths:
            raise RuntimeError(
                f"files of {self.name} came or went while they were read: read again"
            )

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        return self.after(0, columns)

    def after(self, done: int, columns: Sequence[str] | None = None) -> Iterator[Block]:
        for path, groups in zip(self.paths, self._groups, strict=True):
            first, rows = 0, 0
            while first < len(groups) and done >= rows + groups[first]:
                rows += groups[first]
                first += 1
            if first < len(groups):
                yield from self._of_file(path, first, rows, done - rows, columns)
            done = max(0, done - sum(groups))

    def _of_file(
        self, path: Path, first: int, start: int, skip: int, columns: Sequence[str] | None
    ) -> Iterator[Block]:
        """Yield a file's rows from row group `first` on, whose first row is `start`."""
        width = max(1, len(columns or self.names))
        file = self._opened(path, max(2**12, _BUFFERS // width))
        size = block_rows(width)
        how = {"columns": columns and list(columns), "use_threads": False}
        batches = file.iter_batches(size, range(first, file.num_row_groups), **how)
        try:
            for table in _together(batches, size):
                if skip < len(table):
                    yield Block(table.slice(skip), f"row {start + skip} of {path.name}")
                skip = max(0, skip - len(table))
                start += len(table)
        except self._errors as error:
            raise _damaged(path, error) from error

    def _opened(self, path: Path, buffer: int = 0) -> Any:
        try:
            how = {"pre_buffer": False, "buffer_size": buffer, "page_checksum_verification": True}
            return self._parquet.ParquetFile(path, **how)
        except FileNotFoundError:
            raise
        except self._errors as error:
            raise _damaged(path, error) from error


class Stream(Source):
    """What gives its rows by Arrow's interface for streams, in many cases only once."""

    name = "stream"

    def __init__(self, given: Any):
        arrow = load("pyarrow", *_WANTS)
        self._reader = arrow.RecordBatchReader.from_stream(given)

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        start, size = 0, block_rows(len(self._reader.schema))
        for table in _together(iter(self._reader), size):
            yield Block(table, f"row {start}")
            start += len(table)


class Lazy(Source):
    """A query of Polars, which runs while its rows are read."""

    name = "LazyFrame"

    def __init__(self, given: Any):
        self._frame = given

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        polars = load("polars", "reading a LazyFrame", "polars, or fastnn-kernels[table]")
        frame = self._frame if columns is None else self._frame.select(list(columns))
        frame = frame.with_columns(polars.selectors.decimal().cast(polars.Float64))
        start, size = 0, block_rows(len(frame.collect_schema()))
        if not hasattr(frame, "collect_batches"):
            raise ImportError(
                "streaming a LazyFrame wants polars 1.34 or newer: pip install polars"
            )
        for batch in frame.collect_batches(chunk_size=size, maintain_order=True):
            yield Block(batch, f"row {start}")
            start += len(batch)


class Frame(Source):
    """A frame in memory."""

    name = "frame"

    def __init__(self, given: Any):
        self._frame, self.rows = given, len(given)

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        size = block_rows(len(labels_of(self._frame)))
        for start in range(0, len(self._frame) or 1, size):
            yield Block(_part(self._frame, start, start + size), f"row {start}")


class Batches(Source):
    """Batches that a caller makes: frames, or tuples of arrays."""

    name = "batches"

    def __init__(self, make: Callable[[], Iterable[Any]]):
        self._make = make

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        found = self._make()
        if not isinstance(found, Iterable):
            raise TypeError(f"source made {type(found).__name__}, wanted an iterable of batches")
        for number, batch in enumerate(found):
            yield Block(_as_batch(batch, number), f"batch {number}")


def as_source(given: Any, name: str = "source") -> Source:
    """Return where to read rows from.

    Raises
    ------
    TypeError, ValueError, OSError
        If `given` is nothing to read rows from, or has none.
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, str | os.PathLike):
        return _of_path(os.fspath(given))
    if isinstance(given, list | tuple) and given:
        if all(isinstance(each, str | os.PathLike) for each in given):
            return Parquet([_file(Path(each)) for each in given])
    if is_query(given):
        return Lazy(given)
    if is_frame(given):
        return Frame(given)
    if hasattr(type(given), "__arrow_c_stream__"):
        return Stream(given)
    if callable(given):
        return Batches(given)
    if isinstance(given, Iterable) and not hasattr(type(given), "__array__"):
        return Batches(lambda: given)
    raise TypeError(
        f"{name} is {type(given).__name__}, wanted a path of Parquet files, a frame, a LazyFrame, "
        "an Arrow stream or batches"
    )


def _of_path(given: str) -> Parquet:
    path = Path(given)
    if path.is_dir():
        paths = _of_folder(path)
        if not paths:
            raise ValueError(f"{path} has no files that end in {' or '.join(ENDINGS)}")
        return Parquet(paths, lambda: _of_folder(path))
    if glob.has_magic(given) and not path.exists():
        paths = _of_pattern(given)
        if not paths:
            raise FileNotFoundError(f"{given} fits no file")
        return Parquet(map(_file, paths), lambda: _of_pattern(given))
    return Parquet([_file(path)])


def _of_pattern(pattern: str) -> list[Path]:
    return [Path(each) for each in sorted(glob.glob(pattern))]


def _of_folder(folder: Path) -> list[Path]:
    """Return a folder's Parquet files in order, without those that mark how they were written."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name[0] in "._":
            continue
        if path.is_dir() and any(each.suffix in ENDINGS for each in path.rglob("*")):
            raise ValueError(
                f"{folder} has Parquet files in folders, such as {path.name}, whose names are not "
                "read as columns: give the files' paths, or polars.scan_parquet of them"
            )
        if path.suffix.lower() in ENDINGS:
            found.append(path)
    return found


def _file(path: Path) -> Path:
    with path.open("rb") as file:  # a file that cannot be opened raises Python's own error
        magic = file.read(4)
    if magic != b"PAR1":
        name = path.name.lower().removesuffix(".gz")
        hint = ": polars.scan_csv reads CSV" if name.endswith((".csv", ".tsv")) else ""
        raise ValueError(f"{path} is no Parquet file{hint}")
    return path


def _seen(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _damaged(path: Path, error: Exception) -> Exception:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ValueError(f"{path} cannot be read as Parquet: {text}")


def _differs(path: Path, names: list[str], first: Path, known: list[str]) -> str:
    lacking = [each for each in known if each not in names]
    more = [each for each in names if each not in known]
    said = [f"lacks {listed(lacking)}"] if lacking else []
    said += [f"also has {listed(more)}"] if more else []
    return f"{path} {' and '.join(said)}, other columns than {first.name}"


def block_rows(width: int) -> int:
    """Return how many rows of `width` columns to read at a time."""
    least, most = _ROWS
    return min(max(least, _NUMBERS // max(1, width)), most)


def _together(batches: Iterator[Any], size: int) -> Iterator[Any]:
    """Yield Arrow's batches as tables of about `size` rows: files may have a row in each group."""
    arrow = load("pyarrow", *_WANTS)
    held: list[Any] = []
    count = 0
    for batch in batches:
        for start in range(0, len(batch) or 1, size):
            held.append(batch.slice(start, size))
            count += len(held[-1])
            if count >= size:
                yield _joined(arrow, held)
                held, count = [], 0
    if held:
        yield _joined(arrow, held)


def _joined(arrow: Any, batches: list[Any]) -> Any:
    """Return batches as one table, in which decimal numbers are float64."""
    table = arrow.Table.from_batches(batches)
    for place, field in enumerate(table.schema):
        if arrow.types.is_decimal(field.type):
            numbers = table.column(place).cast(arrow.float64())
            table = table.set_column(place, field.name, numbers)
    return table


def _as_batch(batch: Any, number: int) -> Any:
    if is_frame(batch):
        return batch
    if isinstance(batch, tuple | list) and len(batch) in (2, 3):
        return tuple(batch)
    if hasattr(type(batch), "__array__"):
        return (batch,)
    kind = type(batch).__name__
    size = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
    raise TypeError(
        f"batch {number} is a {kind}{size}, wanted a frame, X, (X, y) or (X, y, sample_weight)"
    )


def _length(rows: Any) -> int:
    return len(rows[0]) if isinstance(rows, tuple) else len(rows)


def _part(rows: Any, start: int, stop: int) -> Any:
    """Return rows of a frame, or of each array of a batch."""
    if isinstance(rows, tuple):
        return tuple(_part(each, start, stop) for each in rows)
    if hasattr(type(rows), "iloc"):
        return rows.iloc[start:stop]
    if is_frame(rows):
        return rows.slice(start, stop - start)
    return np.asarray(rows)[start:stop]


def first_of(blocks: Iterator[Block], name: str) -> tuple[Block, Iterator[Block]]:
    """Return the first block, and all of them."""
    found = list(islice(blocks, 1))
    if not found:
        raise ValueError(f"{name} has no rows, wanted at least one")

    def again() -> Iterator[Block]:
        yield found.pop()  # not kept while the others are read
        yield from blocks

    return found[0], again()
