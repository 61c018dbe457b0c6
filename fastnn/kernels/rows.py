"""Rows: choose and gather a batch's rows, sum over rows, and claim cache lines."""

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.jit import REASSOCIATE, inlined, njit
from fastnn.kernels.memory import address_of, elements_at, prefetch_rows, rewrite, stack_buffer
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

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_ROUNDS = 4
_AHEAD = np.uint64(3)
_BEGINNING = 1024
"""Bytes to prefetch at the start of a row; the hardware prefetcher recognizes the rest."""
_WALKS = 512
"""How many rows of a shuffled batch are found at a time."""
_WALK_BYTES = 8 * _WALKS


@inlined
def mix(x):
    """Scramble 64 bits (the first half of splitmix64's finalizer)."""
    x = (x ^ (x >> np.uint64(30))) * _MIX
    return x ^ (x >> np.uint64(31))


@inlined
def columns(first, last, n):
    """Return `first` and `last` clipped to the n existing columns, as unsigned integers.

    Unsigned indices need no check for negative values, so loops over them vectorize.
    """
    return np.uint64(max(first, 0)), np.uint64(max(min(last, n), 0))


@njit
def permuted_rows(seed, epoch, n, shuffle, first, index):
    """Do what :func:`batch_rows` does, with an unsigned seed."""
    if shuffle == 0:
        for i in range(index.shape[0]):
            index[i] = first + i
        return
    bits = np.uint64(2)
    while (np.uint64(1) << bits) < np.uint64(n):
        bits += np.uint64(1)
    low_bits = bits >> np.uint64(1)
    low_mask = (np.uint64(1) << low_bits) - np.uint64(1)
    high_mask = (np.uint64(1) << (bits - low_bits)) - np.uint64(1)
    key = mix(mix(np.uint64(seed) + GOLDEN) + np.uint64(epoch) * GOLDEN)
    rows = np.uint64(max(n, 1))
    start = np.uint64(first) % rows  # a walk that starts below n ends below n
    places = elements_at(rows, stack_buffer(_WALK_BYTES))
    targets = elements_at(rows, stack_buffer(_WALK_BYTES))
    for begin in range(0, index.shape[0], _WALKS):
        walking = min(_WALKS, index.shape[0] - begin)
        for i in range(walking):
            places[i] = start
            targets[i] = np.uint64(begin + i)
            start += np.uint64(1)
            if start == rows:
                start = np.uint64(0)
        # All rows take the next step of their walk together, because that loop vectorizes; those
        # that are done then leave (20,000 rows in batches of 64: 22 ns per row, 38 if they stay).
        while walking > 0:
            for i in range(walking):
                low = places[i] & low_mask
                high = (places[i] >> low_bits) & high_mask
                turn = key
                for _ in range(_ROUNDS):
                    high ^= mix(low * GOLDEN + turn) & high_mask
                    low ^= mix(high * GOLDEN + ~turn) & low_mask
                    turn += GOLDEN
                places[i] = (high << low_bits) | low
            left = 0
            for i in range(walking):
                place, target = places[i], targets[i]
                index[target] = np.int64(place)
                places[left] = place
                targets[left] = target
                left += place >= rows
            walking = left


@kernel("# # #1 #0 #0@ m!#")
def batch_rows(seed, epoch, n, shuffle, first, index):
    """Write which rows of the data are at positions first, first + 1, ... of an epoch.

    Without shuffling, they are the positions themselves.  With shuffling, they are a permutation of
    0 ... n - 1 that can be computed for each position separately, so threads need no common order
    and no table: a Feistel network over the bits of n, applied again while its result is not below
    n.

    Parameters
    ----------
    seed, epoch : int
        The permutation's key.
    n : int
        The number of rows in the data.
    shuffle : int
        0 or 1.
    first : int
        The position of index[0] in the epoch.
    index : int64 array, (rows,)

    References
    ----------
    Black and Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002 (cycle walking).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> index = np.empty(5, np.int64)
    >>> kernels.batch_rows(0, 0, 5, 1, 0, index)
    >>> sorted(index.tolist())
    [0, 1, 2, 3, 4]
    """
    permuted_rows(np.uint64(seed), epoch, n, shuffle, first, index)


@kernel("nk* m<n mk!*")
def gather_rows(source, index, out):
    """Write ``out[i] = source[index[i]]``, cast to the dtype of `out`.

    Parameters
    ----------
    source : array, (n, columns)
        Any numeric dtype and strides.
    index : int64 array, (rows,)
    out : array, (rows, columns)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 2))
    >>> kernels.gather_rows(np.array([[1, 2], [3, 4]]), np.array([1]), out)
    >>> out
    array([[3., 4.]])
    """
    rows, (row, column) = np.uint64(out.shape[0]), source.strides
    beginning = min(out.shape[1] * source.itemsize, _BEGINNING)
    lines = (beginning + 63) // 64
    asks = column == source.itemsize and lines > 1  # else a line has several rows, or one of each
    for i in range(rows):
        if asks and i + _AHEAD < rows:
            prefetch_rows(address_of(source) + index[i + _AHEAD] * row, 0, 1, lines)
        at = np.uint64(index[i])
        for j in range(np.uint64(out.shape[1])):
            out[i, j] = source[at, j]


