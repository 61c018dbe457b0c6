"""A single network on a user's Parquet files, which may be more than memory."""

import importlib.util
import os
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn.cli import single
from fastnn.cli.answers import check_loss
from fastnn.cli.outputs import STANDARD, naming
from fastnn.cli.usage import UsageError
from fastnn.data import cache, feeding
from fastnn.data.progress import Progress
from fastnn.data.sources import ENDINGS, Source, as_source
from fastnn.data.writing import ArrayFile
from fastnn.inputs import on_disk

if TYPE_CHECKING:
    from fastnn.tables import Reading, Table

LARGE = 2**28
"""Bytes of a Parquet file from which on it is not read into memory."""
MOST_HELD_OUT = 2**20
"""Rows that choose the best epoch, and that test, at most."""
_NUMBERS = 2**22
"""Numbers of the sample that encodings are learned from."""
_LEAST = 2**15
"""Rows of the sample, at least."""
_PARTS = "train", "validation", "test"
_SPLIT, _SAMPLE = 1, 2


def wanted(arguments: Namespace) -> bool:
    """Return whether a table is read from disk: a folder, or a large Parquet file."""
    name = arguments.data
    if name == STANDARD:
        return False
    path = Path(name)
    if path.is_dir():
        return True
    large = path.suffix.lower() in ENDINGS and path.stat().st_size > LARGE
    return large and importlib.util.find_spec("pyarrow") is not None  # else Polars reads it


def check(arguments: Namespace) -> None:
    """Raise UsageError for options that are for tables in memory."""
    single.wanted(arguments)  # those of single networks and ensembles
    name = arguments.data
    for option in ("preset", "time_limit", "report"):
        if getattr(arguments, option) is not None:
            raise UsageError(
                f"--{option.replace('_', '-')} is for an ensemble, and {name} trains a single "
                "network, as it is read from disk"
            )
    check_reading(arguments)
    if isinstance(arguments.validation, str):
        raise UsageError(f"--validation FILE is for tables in memory; {name} wants a share")


def check_reading(arguments: Namespace) -> None:
    """Raise UsageError for options that say how to read CSV."""
    if arguments.delimiter is not None or arguments.header is not None:
        raise UsageError(f"--delimiter and --header are for CSV, and {arguments.data} is Parquet")


def tables(arguments: Namespace, reading: "Reading") -> Iterator["Table"]:
    """Yield a source's rows, a block at a time, with the columns to keep."""
    from fastnn.tables import Pieces

    # What is a boolean was decided in training, by whole columns.
    pieces, start = Pieces(reading, frozenset()), 0
    for block in as_source(arguments.data).blocks():
        yield pieces.piece(block.rows, start, [name.strip() for name in arguments.keep])
        start += len(block.rows)


@contextmanager
def opened(arguments: Namespace, reading: "Reading") -> Iterator["Trained"]:
    """Yield a network to train, while its rows are in files."""
    home = os.environ.get(feeding.VARIABLE) or tempfile.gettempdir()
    with naming(arguments.data):
        source = as_source(arguments.data)
        if not source.rows:
            raise ValueError("has no rows")
    with feeding.temporary(home) as (folder, results), cache.locked(folder):
        with naming(arguments.data):
            model = Trained(arguments, source, reading, folder, results)
        yield model


