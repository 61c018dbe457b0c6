"""Activation functions and their derivatives.

Every matrix is (rows, n) in C order, float32 or float64.  ``<name>_forward(x, out)`` writes the
activation of the input `x`.  ``<name>_backward(x, y, dy, dx)`` writes the gradient of the loss with
respect to `x`, given `dy`, the gradient with respect to the output `y`.  The backward kernels here
use only `y`, so you may pass any matrix of the same type as `x`.  Results may overwrite inputs:
`out` may be `x`, and `dx` may be `dy`.

Elementwise loops run over ``x.flat`` instead of rows.  A row of one or ten numbers is too short to
vectorize, which makes each element three to ten times as expensive.
"""

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import row_dot, row_sum, rows_exp, sigmoid, tanh


@kernel("mn& mn!")
def identity_forward(x, out):
    """Copy: ``out = x``.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 2))
    >>> identity_forward(np.array([[1.0, -2.0]]), out)
    >>> out
    array([[ 1., -2.]])
    """
    for k in range(x.size):
        out.flat[k] = x.flat[k]


@kernel("mn mn mn& mn!")
def identity_backward(x, y, dy, dx):
    """Gradient of the identity: ``dx = dy``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> y, dy, dx = np.ones((1, 2)), np.array([[3.0, -4.0]]), np.zeros((1, 2))
    >>> identity_backward(y, y, dy, dx)
    >>> dx
    array([[ 3., -4.]])
    """
    for k in range(dy.size):
        dx.flat[k] = dy.flat[k]


@kernel("mn& - mn!")
def relu_forward(x, slope, out):
    """Rectified linear unit: ``out = x where x > 0, else slope * x``.

    With `slope` 0 this is the plain unit, with a small positive `slope` the leaky one.  NaN stays
    NaN.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type
    slope : float

    References
    ----------
    V. Nair and G. E. Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines",
    ICML 2010; the leaky unit: A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier Nonlinearities
    Improve Neural Network Acoustic Models", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> relu_forward(np.array([[-2.0, 0.0, 3.0]]), 0.0, out)
    >>> out
    array([[0., 0., 3.]])
    """
    zero = x.dtype.type(0)
    factor = x.dtype.type(slope)
    if slope == 0:  # a separate case, because 0 * -inf is NaN
        for k in range(x.size):
            value = x.flat[k]
            out.flat[k] = zero if value <= zero else value
    else:
        for k in range(x.size):
            value = x.flat[k]
            out.flat[k] = value if value > zero else factor * value + zero


@kernel("mn mn - mn& mn!")
def relu_backward(x, y, slope, dy, dx):
    """Gradient of the rectified linear unit: ``dx = dy where y > 0, else slope * dy``.

    At 0, where the unit has no derivative, it is the gradient from the left.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type
    slope : float
        The slope of the forward pass, at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> y, dy, dx = np.array([[0.0, 3.0]]), np.array([[5.0, 7.0]]), np.zeros((1, 2))
    >>> relu_backward(y, y, 0.0, dy, dx)
    >>> dx
    array([[0., 7.]])
    """
    zero = dy.dtype.type(0)
    factor = dy.dtype.type(slope)
    for k in range(dy.size):
        value = dy.flat[k]
        dx.flat[k] = value if y.flat[k] > zero else factor * value


@kernel("mn& mn!")
def sigmoid_forward(x, out):
    """Logistic sigmoid: ``out = 1 / (1 + exp(-x))``, without overflow for any `x`.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, equation 4.59.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> sigmoid_forward(np.array([[-1e4, 0.0, 1e4]]), out)
    >>> out
    array([[0. , 0.5, 1. ]])
    """
    for k in range(x.size):
        out.flat[k] = sigmoid(x.flat[k])


@kernel("mn mn mn& mn!")
def sigmoid_backward(x, y, dy, dx):
    """Gradient of the logistic sigmoid: ``dx = dy * y * (1 - y)``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> y, dy, dx = np.array([[0.0, 0.5]]), np.array([[1.0, 2.0]]), np.zeros((1, 2))
    >>> sigmoid_backward(y, y, dy, dx)
    >>> dx
    array([[0. , 0.5]])
    """
    one = y.dtype.type(1)
    for k in range(dy.size):
        value = y.flat[k]
        dx.flat[k] = dy.flat[k] * (value * (one - value))


@kernel("mn& mn!")
def tanh_forward(x, out):
    """Hyperbolic tangent: ``out = (exp(x) - exp(-x)) / (exp(x) + exp(-x))``.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    Y. LeCun, L. Bottou, G. B. Orr and K.-R. Mueller, "Efficient BackProp", 1998, section 4.4.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> tanh_forward(np.array([[-1e4, 0.0, 1e-9]]), out)
    >>> out
    array([[-1.e+00,  0.e+00,  1.e-09]])
    """
    for k in range(x.size):
        out.flat[k] = tanh(x.flat[k])


@kernel("mn mn mn& mn!")
def tanh_backward(x, y, dy, dx):
    """Gradient of the hyperbolic tangent: ``dx = dy * (1 - y**2)``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> y, dy, dx = np.array([[0.0, 0.5]]), np.array([[1.0, 2.0]]), np.zeros((1, 2))
    >>> tanh_backward(y, y, dy, dx)
    >>> dx
    array([[1. , 1.5]])
    """
    one = y.dtype.type(1)
    for k in range(dy.size):
        value = y.flat[k]
        dx.flat[k] = dy.flat[k] * ((one - value) * (one + value))


@kernel("mn& mn!")
def softmax_forward(x, out):
    """Softmax of every row: ``out[i, j] = exp(x[i, j]) / sum_k exp(x[i, k])``.

    The largest element of each row is subtracted first, so no finite `x` overflows.  A row that
    contains NaN or +inf becomes NaN.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    J. S. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs",
    in Neurocomputing, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 2))
    >>> softmax_forward(np.array([[1e4, 1e4]]), out)
    >>> out
    array([[0.5, 0.5]])
    """
    one = x.dtype.type(1)
    rows_exp(x, out)
    for i in range(x.shape[0]):
        factor = one / row_sum(out, i)
        for j in range(x.shape[1]):
            out[i, j] *= factor


@kernel("mn mn mn& mn!")
def softmax_backward(x, y, dy, dx):
    """Gradient of softmax: ``dx[i, j] = y[i, j] * (dy[i, j] - sum_k dy[i, k] * y[i, k])``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> y, dy, dx = np.array([[0.5, 0.5]]), np.array([[1.0, 3.0]]), np.zeros((1, 2))
    >>> softmax_backward(y, y, dy, dx)
    >>> dx
    array([[-0.5,  0.5]])
    """
    for i in range(dy.shape[0]):
        mean = row_dot(dy, y, i)
        for j in range(dy.shape[1]):
            dx[i, j] = y[i, j] * (dy[i, j] - mean)
