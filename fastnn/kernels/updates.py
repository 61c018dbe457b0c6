"""One step of an optimizer on a vector of parameters.

All arrays are (n,), of one float type.  The gradient `dw` is read; the state and the parameters
`w` are changed in place.
"""

import math

from fastnn.kernels.jit import njit


@njit
def sgd_update(rate, dw, w):
    """Gradient descent: ``w -= rate * dw``.

    Parameters
    ----------
    rate : float
    dw, w : (n,) arrays of one float type

    References
    ----------
    H. Robbins and S. Monro, "A Stochastic Approximation Method", Ann. Math. Stat., 1951.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, 2.0])
    >>> sgd_update(0.5, np.array([1.0, -1.0]), w)
    >>> w
    array([0.5, 2.5])
    """
    step = w.dtype.type(rate)
    for k in range(w.size):
        w[k] -= step * dw[k]


@njit
def momentum_update(rate, momentum, dw, velocity, w):
    """Gradient descent with momentum: ``v = momentum * v + dw``, then ``w -= rate * v``.

    PyTorch's form, in which a change of `rate` acts at once.  Keras keeps ``-rate * v`` instead;
    while `rate` is constant the parameters are the same.

    Parameters
    ----------
    rate, momentum : float
    dw, velocity, w : (n,) arrays of one float type

    References
    ----------
    B. T. Polyak, "Some Methods of Speeding up the Convergence of Iteration Methods", 1964.

    Examples
    --------
    >>> import numpy as np
    >>> velocity, w = np.array([2.0]), np.array([1.0])
    >>> momentum_update(0.5, 0.5, np.array([1.0]), velocity, w)
    >>> velocity, w
    (array([2.]), array([0.]))
    """
    step = w.dtype.type(rate)
    kept = w.dtype.type(momentum)
    for k in range(w.size):
        speed = kept * velocity[k] + dw[k]
        velocity[k] = speed
        w[k] -= step * speed


@njit
def nesterov_update(rate, momentum, dw, velocity, w):
    """Nesterov momentum: ``v = momentum * v + dw``, then ``w -= rate * (dw + momentum * v)``.

    PyTorch's form.  Keras's velocity is ``-rate`` times this one, and its parameters are the same
    while `rate` is constant.

    Parameters
    ----------
    rate, momentum : float
    dw, velocity, w : (n,) arrays of one float type

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the Importance of Initialization and
    Momentum in Deep Learning", ICML 2013, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> velocity, w = np.array([2.0]), np.array([1.0])
    >>> nesterov_update(0.5, 0.5, np.array([1.0]), velocity, w)
    >>> velocity, w
    (array([2.]), array([0.]))
    """
    step = w.dtype.type(rate)
    kept = w.dtype.type(momentum)
    for k in range(w.size):
        speed = kept * velocity[k] + dw[k]
        velocity[k] = speed
        w[k] -= step * (dw[k] + kept * speed)


@njit
def adam_update(rate, beta1, beta2, epsilon, step, dw, m, v, w):
    """Adam: a step along the mean gradient over the root of the mean squared gradient.

    ``m = beta1 * m + (1 - beta1) * dw`` and ``v = beta2 * v + (1 - beta2) * dw**2``, then
    ``w -= rate / (1 - beta1**step) * m / (sqrt(v / (1 - beta2**step)) + epsilon)``.

    PyTorch's form, the algorithm of the paper.  Keras adds its `epsilon` to the root before the
    correction of `v`, so the same number means more there in the first steps.

    Parameters
    ----------
    rate, beta1, beta2, epsilon : float
    step : int
        The number of this step, counted from 1.
    dw, m, v, w : (n,) arrays of one float type

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> m, v, w = np.zeros(1), np.zeros(1), np.ones(1)
    >>> adam_update(0.1, 0.9, 0.999, 1e-8, 1, np.array([3.0]), m, v, w)
    >>> m.round(6), v.round(6), w.round(6)
    (array([0.3]), array([0.009]), array([0.9]))
    """
    kind = w.dtype.type
    keep1, keep2 = kind(beta1), kind(beta2)
    add1, add2 = kind(1.0 - beta1), kind(1.0 - beta2)
    # The corrections are powers of numbers near 1: they are kept in float64.
    length = kind(rate / (1.0 - beta1 ** float(step)))
    correction = kind(1.0 / math.sqrt(1.0 - beta2 ** float(step)))
    smallest = kind(epsilon)
    for k in range(w.size):
        gradient = dw[k]
        mean = keep1 * m[k] + add1 * gradient
        square = keep2 * v[k] + add2 * (gradient * gradient)
        m[k] = mean
        v[k] = square
        w[k] -= length * (mean / (math.sqrt(square) * correction + smallest))
