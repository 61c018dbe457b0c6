"""Read CSV, Parquet and Feather files as tables."""

import csv
import gzip
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import polars as pl

from fastnn.tables.reading import Reading, number_like
from fastnn.tables.table import Table, clean, unused

_CHUNK = 20_000  # rows that are Python lists at a time


def read_table(path: str | Path, reading: Reading | None = None) -> pl.DataFrame:
    """Return the frame of :func:`open_table`."""
    return open_table(path, reading or Reading()).frame


def open_table(
    path: str | Path,
    reading: Reading,
    expected: Collection[str] = (),
    names: Sequence[Sequence[str]] = (),
    keep: Sequence[str] = (),
) -> Table:
    """Read a CSV file, which may be compressed with gzip, or a Parquet or Feather file.

    A CSV file must be UTF-8, with as many fields in each line as in the first, which names the
    columns.  Its separator is whichever of comma, semicolon, tab and bar fits.  Its columns come
    back as stripped text, with null for missing values; :class:`TableEncoder` decides what is a
    number.

    Parameters
    ----------
    path : path
        The file.
    reading : Reading
        What to do otherwise.
    expected : collection of str
        Columns that there must be.  They tell a first line that holds numbers from data.
    names : sequence of sequences of str
        Names to choose from by their number, for a file without a header.  Otherwise columns are
        called ``column_1``, ``column_2`` and so on.
    keep : sequence of str
        Columns to have in `kept` too, by name or, without a header, by number.

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
    lines = None
    try:
        if form := binary_format(path):
            frame = _READERS[form](path)
            header, notes = _names(frame.columns)
            frame.columns = header
        else:
            frame, lines, reading, notes = _read_csv(path, reading, expected, names)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"cannot be read as a table: {str(error).splitlines()[0]}") from None
    except UnicodeDecodeError as error:
        raise ValueError(_not_text(error)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"cannot be read as a table: damaged gzip file ({error})") from None
    if frame.is_empty():
        raise ValueError("has no rows")
    absent = unused(frame, reading)
    cleaned = clean(frame, reading)
    table = Table(cleaned, reading, lines, tuple(notes), absent)
    if not keep:
        return table
    chosen = [table.column(_numbered(name, table)).name for name in dict.fromkeys(keep)]
    return replace(table, kept=frame.select(list(dict.fromkeys(chosen))))


def _numbered(name: str, table: Table) -> str:
    """Return the name of a column that may be given by its number, if there is no header."""
    numbered = name not in table.names and table.reading.header is False and name.isdecimal()
    return table.names[int(name) - 1] if numbered and 0 < int(name) <= len(table.names) else name


def _read_feather(path: Path) -> pl.DataFrame:
    return pl.read_ipc(path.read_bytes())


_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "Parquet": pl.read_parquet,
    "Feather": _read_feather,
}
_ENDINGS = {".parquet": "Parquet", ".pq": "Parquet", ".feather": "Feather", ".arrow": "Feather"}
_MAGIC = {b"PAR1": "Parquet", b"ARROW1": "Feather"}


def binary_format(path: str | Path) -> str | None:
    """Return "Parquet" or "Feather", if a file's first bytes or name say so, or None for text."""
    path = Path(path)
    found = next((form for magic, form in _MAGIC.items() if _starts_with(path, magic)), None)
    return found or _ENDINGS.get(path.suffix.lower())


