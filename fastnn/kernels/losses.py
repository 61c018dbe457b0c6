"""Losses and their gradients.

``<name>_forward(prediction, target, row_loss)`` writes the loss of every row;
``<name>_backward(prediction, target, row_scale, d)`` writes the gradient with respect to the
prediction, row `i` multiplied by ``row_scale[i]``.  With ``row_scale = weight / sum(weight)`` that
is the gradient of the weighted mean over the rows.  `d` may be `prediction`.

Shapes: `prediction` and `d` are (rows, n) in C order, `row_loss` and `row_scale` are (rows,), all
of one float type; so is `target`, (rows, n), but for softmax cross-entropy.
"""

import math

from fastnn.kernels.elementary import (
    exp_nonpositive,
    log1p_unit,
    row_maximum,
    row_sum,
    rows_exp,
    sigmoid,
    sign,
)
from fastnn.kernels.jit import REASSOCIATE, njit


@njit(fastmath=REASSOCIATE)
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


@njit
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


@njit(fastmath=REASSOCIATE)
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


@njit
def mae_backward(prediction, target, row_scale, d):
    """Gradient of absolute error: ``d = row_scale[i] * sign(prediction - target)``.

    The sign of 0 is 0; that of NaN is NaN.

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


@njit
def softmax_cross_entropy_forward(prediction, target, row_loss):
    """Cross-entropy of the softmax of logits with class labels, stable for any finite logits.

    ``row_loss[i] = log(sum_j exp(prediction[i, j])) - prediction[i, target[i]]``.  A NaN among
    the logits gives NaN.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Logits: what softmax would be applied to.
    target : (rows,) int64 array
        Class labels from 0 to n - 1.
    row_loss : (rows,) array of the float type

    References
    ----------
    J. S. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs",
    in Neurocomputing, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(2)
    >>> logits = np.array([[0.0, 0.0], [1e4, 0.0]])
    >>> softmax_cross_entropy_forward(logits, np.array([0, 1]), row_loss)
    >>> row_loss.round(4)
    array([6.931e-01, 1.000e+04])
    """
    for i in range(prediction.shape[0]):
        largest = row_maximum(prediction, i)
        total = _row_sum_exp(prediction, i, largest)
        row_loss[i] = math.log(total) - (prediction[i, target[i]] - largest)


@njit(fastmath=REASSOCIATE)
def _row_sum_exp(x, i, shift):
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += exp_nonpositive(x[i, j] - shift)
    return total


@njit
def softmax_cross_entropy_backward(prediction, target, row_scale, d):
    """Gradient of softmax cross-entropy: ``d = row_scale[i] * (softmax(prediction) - one_hot)``.

    Parameters
    ----------
    prediction, d : (rows, n) arrays of one float type
    target : (rows,) int64 array
        Class labels from 0 to n - 1.
    row_scale : (rows,) array of the float type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> softmax_cross_entropy_backward(np.zeros((1, 2)), np.array([1]), np.ones(1), d)
    >>> d
    array([[ 0.5, -0.5]])
    """
    one = d.dtype.type(1)
    rows_exp(prediction, d)
    for i in range(d.shape[0]):
        inverse = one / row_sum(d, i)
        at_label = row_scale[i] * (d[i, target[i]] * inverse - one)
        factor = row_scale[i] * inverse
        for j in range(d.shape[1]):
            d[i, j] *= factor
        d[i, target[i]] = at_label


@njit(fastmath=REASSOCIATE)
def logistic_forward(prediction, target, row_loss):
    """Cross-entropy of the sigmoid of logits, ``row_loss[i] = sum_j log(1 + e**f) - f * y``.

    Computed as ``max(f, 0) - f * y + log1p(exp(-|f|))``, which no finite logit `f` overflows.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Logits `f`: what the sigmoid would be applied to.
    target : (rows, n) array of that type
        `y`, 0 or 1, or a probability between.
    row_loss : (rows,) array of that type

    References
    ----------
    C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, equation 4.90.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> logistic_forward(np.array([[0.0, 1e4]]), np.array([[1.0, 0.0]]), row_loss)
    >>> row_loss.round(4)
    array([10000.6931])
    """
    zero = prediction.dtype.type(0)
    for i in range(prediction.shape[0]):
        total = zero
        for j in range(prediction.shape[1]):
            logit = prediction[i, j]
            positive = logit if logit > zero else zero
            total += positive - logit * target[i, j] + log1p_unit(exp_nonpositive(-abs(logit)))
        row_loss[i] = total


@njit
def logistic_backward(prediction, target, row_scale, d):
    """Gradient of the logistic loss: ``d = row_scale[i] * (sigmoid(prediction) - target)``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> logistic_backward(np.zeros((1, 2)), np.array([[1.0, 0.0]]), np.ones(1), d)
    >>> d
    array([[-0.5,  0.5]])
    """
    for k in range(prediction.size):
        d.flat[k] = sigmoid(prediction.flat[k])
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * (d[i, j] - target[i, j])