class Trained(single.Trained):
    """A network to train on a source of tables, a block of rows at a time.

    A sample of the rows to train on says what the columns hold, and how they are scaled.

    Attributes
    ----------
    sample : Piece
    values : array
        Its target, as :func:`fastnn.tables.read_target` returns it.
    n_rows : int
        How many rows there are.
    counts : dict
        How many of them train, choose the best epoch and test.
    """

    def __init__(
        self, arguments: Namespace, source: Source, reading: "Reading", folder: Path, results: Path
    ):
        from fastnn.tables import TableEncoder, read_target, sampled

        self._source, self._seed = source, arguments.seed
        self.n_rows = n = source.rows or 0
        target = arguments.target.strip()
        test = _share(arguments.test_size, n, "--test-size", n)
        own, _ = single.chosen(arguments, "regression")
        how = single.how_long(own, n)
        held = 0.0
        if how["validation"] is not None:
            held = _share(how["validation"], n, "--validation", n) * (1 - test)
        self._limits = test, test + held
        first = next(source.blocks())
        rows = max(_LEAST, _NUMBERS // max(1, first.rows.num_columns))
        chosen = _random(_SAMPLE, self._seed)
        share = min(1.0, rows / max(1.0, n * (1 - test - held)))
        parts = (
            (frame, (part == 0) & (chosen.random(len(part)) < share), start)
            for frame, part, start in self._parts(" for a sample")
        )
        self.sample, pieces = sampled(parts, target, reading)
        task, self.values = read_target(self.sample, target, arguments.task)
        own, loss = single.chosen(arguments, task)
        self.how = how
        classes = set(self.values) if task == "classification" else set()
        check_loss(loss, target, classes, self.values, self.sample)
        text, ignore = ([name.strip() for name in n] for n in (arguments.text, arguments.ignore))
        encoder = TableEncoder.fit(self.sample, target, task, None, text, ignore)
        self.build(arguments, own, loss, encoder)
        self.counts = dict.fromkeys(_PARTS, 0)
        cache.check_room(folder, 4 * n * (len(encoder.input_names) + self.answers.n_outputs))
        arrays = self._written(folder, results, pieces)
        self.inputs, self.targets = arrays["train", "x"], arrays["train", "y"]
        self.rows = np.broadcast_to(np.intp(0), len(self.inputs))  # of which only the number counts
        self.tests = arrays["test", "x"], arrays["test", "value"]
        self.held_out = None
        if held:
            self.held_out = arrays["validation", "x"], arrays["validation", "y"]

    def _parts(self, why: str = "") -> Iterator[tuple[Any, NDArray[np.int8], int]]:
        """Yield frames, which part of the rows each row is in, and the number of the first.

        Tell how far it has come, and `why`.
        """
        progress = Progress(f"{self._source.name}{why}", self._source.rows, 0, True)
        rng, start = _random(_SPLIT, self._seed), 0
        test, both = self._limits
        for block in self._source.blocks():
            draws = rng.random(len(block.rows))
            yield block.rows, np.where(draws < test, 2, np.where(draws < both, 1, 0)), start
            start += len(draws)
            progress.rows(start)
        progress.end(start)

    def _written(self, folder: Path, results: Path, pieces: Any) -> dict[tuple[str, str], Any]:
        """Write all rows as the network takes them, by part, and return the arrays."""
        from fastnn.tables import targets_of

        files: dict[tuple[str, str], ArrayFile] = {}
        test = self._limits[0]
        try:
            for frame, part, start in self._parts():
                piece = pieces.piece(frame, start)
                found, values = targets_of(self.encoder, piece)
                given = {
                    "x": self.encoder.encode(piece),
                    "y": self.answers.of_encoded(found),
                    "value": values,
                }
                for number, name in enumerate(_PARTS):
                    chosen = part == number
                    self.counts[name] += int(chosen.sum())
                    for what, array in given.items():
                        if (what == "value") == (name == "test") or what == "x":
                            _file(files, folder, name, what, array).append(array[chosen])
            self._source.check_unchanged()
            for (name, _), file in files.items():
                file.finish(self.counts[name])
        finally:
            for file in files.values():
                file.close()
        needed = [name for name in _PARTS if name != "validation" or self._limits[1] > test]
        lacking = [name for name in needed if not self.counts[name]]
        if lacking:
            raise ValueError(f"has too few rows: none are left for {lacking[0]}")
        return {
            key: on_disk.mapped(file.path, str(results))
            for key, file in files.items()
            if self.counts[key[0]]
        }

    def training(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return self.inputs, self.targets

    def test(self, rows: Any) -> str:
        x, values = self.tests
        classes = self.encoder.classes
        target = np.array(classes)[values] if classes else np.asarray(values)
        return self.answers.report(target, self.network.predict(x), self.values)


def _file(
    files: dict[tuple[str, str], ArrayFile], folder: Path, name: str, what: str, like: NDArray[Any]
) -> ArrayFile:
    if (name, what) not in files:
        files[name, what] = ArrayFile(folder / f"{name}-{what}.npy", like.dtype, like.shape[1:])
        files[name, what].open(0)
    return files[name, what]


def _random(what: int, seed: int) -> np.random.Generator:
    """Return numbers that have nothing to do with data that somebody drew by the same seed."""
    return np.random.default_rng([what, seed])


def _share(share: float, n: int, option: str, rows: int) -> float:
    """Return a share of the rows that is not too many of them to hold out."""
    if not 0 < round(share * n) < n:
        raise ValueError(f"has {rows} rows, of which {option} {share:g} makes {round(share * n)}")
    return min(share, MOST_HELD_OUT / n)
