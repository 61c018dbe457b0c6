"""Penalties on parameters and their gradients.

``<name>_value(strength, w, total)`` adds the penalty to ``total[0]``;
``<name>_gradient(strength, w, dw)`` adds its gradient to `dw`.  `w` and `dw` are (n,), of one float
type; `total` is (1,), float64, and so are the sums on their way there.
"""

import numpy as np

from fastnn.kernels.elementary import sign
from fastnn.kernels.jit import REASSOCIATE, njit


@njit(fastmath=REASSOCIATE)
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


@njit
def l1_gradient(strength, w, dw):
    """Gradient of the lasso penalty: ``dw += strength * sign(w)``, the sign of 0 being 0.

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


@njit(fastmath=REASSOCIATE)
def l2_value(strength, w, total):
    """Ridge penalty: ``total += strength / 2 * sum w**2``.

    Keras's ``L2(l2)`` has no 1/2: its `l2` is ``strength / 2``.

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


@njit
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
