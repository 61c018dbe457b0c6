"""Penalties on weights."""

from dataclasses import dataclass
from typing import Any

from fastnn.inputs.checks import non_negative_float, positive_float
from fastnn.inputs.settings import Configured, among, look_up, setting, table

METHODS = ("gradient", "shrink", "proximal")


@dataclass(frozen=True)
class Term:
    """One penalty, computed by the kernels ``<name>_value`` and ``<name>_<method>``.

    Attributes
    ----------
    name : str
    settings : tuple of float
        The strength comes first.
    method : {"gradient", "shrink", "proximal"}
        Whether it changes the gradient, the weights before the optimizer's update, or the weights
        after it.  A shrink is not the gradient of any penalty, and adds nothing to the loss.
    per : {"weight", "unit", "input"}
        What it penalizes: single weights, or the norms of W's columns or rows.
    """

    name: str
    settings: tuple[float, ...]
    method: str = "gradient"
    per: str = "weight"


class Regularizer(Configured):
    """A sum of penalties; to add one, write a subclass and its kernels."""

    name = ""

    def terms(self) -> list[Term]:
        """Return the penalties."""
        raise NotImplementedError


class L1(Regularizer):
    """Lasso: ``l1 * sum |w|``, in one of three ways.

    ==========  ===================================================================================
    method      in each step
    ==========  ===================================================================================
    gradient    adds ``l1 * sign(w)``, 0 at 0, to the gradient, as Keras does
    shrink      ``w -= l1 * sign(w)``, then the optimizer's update
    proximal    the update, then ``w = sign(w) * max(|w| - learning_rate * l1, 0)``
    ==========  ===================================================================================

    All three move weights toward 0.  Only "proximal" stops there: it never takes a weight through
    0, and its weights become exactly 0 and stay 0 while their gradient is smaller than `l1`.  With
    the other two, weights step over 0 and back, and hover around it.

    "shrink" applies its strength per step, whatever the learning rate: under plain gradient descent
    ``L1(c, "shrink")`` acts like ``L1(c / learning_rate)``.  It adds nothing to the loss.  Some
    texts print this rule as ``w + sign(w) * l1``, with a plus; weights would then grow unless `l1`
    is negative.  Here the sign is a minus and `l1` is at least 0.

    "proximal" minimizes loss plus penalty under plain gradient descent.  Momentum m makes the
    optimizer's steps ``1 / (1 - m)`` times as long, but not the threshold, so the effective
    strength is ``(1 - m) * l1``.  Under Adam the effective strength differs from weight to weight.

    scikit-learn's ``Lasso(alpha)`` halves the mean squared error, so its `alpha` is ``l1 / 2``
    here.

    As a prior: the loss plus this penalty is, up to a constant and a factor, the negative logarithm
    of the posterior density if every weight has a Laplace density ``exp(-|w| / b) / 2b`` a priori.
    If a row's loss is its negative log-likelihood and the loss is the mean over n rows, ``l1 =
    1 / (n b)``; with ``reduction="sum"``, ``l1 = 1 / b``.  Training then finds the maximum a
    posteriori (MAP).  Where the loss is twice that, such as "mse" for errors of variance 1,
    so is `l1`.

    Parameters
    ----------
    l1 : float
    method : {"gradient", "shrink", "proximal"}

    Raises
    ------
    ValueError, TypeError
        For a strength below 0 or an unknown method.

    References
    ----------
    R. Tibshirani, "Regression Shrinkage and Selection via the Lasso", J. R. Stat. Soc. B, 1996;
    I. Daubechies, M. Defrise and C. De Mol, "An Iterative Thresholding Algorithm for Linear
    Inverse Problems with a Sparsity Constraint", Comm. Pure Appl. Math., 2004.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.L1(0.1, method="proximal")
    L1(l1=0.1, method='proximal')
    """

    name = "l1"

    l1: float = setting(default=0.01, check=non_negative_float)
    method: str = setting(default="gradient", check=among(*METHODS))

    def terms(self):
        return [Term("l1", (self.l1,), self.method)]


class L2(Regularizer):
    """Weight decay: ``(l2 / 2) * sum w**2``, with gradient ``l2 * w``.

    Keras leaves out the half: its ``L2(c)``, ``c * sum w**2``, is ``L2(2 * c)`` here.  Under plain
    gradient descent, `l2` is PyTorch's `weight_decay`.

    As a prior: the loss plus this penalty is, up to a constant and a factor, the negative logarithm
    of the posterior density if every weight is Gaussian a priori, with mean 0 and variance s**2.
    If a row's loss is its negative log-likelihood and the loss is the mean over n rows, ``l2 =
    1 / (n s**2)``; with ``reduction="sum"``, ``l2 = 1 / s**2``.  Training then finds the maximum a
    posteriori (MAP).  "half_mse" is that likelihood for errors of variance 1; for errors of
    variance v, multiply `l2` by v, and under "mse" by 2 v.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.L2(0.1)
    L2(l2=0.1)
    """

    name = "l2"

    l2: float = setting(default=0.01, check=non_negative_float)

    def terms(self):
        return [Term("l2", (self.l2,))]


