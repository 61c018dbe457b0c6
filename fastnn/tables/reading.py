"""How the texts of a table are read: what separates them, what is a number and what is missing."""

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")
"""Texts that mean a missing value, ignoring blanks around them."""

_BLANKS = "[\u00a0\u202f\u2009]"  # the ones that typesetters put between thousands
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
    thousands: str | None = None
    missing: tuple[str, ...] = ()
    header: bool | None = None

    def __post_init__(self) -> None:
        wrong = self.delimiter is not None and (
            len(self.delimiter) != 1 or self.delimiter in '"\r\n'
        )
        if wrong:
            raise ValueError(f"--delimiter is {self.delimiter!r}, wanted one character, or tab")
        if self.thousands is not None and self.thousands not in tuple(",. '’_"):
            raise ValueError(
                f"--thousands is {self.thousands!r}, wanted a comma, point, blank, apostrophe or _"
            )
        if self.thousands == self.decimal:
            raise ValueError(f"--decimal and --thousands are both {self.decimal!r}")

    def numbers(self, texts: pl.Series) -> pl.Series:
        """Return texts as float64, with null where one is not a number."""
        if self.thousands == " ":
            texts = texts.str.replace_all(_BLANKS, " ")
        point = re.escape(self.decimal)
        digits = f"[0-9]+{point}?[0-9]*|{point}[0-9]+"
        if self.thousands:
            digits += f"|[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+(?:{point}[0-9]*)?"
        number = texts.str.contains(f"^[+-]?(?:(?:{digits}){_EXPONENT}|(?i:inf|infinity))$")
        plain = texts.set(~number, None)
        if self.thousands:
            plain = plain.str.replace_all(self.thousands, "", literal=True)
        return plain.str.replace_all(self.decimal, ".", literal=True).cast(pl.Float64)

    def others(self, text: str) -> list[tuple[str, float]]:
        """Return the options with the fewest changes that make `text` a number, and that number.

        Examples
        --------
        >>> Reading().others("1,234")
        [('--thousands ,', 1234.0), ('--decimal ,', 1.234)]
        """
        found: dict[int, list[tuple[str, float]]] = {}
        for decimal in ".,":
            for thousands in (None, ",", ".", " ", "'", "’", "_"):
                if thousands == decimal or (thousands is None and self.thousands is not None):
                    continue
                (value,) = replace(self, decimal=decimal, thousands=thousands).numbers(
                    pl.Series([text])
                )
                if value is not None:
                    options = [f"--decimal {decimal}"] * (decimal != self.decimal)
                    if thousands != self.thousands:
                        quote = "'" if thousands == " " else '"' if thousands in ("'", "’") else ""
                        options.append(f"--thousands {quote}{thousands}{quote}")
                    found.setdefault(len(options), []).append((" ".join(options), value))
        return found[min(found)] if found else []

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in JSON types."""
        return asdict(self) | {"missing": list(self.missing)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Reading":
        """Return the reading that `to_dict` described."""
        return cls(**state | {"missing": tuple(state.get("missing", ()))})


def number_like(texts: pl.Series) -> pl.Series:
    """Return true for texts that people mean as numbers, under whatever convention.

    They may have a decimal comma, marks between thousands, a percent sign or a currency.
    """
    return texts.str.contains(_NUMBER_LIKE)
