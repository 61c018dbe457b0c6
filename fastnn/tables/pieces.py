"""A table that comes in pieces: what a sample of its rows says holds for all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastnn.tables.encoder import TableEncoder
from fastnn.tables.reading import Reading
from fastnn.tables.table import Table, clean, flags_of, unused

_MOST_CLASSES = 1000
"""Different values of a target of which each gets into the sample."""


@dataclass(frozen=True)
class Piece(Table):
    """Some rows of a larger table, in which each has its place."""

    places: Any = None

    def place(self, row: int) -> str:
        return f"data row {self.places[row] + 1}"


@dataclass(frozen=True)
class Pieces:
    """How to read pieces of a table alike: `flags` are the columns of true and false alone."""

    reading: Reading
    flags: frozenset[str]

    def piece(self, frame: Any, start: int, keep: Sequence[str] = ()) -> Piece:
        """Return a frame's rows, the first of which is that number `start` of the table.

        The columns of `keep` are in `kept` too, as they are.
        """
        given = as_frame(frame)
        rows = clean(given, self.reading, self.flags)
        found = Piece(rows, self.reading, places=np.arange(start, start + len(rows)))
        names = [found.column(name).name for name in dict.fromkeys(keep)]
        return replace(found, kept=given.select(names)) if names else found


def as_frame(frame: Any) -> pl.DataFrame:
    """Return an Arrow table, or a frame, as one of polars, with names without blanks around them.

    Raises
    ------
    ValueError
        If two columns then have the same name.
    """
    found = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
    names = [name.strip() for name in found.columns]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"two columns are called {name!r}; rename one of them")
    return found.rename(dict(zip(found.columns, names, strict=True)))


def sampled(
    parts: Iterable[tuple[Any, NDArray[np.bool_], int]], target: str, reading: Reading
) -> tuple[Piece, Pieces]:
    """Return a sample of a table, and how to read its other rows as these are read.

    Parts are a frame, which of its rows to take, and the number of the first.  Rows whose target no
    row before had are taken too, so that no class is missed.
    """
    frames, places = [], []
    seen: set[Any] = set()
    for given, chosen, start in parts:
        frame = as_frame(given)
        known = target in frame.columns and not frame[target].dtype.is_float()
        if known and len(seen) <= _MOST_CLASSES:
            values = frame[target]
            first = frame.select(pl.col(target).is_first_distinct()).to_series().to_numpy()
            for row in first.nonzero()[0]:
                if (value := values[int(row)]) not in seen:
                    seen.add(value)
                    chosen[row] = True
        frames.append(frame.filter(pl.Series(chosen)))
        places.append(start + chosen.nonzero()[0])
    rows = pl.concat(frames)
    cleaned = clean(rows, reading)
    where = np.concatenate(places)
    found = Piece(cleaned, reading, None, (), unused(rows, reading), places=where)
    return found, Pieces(reading, flags_of(clean(rows, reading, frozenset())))


def targets_of(encoder: TableEncoder, piece: Piece) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a piece's target as `encoder.encode_target` would, and its numbers or labels.

    A piece may have one class only.

    Raises
    ------
    ValueError
        If the target has no value in a row, or not one of those that it may have.
    """
    column = piece.column(encoder.target)
    if column.values.null_count():
        raise ValueError(
            f"target column {encoder.target!r} has no value in "
            f"{column.first(column.values.is_null(), '{place}')}; remove or fill such rows"
        )
    if encoder.task == "regression":
        return encoder.encode_target(piece), column.numbers.to_numpy()
    texts = column.values.cast(pl.String)
    known = {name: label for label, name in enumerate(encoder.classes)}
    for text in texts.unique().to_list():
        if text not in known:  # 1 and 1.0
            number = piece.reading.numbers(pl.Series([text], dtype=pl.String))[0]
            known[text] = known.get("" if number is None else f"{number:.17g}", -1)
    labels = texts.replace_strict(list(known), list(known.values()), return_dtype=pl.Int64)
    if (labels < 0).any():
        raise ValueError(
            f"target column {encoder.target!r} holds {column.first(labels < 0)}, a class that no "
            "row of the sample has: give a column of fewer classes, or --task regression"
        )
    found = labels.to_numpy()
    return found, found
