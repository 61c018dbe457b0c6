"""Test results in one line, next to those of a constant prediction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.callbacks import History

_ABSOLUTE = "mae", "huber", "smooth_l1", "log_cosh"
"""The losses whose errors are told as absolute ones."""


def regression_report(
    loss: str, target: NDArray[Any], predicted: NDArray[Any], trained: NDArray[Any]
) -> str:
    """Return one line on the test rows; the constant is that of the `trained` rows."""
    if loss in _ABSOLUTE:
        constant, of, name = np.median(trained), "median", "mean absolute error"
        error, without = (np.abs(target - p).mean() for p in (predicted, constant))
    else:
        constant, of, name = trained.mean(), "mean", "root mean squared error"
        error, without = (np.sqrt(np.square(target - p).mean()) for p in (predicted, constant))
    return f"test {name} {error:.4g}; always the {of}: {without:.4g}"


def quantile_report(
    quantiles: Sequence[float],
    target: NDArray[Any],
    predicted: NDArray[Any],
    trained: NDArray[Any],
) -> str:
    """Return one line on the test rows; the constants are the quantiles of the `trained` rows."""
    shares = np.array(quantiles)

    def loss(found: NDArray[Any]) -> float:
        error = target[:, None] - found
        return float(np.maximum(shares * error, (shares - 1) * error).mean())

    without = loss(np.quantile(trained, shares)[None, :])
    return f"test mean pinball loss {loss(predicted):.4g}; always the quantiles: {without:.4g}"


def classification_report(
    target: NDArray[Any], predicted: NDArray[Any], trained: NDArray[Any]
) -> str:
    """Return one line on the test rows; the constant is that of the `trained` rows."""
    classes, counts = np.unique(trained, return_counts=True)
    error, without = ((target != p).mean() for p in (predicted, classes[counts.argmax()]))
    return f"test error rate {error:.1%}; always the most frequent class: {without:.1%}"


def speed_report(history: History) -> str:
    """Return one line on the median time of an epoch, which a slow first one hardly affects."""
    seconds = float(np.median(history.seconds))
    return f"{duration(seconds)} per epoch, {history.samples_per_second:,.0f} samples/s"


def duration(seconds: float) -> str:
    """Return a time with three significant digits and its unit.

    Examples
    --------
    >>> duration(0.00123), duration(45.6)
    ('1.23 ms', '45.6 s')
    """
    scale, unit = (1, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "us")
    return f"{seconds * scale:.3g} {unit}"
