"""Which columns of a table a model of :mod:`fastnn.tabular` reads, and as what."""

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastnn.inputs.checks import finite_float
from fastnn.inputs.precision import is_constant
from fastnn.tables.columns import DATE, as_categories, as_numbers, as_texts, kind_of, unseen_note
from fastnn.tables.doubts import leak_note, missing_note, numbers_note, only_note, texts_note
from fastnn.tables.encoder import (
    chosen_columns,
    extra_note,
    need,
    refuse_infinite,
    without_header,
)
from fastnn.tables.table import Column, Table

_KINDS = "numeric", "category", DATE
Categories = Sequence[Sequence[str] | None]


@dataclass(frozen=True)
class Use:
    """How a column is read; a column of numbers has their range in training."""

    name: str
    kind: str
    low: float = 0.0
    high: float = 0.0

    def series(self, column: Column, categories: Sequence[str] | None) -> pl.Series:
        """Return the column as numbers, texts or times, whatever its type in the table.

        The `categories` are those of training, if that is over.

        Raises
        ------
        ValueError
            If it holds something else than in training.
        """
        if self.kind == "numeric":
            numbers = as_numbers(column)
            refuse_infinite(numbers.fill_null(0).to_numpy(), self.name, column.table)
            return numbers
        if self.kind == DATE:
            dates = _dates(column)
            wrong = dates.is_null() & column.values.is_not_null()
            if wrong.any():
                raise ValueError(
                    f"column {self.name!r} held dates in training; "
                    f"{column.first(wrong, '{place} holds {value!r}')}"
                )
            return dates
        if categories is None:
            return column.values.cast(pl.String)
        return as_categories(column, categories)

    def notes(self, column: Column, categories: Sequence[str]) -> list[str]:
        """Return notes on what differs from training."""
        if self.kind == "category":
            return unseen_note(column, categories)
        width = self.high - self.low
        if self.kind != "numeric" or not width:
            return []
        numbers = column.numbers
        far = ((numbers < self.low - width) | (numbers > self.high + width)).fill_null(False)
        return [
            f"column {self.name!r} holds numbers far outside those of training, {self.low:g} to "
            f"{self.high:g}, in {far.sum()} of {len(far)} rows, the first "
            f"{column.first(far, '{value} in {place}')}"
        ] * bool(far.any())


