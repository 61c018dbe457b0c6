"""A table's columns: what kind each is, and how it becomes inputs of a network."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastnn.inputs.checks import boolean, finite_float, non_negative_float
from fastnn.inputs.precision import is_constant
from fastnn.tables.doubts import advice, numbers_note, refuse_mixture
from fastnn.tables.reading import number_like, with_unit
from fastnn.tables.table import Column

MOST_CATEGORIES = 100
"""How many of a column's texts, the most frequent ones, get their own input."""

_DATE = r"^(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{4})([T ]\d{1,2}:\d{2}.*)?$"


@dataclass(frozen=True)
class NumericColumn:
    """A standardized column: (value - mean) / scale, with the median for missing values.

    The scale is the standard deviation, or 0 for a column that was constant in training: nothing
    was learned from it, so that it becomes 0 whatever it holds later.
    With `flag_missing`, a second input is 1 where the value is missing.
    """

    name: str
    mean: float
    scale: float
    median: float
    flag_missing: bool
    kind: str = "numeric"

    @classmethod
    def fit(cls, column: Column, rows: pl.Series) -> "NumericColumn":
        values = column.numbers.gather(rows)
        there = values.drop_nulls().to_numpy()
        mean, scale = mean_and_scale(there, column)
        median = float(np.median(there))
        return cls(column.name, mean, scale, median, flag_missing=values.null_count() > 0)

    def check(self) -> None:
        """Raise ValueError or TypeError for settings that `fit` cannot have made."""
        _check_kind(self, "numeric")
        finite_float(self.mean, f"{self.name}.mean")
        non_negative_float(self.scale, f"{self.name}.scale")
        finite_float(self.median, f"{self.name}.median")

    def names(self) -> list[str]:
        return [self.name] + [f"{self.name}=missing"] * self.flag_missing

    def encode(self, column: Column) -> NDArray[np.float64]:
        if not (column.only_numbers or column.is_text):
            raise ValueError(
                f"column {self.name!r} held numbers in training; "
                f"now it has the type {column.values.dtype}"
            )
        if not column.only_numbers:
            raise ValueError(
                f"column {self.name!r} held numbers in training; "
                f"{column.first(column.not_numbers, '{place} holds {value!r}')}. {advice(column)}"
            )
        values = column.numbers
        filled = values.fill_null(self.median).to_numpy()
        inputs = [(filled - self.mean) / self.scale if self.scale else np.zeros(len(values))]
        if self.flag_missing:
            inputs.append(values.is_null().to_numpy())
        return np.column_stack(inputs)


@dataclass(frozen=True)
class CategoryColumn:
    """One input per known text, 1 where the column holds that text; all are 0 for unseen texts.

    With `flag_missing`, a missing value counts as one more text.
    """

    name: str
    categories: Sequence[str]
    flag_missing: bool
    kind: str = "category"

    @classmethod
    def fit(cls, column: Column, rows: pl.Series) -> "CategoryColumn":
        texts = column.values.gather(rows).cast(pl.String).alias("text")
        counts = texts.drop_nulls().value_counts(sort=False, name="times")
        ordered = counts.sort(by=["times", "text"], descending=[True, False])
        categories = sorted(ordered["text"].head(MOST_CATEGORIES))
        return cls(column.name, categories, flag_missing=texts.null_count() > 0)

    def check(self) -> None:
        """Raise ValueError or TypeError for settings that `fit` cannot have made."""
        _check_kind(self, "category")
        as_texts(self.categories, f"{self.name}.categories")

    def names(self) -> list[str]:
        values = [*self.categories] + ["missing"] * self.flag_missing
        return [f"{self.name}={value}" for value in values]

    def codes(self, column: Column) -> pl.Series:
        """Return the position of each value among the categories, or null."""
        text = column.values.cast(pl.String)
        if {*self.categories} <= {"true", "false"}:
            text = text.str.to_lowercase()
        positions = range(len(self.categories))
        return text.replace_strict(
            list(self.categories), list(positions), default=None, return_dtype=pl.Int64
        )

    def encode(self, column: Column) -> NDArray[np.float64]:
        values = column.values
        if not (column.is_text or values.dtype.is_numeric() or values.dtype == pl.Null):
            raise ValueError(
                f"column {self.name!r} held texts in training; now it has the type {values.dtype}"
            )
        inputs = np.zeros((len(values), len(self.names())))
        codes = self.codes(column)
        known = codes.is_not_null().to_numpy()
        texts = pl.Series(self.categories, dtype=pl.String)
        changed = column.only_numbers and values.count() and not known.any()
        if changed and not number_like(texts).any():
            shown = ", ".join(map(repr, self.categories[:5]))
            raise ValueError(
                f"column {self.name!r} held texts in training, such as {shown}; now it holds "
                f"numbers, the first {column.first(values.is_not_null())}"
            )
        inputs[known, codes.drop_nulls().to_numpy()] = 1
        if self.flag_missing:
            inputs[values.is_null().to_numpy(), -1] = 1
        return inputs

    def unseen(self, column: Column) -> pl.Series:
        """Return true for values that training did not see, or saw too rarely."""
        return self.codes(column).is_null() & column.values.is_not_null()


