"""Penalties on parameters: their values, their gradients, and steps that shrink parameters.

``<name>_value(strength, w, total)`` adds the penalty to ``total[0]``, and
``<name>_gradient(strength, w, dw)`` adds its gradient to `dw`.
``<name>_shrink(strength, w)`` changes `w` before an optimizer's update, and
``<name>_proximal(rate, strength, w)`` changes it afterwards.  Further settings follow `strength`.
`w` and `dw` are (n,), of one float type.  `total` is (1,) float64, and sums are computed in
float64.
"""

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import copysign, power, sign
from fastnn.kernels.jit import REASSOCIATE


@kernel("- n 1~^", parallel=False, fastmath=REASSOCIATE)
def l1_value(strength, w, total):
    """Lasso penalty: ``total += strength * sum |w|``.

    Parameters
    ----------
    strength : float
    w : (n,) array of a float type
    total : (1,) float64 array

    References
    ----------
    R. Tibshirani, "Regression Shrinkage and Selection via the Lasso", J. R. Stat. Soc. B, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> total = np.ones(1)
    >>> l1_value(0.5, np.array([1.0, -3.0]), total)
    >>> total
    array([3.])
    """
    magnitude = 0.0
    for k in range(w.size):
        magnitude += np.float64(abs(w[k]))
    total[0] += strength * magnitude


@kernel("- m m~")
def l1_gradient(strength, w, dw):
    """Gradient of the lasso penalty: ``dw += strength * sign(w)``, where the sign of 0 is 0.

    Parameters
    ----------
    strength : float
    w, dw : (n,) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> dw = np.ones(3)
    >>> l1_gradient(0.5, np.array([1.0, -3.0, 0.0]), dw)
    >>> dw
    array([1.5, 0.5, 1. ])
    """
    rate = w.dtype.type(strength)
    for k in range(w.size):
        dw[k] += rate * sign(w[k])


@kernel("- m~")
def l1_shrink(strength, w):
    """Constant shrink: ``w -= strength * sign(w)``, where the sign of 0 is 0.

    Every weight moves toward 0 by the same amount; smaller weights overshoot.

    Parameters
    ----------
    strength : float
    w : (n,) array of a float type

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, -3.0, 0.25])
    >>> l1_shrink(0.5, w)
    >>> w
    array([ 0.5 , -2.5 , -0.25])
    """
    amount = w.dtype.type(strength)
    for k in range(w.size):
        w[k] -= amount * sign(w[k])


@kernel("+0 +0 m~")
def l1_proximal(rate, strength, w):
    """Soft threshold: ``w = sign(w) * max(|w| - rate * strength, 0)``.

    The result is the u that minimizes ``(u - w)**2 / 2 + rate * strength * |u|``.

    Parameters
    ----------
    rate, strength : float
        The learning rate of the preceding update, and the penalty's strength.
    w : (n,) array of a float type

    References
    ----------
    I. Daubechies, M. Defrise and C. De Mol, "An Iterative Thresholding Algorithm for Linear
    Inverse Problems with a Sparsity Constraint", Comm. Pure Appl. Math., 2004.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, -3.0, 0.25])
    >>> l1_proximal(0.5, 1.0, w)
    >>> w
    array([ 0.5, -2.5,  0. ])
    """
    kind = w.dtype.type
    threshold, zero = kind(rate * strength), kind(0)
    for k in range(w.size):
        left = abs(w[k]) - threshold
        w[k] = zero if left <= zero else copysign(left, w[k])


@kernel("- n 1~^", parallel=False, fastmath=REASSOCIATE)
def l2_value(strength, w, total):
    """Ridge penalty: ``total += strength / 2 * sum w**2``.

    Keras's ``L2(l2)`` has no 1/2, so its `l2` is ``strength / 2``.

    Parameters
    ----------
    strength : float
    w : (n,) array of a float type
    total : (1,) float64 array

    References
    ----------
    A. E. Hoerl and R. W. Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal
    Problems", Technometrics, 1970.

    Examples
    --------
    >>> import numpy as np
    >>> total = np.ones(1)
    >>> l2_value(0.5, np.array([1.0, -3.0]), total)
    >>> total
    array([3.5])
    """
    squares = 0.0
    for k in range(w.size):
        value = np.float64(w[k])
        squares += value * value
    total[0] += 0.5 * strength * squares


@kernel("- m m~")
def l2_gradient(strength, w, dw):
    """Gradient of the ridge penalty: ``dw += strength * w``.

    Parameters
    ----------
    strength : float
    w, dw : (n,) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> dw = np.ones(2)
    >>> l2_gradient(0.5, np.array([1.0, -3.0]), dw)
    >>> dw
    array([ 1.5, -0.5])
    """
    rate = w.dtype.type(strength)
    for k in range(w.size):
        dw[k] += rate * w[k]


@kernel("+0 + n 1~^", parallel=False, fastmath=REASSOCIATE)
def lq_value(strength, q, w, total):
    """Bridge penalty: ``total += strength / 2 * sum |w|**q``, for q > 0.

    Parameters
    ----------
    strength, q : float
    w : (n,) array of a float type
    total : (1,) float64 array

    References
    ----------
    I. E. Frank and J. H. Friedman, "A Statistical View of Some Chemometrics Regression Tools",
    Technometrics, 1993.

    Examples
    --------
    >>> import numpy as np
    >>> total = np.ones(1)
    >>> lq_value(0.5, 3.0, np.array([1.0, -3.0, 0.0]), total)
    >>> total.round(12)
    array([8.])
    """
    powers = 0.0
    for k in range(w.size):
        magnitude = abs(np.float64(w[k]))
        powers += 0.0 if magnitude == 0.0 else power(magnitude, q)
    total[0] += 0.5 * strength * powers


@kernel("+0 + m m~")
def lq_gradient(strength, q, w, dw):
    """Gradient of the bridge penalty: ``dw += strength / 2 * q * |w|**(q - 1) * sign(w)``, 0 at 0.

    With q < 1 it grows without bound toward 0.  q must not be 1; use :func:`l1_gradient` for that.

    Parameters
    ----------
    strength, q : float
    w, dw : (n,) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> dw = np.ones(3)
    >>> lq_gradient(0.5, 3.0, np.array([1.0, -3.0, 0.0]), dw)
    >>> dw.round(12)
    array([ 1.75, -5.75,  1.  ])
    """
    kind = w.dtype.type
    factor, exponent, zero = kind(0.5 * strength * q), kind(q - 1.0), kind(0)
    for k in range(w.size):
        slope = copysign(factor * power(abs(w[k]), exponent), w[k])
        dw[k] += zero if w[k] == 0 else slope