def _not_text(error: UnicodeDecodeError) -> str:
    """Return what is wrong with a file that is not UTF-8."""
    byte = error.object[error.start]
    return (
        f"cannot be read as a table: it is not UTF-8 text, as it holds the byte 0x{byte:02x}; "
        "iconv -f WINDOWS-1252 -t UTF-8 converts it, if it is from Windows"
    )


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _read_csv(
    path: Path, reading: Reading, expected: Collection[str], names: Sequence[Sequence[str]]
) -> tuple[pl.DataFrame, np.ndarray, Reading, list[str]]:
    """Return all fields as text, the line of each row, the reading with its header, and notes.

    polars fills short lines with nulls and reads unclosed quotes as text, so that the reader is
    Python's, which is slower but exact.
    """
    if _starts_with(path, b"PK\x03\x04"):
        raise ValueError("seems to be a spreadsheet or an archive; save the table as CSV")
    with _open(path) as text:
        line = text.readline()
        if not line.strip():
            raise ValueError(
                "the first line is blank, wanted the names of the columns" if line else "is empty"
            )
    delimiter = reading.delimiter or _delimiter(path)
    records = _records(path, delimiter)
    number, first = next(records)
    if reading.header is None:
        _refuse_numbers(first, expected)
        reading = Reading(**vars(reading) | {"header": True})
    rows: list[list[str]] = []
    chunks: list[pl.DataFrame] = []
    lines: list[int] = []
    notes: list[str] = []
    if reading.header:
        header, notes = _names(first)
    else:
        fits = [known for known in names if len(known) == len(first)]
        if names and not fits:
            wanted = " or ".join(str(len(known)) for known in names)
            raise ValueError(f"has {len(first)} columns without names, wanted {wanted}")
        header = [f"column_{number + 1}" for number in range(len(first))]
        if fits and header != list(fits[0]):
            header = list(fits[0])
            notes = [f"columns without names are taken for {', '.join(map(repr, header))}"]
        rows, lines = [first], [number]
    what = "the header" if reading.header else f"line {number}"

    def frame() -> pl.DataFrame:
        columns = zip(*rows, strict=True) if rows else [()] * len(header)
        return pl.DataFrame(
            [pl.Series(n, c, dtype=pl.String) for n, c in zip(header, columns, strict=True)]
        )

    for number, record in records:
        if len(record) != len(header):
            if len(record) == 1 and not record[0].strip():
                continue  # a line of blanks
            raise ValueError(
                f"line {number} has {len(record)} fields, {what} has {len(header)} (separated by "
                f"{delimiter!r}; --delimiter changes that)"
            )
        rows.append(record)
        lines.append(number)
        if len(rows) == _CHUNK:
            chunks.append(frame())
            rows = []
    return pl.concat([*chunks, frame()]), np.array(lines, np.int64), reading, notes


def _open(path: Path) -> TextIO:
    opener = gzip.open if _starts_with(path, b"\x1f\x8b") or path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every record that is not a blank line, with the number of its first line."""
    with _open(path) as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True)
        line = 1
        try:
            for record in reader:
                if record:
                    yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            quotes = " (a quotation mark that is not closed, or inside a text?)"
            raise ValueError(f"line {line}: {error}{quotes}") from None


def _delimiter(path: Path) -> str:
    """Return the separator that gives the first lines as many fields each, and most of them."""
    fits = {}
    for mark in ",;\t|":
        try:
            widths = [len(record) for _, record in islice(_records(path, mark), 100)]
        except ValueError:
            continue  # the separator that is right will say what is wrong
        if widths[0] > 1:
            fits[mark] = (len(set(widths)) == 1, widths[0])
    likely = [mark for mark, fit in fits.items() if fit == max(fits.values())]
    if "\t" in fits and ".tsv" in [suffix.lower() for suffix in path.suffixes]:
        return "\t"
    if len(likely) > 1:
        marks = " or ".join(map(repr, likely))
        raise ValueError(f"fields may be separated by {marks}; give --delimiter")
    return likely[0] if likely else ","


def _refuse_numbers(first: list[str], expected: Collection[str]) -> None:
    """Refuse a first line that seems to be data: it holds numbers, and no name that we know."""
    fields = pl.Series([name.strip() for name in first])
    numbers = fields.filter(number_like(fields))
    known = pl.Series(list(expected), dtype=pl.String)
    telling = len(known) > 1 or not number_like(known).any()
    if len(numbers) and not (len(known) and telling and set(known) <= set(fields)):
        raise ValueError(
            f"line 1 holds {numbers[0]!r}, a number, so it seems to be data and not the names of "
            "the columns; give --no-header if it is data (columns are then called column_1, "
            "column_2, ...), or --header if these are names"
        )


def _names(given: list[str]) -> tuple[list[str], list[str]]:
    """Return columns' names without blanks around them, and notes on those that had none."""
    names = [name.strip() for name in given]
    notes = []
    for number, name in enumerate(names, 1):
        if not name:
            names[number - 1] = f"column_{number}"
            notes.append(f"column {number} has no name and is called 'column_{number}'")
    for number, name in enumerate(names, 1):
        first = names.index(name) + 1
        if first < number:
            raise ValueError(
                f"columns {first} and {number} are both called {name!r}; rename one of them"
            )
    return names, notes
