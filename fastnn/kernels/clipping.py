"""Gradient clipping by the norm of all gradients together.

For clipping by value, use :func:`fastnn.kernels.norms.bound`.
"""

import math

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.jit import REASSOCIATE


@kernel("mn m!*", fastmath=REASSOCIATE)
def row_squares(dw, squares):
    """Write the sum of the squares of each row, in float64: ``squares = sum_j dw[:, j]**2``.

    Summing each row separately makes the norm of a gradient independent of how threads share its
    rows.

    Parameters
    ----------
    dw : (m, n) array of a float type
    squares : (m,) float64 array

    Examples
    --------
    >>> import numpy as np
    >>> squares = np.empty(2)
    >>> row_squares(np.array([[1.0, 2.0], [3.0, 0.0]]), squares)
    >>> squares
    array([5., 9.])
    """
    for i in range(dw.shape[0]):
        total = 0.0
        for j in range(dw.shape[1]):
            value = np.float64(dw[i, j])
            total += value * value
        squares[i] = total


@kernel("- n 1!*", parallel=False, fastmath=REASSOCIATE)
def norm_scale(limit, squares, scale):
    """Write the factor that scales a gradient down to the norm `limit`, 1 if it is not longer.

    ``scale = min(1, limit / sqrt(sum(squares)))``, as in Keras and TensorFlow.  PyTorch adds 1e-6
    to the root.

    Parameters
    ----------
    limit : float
    squares : (n,) float64 array
        Sums of squares over parts of the gradient of all parameters.
    scale : (1,) float64 array

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, "On the Difficulty of Training Recurrent Neural
    Networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> scale = np.empty(1)
    >>> norm_scale(1.0, np.array([9.0, 16.0]), scale)
    >>> scale
    array([0.2])
    """
    total = 0.0
    for k in range(squares.size):
        total += squares[k]
    norm = math.sqrt(total)
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
