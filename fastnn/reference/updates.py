"""One step of an optimizer, in NumPy: see `fastnn.kernels.updates`."""

import numpy as np


def sgd_update(rate, dw, w):
    """Gradient descent."""
    w -= w.dtype.type(rate) * dw


def momentum_update(rate, momentum, dw, velocity, w):
    """Gradient descent with momentum."""
    velocity *= w.dtype.type(momentum)
    velocity += dw
    w -= w.dtype.type(rate) * velocity


def nesterov_update(rate, momentum, dw, velocity, w):
    """Nesterov momentum."""
    velocity *= w.dtype.type(momentum)
    velocity += dw
    w -= w.dtype.type(rate) * (dw + w.dtype.type(momentum) * velocity)


def adam_update(rate, beta1, beta2, epsilon, step, dw, m, v, w):
    """Adam, as the paper writes it."""
    kind = w.dtype.type
    m[:] = kind(beta1) * m + kind(1 - beta1) * dw
    v[:] = kind(beta2) * v + kind(1 - beta2) * np.square(dw)
    m_hat = m / kind(1 - beta1**step)
    v_hat = v / kind(1 - beta2**step)
    w -= kind(rate) * m_hat / (np.sqrt(v_hat) + kind(epsilon))
