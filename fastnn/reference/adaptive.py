"""One step of an optimizer that scales the gradient, in NumPy: see `fastnn.kernels.adaptive`."""

import numpy as np


def _average(kept, average, new):
    """Move a running average toward `new`, in place, and return it."""
    kind = average.dtype.type
    average[:] = kind(kept) * average + kind(1 - kept) * new
    return average


def adagrad_update(rate, epsilon, dw, total, w):
    """Adagrad."""
    kind = w.dtype.type
    total += np.square(dw)
    w -= kind(rate) * dw / (np.sqrt(total) + kind(epsilon))


def adadelta_update(rate, rho, epsilon, dw, square, change, w):
    """Adadelta."""
    kind = w.dtype.type
    _average(rho, square, np.square(dw))
    delta = dw * np.sqrt((change + kind(epsilon)) / (square + kind(epsilon)))
    _average(rho, change, np.square(delta))
    w -= kind(rate) * delta


def rmsprop_update(rate, rho, epsilon, dw, square, w):
    """RMSprop."""
    kind = w.dtype.type
    _average(rho, square, np.square(dw))
    w -= kind(rate) * dw / (np.sqrt(square) + kind(epsilon))


def rmsprop_momentum_update(rate, rho, momentum, epsilon, dw, square, velocity, w):
    """RMSprop with momentum."""
    kind = w.dtype.type
    _average(rho, square, np.square(dw))
    velocity *= kind(momentum)
    velocity += dw / (np.sqrt(square) + kind(epsilon))
    w -= kind(rate) * velocity


def _centered(rho, epsilon, dw, square, mean):
    _average(rho, square, np.square(dw))
    _average(rho, mean, dw)
    variance = np.maximum(square - np.square(mean), 0)
    return dw / (np.sqrt(variance) + dw.dtype.type(epsilon))


def centered_rmsprop_update(rate, rho, epsilon, dw, square, mean, w):
    """RMSprop with the variance instead of the mean square."""
    w -= w.dtype.type(rate) * _centered(rho, epsilon, dw, square, mean)


def centered_rmsprop_momentum_update(rate, rho, momentum, epsilon, dw, square, mean, velocity, w):
    """RMSprop with the variance instead of the mean square, and momentum."""
    velocity *= w.dtype.type(momentum)
    velocity += _centered(rho, epsilon, dw, square, mean)
    w -= w.dtype.type(rate) * velocity


def _adam(rate, decay, beta1, epsilon, step, m, v_hat, w):
    kind = w.dtype.type
    m_hat = m / kind(1 - beta1**step)
    w *= kind(1 - rate * decay)
    w -= kind(rate) * m_hat / (np.sqrt(v_hat) + kind(epsilon))


def adam_update(rate, decay, beta1, beta2, epsilon, step, dw, m, v, w):
    """Adam, as the paper writes it, with AdamW's decay."""
    _average(beta1, m, dw)
    _average(beta2, v, np.square(dw))
    _adam(rate, decay, beta1, epsilon, step, m, v / w.dtype.type(1 - beta2**step), w)


def amsgrad_update(rate, decay, beta1, beta2, epsilon, step, dw, m, v, largest, w):
    """Adam with the largest mean square so far."""
    _average(beta1, m, dw)
    _average(beta2, v, np.square(dw))
    np.copyto(largest, v, where=~(largest > v))
    _adam(rate, decay, beta1, epsilon, step, m, largest / w.dtype.type(1 - beta2**step), w)


def nadam_update(rate, beta1, beta2, epsilon, on_gradient, on_mean, step, dw, m, v, w):
    """NAdam, as PyTorch writes it."""
    kind = w.dtype.type
    _average(beta1, m, dw)
    _average(beta2, v, np.square(dw))
    root = np.sqrt(v / kind(1 - beta2**step)) + kind(epsilon)
    w -= kind(rate) * kind(on_gradient) * dw / root
    w -= kind(rate) * kind(on_mean) * m / root
