"""Metrics by name, in plain NumPy.

Every function takes ``(y, prediction, sample_weight=None)`` and returns a float.  `y` is what
``fit`` takes: (n, n_outputs), (n,) for one output, or labels (n,).  `prediction` is what
``predict`` returns, but always probabilities for classes and rates for counts, even if the
network's last layer is linear.  All averages are over rows, weighted by `sample_weight`.

Rows with several outputs are averaged over these too, as in Keras and scikit-learn, whereas
fastnn's *losses* sum over a row's outputs.
"""

import math
import pickle
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.inputs.checks import one_of, positive_int
from fastnn.inputs.custom import pickled
from fastnn.inputs.precision import is_constant

Function = Callable[..., float]


def _mean(values: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Return the mean over outputs, then the weighted mean over rows."""
    rows = np.ascontiguousarray(values).reshape(len(values), -1)  # sums depend on the layout
    return float(np.average(rows.mean(axis=1), weights=sample_weight))


def _columns(y: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as (n, n_outputs): (n,) against (n, 1) would broadcast to (n, n)."""
    if y.shape != prediction.shape and (len(y), y.size) != (len(prediction), prediction.size):
        raise ValueError(f"prediction has shape {prediction.shape}, wanted {y.shape} as y has")
    return y.reshape(len(y), -1), prediction.reshape(len(y), -1)


def _are_labels(y: np.ndarray, prediction: np.ndarray) -> bool:
    """Return whether `y` holds labels, for outputs of several classes."""
    return y.ndim == 1 and prediction.ndim == 2 and prediction.shape[1] > 1


def _errors(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    y, prediction = _columns(y, prediction)
    return np.subtract(prediction, y, dtype=np.float64, order="C")


@np.errstate(all="ignore")
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


@np.errstate(all="ignore")
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


@np.errstate(all="ignore")
def root_mean_squared_error(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the root of the mean squared error over rows and outputs, as Keras does.

    scikit-learn instead averages the roots of the outputs.

    Examples
    --------
    >>> root_mean_squared_error(np.array([[1.0], [2.0]]), np.array([[4.0], [5.0]]))
    3.0
    """
    return math.sqrt(mean_squared_error(y, prediction, sample_weight))


@np.errstate(all="ignore")
def r2(y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the coefficient of determination, averaged over outputs.

    ``1 - sum((y - prediction)**2) / sum((y - mean(y))**2)``: 1 is perfect, and predicting the mean
    of these rows gives 0.  A target that is constant, except for rounding, gives 1 if
    every prediction is exact, else 0, as in scikit-learn's ``r2_score``.

    Examples
    --------
    >>> r2(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [4.0]]))
    0.5
    """
    y, prediction = _columns(y, prediction)
    left = np.average(np.square(_errors(y, prediction)), axis=0, weights=sample_weight)
    y = np.ascontiguousarray(y)
    center = np.average(y.astype(np.float64), axis=0, weights=sample_weight)
    total = np.average(np.square(y - center), axis=0, weights=sample_weight)
    low, high = y.min(axis=0), y.max(axis=0)
    constant = is_constant(low, high, y.dtype)
    total[constant] = 0  # exactly, despite rounding
    within = np.where(constant, np.square(np.subtract(high, low, dtype=np.float64)), 0)
    shares = np.where(left > within, 1.0, 0.0)
    np.divide(left, total, out=shares, where=total > 0)
    return float(1 - shares.mean())


@np.errstate(all="ignore")
def accuracy(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the share of correct answers.

    For labels (n,) of several classes, a row's answer is the class of its largest output.  For
    targets (n, n_outputs), every output is an answer, and 0.5 or more means yes.

    Examples
    --------
    >>> accuracy(np.array([0, 1]), np.array([[0.8, 0.2], [0.6, 0.4]]))
    0.5
    >>> accuracy(np.array([[1, 0, 1, 1]]), np.array([[0.8, 0.2, 0.6, 0.4]]))
    0.75
    """
    if prediction.ndim == 1:  # labels, perhaps, which are no probabilities
        raise ValueError(f"prediction has shape {prediction.shape}, wanted ({len(y)}, n_outputs)")
    if _are_labels(y, prediction):
        return _mean(prediction.argmax(axis=1) == y, sample_weight)
    y, prediction = _columns(y, prediction)
    return _mean((prediction >= 0.5) == (y >= 0.5), sample_weight)


@np.errstate(all="ignore")
def sign_accuracy(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the share of outputs with the sign of their targets, which are -1 or 1.

    "accuracy" means this for losses with such targets, like the attribute hinge.  An output of 0
    counts as positive.

    Examples
    --------
    >>> sign_accuracy(np.array([[1, -1, 1, 1]]), np.array([[0.2, -3.0, -0.1, 2.0]]))
    0.75
    """
    y, prediction = _columns(y, prediction)
    return _mean((prediction >= 0) == (y > 0), sample_weight)


@np.errstate(all="ignore")
def log_loss(
    y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Return the mean of -log(p), where p is the probability given to the truth.

    For labels (n,), p is the probability of the label.  For targets (n, n_outputs) from 0 to 1, the
    term is ``-y log(p) - (1 - y) log(1 - p)``.  Probabilities are clipped to the float type's
    epsilon from 0 and 1, as in scikit-learn.

    Examples
    --------
    >>> round(log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])), 4)
    1.0397
    """
    floor = np.finfo(prediction.dtype).eps
    p = np.clip(prediction.astype(np.float64), floor, 1 - floor)
    if _are_labels(y, prediction):
        return _mean(-np.log(p[np.arange(len(y)), y]), sample_weight)
    y, p = _columns(y, p)
    return _mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)), sample_weight)


@dataclass(frozen=True)
class TopK:
    """The share of rows whose label is among the `k` largest outputs; ties count in its favor.

    Examples
    --------
    >>> TopK(2)(np.array([2, 0]), np.array([[0.5, 0.1, 0.4], [0.2, 0.5, 0.3]]))
    0.5
    """

    k: int = 5

    def __post_init__(self):
        positive_int(self.k, "k")

    @np.errstate(all="ignore")
    def __call__(
        self, y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        own = prediction[np.arange(len(y)), y][:, None]
        return _mean((prediction > own).sum(axis=1) < self.k, sample_weight)


@dataclass(frozen=True)
class Metric:
    """A metric as a network stores it.

    Attributes
    ----------
    name : str
        As the caller wrote it; used in the logs and the history.
    function : callable
        ``function(y, prediction, sample_weight)``.
    targets : tuple of str
        The kinds of targets it is for; see :class:`fastnn.losses.Loss`.
    maximize : bool or None
        Whether more is better; None if unknown.
    builtin : bool
        Whether the name alone identifies it, so that it can be saved.
    """

    name: str
    function: Function
    targets: tuple[str, ...]
    maximize: bool | None
    builtin: bool = True


_NUMBERS, _CLASSES = ("real", "count", "positive", "binary"), ("class", "binary", "sign")
_TOP_K = re.compile(r"top_([1-9]\d*)_accuracy")
_KINDS = {
    "real": "numbers",
    "count": "counts",
    "positive": "numbers above 0",
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
"""Function, targets and whether more is better, by name; any number may follow "top_"."""


def get(metric: Any, target: str) -> Metric:
    """Return a metric given by name or as a function, for a loss with targets of kind `target`.

    Raises
    ------
    ValueError
        For an unknown name, or a metric that is not for such targets.
    TypeError
        For anything that is neither a name nor a function.

    Examples
    --------
    >>> get("top_3_accuracy", "class").function
    TopK(k=3)
    """
    if isinstance(metric, Metric):
        if not metric.builtin:
            return replace(metric, targets=(target,))
        metric = metric.name
    if isinstance(metric, TopK):
        metric = f"top_{metric.k}_accuracy"
    if not isinstance(metric, str):
        if not callable(metric) or isinstance(metric, type):
            raise TypeError(
                f"metrics has {metric!r} ({type(metric).__name__}), wanted a name ("
                f"{', '.join(TABLE)}) or a function of (y, prediction)"
            )
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(name, _Unweighted(metric), (target,), None, builtin=False)
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


def as_list(metrics: Any) -> list[Any]:
    """Return what a caller gives as metrics, one or several, as a list."""
    if metrics is None:
        return []
    several = isinstance(metrics, Iterable) and not isinstance(metrics, str)
    return list(metrics) if several else [metrics]


def get_all(metrics: Any, target: str) -> list[Metric]:
    """Return the metrics of a network, which must have distinct names; see :func:`get`."""
    found = [get(metric, target) for metric in as_list(metrics)]
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1 or name in ("loss", "seconds", "rows"):
            raise ValueError(
                f"metrics has the name {name!r} twice, or the name is reserved; wanted another"
            )
    return found


def scores(
    metrics: Sequence[Metric],
    y: np.ndarray,
    prediction: np.ndarray,
    sample_weight: np.ndarray | None,
    prefix: str = "",
) -> dict[str, float]:
    """Return each metric's value, by prefix and name."""
    with np.errstate(all="ignore"):  # a diverged network scores inf or NaN
        return {
            prefix + metric.name: float(metric.function(y, prediction, sample_weight))
            for metric in metrics
        }


@np.errstate(all="ignore")
def activated(outputs: np.ndarray, activation: str | None) -> np.ndarray:
    """Return the named activation of outputs: softmax, sigmoid, exponential, or none."""
    if activation == "sigmoid":
        small = np.exp(-np.abs(outputs))
        return np.where(outputs >= 0, 1, small) / (1 + small)
    if activation == "softmax":
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return np.exp(outputs) if activation == "exponential" else outputs


class _Unweighted:
    """A user's function as one that takes weights too; it may write into the labels it gets."""

    def __init__(self, function: Callable[[np.ndarray, np.ndarray], Any]):
        self.function = function

    def __call__(
        self, y: np.ndarray, prediction: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> Any:
        return self.function(y.copy() if y.ndim == 1 else y, prediction)

    def __getstate__(self) -> bytes:
        name = getattr(self.function, "__name__", "function")
        return pickled(self.function, f"the metric {name!r}")

    def __setstate__(self, state: bytes) -> None:
        self.function = pickle.loads(state)
