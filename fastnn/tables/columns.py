"""A table's columns: what kind each is, and how it becomes inputs of a network."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastnn.formulas import Formula
from fastnn.inputs.checks import boolean, finite_float, non_negative_float
from fastnn.inputs.precision import is_constant
from fastnn.preprocessing.encoding import codes_of
from fastnn.tables.doubts import advice, numbers_note, only_note, refuse_mixture, texts_note
from fastnn.tables.reading import number_like, with_unit
from fastnn.tables.table import Column

MOST_CATEGORIES = 100
"""How many of a column's texts, the most frequent ones, get their own input."""

DATE = "date"
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
        values = as_numbers(column)
        filled = values.fill_null(self.median).to_numpy()
        inputs = [(filled - self.mean) / self.scale if self.scale else np.zeros(len(values))]
        if self.flag_missing:
            inputs.append(values.is_null().to_numpy())
        return np.column_stack(inputs)

    def formula(self) -> tuple[Formula, Formula]:
        """Return an input, where NaN is missing, and what `encode` makes of it."""
        x = Formula.numbers(self.name, 1, np.float64)
        value = (x.isnan().where(self.median, x) - self.mean) * bool(self.scale)
        parts = [value / (self.scale or 1.0)]
        parts += [x.isnan().where(1.0, 0.0, np.float64)] * self.flag_missing
        return x, Formula.concatenate(parts)


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

    def codes(self, texts: pl.Series) -> pl.Series:
        """Return the position of each text among the categories, or null."""
        positions = range(len(self.categories))
        return texts.replace_strict(
            list(self.categories), list(positions), default=None, return_dtype=pl.Int64
        )

    def encode(self, column: Column) -> NDArray[np.float64]:
        inputs = np.zeros((len(column.values), len(self.names())))
        codes = self.codes(as_categories(column, self.categories))
        known = codes.is_not_null().to_numpy()
        inputs[known, codes.drop_nulls().to_numpy()] = 1
        if self.flag_missing:
            inputs[column.values.is_null().to_numpy(), -1] = 1
        return inputs

    def formula(self) -> tuple[Formula, Formula]:
        """Return an input, where an empty text is missing, and what `encode` makes of it."""
        x = Formula.texts(self.name)
        count = len(self.names())
        encoded = codes_of(x, self.categories).equals(np.arange(1.0, count + 1))
        parts = encoded.where(1.0, 0.0, np.float64)
        if self.flag_missing and "" not in self.categories:
            last = np.eye(count)[-1]
            parts = x.codes([""]) * last + parts
        return x, parts


def as_numbers(column: Column) -> pl.Series:
    """Return a column that held numbers in training as float64, or raise ValueError."""
    if not (column.only_numbers or column.is_text):
        raise ValueError(
            f"column {column.name!r} held numbers in training; "
            f"now it has the type {column.values.dtype}"
        )
    if not column.only_numbers:
        raise ValueError(
            f"column {column.name!r} held numbers in training; "
            f"{column.first(column.not_numbers, '{place} holds {value!r}')}. {advice(column)}"
        )
    return column.numbers


def as_categories(column: Column, categories: Sequence[str]) -> pl.Series:
    """Return a column that held these texts in training as texts, or raise ValueError."""
    values = column.values
    if not (column.is_text or values.dtype.is_numeric() or values.dtype == pl.Null):
        raise ValueError(
            f"column {column.name!r} held texts in training; now it has the type {values.dtype}"
        )
    texts = values.cast(pl.String)
    if {*categories} <= {"true", "false"}:
        texts = texts.str.to_lowercase()
    known = pl.Series(categories, dtype=pl.String)
    changed = column.only_numbers and values.count() and not texts.is_in(known.implode()).any()
    if changed and not number_like(known).any():
        shown = ", ".join(map(repr, categories[:5]))
        raise ValueError(
            f"column {column.name!r} held texts in training, such as {shown}; now it holds "
            f"numbers, the first {column.first(values.is_not_null())}"
        )
    return texts


def unseen_note(column: Column, categories: Sequence[str]) -> list[str]:
    """Return a note on texts that training did not see, or saw too rarely, or none."""
    texts = as_categories(column, categories)
    known = pl.Series(categories, dtype=pl.String)
    unseen = texts.is_not_null() & ~texts.is_in(known.implode())
    return [
        f"column {column.name!r} holds texts not seen in training in {unseen.sum()} "
        f"of {len(texts)} rows, the first {column.first(unseen)}"
    ] * bool(unseen.any())


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
    kind = kind_of(column, rows, as_text)
    if kind == DATE:
        return "holds dates or times: ignored (you can add columns of numbers made from them)"
    return KINDS[kind].fit(column, rows) if kind in KINDS else kind


def kind_of(column: Column, rows: pl.Series, as_text: bool = False) -> str:
    """Return what a column holds: "numeric", "category", "date", or the reason to ignore it.

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
        return "category"
    if column.only_numbers:
        return "numeric"
    if values.dtype.is_temporal() or (column.is_text and texts.str.contains(_DATE).all()):
        return DATE
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
    return "category"


def remark_on(
    column: Column, encoder: NumericColumn | CategoryColumn, rows: pl.Series
) -> str | None:
    """Return what a user may not expect about how a column is used, or None."""
    if isinstance(encoder, NumericColumn):
        return numbers_note(column, encoder.scale == 0)
    note = texts_note(column)
    if note is None and len(encoder.categories) == MOST_CATEGORIES:
        return f"only its {MOST_CATEGORIES} most frequent texts are used"
    return note or (only_note(encoder.categories[0]) if len(encoder.names()) == 1 else None)
