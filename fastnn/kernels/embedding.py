"""Embeddings of categories: rows of a table, looked up by whole numbers and updated sparsely.

Several columns of numbers share one table of r rows.  Column number c of them has the categories
``0, 1, ... begin[c + 1] - begin[c] - 1``, whose rows start at ``begin[c]``; any other number is an
unknown category, whose row is all zeros and never changes.

A batch has a slot for each category in it, row by row: with c columns of categories, slot
``i * c + column`` is row i's.  ``place[slot]`` is the row of the table if the category does not
occur in an earlier row of the batch, and otherwise no row (-1, or any other number).  An update
takes those rows out of the table, works on them, and puts them back.  Which slot has a row, and in
which order the gradients of its occurrences are added up, depends on the batch alone.
"""

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.jit import njit
from fastnn.kernels.memory import elements_at, stack_buffer

_TOTALS = 64
_BYTES = 8 * _TOTALS


@njit
def _row_of(value, low, high):
    """Return the row of a category whose column has rows low ... high - 1, or -1."""
    if 0 <= value < high - low:
        code = np.int64(value)
        if code == value:
            return low + code
    return np.int64(-1)


@kernel("mn p<n mq m(p+q)!")
def append_columns(x, index, more, out):
    """Write ``out = [x[:, index], more]``, side by side.

    Parameters
    ----------
    x : array, (rows, n)
    index : int64 array, (p,)
    more : array, (rows, q)
    out : array, (rows, p + q)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 2))
    >>> kernels.append_columns(np.array([[1.0, 2.0]]), np.array([1]), np.array([[3.0]]), out)
    >>> out
    array([[2., 3.]])
    """
    kept = index.shape[0]
    for i in range(out.shape[0]):
        for j in range(kept):
            out[i, j] = x[i, np.uint64(index[j])]
        for j in range(more.shape[1]):
            out[i, kept + j] = more[i, j]


