"""What in a column may not be what its owner means: an error if it would be lost, else a note."""

import re
import shlex
from typing import Any

import polars as pl
from numpy.typing import NDArray

from fastnn.inputs.alone import left_alone, tells
from fastnn.tables.reading import number_like
from fastnn.tables.table import Column, Table

_MARKS = ("?", "-", "--", ".", "..", "*", "unknown", "missing", "none", "na", "n.a.", "nil", "-999")
_IDENTIFIER = re.compile(r"(^|[^A-Za-z])(id|Id|ID)$|[a-z](Id|ID)$")


def refuse_mixture(column: Column, otherwise: str) -> None:
    """Refuse a column of text if it seems meant to hold numbers.

    That is: at least half of the values, or of the different values, look like numbers.  Read as
    text it would be lost, or be a category for each number.  A column of codes that is refused by
    mistake costs its owner one option, which `otherwise` names.

    Raises
    ------
    ValueError
        Naming the first value that is no number, where it stands, and the options that settle it.
    """
    if not column.is_text or column.only_numbers:
        return
    texts = column.values.drop_nulls()
    like = texts.filter(
        number_like(texts) | column.numbers.is_not_null().filter(column.values.is_not_null())
    )
    if 2 * len(like) < len(texts) and 2 * like.n_unique() < texts.n_unique():
        return
    wrong = column.not_numbers
    raise ValueError(
        f"column {column.name!r} seems to hold numbers, but cannot be read as such in "
        f"{wrong.sum()} of {len(texts)} rows, the first {column.first(wrong)}. {advice(column)} "
        f"{otherwise}"
    )


def advice(column: Column) -> str:
    """Return the options that would make the values of a column numbers, as a sentence."""
    reading = column.table.reading
    wrong = column.values.filter(column.not_numbers).unique(maintain_order=True)
    like = wrong.filter(number_like(wrong))
    if len(like) and like[0] == wrong[0]:
        options = reading.others(like) or reading.others(like.head(1))
        if not options:  # $5 or 5%
            return "Leave only the numbers there."
        readings = " or ".join(
            f"{option} if it is {value:.15g}" for value, option in options.items()
        )
        return f"Give {readings}."
    marks = wrong.filter(~number_like(wrong))
    if len(marks) > 5 or not all(mark.isprintable() for mark in marks):
        return "Leave only the numbers there."
    given = " ".join(missing_option(mark) for mark in marks)
    header = " (Or leave out --no-header, if it is a name.)" if _on_line_1(column) else ""
    return f"Give {given} if that means a missing value.{header}"


def missing_option(text: str) -> str:
    """Return the option that makes a text mean a missing value, as typed in a shell."""
    return f"--missing{'=' if text.startswith('-') else ' '}{shlex.quote(text)}"


def _on_line_1(column: Column) -> bool:
    lines = column.table.lines
    return lines is not None and lines[0] == 1 and column.not_numbers[0]


def numbers_note(column: Column, constant: bool) -> str | None:
    """Return what is worth telling about a column of numbers, or None."""
    values = column.numbers.drop_nulls()
    if constant:
        return f"holds {values[0]:.12g} only: of no use"
    whole = len(values) == len(column.table) and (values == values.round()).all()
    if not whole or values.n_unique() < len(values):
        return None
    counts = len(values) > 10 and (values.diff().drop_nulls() == 1).all()
    if counts or _IDENTIFIER.search(column.name):
        what = "numbers the rows" if counts else "seems to be an identifier"
        return f"{what} and is used as a number; --ignore {shlex.quote(column.name)} leaves it out"
    return None


def leak_note(column: Column, rows: pl.Series, values: NDArray[Any]) -> str | None:
    """Return a note if a column alone predicts the target of `rows` nearly perfectly, or None."""
    ordered = column.only_numbers
    held = (column.numbers if ordered else column.values.cast(pl.String)).gather(rows)
    codes = held.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    left = left_alone(codes, values, ordered) if len(codes) > 1 else 1.0
    if not tells(left, len(codes)):
        return None
    return (
        f"alone predicts the target nearly perfectly ({1 - left:.1%}): if it will not be known "
        f"when you predict, --ignore {shlex.quote(column.name)} leaves it out"
    )


def texts_note(column: Column) -> str | None:
    """Return what is worth telling about a column that is read as text, or None."""
    present = column.values.drop_nulls().cast(pl.String)
    numbers = number_like(present).sum()
    if column.is_text and numbers and not column.only_numbers:
        return (
            f"is read as text, though {numbers} of {len(present)} values look like numbers (the "
            f"first that does not is {column.first(column.not_numbers)})"
        )
    return None


def only_note(value: str) -> str:
    """Return what is worth telling about a column that holds the same everywhere."""
    return f"holds {value!r} only: of no use"


def target_notes(column: Column, task: str, chosen: bool) -> list[str]:
    """Return what is worth telling about the target; `chosen` if `--task` was not given."""
    name, values = column.name, column.numbers
    distinct = values.n_unique()
    if distinct == 1 and task == "regression":
        return [f"target {name!r} holds {values[0]:g} only: there is nothing to learn"]
    if column.only_numbers and chosen and task == "classification":
        low, high = values.unique().sort()
        return [
            f"target {name!r} holds {low:g} and {high:g} only, which are taken for classes; "
            "--task regression predicts a number"
        ]
    if column.only_numbers:
        few = distinct <= 20 and 2 * distinct <= len(values) and (values == values.round()).all()
        return [
            f"target {name!r} holds {distinct} different whole numbers, and numbers are predicted; "
            "--task classification takes them for classes"
        ] * (few and chosen)
    notes = []
    texts = column.values.unique().sort()
    for text in texts:
        if text.lower() in _MARKS:
            notes.append(
                f"target {name!r} has the class {text!r}; give {missing_option(text)} if that "
                "means a missing value"
            )
    lower = texts.str.to_lowercase()
    twice = texts.filter(lower.is_duplicated())
    if len(twice):
        shown = ", ".join(map(repr, twice[:6]))
        notes.append(f"target {name!r} has classes that differ only in capitals: {shown}")
    return notes


def missing_note(table: Table, names: list[str]) -> list[str]:
    """Return a note on the columns that lack values, and in how many rows, or none."""
    counts = [(name, table.frame[name].null_count()) for name in names]
    found = [f"{name!r} in {count:,} of {len(table):,}" for name, count in counts if count]
    return [f"missing values, filled in: {', '.join(found)} rows"] if found else []
