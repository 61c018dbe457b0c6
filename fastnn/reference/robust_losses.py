"""Losses that grow more slowly than squared error: see `fastnn.kernels.robust_losses`."""

import numpy as np


def huber_forward(prediction, target, delta, row_loss):
    """Huber's loss of every row."""
    error = np.abs(prediction - target)
    delta = error.dtype.type(delta)
    values = np.where(error <= delta, np.square(error) / 2, delta * (error - delta / 2))
    np.sum(values, axis=1, out=row_loss)


def huber_backward(prediction, target, delta, row_scale, d):
    """Gradient of Huber's loss."""
    delta = prediction.dtype.type(delta)
    np.multiply(np.clip(prediction - target, -delta, delta), row_scale[:, np.newaxis], out=d)


def smooth_l1_forward(prediction, target, beta, row_loss):
    """Smooth L1 of every row."""
    error = np.abs(prediction - target)
    beta = error.dtype.type(beta)
    values = np.where(error < beta, np.square(error) / (2 * beta), error - beta / 2)
    np.sum(values, axis=1, out=row_loss)


def smooth_l1_backward(prediction, target, beta, row_scale, d):
    """Gradient of smooth L1."""
    error = (prediction - target) / prediction.dtype.type(beta)
    np.multiply(np.clip(error, -1, 1), row_scale[:, np.newaxis], out=d)


def log_cosh_forward(prediction, target, row_loss):
    """Log-cosh loss of every row."""
    error = prediction - target
    with np.errstate(invalid="ignore"):
        values = np.logaddexp(error, -error) - np.log(error.dtype.type(2))
        np.sum(values, axis=1, out=row_loss)


def log_cosh_backward(prediction, target, row_scale, d):
    """Gradient of log-cosh."""
    np.multiply(np.tanh(prediction - target), row_scale[:, np.newaxis], out=d)


def _below(prediction, target, levels):
    """Return target - prediction and the levels, both with axes (rows, levels, targets)."""
    rows, n = target.shape
    stacked = prediction.reshape(rows, len(levels), n)
    return target[:, np.newaxis, :] - stacked, levels[:, np.newaxis]


def quantile_forward(prediction, target, levels, row_loss):
    """Quantile loss of every row."""
    error, q = _below(prediction, target, levels)
    np.sum(error * np.where(error > 0, q, q - 1), axis=(1, 2), out=row_loss)


def quantile_backward(prediction, target, levels, row_scale, d):
    """Gradient of the quantile loss."""
    error, q = _below(prediction, target, levels)
    slopes = (1 - q) * np.heaviside(-error, 0) - q * np.heaviside(error, 0)
    np.multiply(slopes.reshape(d.shape), row_scale[:, np.newaxis], out=d)
