"""Batch normalization in NumPy: see `fastnn.kernels.normalization`."""

import numpy as np


def batch_moments(x, first, last, mean, variance):
    """Mean and variance of columns."""
    x, rows = x[:, first:last], np.float64(len(x))
    start = x[0] if len(x) else np.nan
    exact = start + (x - start).sum(axis=0, dtype=np.float64) / rows
    mean[first:last] = exact
    variance[first:last] = np.square(x - exact).sum(axis=0) / rows


def merge_moments(rows, more, mean_of_more, variance_of_more, mean, variance):
    """Moments of two sets of rows together."""
    if not more:
        return
    number = mean.dtype.type
    share, rest = number(more / (rows + more)), number(rows / (rows + more))
    if not rows:
        mean[...], variance[...] = mean_of_more, variance_of_more
        return
    away = mean_of_more - mean
    mean += share * away
    variance[...] = rest * variance + share * variance_of_more + share * rest * away * away


def inverse_deviation(epsilon, variance, inverse):
    """One over the standard deviation."""
    np.divide(1, np.sqrt(variance + variance.dtype.type(epsilon)), out=inverse)


def batch_norm_forward(x, mean, inverse, gamma, beta, out):
    """Normalize columns."""
    np.add((x - mean) * inverse * gamma, beta, out=out)


def batch_norm_gradients(x, mean, inverse, dy, first, last, dgamma, dbeta):
    """Gradients of gamma and beta."""
    products = (dy * (x - mean)).sum(axis=0, dtype=np.float64) * inverse
    dgamma[first:last] = products[first:last]
    dbeta[first:last] = dy[:, first:last].sum(axis=0, dtype=np.float64)


def batch_norm_backward(x, mean, inverse, gamma, dgamma, dbeta, batch, dy, dx):
    """Gradient of normalized columns."""
    normalized = (x - mean) * inverse
    through_moments = (dbeta + normalized * dgamma) / x.dtype.type(batch)
    np.multiply(gamma * inverse, dy - through_moments, out=dx)


def moving_update(momentum, rows, value, moving):
    """Update a moving average of the batches' statistics."""
    if rows > 1:
        moving *= moving.dtype.type(momentum)
        moving += moving.dtype.type(1 - momentum) * value
