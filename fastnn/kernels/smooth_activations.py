"""Activation functions made of exponentials, other than sigmoid and tanh, and their derivatives.

As in :mod:`fastnn.kernels.activations`, matrices are (rows, n) in C order, of one float type.
``<name>_forward(x, out)`` writes the activation, and ``<name>_backward(x, y, dy, dx)`` the gradient
with respect to the input `x`, where `y` is the output.  Kernels that use only one of `x` and `y`
say so.  NaN stays NaN, and infinite inputs give the limits.
"""

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import (
    clipped,
    exp,
    exp_nonpositive,
    expm1_nonpositive,
    normal,
    select,
    sigmoid,
    softplus,
    tail_bound,
)
from fastnn.kernels.jit import njit

SELU_SCALE = 1.0507009873554805
SELU_LIMIT = 1.7580993408473769
"""The scale times alpha, 1.6732632423543772: minus the least output."""


@kernel("mn& mn!")
def exponential_forward(x, out):
    """Exponential: ``out = exp(x)``, or inf on overflow.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> exponential_forward(np.array([[-np.inf, 0.0, 1e4]]), out)
    >>> out
    array([[ 0.,  1., inf]])
    """
    for k in range(x.size):
        out.flat[k] = exp(x.flat[k])


@kernel("mn mn mn& mn!")
def exponential_backward(x, y, dy, dx):
    """Gradient of the exponential: ``dx = dy * y``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> y, dy, dx = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.zeros((1, 2))
    >>> exponential_backward(y, y, dy, dx)
    >>> dx
    array([[3., 8.]])
    """
    for k in range(dy.size):
        dx.flat[k] = dy.flat[k] * y.flat[k]


@kernel("mn& - mn!")
def elu_forward(x, alpha, out):
    """Exponential linear unit: ``out = x where x > 0, else alpha * (exp(x) - 1)``.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type
    alpha : float
        Above 0.

    References
    ----------
    D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and Accurate Deep Network Learning by
    Exponential Linear Units (ELUs)", ICLR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> elu_forward(np.array([[-np.inf, 0.0, 3.0]]), 2.0, out)
    >>> out
    array([[-2.,  0.,  3.]])
    """
    zero = x.dtype.type(0)
    factor = x.dtype.type(alpha)
    for k in range(x.size):
        value = x.flat[k]
        below = factor * expm1_nonpositive(zero if value > zero else value)
        out.flat[k] = value if value > zero else below


@kernel("mn mn - mn& mn!")
def elu_backward(x, y, alpha, dy, dx):
    """Gradient of the exponential linear unit: ``dx = dy where y > 0, else dy * (y + alpha)``.

    At 0 it is the gradient from the left, `alpha`.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type
        Only `y` is used.
    alpha : float
        The alpha of the forward pass.

    Examples
    --------
    >>> import numpy as np
    >>> y, dy, dx = np.array([[-0.5, 3.0]]), np.array([[2.0, 2.0]]), np.zeros((1, 2))
    >>> elu_backward(y, y, 1.0, dy, dx)
    >>> dx
    array([[1., 2.]])
    """
    zero, one = y.dtype.type(0), y.dtype.type(1)
    shift = y.dtype.type(alpha)
    for k in range(dy.size):
        value = y.flat[k]
        dx.flat[k] = dy.flat[k] * (one if value > zero else value + shift)


@kernel("mn& mn!")
def selu_forward(x, out):
    """Scaled exponential linear unit: ``out = scale * (x where x > 0, else alpha * (exp(x) - 1))``.

    With scale 1.0507 and alpha 1.6733, numbers of mean 0 and variance 1 keep both through layers
    that start with LeCun's normal weights.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-Normalizing Neural Networks",
    NIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> selu_forward(np.array([[-np.inf, 0.0, 1.0]]), out)
    >>> out.round(4)
    array([[-1.7581,  0.    ,  1.0507]])
    """
    zero = x.dtype.type(0)
    scale, limit = x.dtype.type(SELU_SCALE), x.dtype.type(SELU_LIMIT)
    for k in range(x.size):
        value = x.flat[k]
        below = limit * expm1_nonpositive(zero if value > zero else value)
        out.flat[k] = scale * value if value > zero else below


