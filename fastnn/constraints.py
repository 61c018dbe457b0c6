"""Constraints: what must hold of weights after every update."""

import math
from typing import Any

from fastnn.inputs.checks import positive_float
from fastnn.inputs.settings import Configured, look_up, setting, table


class Constraint(Configured):
    """Bounds; a new constraint is a subclass.

    Weights, or norms of units' weights, that lie outside are brought to the nearest bound after
    every update: projected gradient descent.  The starting weights are left as they are.
    """

    name = ""
    per = "weight"
    """What is bounded: each "weight", or for each "unit" the norm of its incoming weights."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value."""
        raise NotImplementedError


class NonNeg(Constraint):
    """Weights are at least 0: those below are set to 0.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.NonNeg()
    NonNeg()
    """

    name = "non_neg"

    @property
    def bounds(self):
        return 0.0, math.inf


class MaxNorm(Constraint):
    """The incoming weights of each unit have at most the norm `max_value`.

    Longer ones, columns of W, are scaled down to it: ``w_j *= min(1, max_value / ||w_j||)``.  The
    bias is not among them.  3 or 4 are usual.  Keras adds 1e-7 to the norm it divides by, and
    calls this ``axis=0``.

    Parameters
    ----------
    max_value : float

    Raises
    ------
    ValueError, TypeError
        Unless it is a number above 0.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A Simple
    Way to Prevent Neural Networks from Overfitting", JMLR, 2014, section 5.1.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Dense(64, "relu", kernel_constraint=fastnn.MaxNorm(3)).kernel_constraint
    MaxNorm(max_value=3.0)
    """

    name, per = "max_norm", "unit"

    max_value: float = setting(default=2.0, check=positive_float)

    @property
    def bounds(self):
        return 0.0, self.max_value


class UnitNorm(Constraint):
    """The incoming weights of each unit have the norm 1; those that are all 0 stay so.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.UnitNorm()
    UnitNorm()
    """

    name, per = "unit_norm", "unit"

    @property
    def bounds(self):
        return 1.0, 1.0


TABLE = table(Constraint)


def get(constraint: Any, name: str) -> Constraint | None:
    """Return a constraint by name, by configuration or as it is; None is none."""
    if constraint is None:
        return None
    found: Constraint = look_up(constraint, name, Constraint, TABLE)
    return found


def get_for_bias(constraint: Any, name: str) -> Constraint | None:
    """Return a constraint as :func:`get` does, but one on single weights."""
    found = get(constraint, name)
    if found is not None and found.per != "weight":
        raise ValueError(f"{name} is {found}, but a bias has no norms: wanted one on single values")
    return found
