"""Batch normalization: statistics of the columns of a batch, and their gradient.

For a batch of m rows, let ``mean = sum_i x[i] / m``, ``variance = sum_i (x[i] - mean)**2 / m`` and
``inverse = 1 / sqrt(variance + epsilon)``, one number per column.  The output is
``gamma * (x - mean) * inverse + beta``.

Kernels that sum over rows take `first` and `last`, the columns to work on.  One thread computes a
column's sum, in an order that depends only on the number of rows.

References
----------
S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
Internal Covariate Shift", ICML 2015.
"""

import math

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import fma
from fastnn.kernels.jit import inlined
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


@inlined
def _add_differences(x, begin, end, low, high, out):
    """Write the sums of rows begin ... end - 1 less the first row of all."""
    quarter, second, third, fourth, rest = quarters(begin, end)
    for j in range(low, high):
        out[j] = 0
    for i in range(quarter):
        for j in range(low, high):
            start = x[0, j]
            away0, away1 = x[begin + i, j] - start, x[second + i, j] - start
            away2, away3 = x[third + i, j] - start, x[fourth + i, j] - start
            out[j] += (away0 + away1) + (away2 + away3)
    for i in range(rest, end):
        for j in range(low, high):
            out[j] += x[i, j] - x[0, j]


@inlined
def _add_squares(x, begin, end, low, high, mean, out):
    """Write the sums over rows begin ... end - 1 of the squares of ``x - mean``.

    Those of the first rows are added to what there is.
    """
    quarter, second, third, fourth, rest = quarters(begin, end)
    if begin > 0:
        for j in range(low, high):
            out[j] = 0
    for i in range(quarter):
        for j in range(low, high):
            away0, away1 = x[begin + i, j] - mean[j], x[second + i, j] - mean[j]
            away2, away3 = x[third + i, j] - mean[j], x[fourth + i, j] - mean[j]
            squares = fma(away1, away1, away0 * away0)
            out[j] += squares + fma(away3, away3, away2 * away2)
    for i in range(rest, end):
        for j in range(low, high):
            away0 = x[i, j] - mean[j]
            out[j] = fma(away0, away0, out[j])


@kernel("mn #0 #0 n! n!", parallel=False)
def batch_moments(x, first, last, mean, variance):
    """Write the mean and the variance of columns first ... last - 1.

    The variance divides by the number of rows.  It takes two passes: the second sums the squares of
    ``x - mean``.  The first sums the differences from the first row, so that a mean far from 0 is
    as good as one near 0, and that of equal numbers is that number.  What rounding takes from the
    mean does not go into the variance.

    Parameters
    ----------
    x : array, (rows, n)
    first, last : int
    mean, variance : arrays, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> mean, variance = np.empty(2), np.empty(2)
    >>> kernels.batch_moments(np.array([[1.0, 5.0], [3.0, 5.0]]), 0, 2, mean, variance)
    >>> mean, variance
    (array([2., 5.]), array([1., 0.]))
    """
    low, high = columns(first, last, mean.shape[0])
    totals, rows = stack_buffer(TOTALS_BYTES), np.uint64(x.shape[0])
    if rows == 0:
        for j in range(low, high):
            mean[j] = variance[j] = math.nan
        return
    count, zero = mean.dtype.type(x.shape[0]), mean.dtype.type(0)
    for part in range(parts(rows, low, high)):
        left, right = columns_of(part, rows, low, high)
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            _add_differences(x, begin, end, left, right, mean)
            if rows > BLOCK:
                carry(begin, end == rows, left, right, mean, totals)
        for j in range(left, right):
            further = mean[j] / count
            mean[j] = x[0, j] + further
            rounded = further - (mean[j] - x[0, j])
            variance[j] = -count * rounded * rounded
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            _add_squares(x, begin, end, left, right, mean, variance)
            if rows > BLOCK:
                carry(begin, end == rows, left, right, variance, totals)
        for j in range(left, right):
            variance[j] = (zero if variance[j] <= 0 else variance[j]) / count


