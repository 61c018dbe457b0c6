"""One step of an optimizer that scales the gradient by a running measure of its size.

As in `updates`, all arrays are (n,), of one float type.  Kernels read the gradient `dw` and change
the state and the parameters `w` in place.  `epsilon` is outside the root, as in PyTorch, except in
Adadelta.
"""

import math

from fastnn.kernels.contract import kernel


@kernel("- - m m~ m~")
def adagrad_update(rate, epsilon, dw, total, w):
    """Adagrad: ``total += dw**2``, then ``w -= rate * dw / (sqrt(total) + epsilon)``.

    Parameters
    ----------
    rate, epsilon : float
    dw, total, w : (n,) arrays of one float type

    References
    ----------
    J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization", JMLR 12, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> total, w = np.array([16.0]), np.ones(1)
    >>> adagrad_update(0.5, 1e-7, np.array([3.0]), total, w)
    >>> total, w.round(6)
    (array([25.]), array([0.7]))
    """
    kind = w.dtype.type
    length, least = kind(rate), kind(epsilon)
    for k in range(w.size):
        gradient = dw[k]
        squares = total[k] + gradient * gradient
        total[k] = squares
        w[k] -= length * (gradient / (math.sqrt(squares) + least))


@kernel("- - - m m~ m~ m~")
def adadelta_update(rate, rho, epsilon, dw, square, change, w):
    """Adadelta: steps about as large as earlier ones, so `rate` has no unit (1 in the paper).

    ``square = rho * square + (1 - rho) * dw**2``,
    ``d = sqrt(change + epsilon) / sqrt(square + epsilon) * dw``,
    ``change = rho * change + (1 - rho) * d**2`` and ``w -= rate * d``, as in PyTorch and Keras.

    Parameters
    ----------
    rate, rho, epsilon : float
    dw, square, change, w : (n,) arrays of one float type

    References
    ----------
    M. D. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.

    Examples
    --------
    >>> import numpy as np
    >>> square, change, w = np.array([7.0]), np.array([3.0]), np.ones(1)
    >>> adadelta_update(0.5, 0.5, 1.0, np.array([1.0]), square, change, w)
    >>> square, change, w.round(6)
    (array([4.]), array([1.9]), array([0.552786]))
    """
    kind = w.dtype.type
    length, least = kind(rate), kind(epsilon)
    keep, add = kind(rho), kind(1.0 - rho)
    for k in range(w.size):
        gradient = dw[k]
        squares = keep * square[k] + add * (gradient * gradient)
        step = gradient * math.sqrt((change[k] + least) / (squares + least))
        square[k] = squares
        change[k] = keep * change[k] + add * (step * step)
        w[k] -= length * step


@kernel("- - - m m~ m~")
def rmsprop_update(rate, rho, epsilon, dw, square, w):
    """RMSprop: ``square = rho * square + (1 - rho) * dw**2``, ``w -= rate * s``.

    Here ``s = dw / (sqrt(square) + epsilon)``, as in PyTorch.  Keras has epsilon inside the root.

    Parameters
    ----------
    rate, rho, epsilon : float
    dw, square, w : (n,) arrays of one float type

    References
    ----------
    T. Tieleman and G. Hinton, "Lecture 6.5: rmsprop", Coursera, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> square, w = np.array([7.0]), np.ones(1)
    >>> rmsprop_update(0.5, 0.5, 1e-7, np.array([1.0]), square, w)
    >>> square, w.round(6)
    (array([4.]), array([0.75]))
    """
    kind = w.dtype.type
    length, least = kind(rate), kind(epsilon)
    keep, add = kind(rho), kind(1.0 - rho)
    for k in range(w.size):
        gradient = dw[k]
        squares = keep * square[k] + add * (gradient * gradient)
        square[k] = squares
        w[k] -= length * (gradient / (math.sqrt(squares) + least))


@kernel("- - - - m m~ m~ m~")
def rmsprop_momentum_update(rate, rho, momentum, epsilon, dw, square, velocity, w):
    """RMSprop with momentum: ``velocity = momentum * velocity + s``, ``w -= rate * velocity``.

    `s` is defined in :func:`rmsprop_update`.  Keras's velocity is `rate` times this one.

    Parameters
    ----------
    rate, rho, momentum, epsilon : float
    dw, square, velocity, w : (n,) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> square, velocity, w = np.array([7.0]), np.ones(1), np.ones(1)
    >>> rmsprop_momentum_update(0.5, 0.5, 0.5, 1e-7, np.array([1.0]), square, velocity, w)
    >>> square, velocity.round(6), w.round(6)
    (array([4.]), array([1.]), array([0.5]))
    """
    kind = w.dtype.type
    length, least, kept = kind(rate), kind(epsilon), kind(momentum)
    keep, add = kind(rho), kind(1.0 - rho)
    for k in range(w.size):
        gradient = dw[k]
        squares = keep * square[k] + add * (gradient * gradient)
        square[k] = squares
        speed = kept * velocity[k] + gradient / (math.sqrt(squares) + least)
        velocity[k] = speed
        w[k] -= length * speed


