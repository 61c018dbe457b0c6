"""Metrics by name: what a prediction is worth, in plain NumPy.

Every function takes ``(y, prediction, sample_weight=None)`` and returns a float.  `y` is what
``fit`` takes, (n, n_outputs) or labels (n,); `prediction` is what ``predict`` returns, with
probabilities where there are classes and rates where there are counts, also from a network whose
last layer is linear.  All averages are over rows, weighted by `sample_weight`.

Where rows have several outputs, the mean is over these too, as in Keras and scikit-learn; fastnn's
*losses* are sums over a row's outputs.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.inputs.checks import one_of, positive_int

Function = Callable[..., float]


def _mean(values: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Return the weighted mean over rows, and the plain one over the outputs."""
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=sample_weight))


def _errors(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    if y.shape != prediction.shape:
        raise ValueError(f"prediction has shape {prediction.shape}, wanted {y.shape} as y has")
    return np.subtract(prediction, y, dtype=np.float64)


def mean_absolute_error(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the mean of ``abs(prediction - y)``.

    Examples
    --------
    >>> mean_absolute_error(np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]))
    1.5
    """
    return _mean(np.abs(_errors(y, prediction)), sample_weight)


def mean_squared_error(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the mean of ``(prediction - y)**2``.

    Examples
    --------
    >>> mean_squared_error(np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]))
    4.5
    """
    return _mean(np.square(_errors(y, prediction)), sample_weight)


def root_mean_squared_error(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the root of the mean squared error over rows and outputs, as Keras does.

    scikit-learn takes each output's root first, and then their mean.

    Examples
    --------
    >>> root_mean_squared_error(np.array([[1.0], [2.0]]), np.array([[4.0], [5.0]]))
    3.0
    """
    return math.sqrt(mean_squared_error(y, prediction, sample_weight))


def r2(y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the coefficient of determination, the mean of the outputs' own.

    ``1 - sum((y - prediction)**2) / sum((y - mean(y))**2)``: 1 is perfect, 0 what the mean of
    these rows would reach.  For a target that is constant here it is 1 if all is right, else 0,
    as in scikit-learn's ``r2_score``.

    Examples
    --------
    >>> r2(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [4.0]]))
    0.5
    """
    left = np.average(np.square(_errors(y, prediction)), axis=0, weights=sample_weight)
    center = np.average(y.astype(np.float64), axis=0, weights=sample_weight)
    total = np.average(np.square(y - center), axis=0, weights=sample_weight)
    total[np.ptp(y, axis=0) == 0] = 0  # whatever rounding made of it
    shares = np.where(left > 0, 1.0, 0.0)
    np.divide(left, total, out=shares, where=total > 0)
    return float(1 - shares.mean())


def accuracy(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the share of right answers.

    For labels (n,) the answer is the class of the largest output; for targets (n, n_outputs) each
    output is an answer of its own, yes from 0.5 on.

    Examples
    --------
    >>> accuracy(np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]]))
    0.5
    >>> accuracy(np.array([[1, 0, 1, 1]]), np.array([[0.8, 0.2, 0.6, 0.4]]))
    0.75
    """
    if y.ndim == 1:
        return _mean(prediction.argmax(axis=1) == y, sample_weight)
    _errors(y, prediction)
    return _mean((prediction >= 0.5) == (y >= 0.5), sample_weight)


def sign_accuracy(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the share of outputs on the side of 0 on which their targets, -1 and 1, are.

    It is "accuracy" where targets are such, as those of the attribute hinge; 0 counts as 1.

    Examples
    --------
    >>> sign_accuracy(np.array([[1, -1, 1, 1]]), np.array([[0.2, -3.0, -0.1, 2.0]]))
    0.75
    """
    _errors(y, prediction)
    return _mean((prediction >= 0) == (y > 0), sample_weight)


