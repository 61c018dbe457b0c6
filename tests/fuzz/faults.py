"""Input that must be refused."""

from typing import Any

import numpy as np

from tests.fuzz.cases import Case


@np.errstate(all="ignore")
def faults(case: Case) -> dict[str, tuple[Any, Any, Any, dict[str, Any]]]:
    """Return what must be refused, by name: inputs, targets, weights, and how to fit."""
    x, y, weight = case.arrays
    n = len(x)
    numbers = x.astype(np.float64)
    labels = y.ndim == 1

    def spoiled(array: np.ndarray, value: float) -> np.ndarray:
        array = array.astype(np.float64)
        array[-1, ...] = value
        return array

    found: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
        "X with NaN": (spoiled(x, np.nan), y, weight, {}),
        "X with an infinity": (spoiled(x, np.inf), y, weight, {}),
        "X of text": (numbers.astype(str), y, weight, {}),
        "X of complex numbers": (numbers + 1j, y, weight, {}),
        "X with a column more": (np.hstack([numbers, numbers[:, :1]]), y, weight, {}),
        "X of one dimension": (numbers[0], y, weight, {}),
        "X without rows": (numbers[:0], y, weight, {}),
        "y of another length": (x, np.concatenate([y, y[:1]]), weight, {}),
        "y of another shape": (x, y[:, None] if labels else np.hstack([y, y]), weight, {}),
        "y with NaN": (x, spoiled(y, np.nan), weight, {}),
        "weights of another length": (x, y, np.ones(n + 1), {}),
        "weights below 0": (x, y, np.where(np.arange(n) == n - 1, -1.0, 1.0), {}),
        "weights all 0": (x, y, np.zeros(n), {}),
        "weights with an infinity": (x, y, np.full(n, np.inf), {}),
        "batch_size 0": (x, y, weight, {"batch_size": 0}),
        "epochs 0": (x, y, weight, {"epochs": 0}),
        "epochs in text": (x, y, weight, {"epochs": "3"}),
        "shuffle 1": (x, y, weight, {"shuffle": 1}),
        "validation_split 1": (x, y, weight, {"validation_split": 1.0}),
        "validation_data alone": (x, y, weight, {"validation_data": (x,)}),
        "a number for callbacks": (x, y, weight, {"callbacks": 3}),
    }
    if labels:
        found["a label too large"] = x, np.where(np.arange(n) == n - 1, case.outputs, y), weight, {}
        found["a label below 0"] = x, np.where(np.arange(n) == 0, -1, y), weight, {}
    if case.dtype == "float32" and not case.options:
        found["X too large"] = spoiled(x, 1e300), y, weight, {}
    return found