@kernel("n* m<n m!*")
def gather(source, index, out):
    """Write ``out[i] = source[index[i]]`` for one-dimensional arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty(2, np.int64)
    >>> kernels.gather(np.array([5, 6, 7], np.uint8), np.array([2, 0]), out)
    >>> out
    array([7, 5])
    """
    for i in range(out.shape[0]):
        out[i] = source[np.uint64(index[i])]


@kernel("mk n<k mn!")
def gather_columns(source, index, out):
    """Write ``out[:, j] = source[:, index[j]]``.

    Parameters
    ----------
    source : array, (rows, k)
    index : int64 array, (columns,)
    out : array, (rows, columns)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 2))
    >>> kernels.gather_columns(np.array([[1.0, 2.0, 3.0]]), np.array([2, 0]), out)
    >>> out
    array([[3., 1.]])
    """
    for i in range(out.shape[0]):
        row = source[i]
        target = out[i]
        for j in range(target.shape[0]):
            target[j] = row[np.uint64(index[j])]


@kernel("#1 m m!")
def row_scales(rows, weight, scale):
    """Write ``scale = weight / rows``.

    Parameters
    ----------
    rows : int
        How many rows the batch has.
    weight : array, (rows of this share,)
        The rows' weights, whose mean over the whole training set is 1.
    scale : array, (rows of this share,)
        The factor of each row's loss in the batch's loss.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> scale = np.empty(2)
    >>> kernels.row_scales(4, np.array([1.0, 3.0]), scale)
    >>> scale
    array([0.25, 0.75])
    """
    factor = weight.dtype.type(1) / weight.dtype.type(rows)
    for i in range(scale.shape[0]):
        scale[i] = weight[i] * factor


@kernel("m m 2!^", parallel=False, fastmath=REASSOCIATE)
def batch_loss(row_loss, weight, total):
    """Write ``total = (sum of weight * row_loss, sum of weight)`` in float64.

    A loss that is not finite shows even if its weight is 0, because its gradient would not be 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> total = np.empty(2)
    >>> kernels.batch_loss(np.array([1.0, 2.0]), np.array([1.0, 3.0]), total)
    >>> total
    array([7., 4.])
    """
    losses = 0.0
    weights = 0.0
    for i in range(row_loss.shape[0]):
        losses += np.float64(row_loss[i]) * np.float64(weight[i])
        weights += np.float64(weight[i])
    total[0] = losses
    total[1] = weights


@kernel("mn 1!^", parallel=False, fastmath=REASSOCIATE)
def flag_not_finite(a, flag):
    """Write ``flag[0] = 0``, or NaN if any number in `a` is NaN or infinite.

    It is the sum of ``0 * a``: one pass without branches, at the speed of memory.

    Parameters
    ----------
    a : array, (m, n)
    flag : float64 array, (o,)
        Only its first element is written.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> flag = np.empty(1)
    >>> kernels.flag_not_finite(np.array([[1.0, np.inf]]), flag)
    >>> flag
    array([nan])
    """
    zero = a.dtype.type(0)
    total = zero
    for k in range(a.size):
        total += zero * a.flat[k]
    flag[0] = total


@inlined
def _add_rows(a, begin, end, low, high, out):
    """Write the sums of rows begin ... end - 1."""
    quarter, second, third, fourth, rest = quarters(begin, end)
    for j in range(low, high):
        out[j] = 0
    # Add one row from each quarter at a time, so that sums are read and written a quarter as often
    # (50 rows of 64: 133 ns instead of 234; 200 of 1: 301 instead of 669).  Four adjacent rows
    # would be as fast in the caches, but slower from memory, where each stream is best read in
    # order.
    for i in range(quarter):
        for j in range(low, high):
            sums = out[j] + a[begin + i, j] + a[second + i, j]
            out[j] = sums + a[third + i, j] + a[fourth + i, j]
    for i in range(rest, end):
        for j in range(low, high):
            out[j] += a[i, j]


@kernel("mn #0 #0 n!", parallel=False)
def column_sums(a, first, last, out):
    """Write ``out[first:last] = a[:, first:last].sum(axis=0)``: the gradient of a bias.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty(2)
    >>> kernels.column_sums(np.array([[1.0, 2.0], [3.0, 4.0]]), 0, 2, out)
    >>> out
    array([4., 6.])
    """
    low, high = columns(first, last, out.shape[0])
    totals = stack_buffer(TOTALS_BYTES)
    rows = np.uint64(a.shape[0])
    for part in range(parts(rows, low, high)):
        left, right = columns_of(part, rows, low, high)
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            _add_rows(a, begin, end, left, right, out)
            if rows > BLOCK:
                carry(begin, end == rows, left, right, out, totals)


@kernel("m~")
def claim_lines(a):
    """Rewrite a byte in each cache line of an array, so that this core owns the lines.

    The values stay.  A core must own a cache line to write to it.  An update of weights that other
    cores have read waits for every line in turn, and its other writes wait too; here the waits
    overlap.

    Parameters
    ----------
    a : (n,) array

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> w = np.array([1.0, 2.0])
    >>> kernels.claim_lines(w)
    >>> w
    array([1., 2.])
    """
    start = address_of(a)
    for place in range(start, start + a.size * a.itemsize, 64):
        rewrite(place)
