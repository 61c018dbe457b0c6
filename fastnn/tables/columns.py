"""A table's columns: what kind each is, and how it becomes inputs of a network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

MOST_CATEGORIES = 100
"""How many of a column's texts, the most frequent ones, get their own input."""

_DATE = r"^(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{4})([T ]\d{1,2}:\d{2}.*)?$"


def as_numbers(column: pl.Series) -> pl.Series:
    """Return a column as float64, with null where the value is not a number."""
    if column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null):
        return column.cast(pl.Float64, strict=False)
    return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)


def not_numbers(column: pl.Series) -> pl.Series:
    """Return true where a value is present and is not a number."""
    return column.is_not_null() & as_numbers(column).is_null()


def only_numbers(column: pl.Series) -> bool:
    """Return whether every value that is present is a number."""
    return as_numbers(column).null_count() == column.null_count()


def is_text(column: pl.Series) -> bool:
    return column.dtype == pl.String


def first_row(mask: pl.Series) -> int:
    """Return the index of the first true row."""
    return int(mask.arg_max() or 0)


@dataclass(frozen=True)
class NumericColumn:
    """A standardized column: (value - mean) / scale, with the median for missing values.

    The scale is the standard deviation, or 1 for a constant column, which therefore becomes 0.
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
    """One input per known text, 1 where the column holds that text; all are 0 for unseen texts.

    With `flag_missing`, a missing value counts as one more text.
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
        """Count the values that training did not see, or saw too rarely."""
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
    """Return a column's encoder, fitted to `rows`, or the reason to ignore the column."""
    trained = column.gather(rows)
    texts = trained.drop_nulls()
    if texts.is_empty():
        return "holds no values: ignored"
    if only_numbers(column):
        return NumericColumn.fit(trained)
    if column.dtype.is_temporal() or (is_text(column) and texts.str.contains(_DATE).all()):
        return "holds dates or times: ignored (you can add columns of numbers made from them)"
    if not (is_text(column) or column.dtype == pl.Boolean):
        return f"has the type {column.dtype}: ignored"
    distinct = texts.n_unique()
    if distinct > 20 and 2 * distinct > len(texts):
        return f"holds {distinct} different texts in {len(texts)} rows: ignored"
    return CategoryColumn.fit(trained)


def remark_on(column: pl.Series, encoder: NumericColumn | CategoryColumn) -> str | None:
    """Return what a user may not expect about how a column is used, or None."""
    if isinstance(encoder, NumericColumn):
        return None
    wrong = not_numbers(column)
    if 2 * wrong.sum() < column.count():
        row = first_row(wrong)
        return (
            f"read as text, because {wrong.sum()} of {column.count()} values are not numbers "
            f"(the first, in data row {row + 1}, is {column[row]!r})"
        )
    if len(encoder.categories) == MOST_CATEGORIES:
        return f"only its {MOST_CATEGORIES} most frequent texts are used"
    return None
