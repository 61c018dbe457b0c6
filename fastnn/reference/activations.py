"""Activation functions and their derivatives, in NumPy: see `fastnn.kernels.activations`."""

import numpy as np


def identity_forward(x, out):
    """Copy."""
    np.copyto(out, x)


def identity_backward(x, y, dy, dx):
    """Gradient of the identity."""
    np.copyto(dx, dy)


def relu_forward(x, slope, out):
    """Rectified linear unit, leaky where `slope` is not 0."""
    slope = x.dtype.type(slope)
    np.copyto(out, np.maximum(x, 0) if slope == 0 else np.where(x > 0, x, slope * x))


def relu_backward(x, y, slope, dy, dx):
    """Gradient of the rectified linear unit."""
    slopes = np.where(y > 0, 1, slope).astype(dy.dtype)
    np.multiply(dy, slopes, out=dx)


def sigmoid_forward(x, out):
    """Logistic sigmoid."""
    with np.errstate(over="ignore"):  # 1 / inf is the right answer
        np.divide(1, 1 + np.exp(-x), out=out)


def sigmoid_backward(x, y, dy, dx):
    """Gradient of the logistic sigmoid."""
    np.multiply(dy, y * (1 - y), out=dx)


def tanh_forward(x, out):
    """Hyperbolic tangent."""
    np.tanh(x, out=out)


def tanh_backward(x, y, dy, dx):
    """Gradient of the hyperbolic tangent."""
    np.multiply(dy, 1 - y * y, out=dx)


def softmax_forward(x, out):
    """Softmax of every row."""
    powers = np.exp(x - x.max(axis=1, keepdims=True, initial=-np.inf))
    np.divide(powers, powers.sum(axis=1, keepdims=True), out=out)


def softmax_backward(x, y, dy, dx):
    """Gradient of softmax."""
    mean = np.vecdot(dy, y)[:, np.newaxis]
    np.multiply(y, dy - mean, out=dx)
