"""Layer normalization: each row by its own mean and variance, and the gradient.

With n features in a row, ``mean = sum_j x[j] / n``, ``variance = sum_j (x[j] - mean)**2 / n`` and
``inverse = 1 / sqrt(variance + epsilon)``, each a number a row, the output is
``gamma * (x - mean) * inverse + beta``.

Everything but the gradients of gamma and beta is a matter of one row, so threads that share rows
need not meet.

References
----------
J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016 (arXiv:1607.06450).  Shifted
data and two passes: T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for Computing the Sample
Variance: Analysis and Recommendations", The American Statistician 37, 1983.
"""

import math

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import fma
from fastnn.kernels.jit import REASSOCIATE, inlined, njit
from fastnn.kernels.memory import stack_buffer
from fastnn.kernels.rows import columns
from fastnn.kernels.sums import (
    BLOCK,
    TOTALS_BYTES,
    blocks,
    carry,
    columns_of,
    parts,
    quarters,
    rows_of,
)


@njit(fastmath=REASSOCIATE)
def _mean(x, i, shrink):
    """Return the mean of ``shrink * x[i]``.

    Summed are the differences from the first element, in float64: a mean far from 0 is then as good
    as one near 0 however wide the row is, and that of equal numbers is that number.
    """
    factor = np.float64(shrink)
    first = np.float64(x[i, 0]) * factor
    total = 0.0
    for j in range(x.shape[1]):
        # Not a difference: reassociated, it would be taken from the sum, at the sum's precision.
        total += fma(np.float64(x[i, j]), factor, -first)
    return x.dtype.type(first + total / x.shape[1])


@njit(fastmath=REASSOCIATE)
def _variance(x, i, shrink, mean):
    """Return the variance of ``shrink * x[i]``, whose mean is known."""
    squares = x.dtype.type(0)
    for j in range(x.shape[1]):
        away = x[i, j] * shrink - mean
        squares += away * away
    return squares / x.dtype.type(x.shape[1])


@kernel("mn& +0 n+ n m! m! mn!")
def layer_norm_forward(x, epsilon, gamma, beta, mean, inverse, out):
    """Normalize rows: ``out = gamma * ((x - mean) * inverse) + beta``; keep `mean`, `inverse`.

    A row whose squares overflow is measured again, made smaller by a power of two.

    Parameters
    ----------
    x, out : arrays, (rows, n)
        With at least one column.
    epsilon : float
    gamma, beta : arrays, (n,)
    mean, inverse : arrays, (rows,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, one, out = np.array([[1.0, 5.0]]), np.ones(2), np.empty((1, 2))
    >>> mean, inverse = np.empty(1), np.empty(1)
    >>> kernels.layer_norm_forward(x, 12.0, 2 * one, one, mean, inverse, out)
    >>> mean, inverse, out
    (array([3.]), array([0.25]), array([[0., 2.]]))
    """
    one, small = x.dtype.type(1), x.dtype.type(epsilon)
    shrink = x.dtype.type(2.0**-96 if x.itemsize == 4 else 2.0**-768)
    for i in range(np.uint64(x.shape[0])):
        center = _mean(x, i, one)
        variance = _variance(x, i, one, center)
        factor = one / math.sqrt(variance + small)
        if not math.isfinite(variance):
            center = _mean(x, i, shrink)
            variance = _variance(x, i, shrink, center)
            center /= shrink
            factor = one / math.hypot(math.sqrt(variance) / shrink, math.sqrt(small))
        mean[i] = center
        inverse[i] = factor
        for j in range(np.uint64(x.shape[1])):
            out[i, j] = gamma[j] * ((x[i, j] - center) * factor) + beta[j]


