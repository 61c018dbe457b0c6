"""Periodic embeddings of numbers: each column through a small network of its own.

A column z has f frequencies and phases, ``h = cos(2 pi frequency * z + phase)``, and q outputs,
each the sum of all h times weights of its own, and a bias.  With c columns, `h` has c * f columns,
and the outputs and their weights are d = c * q, column by column.  For any other d, each column has
the next ceil(d / c) of them as long as there are more.

Nothing here is a product of all columns with all columns, so the cost grows with their number.

References
----------
Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep
Learning", NeurIPS 2022; D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong
Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS 2024.
"""

import math

import numpy as np
from numba import types

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import copysign, polynomial, rint
from fastnn.kernels.jit import REASSOCIATE, njit
from fastnn.kernels.memory import stack_buffer
from fastnn.kernels.rows import columns as clipped
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

_TURN = 2 * math.pi
_SINE = [(-1) ** k * _TURN ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(11)]
# sin(2 pi s) / s as a polynomial in s**2, for |s| <= 1/4 (Taylor); errors 7e-10 and 2e-18.
_sine_ratio = polynomial({types.float32: tuple(_SINE[:7]), types.float64: tuple(_SINE)})


@njit
def _turn(z, frequency, phase, scale):
    """Return by how much ``frequency * z + scale * phase`` exceeds the nearest whole number."""
    turns = frequency * z + phase * scale
    return turns - rint(turns)


@njit
def _cosine(r, quarter):
    """Return cos(2 pi r) for ``|r| <= 1/2``."""
    s = quarter - abs(r)
    return s * _sine_ratio(s * s)


@njit
def _sine(r, quarter):
    """Return sin(2 pi r) for ``|r| <= 1/2``."""
    s = copysign(quarter - abs(abs(r) - quarter), r)
    return s * _sine_ratio(s * s)


@njit(fastmath=REASSOCIATE)
def dot(a, i, left, b, j):
    """Return the sum of the products of row `j` of `b` with row `i` of `a` from `left` on."""
    total = a.dtype.type(0)
    for k in range(np.uint64(b.shape[1])):
        total += a[i, left + k] * b[j, k]
    return total


@njit
def outputs_of(column, n_columns, n_outputs):
    """Return a column's first output and the one past its last."""
    share = (n_outputs + n_columns - 1) // n_columns
    return min(column * share, n_outputs), min(column * share + share, n_outputs)


@kernel("mn c<n cf cf df d m(cf)! md!")
def periodic_forward(x, columns, frequency, phase, w, b, h, out):
    """Write ``h = cos(2 pi frequency * z + phase)`` and ``out = b + h @ w``, for each column z.

    Parameters
    ----------
    x : array, (rows, n)
    columns : int64 array, (c,)
    frequency, phase : arrays, (c, f)
    w : array, (d, f)
        The weights of each output.
    b : array, (d,)
    h : array, (rows, c * f)
    out : array, (rows, d)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, h, out = np.ones((1, 1)), np.empty((1, 1)), np.empty((1, 1))
    >>> given = np.array([[0.5]]), np.array([0]), one, 0 * one, 3 * one, one[0]
    >>> kernels.periodic_forward(*given, h, out)
    >>> h, out
    (array([[-1.]]), array([[-2.]]))
    """
    n_columns, count = columns.shape[0], np.uint64(frequency.shape[1])
    scale, quarter = x.dtype.type(1 / _TURN), x.dtype.type(0.25)
    for i in range(np.uint64(x.shape[0])):
        for column in range(n_columns):
            z, left = x[i, np.uint64(columns[column])], np.uint64(column) * count
            for k in range(count):
                h[i, left + k] = _turn(z, frequency[column, k], phase[column, k], scale)
        for k in range(np.uint64(h.shape[1])):  # longer than a column's, so it vectorizes better
            h[i, k] = _cosine(h[i, k], quarter)
        for column in range(n_columns):
            left = np.uint64(column) * count
            begin, end = outputs_of(column, n_columns, out.shape[1])
            for j in range(begin, end):
                out[i, j] = b[j] + dot(h, i, left, w, j)


@kernel("mn c<n cf cf df md m(cf)!")
def periodic_backward(x, columns, frequency, phase, w, dy, slopes):
    """Write the gradients with respect to ``2 pi frequency * z + phase``.

    ``slopes = -sin(2 pi frequency * z + phase) * (dy @ w.T)``, for each column z.

    Parameters
    ----------
    x : array, (rows, n)
    columns : int64 array, (c,)
    frequency, phase : arrays, (c, f)
    w : array, (d, f)
    dy : array, (rows, d)
    slopes : array, (rows, c * f)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, slopes = np.ones((1, 1)), np.empty((1, 1))
    >>> given = np.array([[0.25]]), np.array([0]), one, 0 * one, 3 * one, one
    >>> kernels.periodic_backward(*given, slopes)
    >>> slopes
    array([[-3.]])
    """
    n_columns, count = columns.shape[0], np.uint64(frequency.shape[1])
    scale, quarter = x.dtype.type(1 / _TURN), x.dtype.type(0.25)
    for i in range(np.uint64(x.shape[0])):
        for column in range(n_columns):
            z, left = x[i, np.uint64(columns[column])], np.uint64(column) * count
            for k in range(count):
                slopes[i, left + k] = 0
            begin, end = outputs_of(column, n_columns, dy.shape[1])
            for j in range(begin, end):
                slope = dy[i, j]
                for k in range(count):
                    slopes[i, left + k] += slope * w[j, k]
            for k in range(count):
                r = _turn(z, frequency[column, k], phase[column, k], scale)
                slopes[i, left + k] *= -_sine(r, quarter)


