"""Shards: which rows of a batch a process has, and sums over theirs."""

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.jit import njit
from fastnn.kernels.rows import permuted_rows


@kernel("# # #1 #0 #1 #0 #0 k<(m+1) m!#", parallel=False)
def shard_rows(seed, epoch, n, shuffle, shards, shard, first, bounds, index):
    """Write which of a process's rows a batch has: those of one shard after those of another.

    The data are `shards` slices of consecutive rows, the first ``n % shards`` of them one longer
    than the others.  Position p of an epoch belongs to slice ``p % shards``, so that a batch has
    rows of all slices.  Within a slice, rows are shuffled as :func:`batch_rows` does it, by a seed
    of its own.  A process with slices `shard`, `shard` + 1, ... needs none of the others' rows.

    Parameters
    ----------
    seed, epoch : int
    n : int
        The number of rows in the data, of all processes together.
    shuffle : int
        0 or 1.
    shards : int
    shard : int
        The process's first slice.
    first : int
        The batch's first position in the epoch.
    bounds : int64 array
        See :func:`shard_bounds`: as many numbers as the process has slices, and one more.
    index : int64 array, (rows,)
        The rows, counted from the process's first one; those of `bounds` are written.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> index = np.empty(3, np.int64)
    >>> kernels.shard_rows(0, 0, 10, 0, 4, 1, 0, np.array([0, 1, 2, 3]), index)
    >>> index
    array([0, 3, 5])
    """
    start = 0
    for each in range(bounds.shape[0] - 1):
        number = shard + each
        length = n // shards + (1 if number < n % shards else 0)
        begin, end = bounds[each], min(bounds[each + 1], index.shape[0])
        if begin < end:
            own = np.uint64(seed) + (np.uint64(number) << np.uint64(40))
            part = index[begin:end]
            before = (first - number + shards - 1) // shards
            permuted_rows(own, epoch, max(length, 1), shuffle, before, part)
            for i in range(part.shape[0]):
                part[i] += start
        start += length


@kernel("#1 #0 #0 #0 2!# m!#", parallel=False)
def shard_bounds(shards, shard, first, rows, own, bounds):
    """Count a batch's rows in a process's slices of the data; see :func:`shard_rows`.

    Parameters
    ----------
    shards, shard, first : int
    rows : int
        The rows of the whole batch.
    own : int64 array, (2,)
        Receives how many of them the process has, and how many those before it.
    bounds : int64 array
        For each of its slices, receives where its rows begin among its own, and then their end.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> own, bounds = np.empty(2, np.int64), np.empty(3, np.int64)
    >>> kernels.shard_bounds(4, 2, 0, 7, own, bounds)
    >>> own, bounds
    (array([3, 4]), array([0, 2, 3]))
    """
    own[0] = own[1] = 0
    for number in range(shard):
        own[1] += _positions(number, shards, first, rows)
    for each in range(bounds.shape[0]):
        bounds[each] = own[0]
        if each < bounds.shape[0] - 1:
            own[0] += _positions(shard + each, shards, first, rows)


@njit
def _positions(number, shards, first, rows):
    """Count the positions first ... first + rows - 1 that belong to a slice."""
    before, end = first - number + shards - 1, first + rows - number + shards - 1
    return end // shards - before // shards


@kernel("m m~")
def add_to(a, total):
    """Add: ``total += a``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> total = np.array([1.0, 2.0])
    >>> kernels.add_to(np.array([3.0, 4.0]), total)
    >>> total
    array([4., 6.])
    """
    for k in range(total.size):
        total[k] += a[k]
