"""A table in memory: its values, which of them are numbers, and where they stood in the file."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from fastnn.tables.reading import MISSING, Reading


@dataclass(frozen=True)
class Column:
    """A column's `values`, and as `numbers`: float64, with null for what is missing or is none."""

    values: pl.Series
    numbers: pl.Series
    table: "Table"

    @property
    def name(self) -> str:
        return self.values.name

    @property
    def is_text(self) -> bool:
        return self.values.dtype == pl.String

    @property
    def not_numbers(self) -> pl.Series:
        """True where a value is present and is not a number."""
        return self.values.is_not_null() & self.numbers.is_null()

    @property
    def only_numbers(self) -> bool:
        """Whether every value that is present is a number."""
        return self.numbers.null_count() == self.values.null_count()

    def first(self, mask: pl.Series, words: str = "{value!r} in {place}") -> str:
        """Return the first value under `mask` and its place."""
        row = int(mask.arg_max() or 0)
        return words.format(value=self.values[row], place=self.table.place(row))


@dataclass(frozen=True)
class Table:
    """A frame that :func:`clean` has seen, how it was read, and the line of each row, if known.

    `notes` say what is worth telling about the reading, and `unused` are those of the texts said to
    mean a missing value that were not found.  `kept` has some columns as they stand in the file.
    """

    frame: pl.DataFrame
    reading: Reading = field(default_factory=Reading)
    lines: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    kept: pl.DataFrame = field(default_factory=pl.DataFrame)
    _columns: dict[str, Column] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, frame: "pl.DataFrame | Table") -> "Table":
        """Return a table as it is, or one made from a frame."""
        return frame if isinstance(frame, Table) else cls(clean(frame, Reading()))

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def names(self) -> list[str]:
        return self.frame.columns

    def column(self, name: str) -> Column:
        """Return one column.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name not in self.names:
            shown = ", ".join(map(repr, self.names[:20])) + ", ..." * (len(self.names) > 20)
            hint = ""
            if self.lines is not None:
                hint = "; --no-header if line 1 is data" if self.reading.header else ""
                hint += "; --delimiter if there are more" if len(self.names) == 1 else ""
            raise ValueError(f"no column {name!r}; there are {shown}{hint}")
        if name not in self._columns:
            self._columns[name] = self._column(self.frame[name])
        return self._columns[name]

    def _column(self, values: pl.Series) -> Column:
        if values.dtype == pl.String:
            numbers = self.reading.numbers(values)
        elif values.dtype.is_numeric() or values.dtype == pl.Null:
            numbers = values.cast(pl.Float64)
        else:
            numbers = pl.Series(values.name, [None] * len(values), dtype=pl.Float64)
        return Column(values, numbers, self)

    def place(self, row: int) -> str:
        """Return where a row stood, in words."""
        return f"data row {row + 1}" if self.lines is None else f"line {self.lines[row]}"


def unused(frame: pl.DataFrame, reading: Reading) -> tuple[str, ...]:
    """Return those texts said to mean a missing value that are nowhere in a frame."""
    texts = frame.select(selectors.string() | selectors.by_dtype(pl.Categorical, pl.Enum))
    texts = texts.cast(pl.String).select(pl.all().str.strip_chars())
    numbers = frame.select(selectors.numeric().cast(pl.Float64))
    values = reading.numbers(pl.Series(reading.missing, dtype=pl.String))
    return tuple(
        text
        for text, value in zip(reading.missing, values, strict=True)
        if not any((column == text).any() for column in texts)
        and (value is None or not any((column == value).any() for column in numbers))
    )


def clean(
    frame: pl.DataFrame, reading: Reading, flags: Collection[str] | None = None
) -> pl.DataFrame:
    """Return stripped text, with null for missing values and a single spelling of booleans.

    Booleans are columns of nothing but true and false, or those that `flags` names.
    """
    frame = frame.with_columns(
        selectors.float().fill_nan(None),
        selectors.by_dtype(pl.Boolean, pl.Categorical, pl.Enum).cast(pl.String),
    )
    text = selectors.string().str.strip_chars()
    missing = [*MISSING, *reading.missing]
    frame = frame.with_columns(pl.when(text.is_in(missing)).then(None).otherwise(text).name.keep())
    numbers = reading.numbers(pl.Series(reading.missing, dtype=pl.String)).drop_nulls().to_list()
    if numbers:
        number = selectors.numeric()
        absent = number.cast(pl.Float64).is_in(numbers)
        frame = frame.with_columns(pl.when(absent).then(None).otherwise(number).name.keep())
    spelled = flags_of(frame) if flags is None else flags
    return frame.with_columns(pl.col(list(spelled)).str.to_lowercase())


def flags_of(frame: pl.DataFrame) -> frozenset[str]:
    """Return the columns of texts that say true or false wherever they say anything."""
    lower = selectors.string().str.to_lowercase()
    flags = frame.select(lower.is_in(["true", "false"]).all())
    return frozenset(flag.name for flag in flags if flag.item())