@kernel("m(p+q) p<n mn! mq!")
def split_columns(dy, index, dx, dmore):
    """Gradient of :func:`append_columns`, 0 for columns that are not in `index`.

    Parameters
    ----------
    dy : array, (rows, p + q)
    index : int64 array, (p,)
        No number twice.
    dx : array, (rows, n)
    dmore : array, (rows, q)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> dx, dmore = np.empty((1, 2)), np.empty((1, 1))
    >>> kernels.split_columns(np.array([[2.0, 3.0]]), np.array([1]), dx, dmore)
    >>> dx, dmore
    (array([[0., 2.]]), array([[3.]]))
    """
    kept = index.shape[0]
    for i in range(dy.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = 0
        for j in range(kept):
            dx[i, np.uint64(index[j])] = dy[i, j]
        for j in range(dmore.shape[1]):
            dmore[i, j] = dy[i, kept + j]


@kernel("mn c<n (c+1)<(r+1) rk m(ck)!")
def embedding_forward(x, columns, begin, table, out):
    """Write the rows of the categories in some columns of `x`, side by side.

    Parameters
    ----------
    x : array, (rows, n)
    columns : int64 array, (c,)
    begin : int64 array, (c + 1,)
    table : array, (r, k)
    out : array, (rows, c * k)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, table, out = np.array([[1.0], [7.0]]), np.array([[2.0], [3.0]]), np.empty((2, 1))
    >>> kernels.embedding_forward(x, np.array([0]), np.array([0, 2]), table, out)
    >>> out
    array([[3.],
           [0.]])
    """
    width = table.shape[1]
    for i in range(x.shape[0]):
        for column in range(columns.shape[0]):
            value = x[i, np.uint64(columns[column])]
            row, left = _row_of(value, begin[column], begin[column + 1]), column * width
            if row >= 0:
                for j in range(width):
                    out[i, left + j] = table[np.uint64(row), j]
            else:
                for j in range(width):
                    out[i, left + j] = 0


@kernel("mn c<n (c+1)<(r+1) #0 #0 r~# bc!# bc!#", parallel=False)
def embedding_links(x, columns, begin, first, last, slot, place, following):
    """Find where each category of a batch occurs first, and link its occurrences.

    Only columns first ... last - 1 of the categories are written.

    Parameters
    ----------
    x : array, (rows, n)
        All rows of the batch.
    columns : int64 array, (c,)
    begin : int64 array, (c + 1,)
    first, last : int
    slot : int64 array, (r,)
        For each row of the table, the row of the batch where it occurs first.  It may hold any
        numbers: those that are not of this batch do not pass for it.
    place : int64 array, (b, c)
        For b of at least as many rows: the slots' rows of the table, or -1.
    following : int64 array, (b, c)
        The next row of the batch with the same category, or -1.

    References
    ----------
    P. Briggs and L. Torczon, "An Efficient Representation for Sparse Sets", ACM Letters on
    Programming Languages and Systems 2, 1993: a table that needs no clearing.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> x, zero, begin = np.array([[1.0], [0.0], [1.0]]), np.array([0]), np.array([0, 2])
    >>> slot, place, following = np.zeros(2, int), np.empty((3, 1), int), np.empty((3, 1), int)
    >>> kernels.embedding_links(x, zero, begin, 0, 1, slot, place, following)
    >>> place.ravel(), following.ravel()
    (array([ 1,  0, -1]), array([ 2, -1, -1]))
    """
    rows = min(x.shape[0], place.shape[0])
    for column in range(max(first, 0), min(last, columns.shape[0])):
        for i in range(rows, place.shape[0]):
            place[i, column] = -1
            following[i, column] = -1
        for back in range(rows):
            i = rows - 1 - back
            value = x[i, np.uint64(columns[column])]
            row = _row_of(value, begin[column], begin[column + 1])
            place[i, column] = row
            following[i, column] = -1
            if row >= 0:
                later = slot[row]
                if i < later < rows and place[later, column] == row:
                    following[i, column] = later
                    place[later, column] = -1
                slot[row] = i


@kernel("m(ck) bc# bc# #0 #0 (bc)k!", parallel=False)
def embedding_gradient(dy, place, following, first, last, dw):
    """Write the gradients of the rows in slots first ... last - 1, 0 where there is none.

    A row's is the sum over its occurrences in the order of the batch, in float64.

    Parameters
    ----------
    dy : array, (rows, c * k)
        All rows of the batch.
    place, following : int64 arrays, (b, c)
        From :func:`embedding_links`.
    first, last : int
    dw : array, (b * c, k)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> dy, dw = np.array([[1.0], [10.0], [100.0]]), np.empty((3, 1))
    >>> place, following = np.array([[1], [0], [-1]]), np.array([[2], [-1], [-1]])
    >>> kernels.embedding_gradient(dy, place, following, 0, 3, dw)
    >>> dw.ravel()
    array([101.,  10.,   0.])
    """
    rows, width, n_columns = dy.shape[0], dw.shape[1], place.shape[1]
    total = elements_at(0.0, stack_buffer(_BYTES))
    for place_of in range(max(first, 0), min(last, dw.shape[0])):
        start, column = place_of // n_columns, place_of % n_columns
        for left in range(0, width, _TOTALS):
            count, begin = min(_TOTALS, width - left), column * width + left
            for j in range(count):
                total[j] = 0.0
            i = start if place[start, column] >= 0 else rows
            while i < rows:
                for j in range(count):
                    total[j] += np.float64(dy[i, begin + j])
                after = following[i, column] if i < following.shape[0] else rows
                i = after if after > i else rows
            for j in range(count):
                dw[place_of, left + j] = total[j]


@kernel("m# rk mk!")
def embedding_take(place, table, out):
    """Write ``out[slot] = table[place[slot]]``, and zeros for slots without a row.

    Parameters
    ----------
    place : int64 array, (slots,)
    table : array, (r, k)
    out : array, (slots, k)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((2, 1))
    >>> kernels.embedding_take(np.array([1, -1]), np.array([[2.0], [3.0]]), out)
    >>> out.ravel()
    array([3., 0.])
    """
    for i in range(out.shape[0]):
        row = place[i]
        if 0 <= row < table.shape[0]:
            for j in range(out.shape[1]):
                out[i, j] = table[np.uint64(row), j]
        else:
            for j in range(out.shape[1]):
                out[i, j] = 0


@kernel("m# mk rk~", parallel=False)
def embedding_put(place, rows, table):
    """Write ``table[place[slot]] = rows[slot]`` for all slots that have a row.

    Parameters
    ----------
    place : int64 array, (slots,)
    rows : array, (slots, k)
    table : array, (r, k)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> table = np.array([[2.0], [3.0]])
    >>> kernels.embedding_put(np.array([1, -1]), np.array([[5.0], [0.0]]), table)
    >>> table.ravel()
    array([2., 5.])
    """
    for i in range(rows.shape[0]):
        row = place[i]
        if 0 <= row < table.shape[0]:
            for j in range(rows.shape[1]):
                table[row, j] = rows[i, j]
