"""Targets of a loss: what each kind of them may hold."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.inputs.checks import as_target_numbers, check_each

KINDS: dict[str, tuple[Callable[[np.ndarray], Any], str, dict[float, str]]] = {
    "count": (lambda it: it < 0, "numbers of at least 0", {}),
    "positive": (lambda it: it <= 0, "numbers above 0", {}),
    "binary": (
        lambda it: (it < 0) | (it > 1),
        "numbers from 0 to 1",
        {-1: "({name} + 1) / 2 maps -1 and 1 to 0 and 1"},
    ),
    "sign": (
        lambda it: (it != -1) & (it != 1),
        "-1 or 1",
        {0: "2 * {name} - 1 maps 0 and 1 to -1 and 1"},
    ),
}
"""For numbers of a kind: which are wrong, what is wanted, and hints on values that are mistakes."""


def as_targets(
    y: ArrayLike,
    kind: str,
    n_rows: int,
    n_targets: int,
    dtype: DTypeLike = np.float32,
    name: str = "y",
) -> np.ndarray:
    """Return `y` as a 2-D array (n_rows, n_targets) of numbers: "real", or one of `KINDS`.

    Examples
    --------
    >>> as_targets([[2.0], [0.0]], "positive", 2, 1)
    Traceback (most recent call last):
    ValueError: y has 0.0 at row 1, column 0, wanted numbers above 0
    """
    array = as_target_numbers(y, n_rows, n_targets, dtype, name)
    if kind in KINDS:
        is_wrong, wanted, hints = KINDS[kind]
        hints = {value: hint.format(name=name) for value, hint in hints.items()}
        check_each(array, y, name, is_wrong, wanted, hints)
    if kind == "positive":  # 1e-50 is 0 in float32
        held = f"numbers that {np.dtype(dtype)} can hold"
        check_each(array, y, name, lambda it: it.astype(dtype) == 0, held, {})
    return array.reshape(n_rows, n_targets)  # (n,) against (n, 1) would broadcast to (n, n)
