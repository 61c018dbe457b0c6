"""Encoders: columns of texts, booleans, categories and dates become numbers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.formulas import Formula
from fastnn.inputs.checks import (
    as_inputs,
    listed,
    non_negative_int,
)
from fastnn.inputs.mixed import Columns, as_columns, texts_of
from fastnn.inputs.settings import optional, setting
from fastnn.preprocessing.transformer import Transformer

_NUMBER, DATE, CATEGORY = range(3)
_DAY = np.timedelta64(1, "D")
_PARTS = ("days", "year", "month", "day", "weekday", "hour")
_SHOWN = 5
_EXACT = 2.0**53


def _as_features(given: Any, name: str) -> list[str | int]:
    wanted = "a list of labels and positions of columns"
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        raise TypeError(f"{name} is {given!r}, wanted {wanted}")
    found = [each if isinstance(each, str) else non_negative_int(each, name) for each in given]
    if len(set(found)) != len(found):
        raise ValueError(f"{name} has a column twice, wanted {wanted}")
    return found


class Encoder(Transformer):
    """Base of encoders, which take frames: columns of numbers pass, others become numbers.

    What a column holds in training decides what it is.  Texts, booleans and categories are
    categories, in order: of numbers where all are some, else of the alphabet.  A date becomes six
    numbers: days since 1970, year, month, day, weekday (Monday is 0) and hour.  A missing number
    and each part of a missing date are NaN; a missing category is like one not seen in training,
    and so is whatever a column holds later that held nothing in training.
    """

    missing = (True, True)
    learned: ClassVar[tuple[str, ...]] = ("kinds_", "counts_", "lengths_", "texts_")
    kinds_: np.ndarray = setting(init=False)
    counts_: np.ndarray = setting(init=False)
    lengths_: np.ndarray = setting(init=False)
    texts_: np.ndarray = setting(init=False)

    categorical_features: Any = setting(default=None, check=optional(_as_features), kw_only=True)

    @property
    def categories_(self) -> list[list[str] | None]:
        """The categories of each column of X, as texts; None for numbers and dates."""
        ends = np.cumsum(self.lengths_)
        whole = self.texts_.tobytes()
        begins = ends - self.lengths_
        pairs = zip(begins, ends, strict=True)
        texts = iter([whole[begin:end].decode("utf-8", "surrogatepass") for begin, end in pairs])
        return [
            [next(texts) for _ in range(count)] if kind == CATEGORY else None
            for kind, count in zip(self.kinds_, self.counts_, strict=True)
        ]

    @property
    def n_features_out_(self) -> int:
        return sum(self.widths_)

    @property
    def widths_(self) -> list[int]:
        """How many columns of the result each column of X becomes."""
        return [width for _, _, width in self._columns()]

    @property
    def feature_names_out_(self) -> list[str]:
        """The names of the columns that `transform` returns."""
        names: list[str] = []
        for place, categories in enumerate(self.categories_):
            label = str(self.names_.x[place] if self.names_.x else f"x{place}")
            if self.kinds_[place] == DATE:
                names += [f"{label}.{part}" for part in _PARTS]
            elif self.kinds_[place] == CATEGORY:
                names += self._category_names(label, categories or [])
            else:
                names.append(label)
        return names

    @property
    def codes_(self) -> dict[int, int]:
        """Which columns of the result are codes, and of how many categories.

        ``Embedding([*codes_.values()], units, columns=[*codes_])`` reads them.
        """
        found, start = {}, 0
        for kind, count, width in self._columns():
            if kind == CATEGORY and count and self._coded(count):
                found[start] = count
            start += width
        return found

    def rows(
        self, X: Any, n_features: int | None = None, name: str = "X", *, empty: bool = False
    ) -> Columns:
        return as_columns(X, n_features, name, empty=empty)

    @np.errstate(all="ignore")
    def inverse_transform(self, X: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return the original rows as objects: numbers, texts, dates, and None for the unknown."""
        self._check_fitted("inverse_transform")
        rows = as_inputs(X, None, np.float64, empty=True, missing=True).astype(np.float64)
        if rows.shape[1] != self.n_features_out_:
            raise ValueError(f"X has {rows.shape[1]} columns, wanted {self.n_features_out_}")
        out = np.empty((len(rows), self.n_features_in_), object)
        start, categories = 0, self.categories_
        for place, (kind, count, width) in enumerate(self._columns()):
            block = rows[:, start : start + width]
            start += width
            if kind == CATEGORY:
                texts = np.array([None, *(categories[place] or ())], object)
                out[:, place] = texts[self._decoded(block, count)]
            elif kind == DATE:
                microseconds = np.nan_to_num(block[:, 0] * 864e8).round().astype(np.int64)
                dates = microseconds.astype("datetime64[us]").astype(object)
                out[:, place] = dates
            else:
                out[:, place] = block[:, 0]
            if kind != CATEGORY:
                out[np.isnan(block[:, 0]), place] = None
        return out if dtype is None else out.astype(dtype)

    # What subclasses say of a column of categories

    def _category_names(self, label: str, categories: list[str]) -> list[str]:
        return [label]

    def _coded(self, count: int) -> bool:
        """Return whether a column of `count` categories becomes codes."""
        return False

    def _category_width(self, count: int) -> int:
        return 1

    def _encoded(self, codes: Formula, count: int, place: int) -> Formula:
        """Return the formula of `_encode`."""
        return codes - 1

    def _encode(self, codes: np.ndarray, count: int, place: int) -> np.ndarray:
        """Return columns for places among `count` categories: from 1, or 0 for the unknown."""
        return codes[:, None] - 1

    def _decoded(self, block: np.ndarray, count: int) -> np.ndarray:
        """Return the places that columns stand for."""
        code = np.nan_to_num(block[:, 0], nan=-1.0).round() + 1
        return np.where((code >= 0) & (code <= count), code, 0).astype(np.int64)

    # Learning, and the two halves of transforming

    def _learn(self, rows: Columns) -> dict[str, Any]:
        chosen, kinds, categories = self._chosen(rows), [], []
        for place, column in enumerate(rows.values):
            if place in chosen and column.dtype.kind == "f" and (abs(column) >= _EXACT).any():
                raise ValueError(
                    f"{rows.called(place)} has categories of {_EXACT:.0f} and more, which float64 "
                    "cannot tell apart, wanted texts"
                )
            kind = {"f": _NUMBER, "M": DATE}.get(column.dtype.kind, CATEGORY)
            kinds.append(CATEGORY if place in chosen or _absent(column).all() else kind)
            found = _ordered(texts_of(column)) if kinds[-1] == CATEGORY else []
            categories.append(found)
        texts = [text.encode("utf-8", "surrogatepass") for found in categories for text in found]
        return {
            "kinds_": np.array(kinds, np.int64),
            "counts_": np.array([len(found) for found in categories], np.int64),
            "lengths_": np.array([len(text) for text in texts], np.int64),
            "texts_": np.array(bytearray(b"".join(texts)), np.uint8),
        }

    def _chosen(self, rows: Columns) -> set[int]:
        """Return the positions of `categorical_features`."""
        found, width = set(), rows.shape[1]
        labels = rows.labels or ()
        for each in self.categorical_features or ():
            if isinstance(each, str) and each not in labels:
                raise ValueError(
                    f"categorical_features has {each!r}, wanted columns of "
                    f"{rows.name}: {listed(labels)}"
                )
            place = labels.index(each) if isinstance(each, str) else each
            if place >= width:
                raise ValueError(f"categorical_features has {place}, wanted at most {width - 1}")
            found.add(place)
        return found

    def _numbers(self, rows: Columns) -> np.ndarray:
        return _numbers(rows, self.kinds_, self.categories_)

    def formula_of_columns(self, labels: Sequence[Any] | None) -> tuple[list[Formula], Formula]:
        """Return inputs, one for each column of X, and what `transform` makes of them.

        Dates come in as days since 1970, and categories as texts.  If all columns are numbers
        without `labels`, there is one input of all.
        """
        if labels is None and (self.kinds_ == _NUMBER).all():
            x = Formula.numbers("X", self.n_features_in_, np.float64)
            return [x], x
        inputs, parts = [], []
        for place, (kind, count, width) in enumerate(self._columns()):
            name = f"x{place}" if labels is None else str(labels[place])
            if kind == CATEGORY:
                inputs.append(Formula.texts(name))
                codes = codes_of(inputs[-1], self.categories_[place] or [])
                parts += [self._encoded(codes, count, place)] if width else []
            else:
                inputs.append(Formula.numbers(name, 1, np.float64))
                parts.append(_parts_of_date(inputs[-1]) if kind == DATE else inputs[-1])
        return inputs, Formula.concatenate(parts)

    def _forward(self, block: np.ndarray) -> np.ndarray:
        done = []
        for place, (kind, count, _) in enumerate(self._columns()):
            column = block[:, place]
            if kind == CATEGORY:
                done.append(self._encode(column, count, place))
            else:
                done.append(_parts(column) if kind == DATE else column[:, None])
        return np.hstack(done)

    def _width(self, kind: int, count: int) -> int:
        if kind == CATEGORY:
            return self._category_width(count)
        return len(_PARTS) if kind == DATE else 1

    def _columns(self) -> Iterator[tuple[int, int, int]]:
        """Yield each column's kind, number of categories, and width after encoding."""
        for kind, count in zip(self.kinds_.tolist(), self.counts_.tolist(), strict=True):
            yield kind, count, self._width(kind, count)

    def _shapes(
        self, width: int, arrays: Mapping[str, np.ndarray]
    ) -> Mapping[str, tuple[int, ...]]:
        n_texts, n_bytes = int(arrays["counts_"].sum()), int(arrays["lengths_"].sum())
        shapes = {"kinds_": (width,), "counts_": (width,)}
        return shapes | {"lengths_": (n_texts,), "texts_": (n_bytes,)}

    def _check_learned(self, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
        if name not in Encoder.learned:
            super()._check_learned(name, array, shape)
            return
        dtype = np.uint8 if name == "texts_" else np.int64
        if array.dtype != dtype or array.shape != shape:
            wanted = f"{np.dtype(dtype)} {shape}"
            raise ValueError(f"{name} is {array.dtype} {array.shape}, wanted {wanted}")
        if len(array) and (array.min() < 0 or (name == "kinds_" and array.max() > CATEGORY)):
            raise ValueError(f"{name} holds {array.min()} to {array.max()}")

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set the learned arrays from :meth:`state`; errors are those of transformers."""
        twin = type(self)(**self.settings())
        super(Encoder, twin).restore(state)
        if twin.counts_[twin.kinds_ != CATEGORY].any():
            raise ValueError("counts_ says that numbers have categories")
        for categories in twin.categories_:  # a UnicodeDecodeError is a ValueError
            if categories and len(set(categories)) != len(categories):
                raise ValueError("texts_ has a category twice")
        vars(self).update(vars(twin))


def _ordered(texts: np.ndarray) -> list[str]:
    """Return the categories in order: as numbers if all are some, else as texts."""
    found = sorted({text for text in texts if text is not None})
    try:
        return sorted(found, key=float)
    except ValueError:
        return found


@np.errstate(all="ignore")
def _numbers(
    rows: Columns, kinds: np.ndarray, categories: Sequence[list[str] | None]
) -> np.ndarray:
    """Return one number for each value: itself, days since 1970, or the place of a category."""
    out = np.empty(rows.shape)
    for place, (column, kind) in enumerate(zip(rows.values, kinds, strict=True)):
        called = rows.called(place)
        absent = _absent(column)
        if kind == CATEGORY:
            out[:, place] = _codes(column, absent, categories[place] or [], called)
        elif column.dtype.kind == ("M" if kind == DATE else "f"):
            days = (column - np.datetime64(0, "us")) / _DAY if kind == DATE else column
            out[:, place] = np.where(absent, np.nan, days)
        elif absent.all():
            out[:, place] = np.nan
        else:
            held = "dates" if kind == DATE else "numbers"
            raise _changed(called, held, column, absent)
    return out


def _codes(
    column: np.ndarray, absent: np.ndarray, categories: list[str], called: str
) -> np.ndarray:
    """Return the place of each value among the categories, from 1, or 0 if it is not there."""
    places = {text: place for place, text in enumerate(categories, 1)}
    codes = np.array([places.get(text, 0) for text in texts_of(column)], np.float64)
    if column.dtype != object and not absent.all() and not codes.any() and categories:
        if not any(_is_number(text) for text in categories):
            shown = ", ".join(map(repr, categories[:_SHOWN]))
            raise _changed(called, f"texts such as {shown}", column, absent)
    return codes


def _changed(called: str, held: str, column: np.ndarray, absent: np.ndarray) -> TypeError:
    row = int(absent.argmin())
    value = column[row].item() if isinstance(column[row], np.generic) else column[row]
    return TypeError(
        f"{called} held {held} in training; now it has {value!r} ({type(value).__name__}) "
        f"at row {row}"
    )


def _absent(column: np.ndarray) -> np.ndarray:
    if column.dtype == object:
        return np.array([value is None for value in column], bool)
    return np.isnan(column) if column.dtype.kind == "f" else np.isnat(column)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parts(days: np.ndarray) -> np.ndarray:
    """Return the numbers of dates, given as days since 1970."""
    present = np.nan_to_num(days)
    whole = np.floor(present)
    date = whole.astype(np.int64).astype("datetime64[D]")
    month, year = date.astype("datetime64[M]"), date.astype("datetime64[Y]")
    parts = [
        present,
        year.astype(np.int64) + 1970,
        month.astype(np.int64) % 12 + 1,
        (date - month).astype(np.int64) + 1,
        (whole + 3) % 7,  # the first of January 1970 was a Thursday
        (present - whole) * 24,
    ]
    return np.where(np.isnan(days)[:, None], np.nan, np.column_stack(parts))


def codes_of(text: Formula, categories: Sequence[str]) -> Formula:
    """Return the formula of a text's place among categories, from 1, or 0 if it is not there.

    Booleans of tables are "true" and "false"; others write them "True" and "TRUE".
    """
    if not {*categories} <= {"true", "false"}:
        return text.codes(categories)
    every = [spell(each) for spell in (str, str.title, str.upper) for each in categories]
    places = [0, *[*range(1, 1 + len(categories))] * 3]
    return text.codes(every).lookup(np.array(places, np.float64)[:, None])


def _parts_of_date(days: Formula) -> Formula:
    """Return the formula of `_parts`.

    Notes
    -----
    Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013: years begin in March.
    """
    whole = days.floor()
    day = whole + 719468  # since March 1 of the year 0
    era = (day / 146097).floor()
    day = day - era * 146097
    leaps = (day / 1460).floor() - (day / 36524).floor() + (day / 146096).floor()
    year = ((day - leaps) / 365).floor()
    day = day - (year * 365 + (year / 4).floor() - (year / 100).floor())
    month = ((day * 5 + 2) / 153).floor()
    of_month = day - ((month * 153 + 2) / 5).floor() + 1
    late = month > 9.5
    month = late.where(month - 9, month + 3)
    year = year + era * 400 + late.where(1.0, 0.0, days.dtype)
    weekday = whole + 3 - ((whole + 3) / 7).floor() * 7
    hour = (days - whole) * 24
    return Formula.concatenate([days, year, month, of_month, weekday, hour])
