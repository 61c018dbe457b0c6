"""Losses: their settings, their kernels, and the targets they accept.

The loss of a row is the sum over its targets.  PyTorch and Keras average over the targets too, so
their loss is ours divided by the number of targets; the best weights are the same.

The loss of n rows with weights w is ``sum(w * loss) / sum(w)``, as in scikit-learn: a common factor
of the weights does not matter.  A batch of m rows estimates that of the training set by
``sum(w * loss) / m``, where w is first divided by its mean over the whole set.  That is right on
average, however small the batch.  Keras divides by m too, but does not divide by the mean, so
there a factor of the weights is a factor of the learning rate.  PyTorch's class weights and
scikit-learn's `MLPClassifier` divide by the batch's own sum of weights, which is biased: in a batch
of one row, weights have no effect.  `train_on_batch` and `partial_fit` know no more than the rows
they get, and take those for the whole set.

With ``reduction="sum"``, a setting of every loss, the loss of rows is ``sum(w * loss)`` instead, as
in PyTorch and Keras, and so is what `evaluate` returns and the history has for an epoch, before
the penalties are added once.  Weights are then used as they are, and a factor of theirs matters.
Under a plain mean, a batch of m rows moves weights by ``rate * mean``, under a sum by ``rate *
sum``, m times as far: ``SGD(rate)`` with the sum is ``SGD(m * rate)`` with the mean, except in a
smaller last batch, and a penalty of strength c weighs as much as one of ``c / m`` with the mean.
The mean does not depend on the size of batches, and is the default.
"""

from typing import Any

from fastnn.inputs import checks, targets
from fastnn.inputs.custom import CustomMixin, loss_kernels
from fastnn.inputs.settings import look_up, table
from fastnn.losses.base import Loss
from fastnn.losses.classification import (
    AttributeHinge,
    Logistic,
    MulticlassHinge,
    MulticlassSquaredHinge,
    ProbabilityCrossEntropy,
    SoftmaxCrossEntropy,
    StructuredHinge,
)
from fastnn.losses.regression import (
    MAE,
    MSE,
    Gamma,
    GaussianNLL,
    HalfMSE,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SignedError,
    SmoothL1,
)

__all__ = [
    "MAE",
    "MSE",
    "TABLE",
    "AttributeHinge",
    "Custom",
    "Gamma",
    "GaussianNLL",
    "HalfMSE",
    "Huber",
    "LogCosh",
    "Logistic",
    "Loss",
    "MulticlassHinge",
    "MulticlassSquaredHinge",
    "Poisson",
    "ProbabilityCrossEntropy",
    "Quantile",
    "SignedError",
    "SmoothL1",
    "SoftmaxCrossEntropy",
    "StructuredHinge",
    "get",
]


class Custom(CustomMixin, Loss):
    """Your own loss, from functions compiled by ``numba.njit``.

    Parameters
    ----------
    forward : function compiled by ``numba.njit``
        ``forward(prediction, target)`` returns the loss of one row.  `prediction` is a row of the
        network's outputs, (n,).  `target` is the same row of y, (n,), or its label for "class".
    backward : function compiled by ``numba.njit``
        ``backward(prediction, target, d)`` writes the gradient with respect to the prediction to
        `d`, (n,).  It must write every element.
    target : {"real", "count", "positive", "binary", "sign", "class"}
        What y may hold; see :class:`Loss`.
    name : str, optional
        The name under which :func:`fastnn.load` looks for it in `custom`; by default the name of
        `forward`.
    reduction : {"mean", "sum"}
        As in :class:`Loss`.

    Raises
    ------
    TypeError
        If a function is not compiled by ``numba.njit``, takes the wrong number of arguments, or
        does not compile for the arguments above.
    ValueError
        For an unknown target, or if a built-in loss has the same `name`.

    Notes
    -----
    Every process recompiles the functions; loops compile ten times as fast as array expressions.
    The functions must not raise, because an exception cannot leave compiled training.  With
    ``backend="numpy"`` they run as plain Python.

    Numba never frees the memory of compiled code, about 1 MB for each function and data type: 8 to
    10 MB for a loss.  Functions that are defined again, with the same code and values of the global
    variables and closures they refer to, share what is compiled.

    A network is pickled with the functions, also with those that are not in a module.  A file of
    :meth:`Network.save` has only their names.

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

    def __init__(
        self,
        forward,
        backward,
        target: str = "real",
        name: str | None = None,
        *,
        reduction: str = "mean",
    ):
        self.reduction = reduction
        self.target = checks.one_of(target, "target", ("real", *targets.KINDS, "class"))
        self._adopt(name, (forward, backward), {entry.name for entry in TABLE.values()}, "loss")
        self._compile()

    def _compile(self):
        self._kernels = loss_kernels(*self.functions_, labels=self.target == "class")

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
    """Return a loss given as a name, a configuration or an object."""
    found: Loss = look_up(loss, "loss", Loss, TABLE)
    return found