@kernel("- - - m m~ m~ m~")
def centered_rmsprop_update(rate, rho, epsilon, dw, square, mean, w):
    """RMSprop with the variance, ``square - mean**2`` or at least 0, instead of the mean square.

    ``mean = rho * mean + (1 - rho) * dw``; otherwise like :func:`rmsprop_update`.

    Parameters
    ----------
    rate, rho, epsilon : float
    dw, square, mean, w : (n,) arrays of one float type

    References
    ----------
    A. Graves, "Generating Sequences with Recurrent Neural Networks", 2013, equations 38 to 45.

    Examples
    --------
    >>> import numpy as np
    >>> square, mean, w = np.array([25.0]), np.ones(1), np.ones(1)
    >>> centered_rmsprop_update(0.5, 0.5, 1e-7, np.array([5.0]), square, mean, w)
    >>> square, mean, w.round(6)
    (array([25.]), array([3.]), array([0.375]))
    """
    kind = w.dtype.type
    length, least, nothing = kind(rate), kind(epsilon), kind(0.0)
    keep, add = kind(rho), kind(1.0 - rho)
    for k in range(w.size):
        gradient = dw[k]
        squares = keep * square[k] + add * (gradient * gradient)
        center = keep * mean[k] + add * gradient
        square[k] = squares
        mean[k] = center
        variance = squares - center * center
        variance = nothing if variance < 0 else variance  # rounding may make it negative
        w[k] -= length * (gradient / (math.sqrt(variance) + least))


@kernel("- - - - m m~ m~ m~ m~")
def centered_rmsprop_momentum_update(rate, rho, momentum, epsilon, dw, square, mean, velocity, w):
    """Combine :func:`centered_rmsprop_update` with the momentum of RMSprop.

    Parameters
    ----------
    rate, rho, momentum, epsilon : float
    dw, square, mean, velocity, w : (n,) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> square, mean, velocity, w = np.array([25.0]), np.ones(1), np.ones(1), np.ones(1)
    >>> settings = 0.5, 0.5, 0.5, 1e-7
    >>> centered_rmsprop_momentum_update(*settings, np.array([5.0]), square, mean, velocity, w)
    >>> square, mean, velocity.round(6), w.round(6)
    (array([25.]), array([3.]), array([1.75]), array([0.125]))
    """
    kind = w.dtype.type
    length, least, nothing = kind(rate), kind(epsilon), kind(0.0)
    keep, add, kept = kind(rho), kind(1.0 - rho), kind(momentum)
    for k in range(w.size):
        gradient = dw[k]
        squares = keep * square[k] + add * (gradient * gradient)
        center = keep * mean[k] + add * gradient
        square[k] = squares
        mean[k] = center
        variance = squares - center * center
        variance = nothing if variance < 0 else variance
        speed = kept * velocity[k] + gradient / (math.sqrt(variance) + least)
        velocity[k] = speed
        w[k] -= length * speed


@kernel("- - % % - #1 m m~ m~ m~")
def adam_update(rate, decay, beta1, beta2, epsilon, step, dw, m, v, w):
    """Adam: a step along the mean gradient, divided by the root of the mean squared gradient.

    ``m = beta1 * m + (1 - beta1) * dw`` and ``v = beta2 * v + (1 - beta2) * dw**2``, then
    ``w -= rate * decay * w`` (AdamW's decoupled weight decay) and
    ``w -= rate / (1 - beta1**step) * m / (sqrt(v / (1 - beta2**step)) + epsilon)``.

    This is PyTorch's form and the paper's algorithm.  Keras adds `epsilon` to the root before
    correcting `v`, so there the same number has more effect in the first steps.

    Parameters
    ----------
    rate, decay, beta1, beta2, epsilon : float
    step : int
        The number of this step, counted from 1.
    dw, m, v, w : (n,) arrays of one float type

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015; I. Loshchilov
    and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> m, v, w = np.zeros(1), np.zeros(1), np.ones(1)
    >>> adam_update(0.1, 0.0, 0.9, 0.999, 1e-8, 1, np.array([3.0]), m, v, w)
    >>> m.round(6), v.round(6), w.round(6)
    (array([0.3]), array([0.009]), array([0.9]))
    """
    kind = w.dtype.type
    keep1, keep2 = kind(beta1), kind(beta2)
    add1, add2 = kind(1.0 - beta1), kind(1.0 - beta2)
    # The corrections are powers of numbers near 1, so they are computed in float64.
    length = kind(rate / (1.0 - beta1 ** float(step)))
    correction = kind(1.0 / math.sqrt(1.0 - beta2 ** float(step)))
    smallest, stay = kind(epsilon), kind(1.0 - rate * decay)
    for k in range(w.size):
        gradient = dw[k]
        mean = keep1 * m[k] + add1 * gradient
        square = keep2 * v[k] + add2 * (gradient * gradient)
        m[k] = mean
        v[k] = square
        w[k] = stay * w[k] - length * (mean / (math.sqrt(square) * correction + smallest))


