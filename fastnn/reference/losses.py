"""Losses that are sums of errors, in NumPy: see `fastnn.kernels.losses`."""

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


def half_mse_forward(prediction, target, row_loss):
    """Half the squared error of every row."""
    np.sum(np.square(prediction - target) / 2, axis=1, out=row_loss)


def half_mse_backward(prediction, target, row_scale, d):
    """Gradient of half the squared error."""
    np.multiply(prediction - target, row_scale[:, np.newaxis], out=d)


def signed_error_forward(prediction, target, row_loss):
    """Signed error of every row."""
    row_loss[...] = np.subtract(prediction, target, dtype=np.float64).sum(axis=1)


def signed_error_backward(prediction, target, row_scale, d):
    """Gradient of the signed error."""
    d[...] = row_scale[:, np.newaxis]
