"""Rows that have been checked, and the columns of them that a network reads."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastnn.engine.exchange import Ranks
from fastnn.inputs import on_disk
from fastnn.inputs.columns import Names
from fastnn.inputs.streamed import is_fed
from fastnn.losses import Loss


@dataclass(frozen=True)
class Together:
    """All rows of which several processes have some, in order of their ranks."""

    ranks: Ranks
    y: np.ndarray
    weight: np.ndarray | None

    def gathered(self, own: np.ndarray) -> np.ndarray:
        """Return what all processes have for their rows, given what this one has."""
        return np.concatenate(self.ranks.agree(own))


@dataclass
class Data:
    """Rows that :mod:`fastnn.inputs.checks` has checked."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None
    names: Names = field(default_factory=Names)
    """What the columns are called, here and where the model trained before."""
    rows: np.ndarray | None = None
    """Which rows of `x` the targets and weights are for; None means all."""
    together: Together | None = None
    """What all processes have, if these are only some of the rows."""

    def __len__(self) -> int:
        return len(self.y)

    def part(self, rows: slice | np.ndarray) -> "Data":
        """Return some of the rows.

        A slice gives views.  With an index, `x` stays whole, since it may be a file larger than
        memory.
        """
        y, weight = self.y[rows], None if self.weight is None else self.weight[rows]
        if isinstance(rows, slice):
            return replace(self, x=self.x[rows], y=y, weight=weight)
        return replace(self, y=y, weight=weight, rows=rows)

    def inputs(self, rows: slice = slice(None)) -> Any:
        """Return `x` of these rows, or of some of them: a copy if `x` has others too."""
        if self.rows is None:
            return self.x[rows]
        some = self.rows[rows]
        return on_disk.taken(self.x, some) if on_disk.is_on_disk(self.x) else self.x[some]

    @np.errstate(all="ignore")
    def weighted(self, loss: Loss, factor: np.ndarray | None = None) -> "Data":
        """Return the rows with weights of mean 1, after multiplying them by `factor` if given.

        A common factor of all weights cancels here, in float64: neither very small nor very large
        weights reach the network's dtype.  Not so for a loss that sums: its weights stay.
        """
        # Powers of two are exact, so a product does not depend on how it is divided into factors.
        factors = [
            each if loss.sums else np.ldexp(each, -np.frexp(each.max())[1])
            for each in (self.weight, factor)
            if each is not None
        ]
        if not factors:
            return self
        weight = np.prod(factors, axis=0)
        if not weight.any():
            raise ValueError(
                "sample_weight (times class_weight) is 0 for all rows to train on or to validate on"
            )
        return replace(self, weight=weight if loss.sums else weight / weight.mean())


def fed(model: Any, X: Any, y: Any, weight: Any, **how: Any) -> Any:
    """Return X, y and weights as arrays or frames, in files if X says where to read rows.

    See :func:`fastnn.data.feeding.fed`.
    """
    if not is_fed(X):
        return X, y, weight
    from fastnn.data import feeding  # most programs never need it

    return feeding.fed(model, X, y, weight, **how)


@dataclass
class Selection:
    """The columns of the data that a compacted network reads."""

    width: int
    """How many columns the data has."""
    index: np.ndarray
    """The columns in use; all below `width`, because compiled code reads there unchecked."""

    def __post_init__(self) -> None:
        self.index = np.asarray(self.index, np.int64)
        if not ((self.index >= 0) & (self.index < self.width)).all():
            raise ValueError(f"inputs are not all columns of {self.width}")