@inlined
def _add_gradients(x, mean, inverse, dy, begin, end, low, high, dgamma, dbeta):
    """Write the sums over rows begin ... end - 1."""
    quarter, second, third, fourth, rest = quarters(begin, end)
    for j in range(low, high):
        dgamma[j] = 0
        dbeta[j] = 0
    for i in range(quarter):
        at0, at1, at2, at3 = begin + i, second + i, third + i, fourth + i
        mean0, mean1, mean2, mean3 = mean[at0], mean[at1], mean[at2], mean[at3]
        inverse0, inverse1 = inverse[at0], inverse[at1]
        inverse2, inverse3 = inverse[at2], inverse[at3]
        for j in range(low, high):
            dy0, dy1, dy2, dy3 = dy[at0, j], dy[at1, j], dy[at2, j], dy[at3, j]
            normal0 = (x[at0, j] - mean0) * inverse0
            normal1 = (x[at1, j] - mean1) * inverse1
            normal2 = (x[at2, j] - mean2) * inverse2
            normal3 = (x[at3, j] - mean3) * inverse3
            dbeta[j] = dbeta[j] + dy0 + dy1 + dy2 + dy3
            dgamma[j] = dgamma[j] + dy0 * normal0 + dy1 * normal1 + dy2 * normal2 + dy3 * normal3
    for i in range(rest, end):
        mean0, inverse0 = mean[i], inverse[i]
        for j in range(low, high):
            dbeta[j] += dy[i, j]
            dgamma[j] += dy[i, j] * ((x[i, j] - mean0) * inverse0)


@kernel("mn m m mn #0 #0 n! n!", parallel=False)
def layer_norm_gradients(x, mean, inverse, dy, first, last, dgamma, dbeta):
    """Write the gradients of gamma and beta for columns first ... last - 1.

    ``dbeta = sum_i dy[i]`` and ``dgamma = sum_i dy[i] * ((x[i] - mean[i]) * inverse[i])``.  A
    column's sum is computed by one thread, in an order that depends on the number of rows alone.

    Parameters
    ----------
    x, dy : arrays, (rows, n)
        All rows of the batch.
    mean, inverse : arrays, (rows,)
    first, last : int
    dgamma, dbeta : arrays, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, dy = np.array([[1.0, 3.0]]), np.array([[10.0, 20.0]])
    >>> dgamma, dbeta, one = np.empty(2), np.empty(2), np.ones(1)
    >>> kernels.layer_norm_gradients(x, 2 * one, one, dy, 0, 2, dgamma, dbeta)
    >>> dgamma, dbeta
    (array([-10.,  20.]), array([10., 20.]))
    """
    low, high = columns(first, last, dgamma.shape[0])
    totals0, totals1 = stack_buffer(TOTALS_BYTES), stack_buffer(TOTALS_BYTES)
    rows = np.uint64(x.shape[0])
    for part in range(parts(rows, low, high)):
        left, right = columns_of(part, rows, low, high)
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            _add_gradients(x, mean, inverse, dy, begin, end, left, right, dgamma, dbeta)
            if rows > BLOCK:
                carry(begin, end == rows, left, right, dgamma, totals0)
                carry(begin, end == rows, left, right, dbeta, totals1)


@njit(fastmath=REASSOCIATE)
def _slopes(x, i, mean, inverse, gamma, dy):
    """Return the sums over a row of ``gamma * dy`` and of its product with the normalized row."""
    total, product = x.dtype.type(0), x.dtype.type(0)
    for j in range(x.shape[1]):
        slope = gamma[j] * dy[i, j]
        total += slope
        product += slope * ((x[i, j] - mean) * inverse)
    return total, product


@kernel("mn m m n mn& mn!")
def layer_norm_backward(x, mean, inverse, gamma, dy, dx):
    """Gradient of a normalized row, through its mean and variance too.

    With ``normal = (x - mean) * inverse`` and averages over the row,
    ``dx = inverse * (gamma * dy - average(gamma * dy) - normal * average(gamma * dy * normal))``.

    Parameters
    ----------
    x, dy, dx : arrays, (rows, n)
    mean, inverse : arrays, (rows,)
    gamma : array, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, dy = np.array([[1.0, 3.0]]), np.array([[10.0, 20.0]])
    >>> one, dx = np.ones(1), np.empty((1, 2))
    >>> kernels.layer_norm_backward(x, 2 * one, one, np.ones(2), dy, dx)
    >>> dx
    array([[0., 0.]])
    """
    n = x.dtype.type(x.shape[1])
    for i in range(np.uint64(x.shape[0])):
        center, factor = mean[i], inverse[i]
        total, product = _slopes(x, i, center, factor, gamma, dy)
        total /= n
        product /= n
        for j in range(np.uint64(x.shape[1])):
            common = total + (x[i, j] - center) * factor * product
            dx[i, j] = factor * (gamma[j] * dy[i, j] - common)
