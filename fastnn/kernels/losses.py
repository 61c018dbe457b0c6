"""Losses that are sums of errors, and their gradients.

Here and in the modules of the other losses (``robust_losses``, ``likelihoods``, ``hinges``),
``<name>_forward(prediction, target, row_loss)`` writes the loss of every row, and
``<name>_backward(prediction, target, row_scale, d)`` writes the gradient with respect to the
prediction, with row `i` multiplied by ``row_scale[i]``.  With ``row_scale = weight / sum(weight)``,
that is the gradient of the weighted mean over the rows.  `d` may be `prediction`.  A loss's
settings follow `target`.

`prediction` and `d` are (rows, n) in C order, and `row_loss` and `row_scale` are (rows,), all of
one float type.  So is `target`, (rows, n), unless the loss says otherwise.
"""

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import sign
from fastnn.kernels.jit import REASSOCIATE


@kernel("mn mn m!", fastmath=REASSOCIATE)
def mse_forward(prediction, target, row_loss):
    """Squared error: ``row_loss[i] = sum_j (prediction[i, j] - target[i, j])**2``.

    Parameters
    ----------
    prediction, target : (rows, n) arrays of one float type
    row_loss : (rows,) array of that type

    References
    ----------
    T. Hastie, R. Tibshirani and J. Friedman, "The Elements of Statistical Learning", 2009,
    section 10.6.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> mse_forward(np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]]), row_loss)
    >>> row_loss
    array([5.])
    """
    if prediction.shape[1] == 1:  # rows are elements then, and the loop over them vectorizes
        for i in range(prediction.shape[0]):
            error = prediction.flat[i] - target.flat[i]
            row_loss[i] = error * error
        return
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(prediction.shape[1]):
            error = prediction[i, j] - target[i, j]
            total += error * error
        row_loss[i] = total


@kernel("mn& mn m mn!")
def mse_backward(prediction, target, row_scale, d):
    """Gradient of squared error: ``d = 2 * row_scale[i] * (prediction - target)``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> mse_backward(np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]]), np.ones(1), d)
    >>> d
    array([[-2.,  4.]])
    """
    for i in range(prediction.shape[0]):
        scale = row_scale[i] + row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * (prediction[i, j] - target[i, j])


@kernel("mn mn m!", fastmath=REASSOCIATE)
def mae_forward(prediction, target, row_loss):
    """Absolute error: ``row_loss[i] = sum_j |prediction[i, j] - target[i, j]|``.

    Parameters
    ----------
    prediction, target : (rows, n) arrays of one float type
    row_loss : (rows,) array of that type

    References
    ----------
    T. Hastie, R. Tibshirani and J. Friedman, "The Elements of Statistical Learning", 2009,
    section 10.6.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> mae_forward(np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]]), row_loss)
    >>> row_loss
    array([3.])
    """
    if prediction.shape[1] == 1:  # rows are elements then, and the loop over them vectorizes
        for i in range(prediction.shape[0]):
            row_loss[i] = abs(prediction.flat[i] - target.flat[i])
        return
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(prediction.shape[1]):
            total += abs(prediction[i, j] - target[i, j])
        row_loss[i] = total


@kernel("mn& mn m mn!")
def mae_backward(prediction, target, row_scale, d):
    """Gradient of absolute error: ``d = row_scale[i] * sign(prediction - target)``.

    The sign of 0 is 0, and the sign of NaN is NaN.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 3))
    >>> mae_backward(np.array([[1.0, 5.0, 2.0]]), np.array([[2.0, 3.0, 2.0]]), np.ones(1), d)
    >>> d
    array([[-1.,  1.,  0.]])
    """
    if prediction.shape[1] == 1:  # rows are elements then, and the loop over them vectorizes
        for i in range(prediction.shape[0]):
            d.flat[i] = row_scale[i] * sign(prediction.flat[i] - target.flat[i])
        return
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * sign(prediction[i, j] - target[i, j])


@kernel("mn mn m!", fastmath=REASSOCIATE)
def half_mse_forward(prediction, target, row_loss):
    """Half the squared error: ``row_loss[i] = sum_j (prediction[i, j] - target[i, j])**2 / 2``.

    Parameters
    ----------
    prediction, target : (rows, n) arrays of one float type
    row_loss : (rows,) array of that type

    References
    ----------
    C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, equation 5.11.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> half_mse_forward(np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]]), row_loss)
    >>> row_loss
    array([2.5])
    """
    half = prediction.dtype.type(0.5)
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(prediction.shape[1]):
            error = prediction[i, j] - target[i, j]
            total += error * error
        row_loss[i] = half * total


@kernel("mn& mn m mn!")
def half_mse_backward(prediction, target, row_scale, d):
    """Gradient of half the squared error: ``d = row_scale[i] * (prediction - target)``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> half_mse_backward(np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]]), np.ones(1), d)
    >>> d
    array([[-1.,  2.]])
    """
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * (prediction[i, j] - target[i, j])


@kernel("mn mn m!", fastmath=REASSOCIATE)
def signed_error_forward(prediction, target, row_loss):
    """Signed error: ``row_loss[i] = sum_j prediction[i, j] - target[i, j]``, unbounded below.

    Parameters
    ----------
    prediction, target : (rows, n) arrays of one float type
    row_loss : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> signed_error_forward(np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]]), row_loss)
    >>> row_loss
    array([1.])
    """
    for i in range(prediction.shape[0]):
        total = 0.0  # float64, because errors of both signs cancel
        for j in range(prediction.shape[1]):
            total += np.float64(prediction[i, j]) - np.float64(target[i, j])
        row_loss[i] = total


@kernel("mn& mn m mn!")
def signed_error_backward(prediction, target, row_scale, d):
    """Gradient of the signed error: ``d = row_scale[i]``, whatever the error.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> signed_error_backward(np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]]), np.ones(1), d)
    >>> d
    array([[1., 1.]])
    """
    for i in range(d.shape[0]):
        scale = row_scale[i]
        for j in range(d.shape[1]):
            d[i, j] = scale
