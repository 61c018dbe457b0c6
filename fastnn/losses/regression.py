"""Losses for numbers and counts."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn.inputs.checks import positive_float, probability
from fastnn.inputs.settings import setting
from fastnn.losses.base import Loss


class MSE(Loss):
    """Squared error, ``sum_j (f_j - y_j)**2``, with gradient ``2 (f - y)``."""

    name, aliases = "mse", ("mean_squared_error",)


class HalfMSE(Loss):
    """Half the squared error, ``sum_j (f_j - y_j)**2 / 2``, with gradient ``f - y``."""

    name = "half_mse"


class MAE(Loss):
    """Absolute error, ``sum_j |f_j - y_j|``, with gradient ``sign(f - y)``, 0 at 0."""

    name, aliases = "mae", ("mean_absolute_error", "absolute_error")


class SignedError(Loss):
    """``sum_j (f_j - y_j)``, unbounded below: training diverges, which it exists to demonstrate."""

    name = "signed_error"
    warning = (
        "loss 'signed_error' has no least value: training drives the outputs to minus infinity. "
        "'mae' is the loss that is 0 where outputs and targets agree"
    )


class Huber(Loss):
    """``e**2 / 2 if |e| <= delta else delta * (|e| - delta / 2)``, summed; ``e = f_j - y_j``.

    Parameters
    ----------
    delta : float
        Above 0.  Keras, PyTorch and scikit-learn have the same form.

    Raises
    ------
    ValueError, TypeError
        If `delta` is not above 0.

    Notes
    -----
    Source: Huber, "Robust Estimation of a Location Parameter", Ann. Math. Statist., 1964.

    Examples
    --------
    >>> Huber(2.0)
    Huber(delta=2.0)
    """

    name = "huber"

    delta: float = setting(default=1.0, check=positive_float)


class SmoothL1(Loss):
    """``e**2 / (2 beta) if |e| < beta else |e| - beta / 2``: Huber's loss divided by `beta`.

    Parameters
    ----------
    beta : float
        Above 0 (PyTorch's ``beta=0`` is :class:`MAE`).

    Raises
    ------
    ValueError, TypeError
        If `beta` is not above 0.

    Notes
    -----
    Source: Girshick, "Fast R-CNN", ICCV 2015.

    Examples
    --------
    >>> SmoothL1(0.5)
    SmoothL1(beta=0.5)
    """

    name = "smooth_l1"

    beta: float = setting(default=1.0, check=positive_float)


class LogCosh(Loss):
    """``sum_j log(cosh(f_j - y_j))``, with gradient ``tanh(f - y)``."""

    name, aliases = "log_cosh", ("logcosh",)


def _quantiles(given: Any, name: str) -> tuple[float, ...]:
    several = given
    if isinstance(given, str) or not isinstance(given, Iterable):
        several = [given]
    found = tuple(probability(q, name) for q in several)
    if not found or not 0 < min(found) <= max(found) < 1:
        raise ValueError(f"{name} is {given}, wanted numbers above 0 and below 1")
    return found


class Quantile(Loss):
    """Pinball loss, ``max(q e, (q - 1) e)`` with ``e = y_j - f_j``, summed over j and quantiles q.

    The last layer needs one unit per target and quantile, in blocks by quantile; get at them with
    ``predict(X).reshape(len(X), n_quantiles, n_targets)``.

    Parameters
    ----------
    quantiles : float or sequence of floats
        Above 0 and below 1.  scikit-learn's `mean_pinball_loss` takes one and calls it `alpha`.

    Raises
    ------
    ValueError, TypeError
        If `quantiles` is empty or one of them is out of range.

    Notes
    -----
    Source: Koenker and Bassett, "Regression Quantiles", Econometrica, 1978.  The gradient is 0
    where f equals y.  A row's predicted quantiles may cross.

    Examples
    --------
    >>> Quantile([0.1, 0.5, 0.9])
    Quantile(quantiles=(0.1, 0.5, 0.9))
    """

    name, aliases = "quantile", ("pinball",)

    quantiles: Any = setting(default=0.5, check=_quantiles)

    @property
    def outputs(self):
        return len(self.quantiles)

    def arguments(self, n_outputs, dtype):
        return (np.array(self.quantiles, dtype),)


class Poisson(Loss):
    """``sum_j exp(f_j) - y_j f_j`` for counts y and log rates f.

    If the last layer has "exponential", which is fused with the loss, `predict` returns rates.  If
    it is linear, `predict` returns their logarithms.  PyTorch has the same loss, with
    ``log_input=True``.

    Notes
    -----
    Source: McCullagh and Nelder, "Generalized Linear Models", 1989.  The constant ``log(y!)`` is
    left out.
    """

    name, target, fused = "poisson", "count", "exponential"

    def of_perfect(self, y):
        return float((y - y * np.log(np.where(y > 0, y, 1))).sum(axis=1).mean())


class Gamma(Loss):
    """``sum_j f_j + y_j exp(-f_j)`` for numbers y above 0 and logarithms f of means.

    It judges errors relative to the mean: for prices, amounts and durations, whose spread grows
    with their size.  If the last layer has "exponential", which is fused with the loss, `predict`
    returns means.  If it is linear, `predict` returns their logarithms.

    Notes
    -----
    Source: McCullagh and Nelder, "Generalized Linear Models", 1989.  scikit-learn's
    `mean_gamma_deviance` is twice this, without the constant ``1 + log(y)`` of each target.
    The gradient is ``1 - y_j exp(-f_j)``: divide y by its mean where that is far from 1.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> layers = [fastnn.Dense(1, "exponential")]
    >>> network = fastnn.Network(layers, loss="gamma", optimizer=fastnn.SGD(0.1))
    >>> _ = network.fit(np.zeros((3, 1)), np.array([[1.0], [2.0], [3.0]]), epochs=500)
    >>> network.predict([[0.0]]).round(2)
    array([[2.]], dtype=float32)
    """

    name, target, fused = "gamma", "positive", "exponential"

    def of_perfect(self, y):
        return float((1 + np.log(y)).sum(axis=1).mean())


class GaussianNLL(Loss):
    """``sum_j (s_j + (m_j - y_j)**2 / exp(s_j)) / 2`` for means m and logarithms s of variances.

    The last layer needs two units per target, first all means, then all log-variances:
    ``mean, log_variance = np.split(predict(X), 2, axis=1)``.  PyTorch takes the variance itself.

    Notes
    -----
    Source: Nix and Weigend, "Estimating the Mean and Variance of the Target Probability
    Distribution", ICNN 1994.  The constant ``log(2 pi) / 2`` of each target is left out.
    """

    name = "gaussian_nll"

    @property
    def outputs(self):
        return 2