def as_texts(given: Any, name: str, alike: bool = False) -> None:
    """Raise TypeError unless all are texts, and ValueError if two are `alike` and must not be."""
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise TypeError(f"{name} is {given!r}, wanted a list of texts")
    if not alike and len(set(given)) != len(given):
        raise ValueError(f"{name} has a text twice")


def _check_kind(column: "NumericColumn | CategoryColumn", kind: str) -> None:
    as_texts([column.name, column.kind], "name")
    if column.kind != kind:
        raise ValueError(f"{column.name}.kind is {column.kind!r}, wanted {kind!r}")
    boolean(column.flag_missing, f"{column.name}.flag_missing")


KINDS: dict[str, type[NumericColumn] | type[CategoryColumn]] = {
    "numeric": NumericColumn,
    "category": CategoryColumn,
}


def mean_and_scale(values: NDArray[np.float64], column: Column) -> tuple[float, float]:
    """Return what standardizes values of a column; a scale of 0 says that they are all equal.

    Values that only rounding tells apart count as equal.

    Raises
    ------
    ValueError
        If the values are infinite or too large for that.
    """
    low, dtype = values.min(), np.float32 if column.values.dtype == pl.Float32 else np.float64
    if is_constant(low, values.max(), dtype):
        return float(low), 0.0
    with np.errstate(all="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not np.isfinite(scale):
        raise ValueError(f"column {column.name!r} holds infinite or too large numbers")
    return mean, scale or 1.0


def choose(
    column: Column, rows: pl.Series, as_text: bool = False
) -> NumericColumn | CategoryColumn | str:
    """Return a column's encoder, fitted to `rows`, or the reason to ignore the column.

    Raises
    ------
    ValueError
        If the column is mostly numbers, and is not wanted `as_text`.
    """
    values = column.values
    texts = values.gather(rows).drop_nulls()
    if texts.is_empty():
        return "holds no values: ignored"
    if as_text and (column.is_text or values.dtype.is_numeric()):
        return CategoryColumn.fit(column, rows)
    if column.only_numbers:
        return NumericColumn.fit(column, rows)
    if values.dtype.is_temporal() or (column.is_text and texts.str.contains(_DATE).all()):
        return "holds dates or times: ignored (you can add columns of numbers made from them)"
    if not column.is_text:
        return f"has the type {values.dtype}: ignored"
    name = shlex.quote(column.name)
    otherwise = f"To read it as text give --text {name}, to leave it out --ignore {name}"
    refuse_mixture(column, otherwise)
    distinct = texts.n_unique()
    if distinct > 20 and 2 * distinct > len(texts):
        if 2 * with_unit(texts).sum() >= len(texts):
            raise ValueError(
                f"column {column.name!r} seems to hold numbers with units, the first "
                f"{column.first(values.is_not_null())}. Leave only the numbers there. {otherwise}"
            )
        return (
            f"holds {distinct} different texts in {len(texts)} rows, the first "
            f"{column.first(values.is_not_null())}: ignored"
        )
    return CategoryColumn.fit(column, rows)


def remark_on(
    column: Column, encoder: NumericColumn | CategoryColumn, rows: pl.Series
) -> str | None:
    """Return what a user may not expect about how a column is used, or None."""
    if isinstance(encoder, NumericColumn):
        return numbers_note(column, encoder.scale == 0)
    present = column.values.drop_nulls().cast(pl.String)
    numbers = number_like(present).sum()
    if column.is_text and numbers and not column.only_numbers:
        return (
            f"is read as text, though {numbers} of {len(present)} values look like numbers (the "
            f"first that does not is {column.first(column.not_numbers)})"
        )
    if len(encoder.categories) == MOST_CATEGORIES:
        return f"only its {MOST_CATEGORIES} most frequent texts are used"
    if len(encoder.names()) == 1:
        return f"holds {encoder.categories[0]!r} only: of no use"
    return None
