"""Norms of weights and gradients, and bounds on norms or on the weights themselves.

A penalty or constraint on whole units computes the norms of W's columns, changes the norms as if
they were weights, and scales the columns accordingly.  Kernels take columns ``first`` ...
``last - 1`` of a whole matrix, so that the inner loop runs along its rows.  Gradients are clipped
by the norm of all together.
"""

import math

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import select
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

_SMALL, _LARGE = 1e-280, 1e300
"""Between these, a sum of squares has kept its digits."""


@njit(fastmath=REASSOCIATE)
def norm(vector):
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


@kernel("-inf -inf m~")
def bound(low, high, w):
    """Clip: ``w = min(max(w, low), high)``.  NaN stays NaN.

    Parameters
    ----------
    low, high : float
    w : (n,) array of a float type
        Weights, norms, or a gradient to clip by value.

    References
    ----------
    T. Mikolov, "Statistical Language Models Based on Neural Networks", 2012, clips gradients.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([-1.0, 2.0, 5.0])
    >>> bound(0.0, 3.0, w)
    >>> w
    array([0., 2., 3.])
    """
    least, most = w.dtype.type(low), w.dtype.type(high)
    for k in range(w.size):
        value = least if w[k] < least else w[k]
        w[k] = most if value > most else value


@inlined
def _add_squares(w, begin, end, low, high, out):
    """Write the sums of the squares of rows begin ... end - 1."""
    quarter, second, third, fourth, rest = quarters(begin, end)
    for j in range(low, high):
        out[j] = 0
    for i in range(quarter):
        for j in range(low, high):
            w0, w1, w2, w3 = w[begin + i, j], w[second + i, j], w[third + i, j], w[fourth + i, j]
            out[j] = out[j] + w0 * w0 + w1 * w1 + w2 * w2 + w3 * w3
    for i in range(rest, end):
        for j in range(low, high):
            out[j] += w[i, j] * w[i, j]


@kernel("mn #0 #0 n! n!", parallel=False)
def column_norms(w, first, last, before, after):
    """Write the norms ``sqrt(sum_i w[i, first:last]**2)`` to the same elements of both vectors.

    The caller changes the second and keeps the first; see :func:`norm_ratios`.

    Parameters
    ----------
    w : (m, n) array of a float type
    first, last : int
    before, after : (n,) arrays of the same type

    Examples
    --------
    >>> import numpy as np
    >>> before, after = np.empty(2), np.empty(2)
    >>> column_norms(np.array([[3.0, 0.0], [4.0, 1.0]]), 0, 2, before, after)
    >>> after
    array([5., 1.])
    """
    low, high = columns(first, last, before.shape[0])
    totals = stack_buffer(TOTALS_BYTES)
    rows = np.uint64(w.shape[0])
    for part in range(parts(rows, low, high)):
        left, right = columns_of(part, rows, low, high)
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            _add_squares(w, begin, end, left, right, before)
            if rows > BLOCK:
                carry(begin, end == rows, left, right, before, totals)
        for j in range(left, right):
            before[j] = math.sqrt(before[j])
            if before[j] == np.inf:  # perhaps only its square is too large
                before[j] = norm(w[:, j])
            after[j] = before[j]


@kernel("mn m! m!", fastmath=REASSOCIATE)
def row_norms(w, before, after):
    """Write the norms ``sqrt(sum_j w[:, j]**2)`` to both vectors.

    Parameters
    ----------
    w : (m, n) array of a float type
    before, after : (m,) arrays of the same type

    Examples
    --------
    >>> import numpy as np
    >>> before, after = np.empty(2), np.empty(2)
    >>> row_norms(np.array([[3.0, 4.0], [0.0, 1.0]]), before, after)
    >>> after
    array([5., 1.])
    """
    for i in range(w.shape[0]):
        row = w[i]
        squares = w.dtype.type(0)
        for j in range(row.shape[0]):
            squares += row[j] * row[j]
        before[i] = math.sqrt(squares)
        if before[i] == np.inf:  # perhaps only its square is too large
            before[i] = norm(row)
        after[i] = before[i]


@kernel("m m~ m!")
def extend_norms(b, before, after):
    """Write the norms of vectors with one more element: ``sqrt(before**2 + b**2)``, to both.

    Parameters
    ----------
    b : (n,) array of a float type
        One number for each norm, such as the units' biases.
    before, after : (n,) arrays of the same type

    Examples
    --------
    >>> import numpy as np
    >>> before, after = np.array([3.0, 0.0]), np.empty(2)
    >>> extend_norms(np.array([-4.0, 0.0]), before, after)
    >>> after
    array([5., 0.])
    """
    zero, one = b.dtype.type(0), b.dtype.type(1)
    for k in range(b.size):
        # The larger one is taken out, so that no square overflows.
        own, rest = abs(b[k]), before[k]
        larger, smaller = select(own > rest, own, rest), select(own > rest, rest, own)
        share = smaller / select(larger == zero, one, larger)
        before[k] = larger * math.sqrt(one + share * share)
        after[k] = before[k]


@kernel("m m~")
def norm_ratios(before, after):
    """Turn changed norms into factors: ``after = after / before``, exactly 1 where they are equal.

    Where `before` is 0, there is nothing to scale and `after` stays as it is.

    Parameters
    ----------
    before, after : (n,) arrays of one float type

    Examples
    --------
    >>> import numpy as np
    >>> after = np.array([1.0, 0.0])
    >>> norm_ratios(np.array([2.0, 0.0]), after)
    >>> after
    array([0.5, 0. ])
    """
    one = before.dtype.type(1)
    for k in range(before.size):
        after[k] = after[k] / (one if before[k] == 0 else before[k])


@kernel("n #0 #0 mn~")
def scale_columns(factor, first, last, w):
    """Scale columns: ``w[:, first:last] *= factor[first:last]``.

    Parameters
    ----------
    factor : (n,) array of a float type
    first, last : int
    w : (m, n) array of the same type
        Not written if all factors are 1, as is common under a constraint; several cores can then
        keep its cache lines.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones((2, 2))
    >>> scale_columns(np.array([3.0, 4.0]), 0, 2, w)
    >>> w
    array([[3., 4.],
           [3., 4.]])
    """
    low, high = max(first, 0), min(last, factor.shape[0])
    scale = factor[low:high]
    changed = 0
    for j in range(scale.shape[0]):
        changed += scale[j] != 1
    if changed == 0:
        return
    for i in range(w.shape[0]):
        row = w[i, low:high]
        for j in range(scale.shape[0]):
            row[j] *= scale[j]


@kernel("m mn~")
def scale_rows(factor, w):
    """Scale rows: ``w[i] *= factor[i]``.

    Parameters
    ----------
    factor : (m,) array of a float type
    w : (m, n) array of the same type

    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones((2, 2))
    >>> scale_rows(np.array([3.0, 4.0]), w)
    >>> w
    array([[3., 3.],
           [4., 4.]])
    """
    for i in range(w.shape[0]):
        row = w[i]
        for j in range(row.shape[0]):
            row[j] *= factor[i]


@kernel("mn m!^")
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
        norms[i] = norm(dw[i])


@kernel("-inf n^ 1!^", parallel=False)
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
    length = norm(norms)
    scale[0] = limit / length if length > limit else 1.0


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