@kernel("- - % % - #1 m m~ m~ m~ m~")
def amsgrad_update(rate, decay, beta1, beta2, epsilon, step, dw, m, v, largest, w):
    """AMSGrad: Adam with the largest `v` so far, ``largest = max(largest, v)``, instead of `v`.

    As in PyTorch and Keras, the maximum is taken before the correction.

    Parameters
    ----------
    rate, decay, beta1, beta2, epsilon : float
    step : int
        The number of this step, counted from 1.
    dw, m, v, largest, w : (n,) arrays of one float type

    References
    ----------
    S. J. Reddi, S. Kale and S. Kumar, "On the Convergence of Adam and Beyond", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> m, v, largest, w = np.zeros(1), np.zeros(1), np.array([0.036]), np.ones(1)
    >>> amsgrad_update(0.1, 0.0, 0.9, 0.999, 1e-8, 1, np.array([3.0]), m, v, largest, w)
    >>> v.round(6), largest, w.round(6)
    (array([0.009]), array([0.036]), array([0.95]))
    """
    kind = w.dtype.type
    keep1, keep2 = kind(beta1), kind(beta2)
    add1, add2 = kind(1.0 - beta1), kind(1.0 - beta2)
    length = kind(rate / (1.0 - beta1 ** float(step)))
    correction = kind(1.0 / math.sqrt(1.0 - beta2 ** float(step)))
    smallest, stay = kind(epsilon), kind(1.0 - rate * decay)
    for k in range(w.size):
        gradient = dw[k]
        mean = keep1 * m[k] + add1 * gradient
        square = keep2 * v[k] + add2 * (gradient * gradient)
        most = largest[k] if largest[k] > square else square
        m[k] = mean
        v[k] = square
        largest[k] = most
        w[k] = stay * w[k] - length * (mean / (math.sqrt(most) * correction + smallest))


@kernel("- % % - - - #1 m m~ m~ m~")
def nadam_update(rate, beta1, beta2, epsilon, on_gradient, on_mean, step, dw, m, v, w):
    """NAdam: Adam that looks ahead along the mean gradient, like Nesterov momentum.

    `m` and `v` are Adam's;
    ``w -= rate * (on_gradient * dw + on_mean * m) / (sqrt(v / (1 - beta2**step)) + epsilon)``,
    with the two factors from :func:`~fastnn.kernels.schedules.nadam_factors`.  This is PyTorch's
    form.

    Parameters
    ----------
    rate, beta1, beta2, epsilon, on_gradient, on_mean : float
    step : int
        The number of this step, counted from 1.
    dw, m, v, w : (n,) arrays of one float type

    References
    ----------
    T. Dozat, "Incorporating Nesterov Momentum into Adam", ICLR 2016 workshop.

    Examples
    --------
    >>> import numpy as np
    >>> m, v, w = np.zeros(1), np.zeros(1), np.ones(1)
    >>> nadam_update(0.1, 0.9, 0.999, 1e-8, 0.5, 2.0, 1, np.array([3.0]), m, v, w)
    >>> m.round(6), v.round(6), w.round(6)
    (array([0.3]), array([0.009]), array([0.93]))
    """
    kind = w.dtype.type
    keep1, keep2 = kind(beta1), kind(beta2)
    add1, add2 = kind(1.0 - beta1), kind(1.0 - beta2)
    now, ahead = kind(rate * on_gradient), kind(rate * on_mean)
    correction = kind(1.0 / math.sqrt(1.0 - beta2 ** float(step)))
    smallest = kind(epsilon)
    for k in range(w.size):
        gradient = dw[k]
        mean = keep1 * m[k] + add1 * gradient
        square = keep2 * v[k] + add2 * (gradient * gradient)
        m[k] = mean
        v[k] = square
        w[k] -= (now * gradient + ahead * mean) / (math.sqrt(square) * correction + smallest)
