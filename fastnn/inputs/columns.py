"""Names of columns: those that training saw, and whether other data have the same."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from fastnn.inputs.arrays import is_frame, labels_of
from fastnn.inputs.checks import listed
from fastnn.inputs.mixed import Columns

Label = str | int


@dataclass(frozen=True)
class Names:
    """The names of the columns of X, and of y if it has several; None where none are known.

    Arrays have no names and go by position.  So do frames whose columns are just numbered from 0,
    beside frames with names.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"size": [1], "age": [2]})
    >>> names = Names().agreed(frame)
    >>> names.x
    ('size', 'age')
    >>> names.agreed(frame[["age", "size"]])
    Traceback (most recent call last):
    ValueError: X has column 'age' at position 0, where training had 'size': \
X[network.feature_names_in_] has the order of training
    """

    x: tuple[Label, ...] | None = None
    y: tuple[Label, ...] | None = None

    def agreed(self, X: Any, y: Any = None, prefix: str = "", owner: str = "network") -> "Names":
        """Return these names, with those of `X` and `y` where none were known.

        Messages put `prefix` before the arguments' names; `owner` is what keeps the names.

        Raises
        ------
        ValueError
            If the columns have other names or another order, or if two have the same name.
        """
        names = f"{owner}.feature_names_in_"
        fix = f"X.select({names})" if hasattr(type(X), "column_names") else f"X[{names}]"
        x = _agreed(self.x, _names(X, f"{prefix}X"), f"{prefix}X", "" if prefix else fix)
        targets = _names(y, f"{prefix}y")
        if targets is not None and len(targets) < 2:  # it cannot be confused with another
            targets = None
        return Names(x, _agreed(self.y, targets, f"{prefix}y", ""))

    def feature_names(self) -> np.ndarray:
        """Return the names of the columns of X, as scikit-learn's ``feature_names_in_``.

        Raises
        ------
        AttributeError
            If there are none.
        """
        if self.x is None:
            raise AttributeError("feature_names_in_: no frame with named columns was fitted")
        return np.array(self.x, object)


def _names(data: Any, name: str) -> tuple[Label, ...] | None:
    """Return the names of a frame's columns, or raise ValueError if two are the same."""
    if not isinstance(data, Columns) and not is_frame(data):
        return None
    labels = data.labels if isinstance(data, Columns) else labels_of(data)
    if labels is None:
        return None
    names = tuple(_plain(label) for label in labels)
    if len(set(names)) == len(names):
        return names
    if all(isinstance(each, int) for each in names):
        return None  # several frames with numbered columns, side by side
    twice = next(each for place, each in enumerate(names) if each in names[:place])
    raise ValueError(f"{name} has two columns {twice!r}, wanted a different name for each")


def _plain(label: Any) -> Label:
    """Return a label as a value that JSON can hold."""
    if isinstance(label, str):
        return label
    return int(label) if isinstance(label, Integral) else str(label)


def _agreed(
    known: tuple[Label, ...] | None, given: tuple[Label, ...] | None, name: str, fix: str
) -> tuple[Label, ...] | None:
    """Return the names to expect from now on, or raise ValueError."""
    if given is None or given == known:
        return known
    same = known is not None and set(known) == set(given)
    if known is None or (_numbered(known) and not same):
        return given
    if _numbered(given) and not same:
        return known
    fix = f"{fix} has" if fix else "wanted"
    if same:
        place = next(place for place, each in enumerate(known) if given[place] != each)
        raise ValueError(
            f"{name} has column {given[place]!r} at position {place}, where training had "
            f"{known[place]!r}: {fix} the order of training"
        )
    lacking = [each for each in known if each not in given]
    more = [each for each in given if each not in known]
    said = [f"lacks {_columns(lacking)} of training"] if lacking else []
    said += [f"has {_columns(more)} that training had not"] if more else []
    hint = "" if lacking else f": {fix} those of training"
    raise ValueError(f"{name} {' and '.join(said)}{hint}")


def _numbered(names: tuple[Label, ...]) -> bool:
    return names == tuple(range(len(names)))


def _columns(names: list[Label]) -> str:
    return f"the column{'s' * (len(names) > 1)} {listed(names)}"
