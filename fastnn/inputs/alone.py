"""How much of a target a single column tells, whatever the relation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def left_alone(codes: NDArray[np.int64], target: NDArray[Any], ordered: bool) -> float:
    """Return the share of the target's variance that a column leaves, or of classes' differences.

    Each row is predicted by the other rows that have its code.  A row that has its own for itself
    is predicted by the two whose codes are next to it if these are `ordered`, else by all rows.
    The difference of classes is the chance that two rows are of different ones.  Text is classes.

    Examples
    --------
    >>> left_alone(np.array([0, 1, 0, 1]), np.array([5.0, 9.0, 5.0, 9.0]), ordered=False)
    0.0
    >>> left_alone(np.array([0, 1, 1, 0]), np.array(["a", "b", "a", "b"]), ordered=False)
    2.0
    """
    count, order = np.bincount(codes)[codes], np.argsort(codes, kind="stable")
    before, after = np.empty_like(order), np.empty_like(order)
    before[order] = np.append(order[1], order[:-1])  # the ends have one neighbor, twice
    after[order] = np.append(order[1:], order[-2])
    others = np.maximum(count - 1, 1)
    if target.dtype.kind in "US":
        own = np.unique(target, return_inverse=True)[1]
        pairs = np.unique(codes * len(own) + own, return_inverse=True, return_counts=True)
        share = np.bincount(own)[own] / len(own)
        near = np.mean([own[before] == own, own[after] == own], axis=0) if ordered else share
        alike = np.where(count > 1, (pairs[2][pairs[1]] - 1) / others, near)
        return float(np.mean(1 - alike) / np.mean(1 - share))
    with np.errstate(all="ignore"):
        y = target - target.mean()
        near = (y[before] + y[after]) / 2 if ordered else np.zeros(len(y))
        expected = np.where(count > 1, (np.bincount(codes, y)[codes] - y) / others, near)
        return float(np.square(y - expected).mean() / np.square(y).mean())


def tells(left: float, n_rows: int) -> bool:
    """Return whether a column that leaves so much tells nearly everything: it may be a leak."""
    return n_rows >= _FEWEST and left <= _LEAK


_FEWEST = 30
_LEAK = 0.02