@kernel("mn mn mn& mn!")
def selu_backward(x, y, dy, dx):
    """Gradient of SELU: ``dx = dy * scale where y > 0, else dy * (y + scale * alpha)``.

    At 0 it is the gradient from the left, ``scale * alpha``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type
        Only `y` is used.

    Examples
    --------
    >>> import numpy as np
    >>> y, dy, dx = np.array([[0.0, 3.0]]), np.array([[1.0, 1.0]]), np.zeros((1, 2))
    >>> selu_backward(y, y, dy, dx)
    >>> dx.round(4)
    array([[1.7581, 1.0507]])
    """
    zero = y.dtype.type(0)
    scale, limit = y.dtype.type(SELU_SCALE), y.dtype.type(SELU_LIMIT)
    for k in range(dy.size):
        value = y.flat[k]
        dx.flat[k] = dy.flat[k] * (scale if value > zero else value + limit)


@kernel("mn& mn!")
def softplus_forward(x, out):
    """Softplus: ``out = log(1 + exp(x))``, without overflow for any `x`.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    C. Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing",
    NIPS 2000.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> softplus_forward(np.array([[-1e4, 0.0, 1e4]]), out)
    >>> out.round(4)
    array([[0.000e+00, 6.931e-01, 1.000e+04]])
    """
    for k in range(x.size):
        out.flat[k] = softplus(x.flat[k])


@kernel("mn mn mn& mn!")
def softplus_backward(x, y, dy, dx):
    """Gradient of softplus: ``dx = dy / (1 + exp(-x))``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type
        Only `x` is used.

    Examples
    --------
    >>> import numpy as np
    >>> x, dy, dx = np.zeros((1, 1)), np.array([[3.0]]), np.zeros((1, 1))
    >>> softplus_backward(x, x, dy, dx)
    >>> dx
    array([[1.5]])
    """
    for k in range(dy.size):
        dx.flat[k] = dy.flat[k] * sigmoid(x.flat[k])


@kernel("mn& mn!")
def silu_forward(x, out):
    """Sigmoid-weighted linear unit (swish): ``out = x / (1 + exp(-x))``.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-Weighted Linear Units for Neural Network Function
    Approximation in Reinforcement Learning", Neural Networks, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> silu_forward(np.array([[0.0, 100.0, np.inf]]), out)
    >>> out
    array([[  0., 100.,  inf]])
    """
    least = -tail_bound(x.dtype.type(0))
    for k in range(x.size):
        value = least if x.flat[k] < least else x.flat[k]  # -inf times 0 is NaN
        out.flat[k] = value * sigmoid(value)


@kernel("mn mn mn& mn!")
def silu_backward(x, y, dy, dx):
    """Gradient of SiLU: ``dx = dy * s * (1 + x * (1 - s))`` with ``s = 1 / (1 + exp(-x))``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type
        Only `x` is used.

    Examples
    --------
    >>> import numpy as np
    >>> x, dy, dx = np.zeros((1, 1)), np.array([[3.0]]), np.zeros((1, 1))
    >>> silu_backward(x, x, dy, dx)
    >>> dx
    array([[1.5]])
    """
    one, bound = x.dtype.type(1), tail_bound(x.dtype.type(0))
    for k in range(dy.size):
        value = clipped(x.flat[k], bound)
        share = sigmoid(value)
        dx.flat[k] = dy.flat[k] * (share * (one + value * (one - share)))


@njit
def _tanh_softplus(x):
    """Return t = tanh(log(1 + e**x)), 1 - t, and the sigmoid of x, none of which cancels."""
    one, two = type(x)(1), type(x)(2)
    e = exp_nonpositive(-abs(x))
    # t = n / (n + d) for (1 + e**x)**2 = 1 + n if d is 2; for x > 0, both divided by e**(2 x).
    n = select(x < 0, e * (e + two), one + two * e)
    d = select(x < 0, two, two * e * e)
    return n / (n + d), d / (n + d), select(x < 0, e, one) / (one + e)


@kernel("mn& mn!")
def mish_forward(x, out):
    """Mish: ``out = x * tanh(log(1 + exp(x)))``.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> mish_forward(np.array([[0.0, 1.0, 100.0]]), out)
    >>> out.round(4)
    array([[  0.    ,   0.8651, 100.    ]])
    """
    least = -tail_bound(x.dtype.type(0))
    for k in range(x.size):
        value = least if x.flat[k] < least else x.flat[k]  # -inf times 0 is NaN
        share, _, _ = _tanh_softplus(value)
        out.flat[k] = value * share


