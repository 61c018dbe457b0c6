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


def rprop_update(shrink, grow, smallest, largest, dw, previous, size, w):
    """Resilient propagation."""
    turn = np.sign(dw) * np.sign(previous)
    size *= np.where(turn < 0, w.dtype.type(shrink), 1)
    size *= np.where(turn > 0, w.dtype.type(grow), 1)
    np.clip(size, smallest, largest, out=size)
    previous[:] = np.where(turn < 0, 0, dw)
    w -= np.sign(previous) * size


def store_update(dw, gradient, w):
    """Store the gradient."""
    gradient[:] = dw
