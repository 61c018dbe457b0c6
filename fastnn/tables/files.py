"""Read CSV and Parquet files as frames."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import polars as pl
from polars import selectors

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")
"""Texts that mean a missing value, ignoring blanks around them."""


def read_table(path: str | Path) -> pl.DataFrame:
    """Read a CSV file (``.csv``, ``.tsv`` or ``.txt``, also with ``.gz``) or a ``.parquet`` file.

    A CSV file must be UTF-8 with a header line.  Its separator is whichever of comma, semicolon,
    tab and bar is most frequent in the header.  Its columns come back as stripped text, with null
    for the texts of `MISSING`; :class:`TableEncoder` decides what is a number.

    Raises
    ------
    ValueError
        If the file is not such a table, or has no rows.
    OSError
        If the file cannot be opened.
    """
    path = Path(path)
    with path.open("rb"):
        pass  # a file that cannot be opened raises Python's own error
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"cannot be read as a table: {str(error).splitlines()[0]}") from None
    except UnicodeDecodeError:
        raise ValueError("cannot be read as a table: it is not UTF-8 text") from None
    if frame.is_empty():
        raise ValueError("has no rows")
    return _clean(frame)


def _read_csv(path: Path) -> pl.DataFrame:
    with _open(path) as text:
        header = text.readline().strip()
    if not header:
        raise ValueError("the first line is blank, wanted the names of the columns")
    separator = max(",;\t|", key=header.count)
    try:
        frame = pl.read_csv(path, separator=separator, infer_schema=False, glob=False)
    except pl.exceptions.PolarsError:
        _refuse_ragged(path, separator)
        raise
    # polars reads a blank line as a row of nulls, but only a line with separators is a row.
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if empty.any():
        blank = pl.Series([not record for _, record in _records(path, separator)][1:])
        frame = frame.filter(~(empty & blank))
    return frame


def _open(path: Path) -> TextIO:
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every record's last line number and its fields: slow but exact."""
    with _open(path) as text:
        reader = csv.reader(text, delimiter=separator)
        try:
            for record in reader:
                yield reader.line_num, record
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None


def _refuse_ragged(path: Path, separator: str) -> None:
    width = 0
    for line, record in _records(path, separator):
        width = width or len(record)
        if len(record) > width:
            raise ValueError(f"line {line} has {len(record)} fields, the header has {width}")


def _clean(frame: pl.DataFrame) -> pl.DataFrame:
    """Return stripped text, with null for missing values and a single spelling of booleans."""
    frame = frame.with_columns(
        selectors.float().fill_nan(None),
        selectors.by_dtype(pl.Boolean, pl.Categorical, pl.Enum).cast(pl.String),
    )
    text = selectors.string().str.strip_chars()
    frame = frame.with_columns(pl.when(text.is_in(MISSING)).then(None).otherwise(text).name.keep())
    lower = selectors.string().str.to_lowercase()
    flags = frame.select(lower.is_in(["true", "false"]).all())
    return frame.with_columns(
        pl.col([flag.name for flag in flags if flag.item()]).str.to_lowercase()
    )
