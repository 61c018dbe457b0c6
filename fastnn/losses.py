"""Losses by name: which kernels compute them, and what targets they want."""

from dataclasses import dataclass
from typing import Any

from fastnn.activations import Kernel
from fastnn.families import look_up


@dataclass(frozen=True)
class Loss:
    """A loss; the loss of a batch is the mean over its rows, weighted by the sample weights.

    Attributes
    ----------
    name : str
    forward : kernel
        ``forward(prediction, target, row_loss)``.
    backward : kernel
        ``backward(prediction, target, row_scale, d)``.
    target : {"real", "class", "binary"}
        Numbers (n, n_outputs); integer labels (n,); numbers in [0, 1] (n, n_outputs).
    fused : str or None
        The activation of the last layer that the loss contains: the kernels take the layer's
        output before it.

    Examples
    --------
    >>> from fastnn.losses import get
    >>> get("mae").target
    'real'
    """

    name: str
    forward: Kernel
    backward: Kernel
    target: str
    fused: str | None = None


def _named(name, target, fused=None):
    return Loss(name, f"{name}_forward", f"{name}_backward", target, fused)


MSE = _named("mse", "real")
MAE = _named("mae", "real")
SOFTMAX_CROSS_ENTROPY = _named("softmax_cross_entropy", "class", "softmax")
LOGISTIC = _named("logistic", "binary", "sigmoid")

TABLE = {
    "mse": MSE,
    "mean_squared_error": MSE,
    "mae": MAE,
    "mean_absolute_error": MAE,
    "softmax_cross_entropy": SOFTMAX_CROSS_ENTROPY,
    "sparse_categorical_crossentropy": SOFTMAX_CROSS_ENTROPY,
    "logistic": LOGISTIC,
    "binary_crossentropy": LOGISTIC,
}


def get(loss: Any) -> Loss:
    """Return a loss by name or as it is."""
    found: Loss = look_up(loss, "loss", Loss, TABLE)
    return found