class L1L2(Regularizer):
    """Elastic net: the sum of :class:`L1` and :class:`L2`.

    `method` applies to the L1 part; the L2 part always acts through the gradient.

    Texts that write it ``sum strength_1 |w| + strength_2 w**2``, without a half, mean
    ``L1L2(strength_1, 2 * strength_2)``.

    scikit-learn's ``ElasticNet(alpha, l1_ratio)`` halves the mean squared error, so it is
    ``L1L2(2 * alpha * l1_ratio, 2 * alpha * (1 - l1_ratio))`` here.

    References
    ----------
    H. Zou and T. Hastie, "Regularization and Variable Selection via the Elastic Net", J. R. Stat.
    Soc. B, 2005.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.L1L2(0.1, 0.2)
    L1L2(l1=0.1, l2=0.2, method='gradient')
    """

    name = "l1l2"

    l1: float = setting(default=0.01, check=non_negative_float)
    l2: float = setting(default=0.01, check=non_negative_float)
    method: str = setting(default="gradient", check=among(*METHODS))

    def terms(self):
        return [Term("l1", (self.l1,), self.method), Term("l2", (self.l2,))]


class Lq(Regularizer):
    """Bridge penalty: ``(strength / 2) * sum |w|**q``, for any q above 0.

    Its gradient is ``(strength / 2) * q * |w|**(q - 1) * sign(w)``, and 0 at 0.  ``Lq(c, 2)`` is
    ``L2(c)`` and ``Lq(c, 1)`` is ``L1(c / 2)``.  With q below 1, the penalty favors few large
    weights over many small ones more than L1 does, but its gradient grows without bound toward 0.
    Weights near 0 then jump back and forth, less so with a smaller learning rate.

    Parameters
    ----------
    strength : float
    q : float, above 0

    Raises
    ------
    ValueError, TypeError
        For settings out of range.

    References
    ----------
    I. E. Frank and J. H. Friedman, "A Statistical View of Some Chemometrics Regression Tools",
    Technometrics, 1993.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Lq(0.1, q=1.5)
    Lq(strength=0.1, q=1.5)
    """

    name = "lq"

    strength: float = setting(default=0.01, check=non_negative_float)
    q: float = setting(default=1.5, check=positive_float)

    def terms(self):
        if self.q == 1:
            return [Term("l1", (self.strength / 2,))]
        if self.q == 2:
            return [Term("l2", (self.strength,))]
        return [Term("lq", (self.strength, self.q))]


class GroupL1(Regularizer):
    """Group lasso: ``l1 * sum ||w_g||``, over groups of weights; it zeroes whole groups.

    A group is either all incoming weights of a unit (a column of W) or all outgoing weights of an
    input (a row).  After each update, the proximal step shrinks every group's norm by
    ``learning_rate * l1`` and sets smaller groups to exactly 0:
    ``w_g *= max(1 - learning_rate * l1 / ||w_g||, 0)``.  :class:`L1` says how momentum and Adam
    change the effective strength.  :meth:`Network.compact` then removes the zeroed groups.

    Yuan and Lin weight each group by the square root of its size.  All groups of a layer have the
    same size, so with n weights per group, `l1` is their strength times ``sqrt(n)``.

    Parameters
    ----------
    l1 : float
    per : {"unit", "input"}

    Raises
    ------
    ValueError, TypeError
        For a strength below 0 or another `per`.

    References
    ----------
    M. Yuan and Y. Lin, "Model Selection and Estimation in Regression with Grouped Variables", J. R.
    Stat. Soc. B, 2006; S. Scardapane, D. Comminiello, A. Hussain and A. Uncini, "Group Sparse
    Regularization for Deep Neural Networks", Neurocomputing, 2017.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.GroupL1(0.1, per="input")
    GroupL1(l1=0.1, per='input')
    """

    name = "group_l1"

    l1: float = setting(default=0.01, check=non_negative_float)
    per: str = setting(default="unit", check=among("unit", "input"))

    def terms(self):
        return [Term("l1", (self.l1,), "proximal", self.per)]


TABLE = table(Regularizer)


def get(regularizer: Any, name: str) -> Regularizer | None:
    """Return a regularizer given as a name, a configuration or an object; None stays None."""
    if regularizer is None:
        return None
    found: Regularizer = look_up(regularizer, name, Regularizer, TABLE)
    return found


def get_for_bias(regularizer: Any, name: str) -> Regularizer | None:
    """Return a regularizer like :func:`get`, but refuse penalties on groups."""
    found = get(regularizer, name)
    if found is not None and any(term.per != "weight" for term in found.terms()):
        raise ValueError(
            f"{name} is {found}, but a bias has no groups: wanted one on single values"
        )
    return found
