"""Bounds: show that the loss of some rows is finite without computing it.

After an update, weights may be finite and yet so large that the loss is not.  Computing it again
takes a third of an update; but mostly the largest weight and the largest input are enough to know.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import activations, layers, losses, schedules
from fastnn.regularizers import L1, L1L2, L2, Regularizer
from fastnn.training.data import Data
from fastnn.training.model import Model

_MOST = {np.dtype(kind): math.sqrt(np.finfo(kind).max) for kind in (np.float32, np.float64)}

# By the exact class, because a subclass may compute anything.
_ACTIVATIONS: dict[type, Callable[[Any, float], float]] = {
    **dict.fromkeys((activations.Linear, activations.ReLU), lambda f, size: size),
    **dict.fromkeys((activations.Sigmoid, activations.Tanh), lambda f, size: 1.0),
    activations.Softmax: lambda f, size: 1.0,
    activations.LeakyReLU: lambda f, size: max(1.0, f.negative_slope) * size,
    activations.ELU: lambda f, size: max(f.alpha, size),
    activations.SELU: lambda f, size: 1.8 * max(1.0, size),
    activations.Softplus: lambda f, size: size + 1,
    **dict.fromkeys((activations.GELU, activations.Mish, activations.SiLU), lambda f, size: size),
}
"""A bound of ``|f(t)|`` for ``|t| <= size``."""
_DEGREES: dict[type, int] = {
    **dict.fromkeys((losses.MSE, losses.HalfMSE, losses.Huber), 2),
    **dict.fromkeys((losses.MAE, losses.SignedError, losses.LogCosh, losses.Quantile), 1),
    **dict.fromkeys((losses.SoftmaxCrossEntropy, losses.Logistic), 1),
}
"""With which power of predictions and targets a loss grows at most."""


def is_finite(model: Model, inputs: float, targets: float, largest: list[float]) -> bool:
    """Return whether the loss is finite for sure, penalties included; False: nobody knows.

    All arguments are magnitudes, the last those of all arrays that updates change, in order.
    """
    size, width, most = inputs, model.columns, _MOST[model.dtype]
    magnitudes = iter(largest)
    for layer, parameters in zip(model.layers, model.parameters, strict=True):
        own = []
        for each in parameters:
            own.append(next(magnitudes))
            for _ in each.state:
                next(magnitudes)
            if each.regularizer is not None and not _is_small(each.regularizer, own[-1], most):
                return False
        if type(layer) is layers.Dense:
            bias = own[1] if layer.use_bias else 0.0
            size = (width * size * own[0] + bias) / (1 - layer.drop_connect)
            width = layer.units
        elif type(layer) is layers.Dropout:
            size /= 1 - schedules.upper_bound(layer.rate)
        elif type(layer) is layers.Embedding:
            size, width = max(size, own[0]), layer.width(width)
        elif type(layer) is layers.Scale:
            size *= own[0]
        elif type(layer) is layers.ParametricActivation and type(layer.function) in _ACTIVATIONS:
            active = _ACTIVATIONS[type(layer.function)](layer.function, size)
            size += own[0] * (size + active)
        elif type(layer) is not layers.Activation:
            return False
        if not size < most or type(layer.activation) not in _ACTIVATIONS:
            return False
        if not (model.fuses and layer is model.layers[-1]):
            size = _ACTIVATIONS[type(layer.activation)](layer.activation, size)
    degree, size = _DEGREES.get(type(model.loss)), size + targets + 2
    # Not powers: those of Python's floats raise where products are infinite.
    return degree is not None and width * size * (size if degree == 2 else 1.0) < most


def is_far_from_infinite(model: Model, loss: float, weight: float) -> bool:
    """Return whether the mean of losses that sum to `loss`, of this weight, is far from infinite.

    Other rows' losses are then finite too, if they are not larger by a root of the largest number.
    """
    return abs(loss) < weight * _MOST[model.dtype]


def _is_small(regularizer: Regularizer, size: float, most: float) -> bool:
    """Return whether the penalty on a weight of this size is far from infinite."""
    if type(regularizer) not in (L1, L2, L1L2):
        return False
    strengths = [x for x in regularizer.settings().values() if isinstance(x, float)]
    size = max(size, *strengths)
    return size * size < most


def magnitudes(data: Data) -> tuple[float, float]:
    """Return the magnitudes of inputs and targets."""
    x, y = (max(float(rows.max()), -float(rows.min())) for rows in (data.x, data.y))
    return x, y
