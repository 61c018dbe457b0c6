"""The columns of a table: which kind each is, and how it becomes inputs of a network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

MOST_CATEGORIES = 100
"""A column's most frequent texts that get an input of their own."""

_DATE = r"^(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{4})([T ]\d{1,2}:\d{2}.*)?$"


def as_numbers(column: pl.Series) -> pl.Series:
    """Return a column as float64, null where there is no number."""
    if column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null):
        return column.cast(pl.Float64, strict=False)
    return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)


def not_numbers(column: pl.Series) -> pl.Series:
    """Return true where a value is there and is no number."""
    return column.is_not_null() & as_numbers(column).is_null()


def only_numbers(column: pl.Series) -> bool:
    """Return whether every value that is there is a number."""
    return as_numbers(column).null_count() == column.null_count()


def is_text(column: pl.Series) -> bool:
    return column.dtype == pl.String


def first_row(mask: pl.Series) -> int:
    """Return the first true row, counted from 0."""
    return int(mask.arg_max() or 0)


@dataclass(frozen=True)
class NumericColumn:
    """A standardized column: (value - mean) / scale, and a missing value is the median.

    The scale is the standard deviation, or 1 for a constant column, which thus becomes 0.
    With `flag_missing`, a second input is 1 where the value is missing.
    """

    name: str
    mean: float
    scale: float
    median: float
    flag_missing: bool
    kind: str = "numeric"

    @classmethod
    def fit(cls, column: pl.Series) -> "NumericColumn":
        values = as_numbers(column)
        there = values.drop_nulls().to_numpy()
        mean, scale = mean_and_scale(there, column.name)
        median = float(np.median(there))
        return cls(column.name, mean, scale, median, flag_missing=values.null_count() > 0)

    def names(self) -> list[str]:
        return [self.name] + [f"{self.name}=missing"] * self.flag_missing

    def encode(self, column: pl.Series) -> NDArray[np.float64]:
        if not only_numbers(column):
            row = first_row(not_numbers(column))
            raise ValueError(
                f"column {self.name!r} held numbers in training; "
                f"data row {row + 1} holds {column[row]!r}"
            )
        values = as_numbers(column)
        filled = values.fill_null(self.median).to_numpy()
        inputs = [(filled - self.mean) / self.scale]
        if self.flag_missing:
            inputs.append(values.is_null().to_numpy())
        return np.column_stack(inputs)


@dataclass(frozen=True)
class CategoryColumn:
    """One input for each known text, 1 where the column holds it; unseen texts are all zeros.

    With `flag_missing`, a missing value is one more text of its own.
    """

    name: str
    categories: Sequence[str]
    flag_missing: bool
    kind: str = "category"

    @classmethod
    def fit(cls, column: pl.Series) -> "CategoryColumn":
        counts = column.cast(pl.String).drop_nulls().value_counts(sort=False)
        ordered = counts.sort(by=["count", column.name], descending=[True, False])
        categories = sorted(ordered[column.name].head(MOST_CATEGORIES))
        return cls(column.name, categories, flag_missing=column.null_count() > 0)

    def names(self) -> list[str]:
        values = [*self.categories] + ["missing"] * self.flag_missing
        return [f"{self.name}={value}" for value in values]

    def codes(self, column: pl.Series) -> pl.Series:
        """Return the position of each value among the categories, or null."""
        text = column.cast(pl.String)
        positions = range(len(self.categories))
        return text.replace_strict(
            list(self.categories), list(positions), default=None, return_dtype=pl.Int64
        )

    def encode(self, column: pl.Series) -> NDArray[np.float64]:
        inputs = np.zeros((len(column), len(self.names())))
        codes = self.codes(column)
        known = codes.is_not_null().to_numpy()
        inputs[known, codes.drop_nulls().to_numpy()] = 1
        if self.flag_missing:
            inputs[column.is_null().to_numpy(), -1] = 1
        return inputs

    def unseen(self, column: pl.Series) -> int:
        """Count the values that training did not see, or saw too seldom."""
        return int((self.codes(column).is_null() & column.is_not_null()).sum())


KINDS: dict[str, type[NumericColumn] | type[CategoryColumn]] = {
    "numeric": NumericColumn,
    "category": CategoryColumn,
}


def mean_and_scale(values: NDArray[np.float64], name: str) -> tuple[float, float]:
    """Return what standardizes the values of a column."""
    # min == max rather than a small deviation: the mean of equal values can round off them.
    if values.min() == values.max():
        return float(values[0]), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(values.mean()), float(values.std()) or 1.0
    if not np.isfinite(scale):
        raise ValueError(f"column {name!r} holds infinite or too large numbers")
    return mean, scale


def choose(column: pl.Series, rows: pl.Series) -> NumericColumn | CategoryColumn | str:
    """Return the encoder of a column, fitted to `rows`, or why the column is ignored."""
    trained = column.gather(rows)
    texts = trained.drop_nulls()
    if texts.is_empty():
        return "holds no values: ignored"
    if only_numbers(column):
        return NumericColumn.fit(trained)
    if column.dtype.is_temporal() or (is_text(column) and texts.str.contains(_DATE).all()):
        return "holds dates or times: ignored (but numbers taken from them can be used)"
    if not (is_text(column) or column.dtype == pl.Boolean):
        return f"has the type {column.dtype}: ignored"
    distinct = texts.n_unique()
    if distinct > 20 and 2 * distinct > len(texts):
        return f"holds {distinct} different texts in {len(texts)} rows: ignored"
    return CategoryColumn.fit(trained)


def remark_on(column: pl.Series, encoder: NumericColumn | CategoryColumn) -> str | None:
    """Return what a user may not expect of a column that is used, or None."""
    if isinstance(encoder, NumericColumn):
        return None
    wrong = not_numbers(column)
    if 2 * wrong.sum() < column.count():
        row = first_row(wrong)
        return (
            f"read as text, since {wrong.sum()} of {column.count()} values are no numbers "
            f"(the first, in data row {row + 1}, is {column[row]!r})"
        )
    if len(encoder.categories) == MOST_CATEGORIES:
        return f"only its {MOST_CATEGORIES} most frequent texts are used"
    return None
