"""How the texts of a table are read: what separates them, what is a number and what is missing."""

import re
import shlex
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from fastnn.inputs.checks import boolean

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")
"""Texts that mean a missing value, ignoring blanks around them."""

_BLANKS = "[\u00a0\u202f\u2009]"  # the ones that typesetters put between thousands
_THOUSANDS = ("", *",. '’_")
_EXPONENT = "(?:[eE][+-]?[0-9]+)?"
_NUMBER_LIKE = (
    "^[$€£¥]? ?[+\u2212-]?[$€£¥]? ?"
    rf"(?:(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+){_EXPONENT}"
    r"|[0-9]{1,3}(?:[ '’_.,\u00a0\u202f\u2009][0-9]{3})+(?:[.,][0-9]*)?)"
    " ?[%$€£¥]?$"
)


@dataclass(frozen=True)
class Reading:
    """How to read a table's texts; None lets the file decide.

    A number has digits, the `decimal` mark, perhaps an exponent, and perhaps the `thousands` mark
    between groups of three digits.  `missing` adds to the texts of :data:`MISSING`.

    Examples
    --------
    >>> Reading(decimal=",", thousands=".").numbers(pl.Series(["1.234,5", "12", "1.5"])).to_list()
    [1234.5, 12.0, None]
    """

    delimiter: str | None = None
    decimal: str = "."
    thousands: str = ""
    missing: tuple[str, ...] = ()
    header: bool | None = None

    def __post_init__(self) -> None:
        wrong = self.delimiter is not None and (
            len(self.delimiter) != 1 or self.delimiter in '"\r\n'
        )
        if wrong:
            raise ValueError(f"--delimiter is {self.delimiter!r}, wanted one character, or tab")
        if self.decimal not in (".", ","):
            raise ValueError(f"--decimal is {self.decimal!r}, wanted a point or comma")
        if self.thousands not in _THOUSANDS:
            raise ValueError(
                f"--thousands is {self.thousands!r}, wanted a comma, point, blank, "
                "apostrophe, _ or none"
            )
        if self.thousands == self.decimal:
            raise ValueError(f"--decimal and --thousands are both {self.decimal!r}")

    def numbers(self, texts: pl.Series) -> pl.Series:
        """Return texts as float64, with null where one is not a number."""
        if self.thousands:
            if self.thousands == " ":
                texts = texts.str.replace_all(_BLANKS, " ")
            mark, point = re.escape(self.thousands), re.escape(self.decimal)
            groups = f"^[+-]?[0-9]{{1,3}}({mark}[0-9]{{3}})+({point}[0-9]*)?$"
            wrong = texts.str.contains(mark) & ~texts.str.contains(groups)
            texts = texts.set(wrong, None).str.replace_all(self.thousands, "", literal=True)
        if self.decimal != ".":
            texts = texts.set(texts.str.contains(".", literal=True), None)
            texts = texts.str.replace_all(self.decimal, ".", literal=True)
        return texts.cast(pl.Float64, strict=False).fill_nan(None)

    def others(self, texts: pl.Series) -> dict[float, str]:
        """Return the fewest options that make all texts numbers, by what the first then is.

        Examples
        --------
        >>> Reading().others(pl.Series(["1,234"]))
        {1234.0: '--thousands ,', 1.234: '--decimal ,'}
        """
        found: dict[int, dict[float, str]] = {}
        for decimal in ".,":
            for thousands in _THOUSANDS:
                if thousands == decimal:
                    continue
                other = replace(self, decimal=decimal, thousands=thousands)
                values = other.numbers(texts)
                if not values.has_nulls():
                    options = [f"--decimal {decimal}"] * (decimal != self.decimal)
                    if thousands != self.thousands:
                        options.append(
                            f"--thousands {shlex.quote(thousands) if thousands else 'none'}"
                        )
                    found.setdefault(len(options), {}).setdefault(values[0], " ".join(options))
        return found[min(found)] if found else {}

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in JSON types."""
        return asdict(self) | {"missing": list(self.missing)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Reading":
        """Return the reading that `to_dict` described."""
        reading = cls(**state | {"missing": tuple(state.get("missing", ()))})
        texts = [reading.decimal, reading.thousands, *reading.missing]
        if not all(isinstance(each, str) for each in texts):
            raise TypeError(f"its marks and missing texts are {texts}, wanted texts")
        if reading.header is not None:
            boolean(reading.header, "header")
        return reading


def with_unit(texts: pl.Series) -> pl.Series:
    """Return true for numbers with letters behind them, such as 12.5 kg."""
    return texts.str.contains(r"^[+-]?[0-9][0-9., ]*[A-Za-zµ°][A-Za-zµ°/²³0-9]{0,7}$")


def number_like(texts: pl.Series) -> pl.Series:
    """Return true for texts that people mean as numbers, under whatever convention.

    They may have a decimal comma, marks between thousands, a percent sign or a currency.
    """
    return texts.str.contains(_NUMBER_LIKE)