def log_loss(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the mean of -log of the probability given to what is right.

    Labels (n,) take the probability of their class, targets (n, n_outputs) from 0 to 1 take
    ``-y log(p) - (1 - y) log(1 - p)``.  Probabilities are kept as far from 0 and 1 as the float
    type's epsilon, as in scikit-learn.

    Examples
    --------
    >>> round(log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])), 4)
    1.0397
    """
    floor = np.finfo(prediction.dtype).eps
    p = np.clip(prediction.astype(np.float64), floor, 1 - floor)
    if y.ndim == 1:
        return _mean(-np.log(p[np.arange(len(y)), y]), sample_weight)
    _errors(y, prediction)
    return _mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)), sample_weight)


@dataclass(frozen=True)
class TopK:
    """The share of rows whose class is among the `k` largest outputs, ties in its favor.

    Examples
    --------
    >>> TopK(2)(np.array([2, 0]), np.array([[0.5, 0.1, 0.4], [0.2, 0.5, 0.3]]))
    0.5
    """

    k: int = 5

    def __post_init__(self):
        positive_int(self.k, "k")

    def __call__(
        self, y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        own = prediction[np.arange(len(y)), y][:, None]
        return _mean((prediction > own).sum(axis=1) < self.k, sample_weight)


@dataclass(frozen=True)
class Metric:
    """A metric as a network keeps it.

    Attributes
    ----------
    name : str
        In the logs and the history, as the caller wrote it.
    function : callable
        ``function(y, prediction, sample_weight)``.
    targets : tuple of str
        The kinds of targets that it is for; see :class:`fastnn.losses.Loss`.
    maximize : bool or None
        Whether more is better; None where nobody knows.
    builtin : bool
        Whether the name says it all, so that it can be stored.
    """

    name: str
    function: Function
    targets: tuple[str, ...]
    maximize: bool | None
    builtin: bool = True


_NUMBERS, _CLASSES = ("real", "count", "binary"), ("class", "binary", "sign")
_TOP_K = re.compile(r"top_([1-9]\d*)_accuracy")
_KINDS = {
    "real": "numbers",
    "count": "counts",
    "class": "class labels",
    "binary": "numbers from 0 to 1",
    "sign": "-1 or 1",
}

TABLE: dict[str, tuple[Function, tuple[str, ...], bool]] = {
    "mae": (mean_absolute_error, _NUMBERS, False),
    "mean_absolute_error": (mean_absolute_error, _NUMBERS, False),
    "mse": (mean_squared_error, _NUMBERS, False),
    "mean_squared_error": (mean_squared_error, _NUMBERS, False),
    "rmse": (root_mean_squared_error, _NUMBERS, False),
    "root_mean_squared_error": (root_mean_squared_error, _NUMBERS, False),
    "r2": (r2, _NUMBERS, True),
    "r2_score": (r2, _NUMBERS, True),
    "acc": (accuracy, _CLASSES, True),
    "accuracy": (accuracy, _CLASSES, True),
    "top_5_accuracy": (TopK(5), ("class",), True),
    "log_loss": (log_loss, ("class", "binary"), False),
}
"""Function, targets and whether more is better, by name; "top_5_accuracy" with any number."""


def get(metric: Any, target: str) -> Metric:
    """Return a metric given by name or as a function, for a loss with targets of a kind.

    Raises
    ------
    ValueError
        For an unknown name, or a metric that is not for these targets.
    TypeError
        For anything that is neither name nor function.

    Examples
    --------
    >>> get("top_3_accuracy", "class").function
    TopK(k=3)
    """
    if isinstance(metric, TopK):
        metric = f"top_{metric.k}_accuracy"
    if not isinstance(metric, str):
        if not callable(metric) or isinstance(metric, type):
            raise TypeError(
                f"metrics has {metric!r} ({type(metric).__name__}), wanted a name ("
                f"{', '.join(TABLE)}) or a function of (y, prediction)"
            )
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(name, _unweighted(metric), (target,), None, builtin=False)
    top = _TOP_K.fullmatch(metric)
    entry = (
        (TopK(int(top[1])), ("class",), True) if top else TABLE[one_of(metric, "metrics", TABLE)]
    )
    found = Metric(metric, *entry)
    if target not in found.targets:
        wanted = " or ".join(_KINDS[kind] for kind in found.targets)
        raise ValueError(
            f"metric {metric!r} is for targets that are {wanted}, but those of this loss are "
            f"{_KINDS[target]}"
        )
    return replace(found, function=sign_accuracy) if target == "sign" else found


def get_all(metrics: Iterable[Any] | None, target: str) -> list[Metric]:
    """Return the metrics of a network, each under a name of its own; errors as in :func:`get`."""
    if isinstance(metrics, str) or not isinstance(metrics, Iterable | None):
        raise TypeError(f"metrics is {metrics!r}, wanted a list of names or functions")
    found = [get(metric, target) for metric in metrics or ()]
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1 or name in ("loss", "seconds", "rows"):
            raise ValueError(f"metrics has the name {name!r} twice, or it is taken; wanted another")
    return found


def scores(
    metrics: Sequence[Metric],
    y: np.ndarray,
    prediction: np.ndarray,
    sample_weight: np.ndarray | None,
    prefix: str = "",
) -> dict[str, float]:
    """Return each metric's value under its name with the prefix."""
    with np.errstate(all="ignore"):  # a network that runs away has a score of inf or NaN
        return {
            prefix + metric.name: float(metric.function(y, prediction, sample_weight))
            for metric in metrics
        }


def activated(outputs: np.ndarray, activation: str | None) -> np.ndarray:
    """Return the softmax, sigmoid or exponential of outputs; without a name they stay."""
    with np.errstate(all="ignore"):
        if activation == "sigmoid":
            small = np.exp(-np.abs(outputs))
            return np.where(outputs >= 0, 1, small) / (1 + small)
        if activation == "softmax":
            powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return powers / powers.sum(axis=1, keepdims=True)
        return np.exp(outputs) if activation == "exponential" else outputs


def _unweighted(function: Callable[[np.ndarray, np.ndarray], Any]) -> Function:
    return lambda y, prediction, sample_weight=None: function(y, prediction)
