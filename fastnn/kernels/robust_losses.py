"""Losses that grow more slowly than squared error, and their gradients; see `kernels.losses`."""

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import clipped, log_cosh, step, tanh
from fastnn.kernels.jit import REASSOCIATE, njit


@njit
def _huber(error, delta):
    """Return error**2 / 2 up to `delta`, and beyond it the tangent at `delta`."""
    size = abs(error)
    inner = clipped(error, delta)
    return abs(inner) * (size - type(error)(0.5) * abs(inner))


@kernel("mn mn + m!", fastmath=REASSOCIATE)
def huber_forward(prediction, target, delta, row_loss):
    """Huber's loss: the sum over j of ``e**2 / 2 if |e| <= delta else delta * (|e| - delta / 2)``.

    Parameters
    ----------
    prediction, target : (rows, n) arrays of one float type
        `e` is their difference.
    delta : float
        Above 0.
    row_loss : (rows,) array of that type

    References
    ----------
    P. J. Huber, "Robust Estimation of a Location Parameter", Ann. Math. Statist., 1964.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> huber_forward(np.array([[1.0, 5.0]]), np.array([[2.0, 2.0]]), 1.0, row_loss)
    >>> row_loss
    array([3.])
    """
    bound = prediction.dtype.type(delta)
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(prediction.shape[1]):
            total += _huber(prediction[i, j] - target[i, j], bound)
        row_loss[i] = total


@kernel("mn& mn + m mn!")
def huber_backward(prediction, target, delta, row_scale, d):
    """Gradient of Huber's loss: ``d = row_scale[i] * clip(prediction - target, -delta, delta)``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    delta : float
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> huber_backward(np.array([[1.5, 5.0]]), np.array([[2.0, 2.0]]), 1.0, np.ones(1), d)
    >>> d
    array([[-0.5,  1. ]])
    """
    bound = prediction.dtype.type(delta)
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * clipped(prediction[i, j] - target[i, j], bound)


@kernel("mn mn + m!", fastmath=REASSOCIATE)
def smooth_l1_forward(prediction, target, beta, row_loss):
    """Smooth L1: the sum over j of ``e**2 / (2 * beta) if |e| < beta else |e| - beta / 2``.

    This is Huber's loss with ``delta = beta``, divided by `beta`.

    Parameters
    ----------
    prediction, target : (rows, n) arrays of one float type
        `e` is their difference.
    beta : float
        Above 0.
    row_loss : (rows,) array of that type

    References
    ----------
    R. Girshick, "Fast R-CNN", ICCV 2015.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> smooth_l1_forward(np.array([[1.0, 5.0]]), np.array([[2.0, 2.0]]), 2.0, row_loss)
    >>> row_loss
    array([2.25])
    """
    bound = prediction.dtype.type(beta)
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(prediction.shape[1]):
            total += _huber(prediction[i, j] - target[i, j], bound)
        row_loss[i] = total / bound


@kernel("mn& mn + m mn!")
def smooth_l1_backward(prediction, target, beta, row_scale, d):
    """Gradient of smooth L1: ``d = row_scale[i] * clip((prediction - target) / beta, -1, 1)``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    beta : float
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> smooth_l1_backward(np.array([[1.0, 5.0]]), np.array([[2.0, 2.0]]), 2.0, np.ones(1), d)
    >>> d
    array([[-0.5,  1. ]])
    """
    one, bound = d.dtype.type(1), d.dtype.type(beta)
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * clipped((prediction[i, j] - target[i, j]) / bound, one)


@kernel("mn mn m!", fastmath=REASSOCIATE)
def log_cosh_forward(prediction, target, row_loss):
    """Log-cosh: ``row_loss[i] = sum_j log(cosh(prediction[i, j] - target[i, j]))``.

    It is about ``e**2 / 2`` for a small error e and ``|e| - log(2)`` for a large one, and does not
    overflow.

    Parameters
    ----------
    prediction, target : (rows, n) arrays of one float type
    row_loss : (rows,) array of that type

    References
    ----------
    R. A. Saleh and A. K. Saleh, "Statistical Properties of the log-cosh Loss Function Used in
    Machine Learning", 2022, arXiv:2208.04564.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(2)
    >>> log_cosh_forward(np.array([[1e-3], [1e4]]), np.zeros((2, 1)), row_loss)
    >>> row_loss
    array([4.99999917e-07, 9.99930685e+03])
    """
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(prediction.shape[1]):
            total += log_cosh(prediction[i, j] - target[i, j])
        row_loss[i] = total


@kernel("mn& mn m mn!")
def log_cosh_backward(prediction, target, row_scale, d):
    """Gradient of log-cosh: ``d = row_scale[i] * tanh(prediction - target)``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> log_cosh_backward(np.array([[2.0, 99.0]]), np.array([[2.0, 2.0]]), np.ones(1), d)
    >>> d
    array([[0., 1.]])
    """
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * tanh(prediction[i, j] - target[i, j])


@kernel("m(qn) mn q m!", fastmath=REASSOCIATE)
def quantile_forward(prediction, target, levels, row_loss):
    """Quantile loss (pinball): the sum over levels q and targets of ``max(q * e, (q - 1) * e)``.

    Here ``e = target - prediction``.  Each unit by which a prediction is too low costs q, and each
    unit too high costs 1 - q, so the quantile q minimizes the mean loss.

    Parameters
    ----------
    prediction : (rows, q * n) array of a float type
        The predictions of all n targets for the first level, then for the second, and so on.
    target : (rows, n) array of that type
    levels : (q,) array of that type
        Above 0 and below 1.
    row_loss : (rows,) array of that type

    References
    ----------
    R. Koenker and G. Bassett, "Regression Quantiles", Econometrica, 1978.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> levels = np.array([0.1, 0.9])
    >>> quantile_forward(np.array([[1.0, 5.0]]), np.array([[3.0]]), levels, row_loss)
    >>> row_loss.round(4)
    array([0.4])
    """
    one = prediction.dtype.type(1)
    n = target.shape[1]
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for k in range(levels.shape[0]):
            low, high = levels[k], levels[k] - one
            for j in range(n):
                error = target[i, j] - prediction[i, k * n + j]
                total += (low if error > 0 else high) * error
        row_loss[i] = total


@kernel("m(qn)& mn q m m(qn)!")
def quantile_backward(prediction, target, levels, row_scale, d):
    """Gradient of the quantile loss: ``-q`` if the prediction is too low, ``1 - q`` if too high.

    It is 0 if the prediction equals the target.  The row is multiplied by ``row_scale[i]``.

    Parameters
    ----------
    prediction, d : (rows, q * n) arrays of one float type
    target : (rows, n) array of that type
    levels : (q,) array of that type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d, levels = np.zeros((1, 2)), np.array([0.25, 0.75])
    >>> quantile_backward(np.array([[1.0, 5.0]]), np.array([[3.0]]), levels, np.ones(1), d)
    >>> d
    array([[-0.25,  0.25]])
    """
    one = prediction.dtype.type(1)
    n = target.shape[1]
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for k in range(levels.shape[0]):
            low, high = levels[k], one - levels[k]
            for j in range(n):
                error = prediction[i, k * n + j] - target[i, j]
                d[i, k * n + j] = scale * (high * step(error) - low * step(-error))