@kernel("#0 #0 m m m~ m~")
def merge_moments(rows, more, mean_of_more, variance_of_more, mean, variance):
    """Make the moments of `rows` rows those of these and of `more` rows.

    With ``share = more / (rows + more)`` and ``away = mean_of_more - mean``, the mean becomes
    ``mean + share * away``, and the variance ``(1 - share) * variance + share * variance_of_more +
    share * (1 - share) * away**2``.

    Parameters
    ----------
    rows, more : int
        Moments of no rows are not read.
    mean_of_more, variance_of_more, mean, variance : arrays, (n,)

    References
    ----------
    T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances", 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> mean, variance = np.array([2.0]), np.array([1.0])
    >>> kernels.merge_moments(2, 2, np.array([4.0]), np.array([1.0]), mean, variance)
    >>> mean, variance
    (array([3.]), array([2.]))
    """
    if more == 0:
        return
    if rows == 0:
        for k in range(mean.size):
            mean[k] = mean_of_more[k]
            variance[k] = variance_of_more[k]
        return
    share = mean.dtype.type(np.float64(more) / np.float64(rows + more))
    rest = mean.dtype.type(np.float64(rows) / np.float64(rows + more))
    for k in range(mean.size):
        away = mean_of_more[k] - mean[k]
        mean[k] += share * away
        between = share * rest * away * away
        variance[k] = rest * variance[k] + share * variance_of_more[k] + between


@kernel("+0 m m!")
def inverse_deviation(epsilon, variance, inverse):
    """Write ``inverse = 1 / sqrt(variance + epsilon)``.

    Parameters
    ----------
    epsilon : float
    variance, inverse : arrays, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> inverse = np.empty(1)
    >>> inverse_deviation(0.5, np.array([3.5]), inverse)
    >>> inverse
    array([0.5])
    """
    one = variance.dtype.type(1)
    small = variance.dtype.type(epsilon)
    for j in range(variance.shape[0]):
        inverse[j] = one / math.sqrt(variance[j] + small)


