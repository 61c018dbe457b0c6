"""One update in one call of compiled code, which takes it back if something is not finite."""

import numpy as np
from numba import types

from fastnn.engine.clock import Clock, Shared
from fastnn.engine.magnitude import magnitude
from fastnn.engine.native import move, vector
from fastnn.engine.worker import work
from fastnn.kernels.jit import njit

DONE, UNSURE, NOTHING = range(3)
"""What :func:`update` did: an update, after which the loss is finite; one after which nobody knows;
or none, because rows or their loss are not finite."""

_N_THREADS, _FIRST, _UPDATE = int(Clock.N_THREADS), int(Clock.FIRST), int(Clock.UPDATE)
_TOTAL_ROWS, _BATCHES = int(Clock.TOTAL_ROWS), int(Clock.BATCHES)
_STOP, _NOT_FINITE = int(Shared.STOP), int(Shared.NOT_FINITE)


@njit
def begins(x, y):
    """Return the addresses of two arrays, in a tenth of the time that NumPy takes."""
    return x.ctypes.data, y.ctypes.data


@njit
def update(rows, number, bounds, labels, pointers, arrays, steps, size, counters, loss):
    """Make update `number` with all rows of x and y.

    Parameters
    ----------
    rows : (int, int)
        The addresses of x and y.
    number : int
    bounds : (int64 array, int64 array, bool)
        The numbers of items in x, in y and in each of the arrays that the update changes; up to
        which magnitudes of those the loss is known to be finite, as bits, and then room for the
        magnitudes that they have; and whether items are float32, not float64.
    labels : (int64 array, int)
        Where the steps read labels, and how many classes these tell; without length if y has
        numbers.
    pointers : (int64 array (3, n), int64 array)
        Where among the steps' integers the rows' addresses stand, whose they are, and offsets; and
        these integers.
    arrays : int64 array, (2, n)
        The addresses of what the update changes, and of room for copies.
    steps, size, counters, loss
        As :func:`fastnn.engine.worker.work` has them: the steps, the size of the batch, the clock
        with what threads share and stamps, and the sums of batch and epoch.
    """
    (sizes, limits, single), (label, classes) = bounds, labels
    count = len(sizes)
    found = limits[count:]
    infinity = np.int64(0x7F800000) if single else np.int64(0x7FF0000000000000)
    found[0] = magnitude(rows[0], sizes[0], single)
    found[1] = 0
    if len(label) == 0:
        found[1] = magnitude(rows[1], sizes[1], single)
    else:  # copied, because the caller's may change any time, and steps index with them
        label[:] = vector(rows[1], sizes[1], types.int64)
        for each in label:
            if each < 0 or each >= classes:
                return NOTHING
    if max(found[0], found[1]) >= infinity:
        return NOTHING
    places, integers = pointers
    for each in range(places.shape[1]):
        integers[places[0, each]] = rows[places[1, each]] + places[2, each]
    for each in range(count - 2):
        _copy(arrays[0, each], arrays[1, each], sizes[2 + each], single)
    clock, shared, stamps = counters
    clock[:] = 0
    clock[_N_THREADS], clock[_BATCHES], clock[_TOTAL_ROWS] = 1, -1, size
    clock[_UPDATE] = number - 1
    shared[:] = 0
    batch, epoch = loss
    epoch[:] = 0.0
    work(steps, clock, shared, batch, epoch, stamps, size, None)
    if shared[_NOT_FINITE] != 0:
        return NOTHING
    did = DONE
    for each in range(count):
        if each >= 2:
            found[each] = magnitude(arrays[0, each - 2], sizes[each], single)
        if found[each] >= infinity:
            restore(sizes, single, arrays)
            return NOTHING
        if found[each] > limits[each]:
            did = UNSURE
    return did


@njit
def restore(sizes, single, arrays):
    """Undo what :func:`update` did to the arrays."""
    for each in range(arrays.shape[1]):
        _copy(arrays[1, each], arrays[0, each], sizes[2 + each], single)


@njit
def look(forward, size, counters, loss):
    """Compute the loss of the same rows once more; return its sum and that of the weights."""
    clock, shared, stamps = counters
    batch, epoch = loss
    shared[:] = 0
    shared[_STOP] = 1
    clock[_FIRST] = 0
    work(forward, clock, shared, batch, epoch, stamps, size, None)
    return batch[0], batch[1]


@njit
def _copy(source, target, size, single):
    move(target, source, size * 4 if single else size * 8)
