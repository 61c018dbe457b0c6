"""Hinge losses in NumPy: see `fastnn.kernels.hinges`."""

import numpy as np


def _margins(prediction, target, margin):
    """Return max(0, f_j - f_y + margin) for every wrong j, and 0 for the right one."""
    chosen = np.take_along_axis(prediction, target[:, np.newaxis], axis=1)
    terms = np.maximum(prediction - chosen + prediction.dtype.type(margin), 0)
    return np.where(_one_hot(prediction, target), 0, terms)


def _one_hot(prediction, target):
    return np.arange(prediction.shape[1]) == target[:, np.newaxis]


def _write_gradient(slopes, target, row_scale, d):
    """Write the slopes of the wrong classes, and minus their sum for the right one."""
    scaled = np.where(_one_hot(slopes, target), 0, slopes * row_scale[:, np.newaxis])
    total = scaled.sum(axis=1, keepdims=True)
    np.copyto(d, np.where(_one_hot(slopes, target), -total, scaled))


def multiclass_hinge_forward(prediction, target, margin, row_loss):
    """Multiclass hinge of every row."""
    np.sum(_margins(prediction, target, margin), axis=1, out=row_loss)


def multiclass_hinge_backward(prediction, target, margin, row_scale, d):
    """Gradient of the multiclass hinge."""
    slopes = np.heaviside(_margins(prediction, target, margin), 0)
    _write_gradient(slopes, target, row_scale, d)


def multiclass_squared_hinge_forward(prediction, target, margin, row_loss):
    """Squared multiclass hinge of every row."""
    np.sum(np.square(_margins(prediction, target, margin)), axis=1, out=row_loss)


def multiclass_squared_hinge_backward(prediction, target, margin, row_scale, d):
    """Gradient of the squared multiclass hinge."""
    _write_gradient(2 * _margins(prediction, target, margin), target, row_scale, d)


def attribute_hinge_forward(prediction, target, row_loss):
    """Attribute hinge of every row."""
    np.sum(np.maximum(1 - target * prediction, 0), axis=1, out=row_loss)


def attribute_hinge_backward(prediction, target, row_scale, d):
    """Gradient of the attribute hinge."""
    slopes = -target * np.heaviside(1 - target * prediction, 0)
    np.multiply(slopes, row_scale[:, np.newaxis], out=d)


def structured_hinge_forward(prediction, target, cost, row_loss):
    """Structured hinge of every row."""
    chosen = np.take_along_axis(prediction, target[:, np.newaxis], axis=1)[:, 0]
    np.subtract((prediction + cost[target]).max(axis=1, initial=-np.inf), chosen, out=row_loss)


def structured_hinge_backward(prediction, target, cost, row_scale, d):
    """Gradient of the structured hinge."""
    rows = np.arange(len(target))
    scores = prediction + cost[target]
    if not scores.size:
        return
    largest = scores.max(axis=1)
    most = np.where(scores[rows, target] < largest, scores.argmax(axis=1), target)
    d[...] = 0
    d[rows, most] += np.where(np.isnan(largest), np.nan, row_scale)
    d[rows, target] -= row_scale