@kernel("mn& n n n n mn!")
def batch_norm_forward(x, mean, inverse, gamma, beta, out):
    """Normalize columns: ``out = gamma * ((x - mean) * inverse) + beta``.

    Parameters
    ----------
    x, out : arrays, (rows, n)
    mean, inverse, gamma, beta : arrays, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, out = np.ones(1), np.empty((2, 1))
    >>> kernels.batch_norm_forward(np.array([[1.0], [3.0]]), 2 * one, one, 5 * one, one, out)
    >>> out
    array([[-4.],
           [ 6.]])
    """
    rows, half = np.uint64(x.shape[0]), np.uint64(x.shape[0] // 2)
    for i in range(half):
        for j in range(np.uint64(x.shape[1])):
            normal0 = (x[i, j] - mean[j]) * inverse[j]
            normal1 = (x[i + half, j] - mean[j]) * inverse[j]
            out[i, j] = gamma[j] * normal0 + beta[j]
            out[i + half, j] = gamma[j] * normal1 + beta[j]
    for i in range(half + half, rows):
        for j in range(np.uint64(x.shape[1])):
            out[i, j] = gamma[j] * ((x[i, j] - mean[j]) * inverse[j]) + beta[j]


@inlined
def _add_gradients(x, mean, dy, begin, end, low, high, dgamma, dbeta):
    """Write the sums over rows begin ... end - 1 of ``dy * (x - mean)`` and of `dy`."""
    quarter, second, third, fourth, rest = quarters(begin, end)
    for j in range(low, high):
        dgamma[j] = 0
        dbeta[j] = 0
    for i in range(quarter):
        at0, at1, at2, at3 = begin + i, second + i, third + i, fourth + i
        for j in range(low, high):
            dy0, dy1, dy2, dy3 = dy[at0, j], dy[at1, j], dy[at2, j], dy[at3, j]
            away0, away1 = x[at0, j] - mean[j], x[at1, j] - mean[j]
            away2, away3 = x[at2, j] - mean[j], x[at3, j] - mean[j]
            dbeta[j] = dbeta[j] + dy0 + dy1 + dy2 + dy3
            dgamma[j] = dgamma[j] + dy0 * away0 + dy1 * away1 + dy2 * away2 + dy3 * away3
    for i in range(rest, end):
        for j in range(low, high):
            dbeta[j] += dy[i, j]
            dgamma[j] += dy[i, j] * (x[i, j] - mean[j])


@kernel("mn n n mn #0 #0 n! n!", parallel=False)
def batch_norm_gradients(x, mean, inverse, dy, first, last, dgamma, dbeta):
    """Write the gradients of gamma and beta for columns first ... last - 1.

    ``dbeta = sum_i dy[i]`` and ``dgamma = sum_i dy[i] * (x[i] - mean) * inverse``.

    Parameters
    ----------
    x, dy : arrays, (rows, n)
        All rows of the batch.
    mean, inverse, dgamma, dbeta : arrays, (n,)
    first, last : int

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, dy, one = np.array([[1.0], [3.0]]), np.array([[10.0], [20.0]]), np.ones(1)
    >>> dgamma, dbeta = np.empty(1), np.empty(1)
    >>> kernels.batch_norm_gradients(x, 2 * one, one, dy, 0, 1, dgamma, dbeta)
    >>> dgamma, dbeta
    (array([10.]), array([30.]))
    """
    low, high = columns(first, last, mean.shape[0])
    totals0, totals1 = stack_buffer(TOTALS_BYTES), stack_buffer(TOTALS_BYTES)
    rows = np.uint64(x.shape[0])
    for part in range(parts(rows, low, high)):
        left, right = columns_of(part, rows, low, high)
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            _add_gradients(x, mean, dy, begin, end, left, right, dgamma, dbeta)
            if rows > BLOCK:
                carry(begin, end == rows, left, right, dgamma, totals0)
                carry(begin, end == rows, left, right, dbeta, totals1)
        for j in range(left, right):
            dgamma[j] *= inverse[j]


@kernel("mn n n n n n #1 mn& mn!")
def batch_norm_backward(x, mean, inverse, gamma, dgamma, dbeta, batch, dy, dx):
    """Gradient of batch normalization, including through the mean and the variance.

    ``dx = gamma * inverse * (dy - (dbeta + (x - mean) * inverse * dgamma) / batch)``.

    Parameters
    ----------
    x, dy, dx : arrays, (rows, n)
        Some or all rows of the batch.
    mean, inverse, gamma, dgamma, dbeta : arrays, (n,)
        The gradients must be sums over all rows of the batch.
    batch : int
        Rows of the batch.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, dy, one = np.array([[1.0], [3.0]]), np.array([[10.0], [20.0]]), np.ones(1)
    >>> dx = np.empty((2, 1))
    >>> kernels.batch_norm_backward(x, 2 * one, one, one, 10 * one, 30 * one, 2, dy, dx)
    >>> dx
    array([[0.],
           [0.]])
    """
    share = x.dtype.type(1.0 / batch)
    rows, half = np.uint64(x.shape[0]), np.uint64(x.shape[0] // 2)
    for i in range(half):
        for j in range(np.uint64(x.shape[1])):
            away0 = (x[i, j] - mean[j]) * inverse[j]
            away1 = (x[i + half, j] - mean[j]) * inverse[j]
            common0 = (dbeta[j] + away0 * dgamma[j]) * share
            common1 = (dbeta[j] + away1 * dgamma[j]) * share
            factor = gamma[j] * inverse[j]
            dx[i, j] = factor * (dy[i, j] - common0)
            dx[i + half, j] = factor * (dy[i + half, j] - common1)
    for i in range(half + half, rows):
        for j in range(np.uint64(x.shape[1])):
            away = (x[i, j] - mean[j]) * inverse[j]
            common = (dbeta[j] + away * dgamma[j]) * share
            dx[i, j] = gamma[j] * inverse[j] * (dy[i, j] - common)


@kernel("- #0 m m~")
def moving_update(momentum, rows, value, moving):
    """Update a moving average: ``moving = momentum * moving + (1 - momentum) * value``.

    A batch of one row changes nothing, because it says nothing about the variance.

    Parameters
    ----------
    momentum : float
    rows : int
        Rows of the batch.
    value, moving : arrays, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> moving = np.zeros(1)
    >>> moving_update(0.75, 50, np.ones(1), moving)
    >>> moving
    array([0.25])
    """
    if rows < 2:
        return
    kept = moving.dtype.type(momentum)
    added = moving.dtype.type(1.0 - momentum)
    for j in range(moving.shape[0]):
        moving[j] = kept * moving[j] + added * value[j]
