"""Piecewise-linear embeddings of numbers: each column through a small network of its own.

A column z has f bins, and ``h = clip((z - start) * inverse, low, high)`` says how far z has come
through each of them: 0 before it and 1 after it, but for the first bin, whose `low` is -inf, and
the last, whose `high` is inf.  With an `inverse` of 0, a bin does not count.  Outputs and their
weights are shared out among the columns as in :mod:`fastnn.kernels.periodic`, whose
:func:`~fastnn.kernels.periodic.block_gradients` gives the gradients of the weights.

References
----------
Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep
Learning", NeurIPS 2022.
"""

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import select
from fastnn.kernels.jit import REASSOCIATE, njit
from fastnn.kernels.periodic import dot, outputs_of


@kernel("mn c<n cf cf cf cf df d m(cf)! md!")
def piecewise_forward(x, columns, start, inverse, low, high, w, b, h, out):
    """Write ``h = clip((z - start) * inverse, low, high)`` and ``out = b + h @ w``, by columns z.

    Parameters
    ----------
    x : array, (rows, n)
    columns : int64 array, (c,)
    start, inverse, low, high : arrays, (c, f)
    w : array, (d, f)
    b : array, (d,)
    h : array, (rows, c * f)
    out : array, (rows, d)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, h, out = np.ones((1, 1)), np.empty((1, 1)), np.empty((1, 1))
    >>> given = 5 * one, np.array([0]), one, one / 2, 0 * one, np.inf * one, 3 * one, one[0]
    >>> kernels.piecewise_forward(*given, h, out)
    >>> h, out
    (array([[2.]]), array([[7.]]))
    """
    n_columns, count = columns.shape[0], np.uint64(start.shape[1])
    for i in range(np.uint64(x.shape[0])):
        for column in range(n_columns):
            z, left = x[i, np.uint64(columns[column])], np.uint64(column) * count
            for k in range(count):
                share = (z - start[column, k]) * inverse[column, k]
                share = low[column, k] if share < low[column, k] else share
                h[i, left + k] = high[column, k] if share > high[column, k] else share
            begin, end = outputs_of(column, n_columns, out.shape[1])
            for j in range(begin, end):
                out[i, j] = b[j] + dot(h, i, left, w, j)


@njit(fastmath=REASSOCIATE)
def _slope(h, i, left, inverse, low, high, column, w, j):
    """Return the slope of output `j` of row `i` as a function of the number in its column."""
    zero = h.dtype.type(0)
    total = zero
    for k in range(np.uint64(w.shape[1])):
        share = h[i, left + k]
        moves = (low[column, k] < share) & (share < high[column, k])
        total += select(moves, w[j, k] * inverse[column, k], zero)
    return total


@kernel("m(cf) c<n cf cf cf df md mn~")
def piecewise_inputs(h, columns, inverse, low, high, w, dy, dx):
    """Add the gradient of the numbers: ``dz += dy @ sum(w * inverse)`` over the bins not clipped.

    Parameters
    ----------
    h : array, (rows, c * f)
        From :func:`piecewise_forward`.
    columns : int64 array, (c,)
    inverse, low, high : arrays, (c, f)
    w : array, (d, f)
    dy : array, (rows, d)
    dx : array, (rows, n)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, dx = np.ones((1, 1)), np.ones((1, 1))
    >>> given = 2 * one, np.array([0]), one / 2, 0 * one, np.inf * one, 3 * one, one
    >>> kernels.piecewise_inputs(*given, dx)
    >>> dx
    array([[2.5]])
    """
    n_columns, count = columns.shape[0], np.uint64(inverse.shape[1])
    for i in range(np.uint64(dx.shape[0])):
        for column in range(n_columns):
            left, total = np.uint64(column) * count, dx.dtype.type(0)
            begin, end = outputs_of(column, n_columns, dy.shape[1])
            for j in range(begin, end):
                total += dy[i, j] * _slope(h, i, left, inverse, low, high, column, w, j)
            dx[i, np.uint64(columns[column])] += total
