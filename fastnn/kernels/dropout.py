"""Drop random elements: units or inputs (dropout), or weights (DropConnect).

Whether an element is kept is a pure function of counters (seed, layer, step, row, column).  Threads
need not share the state of a generator, and the backward pass recomputes the forward pass's mask.
"""

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.jit import njit
from fastnn.kernels.rows import GOLDEN, mix

_GOLDEN_32 = np.uint32(0x9E3779B9)
_FIRST_32 = np.uint32(0x7FEB352D)
_SECOND_32 = np.uint32(0x846CA68B)


@njit
def _random_bits(j, low, high):
    """Return 32 random bits for column j of a row with two keys.

    These are rounds of xor-shift and multiply in 32 bits, which vectorize on every processor.  The
    second key keeps rows with close first keys from being shifted copies of each other.
    """
    x = np.uint32(np.uint32(j) * _GOLDEN_32 + low)
    x = np.uint32((x ^ (x >> np.uint32(16))) * _FIRST_32) ^ high
    x = np.uint32((x ^ (x >> np.uint32(15))) * _SECOND_32)
    return np.uint32(x ^ (x >> np.uint32(16)))  # stay in 32 bits for the comparison


@kernel("% - # # # #@ mn mn!")
def dropout(rate, scale, seed, layer, step, first, x, out):
    """Drop elements: ``out[i, j] = 0`` with probability `rate`, else ``scale * x[i, j]``.

    The backward pass is the same function, applied to the gradient of `out`.  A dropped element
    becomes 0 even if it was NaN or infinite.  `out` must not be `x`.

    Parameters
    ----------
    rate : float in [0, 1)
    scale : float
        ``1 / (1 - rate)`` keeps the mean of an element (inverted dropout).
    seed, layer, step : int
        The key of the mask.
    first : int
        The number of the row ``x[0]``: row i of the array gets the mask of row first + i.
    x, out : (rows, n) arrays of one float type

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A Simple
    Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014; on weights: L. Wan, M. Zeiler,
    S. Zhang, Y. LeCun and R. Fergus, "Regularization of Neural Networks using DropConnect", ICML
    2013.  The mixing constants are those of C. Wellons, "Prospecting for Hash Functions", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 6))
    >>> kernels.dropout(0.5, 2.0, 0, 0, 1, 0, np.ones((1, 6)), out)
    >>> out
    array([[2., 0., 0., 2., 2., 0.]])
    """
    zero = x.dtype.type(0)
    factor = x.dtype.type(scale)
    threshold = np.uint32(rate * 4294967296.0)
    key = mix(np.uint64(seed) + GOLDEN)
    key = mix(key + np.uint64(layer) * GOLDEN)
    key = mix(key + np.uint64(step) * GOLDEN)
    for i in range(x.shape[0]):
        row_key = mix(key + np.uint64(first + i) * GOLDEN)
        low, high = np.uint32(row_key), np.uint32(row_key >> np.uint64(32))
        for j in range(x.shape[1]):
            value = factor * x[i, j]
            out[i, j] = zero if _random_bits(j, low, high) < threshold else value


@kernel("% mn& mn!")
def dropout_mean(rate, x, out):
    """Write the mean of unscaled dropout: ``out = (1 - rate) * x``.

    Parameters
    ----------
    rate : float in [0, 1)
    x, out : (rows, n) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((1, 2))
    >>> dropout_mean(0.25, np.array([[4.0, 8.0]]), out)
    >>> out
    array([[3., 6.]])
    """
    factor = x.dtype.type(1.0 - rate)
    for k in range(x.size):
        out.flat[k] = factor * x.flat[k]
