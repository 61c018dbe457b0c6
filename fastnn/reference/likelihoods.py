"""Losses that are negative log-likelihoods, in NumPy: see `fastnn.kernels.likelihoods`."""

import numpy as np


def softmax_cross_entropy_forward(prediction, target, label_smoothing, row_loss):
    """Cross-entropy of the softmax of logits with class labels."""
    shifted = prediction - prediction.max(axis=1, keepdims=True, initial=-np.inf)
    chosen = np.take_along_axis(shifted, target[:, np.newaxis], axis=1)[:, 0]
    if label_smoothing:
        chosen = (1 - label_smoothing) * chosen + label_smoothing * shifted.mean(axis=1)
    np.subtract(np.log(np.exp(shifted).sum(axis=1)), chosen, out=row_loss)


def softmax_cross_entropy_backward(prediction, target, label_smoothing, row_scale, d):
    """Gradient of softmax cross-entropy."""
    powers = np.exp(prediction - prediction.max(axis=1, keepdims=True, initial=-np.inf))
    one_hot = np.arange(prediction.shape[1]) == target[:, np.newaxis]
    smooth = (1 - label_smoothing) * one_hot + label_smoothing / prediction.shape[1]
    error = powers / powers.sum(axis=1, keepdims=True) - smooth.astype(prediction.dtype)
    np.multiply(error, row_scale[:, np.newaxis], out=d)


def probability_cross_entropy_forward(prediction, target, row_loss):
    """Cross-entropy of probabilities with class labels."""
    with np.errstate(divide="ignore", invalid="ignore"):  # infinity and NaN are the answers
        np.subtract(0, np.log(prediction[np.arange(len(target)), target]), out=row_loss)


def probability_cross_entropy_backward(prediction, target, row_scale, d):
    """Gradient of the cross-entropy of probabilities."""
    rows = np.arange(len(target))
    with np.errstate(divide="ignore", invalid="ignore"):
        chosen = -row_scale / prediction[rows, target]
    d[...] = 0
    d[rows, target] = chosen


def logistic_forward(prediction, target, row_loss):
    """Cross-entropy of the sigmoid of logits."""
    np.sum(np.logaddexp(0, prediction) - prediction * target, axis=1, out=row_loss)


def logistic_backward(prediction, target, row_scale, d):
    """Gradient of the logistic loss."""
    with np.errstate(over="ignore"):  # 1 / inf is the right answer
        probability = 1 / (1 + np.exp(-prediction))
    np.multiply(probability - target, row_scale[:, np.newaxis], out=d)


def poisson_forward(prediction, target, row_loss):
    """Poisson loss of log rates."""
    with np.errstate(over="ignore"):
        np.sum(np.exp(prediction) - prediction * target, axis=1, out=row_loss)


def poisson_backward(prediction, target, row_scale, d):
    """Gradient of the Poisson loss."""
    with np.errstate(over="ignore"):
        np.multiply(np.exp(prediction) - target, row_scale[:, np.newaxis], out=d)


def gamma_forward(prediction, target, row_loss):
    """Gamma loss of log means."""
    with np.errstate(over="ignore"):
        log_mean = prediction.astype(np.float64)
        row_loss[:] = (log_mean + target * np.exp(-log_mean)).sum(axis=1)


def gamma_backward(prediction, target, row_scale, d):
    """Gradient of the Gamma loss."""
    with np.errstate(over="ignore"):
        root = np.exp(prediction / -2)
        np.multiply(1 - target * root * root, row_scale[:, np.newaxis], out=d)


def gaussian_nll_forward(prediction, target, row_loss):
    """Gaussian loss of means and log-variances."""
    mean, spread = np.split(prediction, 2, axis=1)
    deviations = (mean - target) / np.exp(spread / 2)
    np.sum((spread + np.square(deviations)) / 2, axis=1, out=row_loss)


def gaussian_nll_backward(prediction, target, row_scale, d):
    """Gradient of the Gaussian loss."""
    mean, spread = np.split(prediction, 2, axis=1)
    deviation = np.exp(spread / 2)
    standard = (mean - target) / deviation
    slopes = np.concatenate([standard / deviation, (1 - np.square(standard)) / 2], axis=1)
    np.multiply(slopes, row_scale[:, np.newaxis], out=d)
