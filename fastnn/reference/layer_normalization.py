"""Layer normalization in NumPy: see `fastnn.kernels.layer_normalization`."""

import numpy as np


def layer_norm_forward(x, epsilon, gamma, beta, mean, inverse, out):
    """Normalize rows."""
    power = np.finfo(x.dtype).maxexp * 3 // 4
    huge = ~(np.abs(x).max(axis=1, keepdims=True) < 2.0 ** (power // 2))  # NaN is huge, too
    shrink = np.where(huge, 2.0**-power, 1).astype(x.dtype)
    small = x * shrink
    first = small[:, :1].astype(np.float64)
    center = (first + (small - first).mean(axis=1, keepdims=True)).astype(x.dtype)
    deviation = np.sqrt(np.square(small - center).mean(axis=1, keepdims=True))
    mean[...] = (center / shrink)[:, 0]
    inverse[...] = 1 / np.hypot(deviation / shrink, np.sqrt(x.dtype.type(epsilon)))[:, 0]
    np.add(gamma * _normal(x, mean, inverse), beta, out=out)


def layer_norm_gradients(x, mean, inverse, dy, first, last, dgamma, dbeta):
    """Gradients of gamma and beta."""
    part = np.s_[:, first:last]
    products = dy[part] * _normal(x[part], mean, inverse)
    dgamma[first:last] = products.sum(axis=0, dtype=np.float64)
    dbeta[first:last] = dy[part].sum(axis=0, dtype=np.float64)


def layer_norm_backward(x, mean, inverse, gamma, dy, dx):
    """Gradient of normalized rows."""
    normal, slope = _normal(x, mean, inverse), gamma * dy
    through_mean = slope.mean(axis=1, keepdims=True)
    through_variance = normal * (slope * normal).mean(axis=1, keepdims=True)
    np.multiply(inverse[:, None], slope - (through_mean + through_variance), out=dx)


def _normal(x, mean, inverse):
    return (x - mean[:, None]) * inverse[:, None]