@kernel("mn mn mn& mn!")
def mish_backward(x, y, dy, dx):
    """Gradient of Mish: ``dx = dy * (t + x * (1 - t**2) / (1 + exp(-x)))``, t as in its definition.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type
        Only `x` is used.

    Examples
    --------
    >>> import numpy as np
    >>> x, dy, dx = np.zeros((1, 1)), np.array([[10.0]]), np.zeros((1, 1))
    >>> mish_backward(x, x, dy, dx)
    >>> dx
    array([[6.]])
    """
    one, bound = x.dtype.type(1), tail_bound(x.dtype.type(0))
    for k in range(dy.size):
        value = clipped(x.flat[k], bound)
        share, rest, slope = _tanh_softplus(value)
        dx.flat[k] = dy.flat[k] * (share + value * (rest * (one + share) * slope))


@kernel("mn& mn!")
def gelu_forward(x, out):
    """Gaussian error linear unit: ``out = x * P``, ``P = (1 + erf(x / sqrt(2))) / 2``.

    `P` is the probability that a standard normal number is below `x`.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> gelu_forward(np.array([[0.0, 1.0, 100.0]]), out)
    >>> out.round(4)
    array([[  0.    ,   0.8413, 100.    ]])
    """
    least = -tail_bound(x.dtype.type(0))
    for k in range(x.size):
        value = least if x.flat[k] < least else x.flat[k]  # -inf times 0 is NaN
        below, _ = normal(value)
        out.flat[k] = value * below


@kernel("mn mn mn& mn!")
def gelu_backward(x, y, dy, dx):
    """Gradient of GELU: ``dx = dy * (P + x * exp(-x**2 / 2) / sqrt(2 * pi))``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type
        Only `x` is used.

    Examples
    --------
    >>> import numpy as np
    >>> x, dy, dx = np.zeros((1, 1)), np.array([[3.0]]), np.zeros((1, 1))
    >>> gelu_backward(x, x, dy, dx)
    >>> dx
    array([[1.5]])
    """
    bound = tail_bound(x.dtype.type(0))
    for k in range(dy.size):
        value = clipped(x.flat[k], bound)
        below, density = normal(value)
        dx.flat[k] = dy.flat[k] * (below + value * density)


@njit
def _gelu_tanh_argument(x):
    """Return 2 u and its derivative, with ``u = sqrt(2 / pi) * (x + 0.044715 * x**3)``."""
    kind = type(x)
    cubic = kind(0.044715) * x * x
    factor = kind(1.5957691216057308)  # 2 sqrt(2 / pi)
    return factor * x * (kind(1) + cubic), factor * (kind(1) + kind(3) * cubic)


@kernel("mn& mn!")
def gelu_tanh_forward(x, out):
    """GELU approximated with the hyperbolic tangent: ``out = x * (1 + tanh(u)) / 2``.

    Here ``u = sqrt(2 / pi) * (x + 0.044715 * x**3)``.  The result is within 5e-4 of
    :func:`gelu_forward`.  It is computed as ``x / (1 + exp(-2 * u))``, which is the same.

    Parameters
    ----------
    x, out : (rows, n) arrays of one float type

    References
    ----------
    D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros((1, 3))
    >>> gelu_tanh_forward(np.array([[0.0, 1.0, 100.0]]), out)
    >>> out.round(4)
    array([[  0.    ,   0.8412, 100.    ]])
    """
    least = -tail_bound(x.dtype.type(0))
    for k in range(x.size):
        value = least if x.flat[k] < least else x.flat[k]  # -inf times 0 is NaN
        argument, _ = _gelu_tanh_argument(value)
        out.flat[k] = value * sigmoid(argument)


@kernel("mn mn mn& mn!")
def gelu_tanh_backward(x, y, dy, dx):
    """Gradient of that: ``dx = dy * s * (1 + 2 * x * u' * (1 - s))``, ``s = 1/(1 + exp(-2 * u))``.

    Parameters
    ----------
    x, y, dy, dx : (rows, n) arrays of one float type
        Only `x` is used.

    Examples
    --------
    >>> import numpy as np
    >>> x, dy, dx = np.zeros((1, 1)), np.array([[3.0]]), np.zeros((1, 1))
    >>> gelu_tanh_backward(x, x, dy, dx)
    >>> dx
    array([[1.5]])
    """
    one, bound = x.dtype.type(1), tail_bound(x.dtype.type(0))
    for k in range(dy.size):
        value = clipped(x.flat[k], bound)
        argument, slope = _gelu_tanh_argument(value)
        share = sigmoid(argument)
        dx.flat[k] = dy.flat[k] * (share * (one + value * slope * (one - share)))
