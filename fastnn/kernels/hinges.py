"""Hinge losses, as in support vector machines, and their gradients; see `kernels.losses`.

At a kink, where a term just becomes 0, its gradient is 0.
"""

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import maximum, positive_part, row_sum, step
from fastnn.kernels.jit import REASSOCIATE, njit


@kernel("mn m<n - m!", fastmath=REASSOCIATE)
def multiclass_hinge_forward(prediction, target, margin, row_loss):
    """Multiclass hinge of Weston and Watkins: the sum over wrong j of max(0, f_j - f_y + margin).

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Scores `f`.
    target : (rows,) int64 array
        Class labels `y` from 0 to n - 1.
    margin : float
        Above 0.
    row_loss : (rows,) array of the float type

    References
    ----------
    J. Weston and C. Watkins, "Support Vector Machines for Multi-Class Pattern Recognition",
    ESANN 1999.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> multiclass_hinge_forward(np.array([[1.0, 3.0, 2.5]]), np.array([1]), 1.0, row_loss)
    >>> row_loss
    array([0.5])
    """
    width = prediction.dtype.type(margin)
    for i in range(prediction.shape[0]):
        row_loss[i] = _hinge_sum(prediction, i, target[i], width)


@njit(fastmath=REASSOCIATE)
def _hinge_sum(x, i, label, margin):
    zero = x.dtype.type(0)
    total, reference = zero, x[i, label]
    for j in range(x.shape[1]):
        total += zero if j == label else positive_part(x[i, j] - reference + margin)
    return total


@kernel("mn& m<n - m mn!")
def multiclass_hinge_backward(prediction, target, margin, row_scale, d):
    """Gradient of the multiclass hinge: 1 for each term above 0, and minus their number for f_y.

    The row is multiplied by ``row_scale[i]``.

    Parameters
    ----------
    prediction, d : (rows, n) arrays of one float type
    target : (rows,) int64 array
    margin : float
    row_scale : (rows,) array of the float type

    Examples
    --------
    >>> import numpy as np
    >>> d, scores = np.zeros((1, 3)), np.array([[1.0, 3.0, 2.5]])
    >>> multiclass_hinge_backward(scores, np.array([1]), 1.0, np.ones(1), d)
    >>> d
    array([[ 0., -1.,  1.]])
    """
    zero, width = d.dtype.type(0), d.dtype.type(margin)
    for i in range(prediction.shape[0]):
        scale, reference = row_scale[i], prediction[i, target[i]]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * step(prediction[i, j] - reference + width)
        d[i, target[i]] = zero
        d[i, target[i]] = -row_sum(d, i)


@kernel("mn m<n - m!")
def multiclass_squared_hinge_forward(prediction, target, margin, row_loss):
    """Squared multiclass hinge: the sum over wrong j of max(0, f_j - f_y + margin)**2.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Scores `f`.
    target : (rows,) int64 array
        Class labels `y` from 0 to n - 1.
    margin : float
        Above 0.
    row_loss : (rows,) array of the float type

    References
    ----------
    Y. Tang, "Deep Learning using Linear Support Vector Machines", 2013, arXiv:1306.0239, which
    compares one class with the rest; here each class is compared with the right one.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss, scores = np.zeros(1), np.array([[1.0, 3.0, 2.5]])
    >>> multiclass_squared_hinge_forward(scores, np.array([1]), 1.0, row_loss)
    >>> row_loss
    array([0.25])
    """
    width = prediction.dtype.type(margin)
    for i in range(prediction.shape[0]):
        row_loss[i] = _squared_sum(prediction, i, target[i], width)


@njit(fastmath=REASSOCIATE)
def _squared_sum(x, i, label, margin):
    zero = x.dtype.type(0)
    total, reference = zero, x[i, label]
    for j in range(x.shape[1]):
        term = zero if j == label else positive_part(x[i, j] - reference + margin)
        total += term * term
    return total


@kernel("mn& m<n - m mn!")
def multiclass_squared_hinge_backward(prediction, target, margin, row_scale, d):
    """Gradient of the squared hinge: twice each hinge, and minus their sum for f_y.

    The row is multiplied by ``row_scale[i]``.

    Parameters
    ----------
    prediction, d : (rows, n) arrays of one float type
    target : (rows,) int64 array
    margin : float
    row_scale : (rows,) array of the float type

    Examples
    --------
    >>> import numpy as np
    >>> d, scores = np.zeros((1, 3)), np.array([[1.0, 3.0, 2.5]])
    >>> multiclass_squared_hinge_backward(scores, np.array([1]), 1.0, np.ones(1), d)
    >>> d
    array([[ 0., -1.,  1.]])
    """
    zero, width = d.dtype.type(0), d.dtype.type(margin)
    for i in range(prediction.shape[0]):
        scale, reference = row_scale[i] + row_scale[i], prediction[i, target[i]]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * positive_part(prediction[i, j] - reference + width)
        d[i, target[i]] = zero
        d[i, target[i]] = -row_sum(d, i)


