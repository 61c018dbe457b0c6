"""A trainable number for each unit: scales, shares of an activation, and their gradients.

The gradients are sums over all rows of a batch; see :mod:`fastnn.kernels.sums`.
"""

import numpy as np

from fastnn.kernels.contract import kernel
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


@kernel("mn& n mn!")
def scale_units(x, scale, out):
    """Scale each column: ``out = x * scale``; the gradient with respect to `x` is the same of `dy`.

    Parameters
    ----------
    x, out : arrays, (rows, n)
    scale : array, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 2))
    >>> kernels.scale_units(np.array([[1.0, 2.0]]), np.array([10.0, 0.5]), out)
    >>> out
    array([[10.,  1.]])
    """
    for i in range(np.uint64(x.shape[0])):
        for j in range(np.uint64(x.shape[1])):
            out[i, j] = x[i, j] * scale[j]


@inlined
def _add_products(x, dy, begin, end, low, high, out):
    """Write the sums over rows begin ... end - 1."""
    quarter, second, third, fourth, rest = quarters(begin, end)
    for j in range(low, high):
        out[j] = 0
    for i in range(quarter):
        at0, at1, at2, at3 = begin + i, second + i, third + i, fourth + i
        for j in range(low, high):
            half = out[j] + dy[at0, j] * x[at0, j] + dy[at1, j] * x[at1, j]
            out[j] = half + dy[at2, j] * x[at2, j] + dy[at3, j] * x[at3, j]
    for i in range(rest, end):
        for j in range(low, high):
            out[j] += dy[i, j] * x[i, j]


@kernel("mn mn #0 #0 n!", parallel=False)
def scale_units_gradient(x, dy, first, last, dscale):
    """Write the gradient of the scales of columns first ... last - 1: ``sum_i dy[i] * x[i]``.

    A column's sum is computed by one thread, in an order that depends on the number of rows alone.

    Parameters
    ----------
    x, dy : arrays, (rows, n)
        All rows of the batch.
    first, last : int
    dscale : array, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, dy, dscale = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.empty(2)
    >>> kernels.scale_units_gradient(x, dy, 0, 2, dscale)
    >>> dscale
    array([3., 8.])
    """
    low, high = columns(first, last, dscale.shape[0])
    totals = stack_buffer(TOTALS_BYTES)
    rows = np.uint64(x.shape[0])
    for part in range(parts(rows, low, high)):
        left, right = columns_of(part, rows, low, high)
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            _add_products(x, dy, begin, end, left, right, dscale)
            if rows > BLOCK:
                carry(begin, end == rows, left, right, dscale, totals)


@kernel("mn mn n mn!")
def blend_units(x, y, share, out):
    """Blend two matrices: ``out = share * y + (1 - share) * x``, with a share for each column.

    If `y` is an activation of `x`, elementwise, the gradient with respect to `x` is the same blend
    of the gradient `dy` and of what the activation's backward kernel makes of it.

    Parameters
    ----------
    x, y, out : arrays, (rows, n)
    share : array, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, y, out = np.array([[1.0, 1.0]]), np.array([[5.0, 5.0]]), np.empty((1, 2))
    >>> kernels.blend_units(x, y, np.array([0.25, 1.0]), out)
    >>> out
    array([[2., 5.]])
    """
    one = x.dtype.type(1)
    for i in range(np.uint64(x.shape[0])):
        for j in range(np.uint64(x.shape[1])):
            # Not x + share * (y - x), which loses a small y beside a large x.
            out[i, j] = share[j] * y[i, j] + (one - share[j]) * x[i, j]


@inlined
def _add_differences(x, y, dy, begin, end, low, high, out):
    """Write the sums over rows begin ... end - 1."""
    quarter, second, third, fourth, rest = quarters(begin, end)
    for j in range(low, high):
        out[j] = 0
    for i in range(quarter):
        at0, at1, at2, at3 = begin + i, second + i, third + i, fourth + i
        for j in range(low, high):
            half = out[j] + dy[at0, j] * (y[at0, j] - x[at0, j])
            half += dy[at1, j] * (y[at1, j] - x[at1, j])
            half += dy[at2, j] * (y[at2, j] - x[at2, j])
            out[j] = half + dy[at3, j] * (y[at3, j] - x[at3, j])
    for i in range(rest, end):
        for j in range(low, high):
            out[j] += dy[i, j] * (y[i, j] - x[i, j])


@kernel("mn mn mn #0 #0 n!", parallel=False)
def blend_units_gradient(x, y, dy, first, last, dshare):
    """Write the gradient of the shares of columns first ... last - 1: ``sum_i dy[i] * (y - x)[i]``.

    A column's sum is computed by one thread, in an order that depends on the number of rows alone.

    Parameters
    ----------
    x, y, dy : arrays, (rows, n)
        All rows of the batch.
    first, last : int
    dshare : array, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, y, dy, dshare = np.ones((1, 2)), np.array([[3.0, 0.0]]), np.ones((1, 2)), np.empty(2)
    >>> kernels.blend_units_gradient(x, y, dy, 0, 2, dshare)
    >>> dshare
    array([ 2., -1.])
    """
    low, high = columns(first, last, dshare.shape[0])
    totals = stack_buffer(TOTALS_BYTES)
    rows = np.uint64(x.shape[0])
    for part in range(parts(rows, low, high)):
        left, right = columns_of(part, rows, low, high)
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            _add_differences(x, y, dy, begin, end, left, right, dshare)
            if rows > BLOCK:
                carry(begin, end == rows, left, right, dshare, totals)