@kernel("c<n cf m(cf) mn~")
def periodic_inputs(columns, frequency, slopes, dx):
    """Add the gradient of the numbers: ``dz += 2 pi * sum(slopes * frequency)``.

    Parameters
    ----------
    columns : int64 array, (c,)
    frequency : array, (c, f)
    slopes : array, (rows, c * f)
    dx : array, (rows, n)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, dx = np.ones((1, 1)), np.ones((1, 1))
    >>> kernels.periodic_inputs(np.array([0]), 3 * one, one / np.pi, dx)
    >>> dx
    array([[7.]])
    """
    count, turn = np.uint64(frequency.shape[1]), dx.dtype.type(_TURN)
    for i in range(np.uint64(dx.shape[0])):
        for column in range(np.uint64(columns.shape[0])):
            slope = turn * dot(slopes, i, column * count, frequency, column)
            dx[i, np.uint64(columns[column])] += slope


@kernel("mn c<n m(cf) #0 #0 cf! cf!", parallel=False)
def periodic_gradients(x, columns, slopes, first, last, dfrequency, dphase):
    """Write the gradients of the frequencies and phases of columns first ... last - 1.

    Parameters
    ----------
    x : array, (rows, n)
        All rows of the batch.
    columns : int64 array, (c,)
    slopes : array, (rows, c * f)
    first, last : int
    dfrequency, dphase : arrays, (c, f)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, dfrequency, dphase = np.ones((2, 1)), np.empty((1, 1)), np.empty((1, 1))
    >>> given = 3 * one, np.array([0]), one / np.pi
    >>> kernels.periodic_gradients(*given, 0, 1, dfrequency, dphase)
    >>> dfrequency, (np.pi * dphase).round(6)
    (array([[12.]]), array([[2.]]))
    """
    low, high = clipped(first, last, columns.shape[0])
    rows, count = np.uint64(x.shape[0]), np.uint64(dphase.shape[1])
    turn, none = x.dtype.type(_TURN), np.uint64(0)
    totals0, totals1 = stack_buffer(TOTALS_BYTES), stack_buffer(TOTALS_BYTES)
    for column in range(low, high):
        at, start = np.uint64(columns[column]), column * count
        of_frequency, of_phase = dfrequency[column], dphase[column]
        for part in range(parts(rows, none, count)):
            left, right = columns_of(part, rows, none, count)
            for block in range(blocks(rows)):
                begin, end = rows_of(block, rows)
                for k in range(left, right):
                    of_frequency[k] = 0
                    of_phase[k] = 0
                for i in range(begin, end):
                    z = x[i, at]
                    for k in range(left, right):
                        slope = slopes[i, start + k]
                        of_frequency[k] += slope * z
                        of_phase[k] += slope
                if rows > BLOCK:
                    carry(begin, end == rows, left, right, of_frequency, totals0)
                    carry(begin, end == rows, left, right, of_phase, totals1)
        for k in range(count):
            of_frequency[k] *= turn


@kernel("mk md #0 #0 df!", parallel=False)
def block_gradients(h, dy, first, last, dw):
    """Write the gradients of the weights of outputs first ... last - 1.

    Parameters
    ----------
    h : array, (rows, k)
        All rows of the batch, with f numbers for each column.
    dy : array, (rows, d)
    first, last : int
    dw : array, (d, f)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> h, dy, dw = np.array([[1.0, 2.0]]), np.array([[10.0, 100.0]]), np.empty((2, 1))
    >>> kernels.block_gradients(h, dy, 0, 2, dw)
    >>> dw.ravel()
    array([ 10., 200.])
    """
    n_columns, none = max(h.shape[1] // max(dw.shape[1], 1), 1), np.uint64(0)
    rows, count = np.uint64(h.shape[0]), np.uint64(min(dw.shape[1], h.shape[1]))
    totals = stack_buffer(TOTALS_BYTES)
    for column in range(n_columns):
        start = np.uint64(column) * count
        from_output, to_output = outputs_of(column, n_columns, dw.shape[0])
        low, high = clipped(max(first, from_output), min(last, to_output), dw.shape[0])
        for j in range(low, high):
            of_output = dw[j]
            for part in range(parts(rows, none, count)):
                left, right = columns_of(part, rows, none, count)
                for block in range(blocks(rows)):
                    begin, end = rows_of(block, rows)
                    for k in range(left, right):
                        of_output[k] = 0
                    quarter, second, third, fourth, rest = quarters(begin, end)
                    for i in range(quarter):
                        at0, at1, at2, at3 = begin + i, second + i, third + i, fourth + i
                        dy0, dy1, dy2, dy3 = dy[at0, j], dy[at1, j], dy[at2, j], dy[at3, j]
                        for k in range(left, right):
                            at = start + k
                            two = of_output[k] + dy0 * h[at0, at] + dy1 * h[at1, at]
                            of_output[k] = two + dy2 * h[at2, at] + dy3 * h[at3, at]
                    for i in range(rest, end):
                        slope = dy[i, j]
                        for k in range(left, right):
                            of_output[k] += slope * h[i, start + k]
                    if rows > BLOCK:
                        carry(begin, end == rows, left, right, of_output, totals)
