"""Losses and their gradients, in NumPy: see `fastnn.kernels.losses`."""

import numpy as np


def mse_forward(prediction, target, row_loss):
    """Squared error of every row."""
    np.sum(np.square(prediction - target), axis=1, out=row_loss)


def mse_backward(prediction, target, row_scale, d):
    """Gradient of squared error."""
    np.multiply(prediction - target, 2 * row_scale[:, np.newaxis], out=d)


def mae_forward(prediction, target, row_loss):
    """Absolute error of every row."""
    np.sum(np.abs(prediction - target), axis=1, out=row_loss)


def mae_backward(prediction, target, row_scale, d):
    """Gradient of absolute error."""
    np.multiply(np.sign(prediction - target), row_scale[:, np.newaxis], out=d)


def softmax_cross_entropy_forward(prediction, target, row_loss):
    """Cross-entropy of the softmax of logits with class labels."""
    shifted = prediction - prediction.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(shifted, target[:, np.newaxis], axis=1)[:, 0]
    np.subtract(np.log(np.exp(shifted).sum(axis=1)), chosen, out=row_loss)


def softmax_cross_entropy_backward(prediction, target, row_scale, d):
    """Gradient of softmax cross-entropy."""
    powers = np.exp(prediction - prediction.max(axis=1, keepdims=True))
    one_hot = np.arange(prediction.shape[1]) == target[:, np.newaxis]
    error = powers / powers.sum(axis=1, keepdims=True) - one_hot
    np.multiply(error, row_scale[:, np.newaxis], out=d)


def logistic_forward(prediction, target, row_loss):
    """Cross-entropy of the sigmoid of logits."""
    np.sum(np.logaddexp(0, prediction) - prediction * target, axis=1, out=row_loss)


def logistic_backward(prediction, target, row_scale, d):
    """Gradient of the logistic loss."""
    with np.errstate(over="ignore"):  # 1 / inf is the right answer
        probability = 1 / (1 + np.exp(-prediction))
    np.multiply(probability - target, row_scale[:, np.newaxis], out=d)
