"""Activation functions made of exponentials, in NumPy: see `fastnn.kernels.smooth_activations`."""

import math

import numpy as np

_erfc = np.frompyfunc(math.erfc, 1, 1)
_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772  # of SELU


def _normal(x):
    """Return the standard normal distribution function and density, in float64."""
    wide = x.astype(np.float64)
    below = _erfc(-wide / math.sqrt(2)).astype(np.float64) / 2
    return below, np.exp(-np.square(wide) / 2) / math.sqrt(2 * math.pi)


def _sigmoid(x):
    with np.errstate(over="ignore"):  # 1 / inf is the right answer
        return 1 / (1 + np.exp(-x))


def _with_limits(x, values, below, above):
    """Return `values`, with the limits `below` and `above` where `x` is infinite."""
    limits = np.where(x > 0, above, below)
    return np.where(np.isinf(x), limits, values)


def exponential_forward(x, out):
    """Exponential."""
    with np.errstate(over="ignore"):
        np.exp(x, out=out)


def exponential_backward(x, y, dy, dx):
    """Gradient of the exponential."""
    np.multiply(dy, y, out=dx)


def elu_forward(x, alpha, out):
    """Exponential linear unit."""
    np.copyto(out, np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0))))


def elu_backward(x, y, alpha, dy, dx):
    """Gradient of the exponential linear unit."""
    np.multiply(dy, np.where(y > 0, 1, y + y.dtype.type(alpha)), out=dx)


def selu_forward(x, out):
    """Scaled exponential linear unit."""
    np.copyto(out, _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(np.minimum(x, 0))))


def selu_backward(x, y, dy, dx):
    """Gradient of the scaled exponential linear unit."""
    np.multiply(dy, np.where(y > 0, _SCALE, y + _SCALE * _ALPHA), out=dx)


def softplus_forward(x, out):
    """Softplus."""
    np.logaddexp(0, x, out=out, dtype=x.dtype)


def softplus_backward(x, y, dy, dx):
    """Gradient of softplus."""
    np.multiply(dy, _sigmoid(x), out=dx)


def silu_forward(x, out):
    """Sigmoid-weighted linear unit."""
    with np.errstate(invalid="ignore"):
        np.copyto(out, _with_limits(x, x * _sigmoid(x), -0.0, np.inf))


def silu_backward(x, y, dy, dx):
    """Gradient of the sigmoid-weighted linear unit."""
    share = _sigmoid(x)
    with np.errstate(invalid="ignore"):
        slope = _with_limits(x, share * (1 + x * (1 - share)), 0, 1)
        np.multiply(dy, slope.astype(dy.dtype), out=dx)


def _mish_tanh(x):
    """Return log(1 + exp(x)) and its hyperbolic tangent, in float64."""
    soft = np.logaddexp(0, x, dtype=np.float64)
    return soft, np.tanh(soft)


def mish_forward(x, out):
    """Mish."""
    _, share = _mish_tanh(x)
    with np.errstate(invalid="ignore"):
        np.copyto(out, _with_limits(x, x * share, -0.0, np.inf).astype(x.dtype))


def mish_backward(x, y, dy, dx):
    """Gradient of Mish."""
    soft, share = _mish_tanh(x)
    with np.errstate(all="ignore"):
        curve = _sigmoid(x.astype(np.float64)) / np.cosh(soft) ** 2
        slope = _with_limits(x, share + x * curve, 0, 1)
        np.multiply(dy, slope.astype(dy.dtype), out=dx)


def gelu_forward(x, out):
    """Gaussian error linear unit."""
    with np.errstate(invalid="ignore"):
        np.copyto(out, _with_limits(x, x * _normal(x)[0], -0.0, np.inf).astype(x.dtype))


def gelu_backward(x, y, dy, dx):
    """Gradient of the Gaussian error linear unit."""
    below, density = _normal(x)
    with np.errstate(invalid="ignore"):
        slope = _with_limits(x, below + x * density, 0, 1)
        np.multiply(dy, slope.astype(dy.dtype), out=dx)


def _gelu_tanh(x):
    """Return u and its derivative, in float64."""
    wide, root = x.astype(np.float64), math.sqrt(2 / math.pi)
    return root * (wide + 0.044715 * wide**3), root * (1 + 3 * 0.044715 * wide**2)


def gelu_tanh_forward(x, out):
    """Gaussian error linear unit, approximated with the hyperbolic tangent."""
    u, _ = _gelu_tanh(x)
    with np.errstate(all="ignore"):
        values = x / (1 + np.exp(-2 * u))  # x * (1 + tanh(u)) / 2, without the cancellation
        np.copyto(out, _with_limits(x, values, -0.0, np.inf).astype(x.dtype))


def gelu_tanh_backward(x, y, dy, dx):
    """Gradient of that."""
    u, slope = _gelu_tanh(x)
    with np.errstate(all="ignore"):
        share, rest = 1 / (1 + np.exp(-2 * u)), 1 / (1 + np.exp(2 * u))
        slopes = _with_limits(x, share * (1 + 2 * x * slope * rest), 0, 1)
        np.multiply(dy, slopes.astype(dy.dtype), out=dx)
