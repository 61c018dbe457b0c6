"""Rows of data."""

from numbers import Real
from typing import Any

import numpy as np

from fastnn.inputs import checks


class Rows:
    """Rows to train on or to validate on, as an estimator's networks see them."""

    def __init__(self, x: np.ndarray, y: np.ndarray, truth: np.ndarray, weight: np.ndarray | None):
        self.x, self.y, self.truth, self.weight = x, y, truth, weight
        """`y` is what the networks learn, `truth` what the caller gave, in numbers."""

    def part(self, index: np.ndarray) -> "Rows":
        weight = None if self.weight is None else self.weight[index]
        return Rows(self.x[index], self.y[index], self.truth[index], weight)

    @property
    def mean_weight(self) -> float:
        return 1.0 if self.weight is None else float(np.mean(self.weight))


def as_weights(given: Any, n_rows: int, name: str) -> np.ndarray | None:
    """Return weights of rows: one for all, as scikit-learn has it, or one for each."""
    if given is None:
        return None
    return checks.as_sample_weight(
        np.full(n_rows, given) if isinstance(given, Real) else given, n_rows, name
    )


def dense(X: Any) -> np.ndarray:
    return X.toarray() if hasattr(X, "toarray") else X
