"""Constraints: bounds that weights must satisfy after every update."""

import math
from typing import Any

from fastnn.inputs.checks import boolean, positive_float
from fastnn.inputs.settings import Configured, look_up, setting, table


class Constraint(Configured):
    """Base of constraints, which are bounds; to add one, write a subclass.

    After every update, weights (or norms of units' weights) outside the bounds move to the nearest
    bound: projected gradient descent.  The initial weights are not changed.
    """

    name = ""
    per = "weight"
    """What is bounded: each "weight", or each "unit", by the norm of its incoming weights."""
    include_bias = False
    """Whether that norm includes the unit's bias, which is then scaled too."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        raise NotImplementedError


class NonNeg(Constraint):
    """Keep weights at or above 0 by setting negative ones to 0.

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
    """Limit the norm of each unit's incoming weights to `max_value`.

    Longer columns of W are scaled down: ``w_j *= min(1, max_value / ||w_j||)``.  Usual values are 3
    and 4.  Keras adds 1e-7 to the norm that it divides by, and calls this ``axis=0``.

    The bias does not count, here and in Keras, so under a rate that is too high it can still grow
    without bounds.  With `include_bias`, the vector that is bounded is the whole unit's, ``(w_j,
    b_j)``, and the bias is scaled with the weights; one that does not learn (a factor of 0) does
    not count and stays.

    Parameters
    ----------
    max_value : float
    include_bias : bool
        Only for the `kernel_constraint` of a layer with a bias.

    Raises
    ------
    ValueError, TypeError
        If `max_value` is not a number above 0, or `include_bias` not a bool.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A Simple
    Way to Prevent Neural Networks from Overfitting", JMLR, 2014, section 5.1.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Dense(64, "relu", kernel_constraint=fastnn.MaxNorm(3)).kernel_constraint
    MaxNorm(max_value=3.0, include_bias=False)
    """

    name, per = "max_norm", "unit"

    max_value: float = setting(default=2.0, check=positive_float)
    include_bias: bool = setting(default=False, check=boolean)

    @property
    def bounds(self):
        return 0.0, self.max_value


class UnitNorm(Constraint):
    """Scale the incoming weights of each unit to norm 1; weights that are all 0 stay 0.

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
    """Return a constraint given as a name, a configuration or an object; None stays None."""
    if constraint is None:
        return None
    found: Constraint = look_up(constraint, name, Constraint, TABLE)
    return found


def get_for_bias(constraint: Any, name: str) -> Constraint | None:
    """Return a constraint like :func:`get`, but refuse constraints on norms."""
    found = get(constraint, name)
    if found is not None and found.per != "weight":
        raise ValueError(
            f"{name} is {found}, but a bias has no norms: wanted one on single values, or "
            "kernel_constraint=MaxNorm(include_bias=True), which bounds whole units"
        )
    return found
