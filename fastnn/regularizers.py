"""Penalties on weights."""

from typing import Any

from fastnn.checks import non_negative_float
from fastnn.families import Configured, look_up


class Regularizer(Configured):
    """A sum of penalties; see :meth:`terms`."""

    def terms(self) -> list[tuple[str, float]]:
        """Return (name, strength): kernels ``<name>_value`` and ``<name>_gradient`` compute it."""
        raise NotImplementedError


class L1(Regularizer):
    """``l1 * sum |w|``, with gradient ``l1 * sign(w)``, 0 at 0.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.L1(0.1)
    L1(l1=0.1)
    """

    def __init__(self, l1: float = 0.01):
        self.l1 = non_negative_float(l1, "l1")

    def terms(self):
        return [("l1", self.l1)]


class L2(Regularizer):
    """``(l2 / 2) * sum w**2``, with gradient ``l2 * w``.

    Keras leaves out the half: its ``L2(c)`` is ``L2(2 * c)`` here.  PyTorch's `weight_decay` of
    plain gradient descent is `l2`.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.L2(0.1)
    L2(l2=0.1)
    """

    def __init__(self, l2: float = 0.01):
        self.l2 = non_negative_float(l2, "l2")

    def terms(self):
        return [("l2", self.l2)]


class L1L2(Regularizer):
    """Elastic net: the sum of :class:`L1` and :class:`L2`.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.L1L2(0.1, 0.2)
    L1L2(l1=0.1, l2=0.2)
    """

    def __init__(self, l1: float = 0.01, l2: float = 0.01):
        self.l1 = non_negative_float(l1, "l1")
        self.l2 = non_negative_float(l2, "l2")

    def terms(self):
        return [("l1", self.l1), ("l2", self.l2)]


TABLE = {"l1": L1, "l2": L2, "l1l2": L1L2}


def get(regularizer: Any, name: str) -> Regularizer | None:
    """Return a regularizer by name, by configuration or as it is; None is none."""
    if regularizer is None:
        return None
    found: Regularizer = look_up(regularizer, name, Regularizer, TABLE)
    return found
