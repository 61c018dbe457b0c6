"""Losses: which kernels compute them, with which settings, and what targets they want.

The loss of a batch is the mean over its rows, weighted by the sample weights; the loss of a row is
a sum over its targets.  PyTorch and Keras take the mean over the targets too: theirs is ours
divided by the number of targets, and the best weights are the same.
"""
# ruff: noqa: F401  # some names are imported only to be importable from here

from typing import Any

from fastnn.inputs import checks
from fastnn.inputs.custom import CustomMixin, loss_kernels
from fastnn.inputs.settings import look_up, table
from fastnn.losses.base import Loss
from fastnn.losses.classification import (
    AttributeHinge,
    Logistic,
    MulticlassHinge,
    MulticlassSquaredHinge,
    SoftmaxCrossEntropy,
    StructuredHinge,
)
from fastnn.losses.regression import (
    MAE,
    MSE,
    GaussianNLL,
    HalfMSE,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SignedError,
    SmoothL1,
)


class Custom(CustomMixin, Loss):
    """A loss of your own, of functions compiled by ``numba.njit``.

    Parameters
    ----------
    forward : function compiled by ``numba.njit``
        ``forward(prediction, target)`` returns the loss of one row.  `prediction` is the row of
        the network's outputs, (n,); `target` is that of y, (n,), or its label for "class".
    backward : function compiled by ``numba.njit``
        ``backward(prediction, target, d)`` writes the gradient with respect to the prediction to
        every element of `d`, (n,).
    target : {"real", "count", "binary", "sign", "class"}
        What y may hold; see :class:`Loss`.
    name : str, optional
        By which a saved network asks for it again, see :func:`fastnn.load`; by default that of
        `forward`.

    Raises
    ------
    TypeError
        If a function is not compiled by ``numba.njit``, takes another number of arguments, or
        does not compile for the arguments above.
    ValueError
        For an unknown target, or a `name` that is that of a built-in loss.

    Notes
    -----
    The code is compiled anew in every process, loops in a tenth of the time of array expressions.
    It must not raise: an exception cannot leave compiled training.  With ``backend="numpy"`` the
    functions run as plain Python.

    Examples
    --------
    >>> import numba, fastnn
    >>> @numba.njit
    ... def fourth_power(prediction, target):
    ...     total = 0.0
    ...     for j in range(prediction.size):
    ...         total += (prediction[j] - target[j]) ** 4
    ...     return total
    >>> @numba.njit
    ... def gradient(prediction, target, d):
    ...     for j in range(d.size):
    ...         d[j] = 4 * (prediction[j] - target[j]) ** 3
    >>> loss = fastnn.losses.Custom(fourth_power, gradient)
    >>> network = fastnn.Network([fastnn.Dense(1)], loss=loss)
    """

    def __init__(self, forward, backward, target: str = "real", name: str | None = None):
        kinds = ("real", "count", "binary", "sign", "class")
        self.target = checks.one_of(target, "target", kinds)
        self._adopt(name, forward, {entry.name for entry in TABLE.values()}, "loss")
        self._kernels = loss_kernels(forward, backward, labels=target == "class")

    @property
    def forward(self):
        return self._kernels[0]

    @property
    def backward(self):
        return self._kernels[1]

    def arguments(self, n_outputs, dtype):
        return ()


TABLE = table(Loss)


def get(loss: Any) -> Loss:
    """Return a loss by name, by configuration or as it is."""
    found: Loss = look_up(loss, "loss", Loss, TABLE)
    return found