@kernel("mn mn m!", fastmath=REASSOCIATE)
def attribute_hinge_forward(prediction, target, row_loss):
    """Attribute hinge: ``row_loss[i] = sum_j max(0, 1 - y * f)``, where each column is a yes or no.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Scores `f`.
    target : (rows, n) array of that type
        `y`, -1 or 1.
    row_loss : (rows,) array of that type

    References
    ----------
    C. Cortes and V. Vapnik, "Support-Vector Networks", Machine Learning, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> attribute_hinge_forward(np.array([[0.5, 3.0]]), np.array([[1.0, -1.0]]), row_loss)
    >>> row_loss
    array([4.5])
    """
    one = prediction.dtype.type(1)
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(prediction.shape[1]):
            total += positive_part(one - target[i, j] * prediction[i, j])
        row_loss[i] = total


@kernel("mn& mn m mn!")
def attribute_hinge_backward(prediction, target, row_scale, d):
    """Gradient of the attribute hinge: ``d = -row_scale[i] * y`` where ``y * f < 1``, else 0.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> attribute_hinge_backward(np.array([[0.5, -3.0]]), np.array([[1.0, -1.0]]), np.ones(1), d)
    >>> d
    array([[-1.,  0.]])
    """
    one = d.dtype.type(1)
    for i in range(prediction.shape[0]):
        scale = -row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * (target[i, j] * step(one - target[i, j] * prediction[i, j]))


@kernel("mn m<n nn m!")
def structured_hinge_forward(prediction, target, cost, row_loss):
    """Structured hinge, multiclass: ``row_loss[i] = max_k (cost[y, k] + f_k) - f_y``.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Scores `f`.
    target : (rows,) int64 array
        Class labels `y` from 0 to n - 1.
    cost : (n, n) array of the float type
        ``cost[y, k]`` is the cost of predicting class k instead of class y; 0 on the diagonal.
    row_loss : (rows,) array of the float type

    References
    ----------
    I. Tsochantaridis, T. Joachims, T. Hofmann and Y. Altun, "Large Margin Methods for Structured
    and Interdependent Output Variables", JMLR, 2005 (margin rescaling).

    Examples
    --------
    >>> import numpy as np
    >>> row_loss, cost = np.zeros(1), np.array([[0.0, 1.0], [3.0, 0.0]])
    >>> structured_hinge_forward(np.array([[1.0, 2.0]]), np.array([1]), cost, row_loss)
    >>> row_loss
    array([2.])
    """
    for i in range(prediction.shape[0]):
        label = target[i]
        row_loss[i] = _most_violating(prediction, i, cost, label) - prediction[i, label]


@njit(fastmath=REASSOCIATE)
def _most_violating(x, i, cost, label):
    largest = x[i, label] + cost[label, label]
    for k in range(x.shape[1]):
        largest = maximum(largest, x[i, k] + cost[label, k])
    return largest


@kernel("mn& m<n nn m mn!")
def structured_hinge_backward(prediction, target, cost, row_scale, d):
    """Gradient of the structured hinge: 1 for the k of the maximum, and 1 less for `y`.

    The row is multiplied by ``row_scale[i]``.  If several k tie, `y` wins if it is among them, else
    the first.

    Parameters
    ----------
    prediction, d : (rows, n) arrays of one float type
    target : (rows,) int64 array
    cost : (n, n) array of the float type
    row_scale : (rows,) array of the float type

    Examples
    --------
    >>> import numpy as np
    >>> d, cost = np.zeros((1, 2)), np.array([[0.0, 1.0], [3.0, 0.0]])
    >>> structured_hinge_backward(np.array([[1.0, 2.0]]), np.array([1]), cost, np.ones(1), d)
    >>> d
    array([[ 1., -1.]])
    """
    zero = d.dtype.type(0)
    for i in range(prediction.shape[0]):
        label = target[i]
        largest = _most_violating(prediction, i, cost, label)
        most = label
        # A NaN, which does not equal itself, goes to the label so that it cannot pass for 0.
        if prediction[i, label] + cost[label, label] < largest:
            most = 0
            while most < d.shape[1] - 1 and prediction[i, most] + cost[label, most] != largest:
                most += 1
        for j in range(d.shape[1]):
            d[i, j] = zero
        d[i, most] += row_scale[i] if largest == largest else largest
        d[i, label] -= row_scale[i]
