"""Missing values: fill them in, and say where they were."""

from typing import Any

import numpy as np

from fastnn.formulas import Formula
from fastnn.inputs.checks import boolean, finite_float
from fastnn.inputs.settings import setting
from fastnn.preprocessing.scaling import present
from fastnn.preprocessing.transformer import Transformer, not_too_large


def _as_fill(given: Any, name: str) -> str | float:
    if isinstance(given, str):
        if given != "median":
            raise ValueError(f"{name} is {given!r}, wanted 'median' or a number")
        return given
    return finite_float(given, name)


class Impute(Transformer):
    """Fill in missing values (NaN), and say in columns of their own where they were.

    Parameters
    ----------
    fill : "median" or float
        Each column's median in training, or one number for all.
    indicators : bool
        Whether each column that lacked values in training gets a further column behind all others,
        which is 1 where a value is missing and 0 elsewhere.

    Attributes
    ----------
    fill_ : array, (n_features,)
        What is filled in; 0 is the median of a column without values.
    flagged_ : array, (n_features,)
        1 for columns that lacked values in training, else 0.

    Raises
    ------
    ValueError, TypeError
        See :meth:`Transformer.fit` and :meth:`Transformer.transform`.

    Examples
    --------
    >>> impute = Impute().fit([[1.0, 5.0], [np.nan, 6.0], [3.0, 7.0]])
    >>> impute.transform([[np.nan, np.nan], [4.0, 8.0]])
    array([[2., 6., 1.],
           [4., 8., 0.]])
    """

    name = "impute"
    missing = (True, False)
    learned = ("fill_", "flagged_")
    least = {"flagged_": 0.0}
    fill_: np.ndarray = setting(init=False)
    flagged_: np.ndarray = setting(init=False)

    fill: str | float = setting(default="median", check=_as_fill)
    indicators: bool = setting(default=True, check=boolean)

    @property
    def n_features_out_(self) -> int:
        return self.n_features_in_ + len(self._flagged())

    def _flagged(self) -> np.ndarray:
        """Return the columns that have an indicator."""
        return self.flagged_.nonzero()[0] if self.indicators else np.zeros(0, np.int64)

    def _learn(self, rows: np.ndarray) -> dict[str, Any]:
        values = [present(column) for column in rows.T]
        if isinstance(self.fill, str):
            fill = np.array([np.median(each) if len(each) else 0.0 for each in values])
            not_too_large("the median", fill)
        else:
            fill = np.full(rows.shape[1], self.fill)
        flagged = np.array([len(each) < len(rows) for each in values], np.float64)
        return {"fill_": fill, "flagged_": flagged}

    def carry(self, rounding: np.ndarray) -> np.ndarray:
        moved = np.broadcast_to(rounding, self.n_features_in_)
        return np.append(moved, np.zeros(len(self._flagged())))

    def formula(self, x: Formula) -> Formula:
        absent, flagged = x.isnan(), self._flagged()
        filled = absent.where(self.fill_, x)
        if not len(flagged):
            return filled
        return Formula.concatenate([filled, x.columns(flagged).isnan().where(1.0, 0.0, x.dtype)])

    def _forward(self, block: np.ndarray) -> np.ndarray:
        absent = np.isnan(block)
        filled = np.where(absent, self.fill_, block)
        return np.hstack([filled, absent[:, self._flagged()]])

    def _backward(self, block: np.ndarray) -> np.ndarray:
        width, flagged = self.n_features_in_, self._flagged()
        rows = block[:, :width]
        rows[:, flagged] = np.where(block[:, width:] > 0.5, np.nan, rows[:, flagged])
        return rows
