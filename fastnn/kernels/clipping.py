"""Gradient clipping by the norm of all gradients together.

For clipping by value, use :func:`fastnn.kernels.norms.bound`.
"""

import math

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.jit import REASSOCIATE, njit

_SMALL, _LARGE = 1e-280, 1e300
"""Between these, a sum of squares has kept its digits."""


@njit(fastmath=REASSOCIATE)
def _norm(vector):
    """Return the Euclidean norm, in float64, of any numbers whose norm a float64 can hold."""
    total = 0.0
    for j in range(vector.shape[0]):
        value = np.float64(vector[j])
        total += value * value
    if _SMALL < total < _LARGE or total != total:
        return math.sqrt(total)
    # The squares have overflowed or lost digits, or all are 0: scale by the largest number first.
    most = 0.0
    for j in range(vector.shape[0]):
        most = max(most, abs(np.float64(vector[j])))
    if most == 0 or most == np.inf:
        return most
    total = 0.0
    for j in range(vector.shape[0]):
        value = np.float64(vector[j]) / most
        total += value * value
    return most * math.sqrt(total)


@kernel("mn m!*")
def gradient_norms(dw, norms):
    """Write the Euclidean norm of each row, in float64: ``norms = sqrt(sum_j dw[:, j]**2)``.

    The norm of each row separately makes the norm of a gradient independent of how threads share
    its rows.  Squares that a float64 cannot hold do no harm.

    Parameters
    ----------
    dw : (m, n) array of a float type
    norms : (m,) float64 array

    Examples
    --------
    >>> import numpy as np
    >>> norms = np.empty(2)
    >>> gradient_norms(np.array([[3.0, 4.0], [3e200, 4e200]]), norms)
    >>> norms
    array([5.e+000, 5.e+200])
    """
    for i in range(dw.shape[0]):
        norms[i] = _norm(dw[i])


@kernel("- n 1!*", parallel=False)
def norm_scale(limit, norms, scale):
    """Write the factor that scales a gradient down to the norm `limit`, 1 if it is not longer.

    ``scale = min(1, limit / sqrt(sum(norms**2)))``, as in Keras and TensorFlow.  PyTorch adds 1e-6
    to the root.

    Parameters
    ----------
    limit : float
    norms : (n,) float64 array
        Norms of parts of the gradient of all parameters.
    scale : (1,) float64 array

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, "On the Difficulty of Training Recurrent Neural
    Networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> scale = np.empty(1)
    >>> norm_scale(1.0, np.array([3.0, 4.0]), scale)
    >>> scale
    array([0.2])
    """
    norm = _norm(norms)
    scale[0] = limit / norm if norm > limit else 1.0


@kernel("- m~")
def scale_gradient(scale, dw):
    """Scale a gradient: ``dw *= scale``, without touching it if `scale` is 1.

    Parameters
    ----------
    scale : float
    dw : (n,) array of a float type

    Examples
    --------
    >>> import numpy as np
    >>> dw = np.array([1.0, 2.0])
    >>> scale_gradient(0.5, dw)
    >>> dw
    array([0.5, 1. ])
    """
    if scale == 1.0:
        return
    factor = dw.dtype.type(scale)
    for k in range(dw.size):
        dw[k] *= factor