@dataclass(frozen=True)
class Selection:
    """Which columns of a table a model reads, and as what; `notes` say what is doubtful.

    Examples
    --------
    >>> table = Table.of(pl.DataFrame({"size": ["1.5", None], "built": ["2020-01-31", "2021-05-01"],
    ...                                "price": [10.0, 20.0]}))
    >>> selection = Selection.fit(table, "price", np.array([10.0, 20.0]), np.arange(2))
    >>> selection.frame(table).rows()
    [(1.5, datetime.datetime(2020, 1, 31, 0, 0)), (None, datetime.datetime(2021, 5, 1, 0, 0))]
    """

    columns: tuple[Use, ...]
    target: str
    table_columns: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        table: Table,
        target: str,
        values: NDArray[Any],
        rows: NDArray[np.intp],
        text: Collection[str] = (),
        ignore: Collection[str] = (),
    ) -> "Selection":
        """Choose the columns by all rows, and learn from the given ones.

        `values` are the target's.  See :meth:`TableEncoder.fit` for `text`, `ignore` and errors.
        """
        chosen = pl.Series(rows)

        def pick(column: Column, as_text: bool) -> tuple[Use | str, str | None]:
            kind = kind_of(column, chosen, as_text)
            if kind not in _KINDS:
                return kind, None
            if kind == DATE and _dates(column).null_count() > column.values.null_count():
                return "holds dates or times, but not as in 2026-12-31: ignored", None
            use, remark = _use(column, kind, chosen)
            return use, remark or leak_note(column, chosen, values[rows])

        columns, notes = chosen_columns(table, target, text, ignore, pick)
        return cls(tuple(columns), target, tuple(table.names), tuple(notes))

    @property
    def used(self) -> list[str]:
        """The names of the columns that the model reads."""
        return [column.name for column in self.columns]

    @property
    def without_header(self) -> list[list[str]]:
        """See :func:`fastnn.tables.encoder.without_header`."""
        return without_header(self.table_columns, self.target)

    def frame(self, table: Table, categories: Categories | None = None) -> pl.DataFrame:
        """Return the columns as a model reads them.

        After training, `categories` are those of each column, None for numbers and dates.

        Raises
        ------
        ValueError
            If columns are missing, or a column holds something else than in training.
        """
        need(table, self.used)
        every = categories or [None] * len(self.columns)
        return pl.DataFrame(
            [
                use.series(table.column(use.name), known).alias(use.name)
                for use, known in zip(self.columns, every, strict=True)
            ]
        )

    def unseen(self, table: Table, categories: Categories) -> list[str]:
        """Return notes on what in a table differs from the training table."""
        notes = [
            note
            for use, known in zip(self.columns, categories, strict=True)
            for note in use.notes(table.column(use.name), known or ())
        ]
        return [*notes, *extra_note(table, self.table_columns), *missing_note(table, self.used)]

    def to_dict(self) -> dict[str, Any]:
        """Return what :meth:`frame` needs, in JSON types."""
        return {
            "columns": [asdict(column) for column in self.columns],
            "target": self.target,
            "table_columns": list(self.table_columns),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Selection":
        """Return what `to_dict` described.

        Raises
        ------
        ValueError, TypeError, KeyError
            If that is no description, or a damaged one.
        """
        columns = tuple(Use(**column) for column in state["columns"])
        found = cls(**{**state, "columns": columns, "table_columns": tuple(state["table_columns"])})
        as_texts(columns and [found.target, *found.used], "columns")
        as_texts(found.table_columns, "table_columns")
        for column in columns:
            if column.kind not in _KINDS:
                raise ValueError(f"{column.name}.kind is {column.kind!r}, wanted one of {_KINDS}")
            finite_float(column.low, f"{column.name}.low")
            finite_float(column.high, f"{column.name}.high")
        return found


def _use(column: Column, kind: str, rows: pl.Series) -> tuple[Use, str | None]:
    """Return how a column is to be read, and a remark on it."""
    if kind == "numeric":
        numbers = column.numbers.gather(rows).drop_nulls().to_numpy()
        refuse_infinite(column.numbers.fill_null(0).to_numpy(), column.name, column.table)
        low, high = float(numbers.min()), float(numbers.max())
        dtype = np.float32 if column.values.dtype == pl.Float32 else np.float64
        return Use(column.name, kind, low, high), numbers_note(
            column, bool(is_constant(low, high, dtype))
        )
    if kind == DATE:
        return Use(column.name, kind), None
    texts = column.values.gather(rows).drop_nulls()
    only = only_note(str(texts[0])) if texts.n_unique() == 1 else None
    return Use(column.name, kind), texts_note(column) or only


def _dates(column: Column) -> pl.Series:
    """Return a column as times, in UTC, with null for what is none."""
    values = column.values
    if values.dtype in (pl.Date, pl.Datetime):
        zone = getattr(values.dtype, "time_zone", None)
        plain = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else values
        return plain.cast(pl.Datetime("us"))
    texts = (
        values.cast(pl.String)
        if column.is_text
        else pl.Series([None] * len(values), dtype=pl.String)
    )
    different = texts.drop_nulls().unique()
    times = {text: time for text in different if (time := _time(text)) is not None}
    return texts.replace_strict(
        list(times), list(times.values()), default=None, return_dtype=pl.Datetime("us")
    )


def _time(text: str) -> datetime.datetime | None:
    """Return the time that a text such as 2026-12-31 or 2026-12-31T10:00Z stands for, or None."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(datetime.UTC).replace(tzinfo=None) if time.tzinfo else time
