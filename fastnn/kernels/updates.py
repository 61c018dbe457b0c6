"""One step of an optimizer on a vector of parameters; adaptive optimizers are in `adaptive`.

All arrays are (n,), of one float type.  Kernels read the gradient `dw` and change the state and the
parameters `w` in place.
"""

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import select, sign


@kernel("- m m~")
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


@kernel("- - m m~ m~")
def momentum_update(rate, momentum, dw, velocity, w):
    """Gradient descent with momentum: ``v = momentum * v + dw``, then ``w -= rate * v``.

    This is PyTorch's form, in which a change of `rate` takes effect at once.  Keras keeps
    ``-rate * v`` instead; while `rate` is constant, the parameters are the same.

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


@kernel("- - m m~ m~")
def nesterov_update(rate, momentum, dw, velocity, w):
    """Nesterov momentum: ``v = momentum * v + dw``, then ``w -= rate * (dw + momentum * v)``.

    This is PyTorch's form.  Keras's velocity is ``-rate`` times this one; while `rate` is constant,
    the parameters are the same.

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


@kernel("- - - - m m~ m~ m~")
def rprop_update(shrink, grow, smallest, largest, dw, previous, size, w):
    """Resilient propagation: each parameter learns its own step size from its gradient's signs.

    If `dw` keeps its sign, ``size *= grow``.  If the sign changes, ``size *= shrink`` and the step
    is skipped (iRprop-, as in PyTorch).  `size` stays between `smallest` and `largest`.  Then
    ``w -= sign(dw) * size``.

    Parameters
    ----------
    shrink, grow, smallest, largest : float
    dw, previous, size, w : (n,) arrays of one float type
        `previous` receives `dw`, or 0 if the step was skipped.

    References
    ----------
    M. Riedmiller and H. Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The
    RPROP Algorithm", ICNN 1993; C. Igel and M. Huesken, "Improving the Rprop Learning Algorithm",
    2000.

    Examples
    --------
    >>> import numpy as np
    >>> previous, size, w = np.array([1.0, 1.0]), np.array([0.5, 0.5]), np.zeros(2)
    >>> rprop_update(0.5, 1.2, 1e-6, 50.0, np.array([3.0, -3.0]), previous, size, w)
    >>> previous, size, w
    (array([3., 0.]), array([0.6 , 0.25]), array([-0.6,  0. ]))
    """
    kind = w.dtype.type
    less, more, same = kind(shrink), kind(grow), kind(1.0)
    low, high, nothing = kind(smallest), kind(largest), kind(0.0)
    for k in range(w.size):
        turn = sign(dw[k]) * sign(previous[k])
        length = size[k] * select(turn < 0, less, select(turn > 0, more, same))
        length = low if length < low else length
        length = high if length > high else length
        gradient = select(turn < 0, nothing, dw[k])
        size[k] = length
        previous[k] = gradient
        w[k] -= sign(gradient) * length


@kernel("m m! m")
def store_update(dw, gradient, w):
    """Store the gradient and leave the parameters alone, for optimizers that move them themselves.

    Parameters
    ----------
    dw, gradient, w : (n,) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> gradient, w = np.zeros(1), np.ones(1)
    >>> store_update(np.array([3.0]), gradient, w)
    >>> gradient, w
    (array([3.]), array([1.]))
    """
    for k in range(w.size):
        gradient[k] = dw[k]
