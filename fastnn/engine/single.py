"""Updates in one call of compiled code, which takes them back if something is not finite."""

import numpy as np
from numba import types

from fastnn.engine.clock import Clock, Shared
from fastnn.engine.magnitude import magnitude
from fastnn.engine.native import matrix, move, vector
from fastnn.engine.program import Program, addresses, aligned
from fastnn.engine.worker import COLUMNS, work
from fastnn.kernels.jit import njit

DONE, UNSURE, NOTHING = range(3)
"""What :func:`train` did: all updates, and the loss is finite after them; all, but nobody knows if
it is; or none, because something on the way is not."""
EPOCHS = 32
"""Most epochs of a run."""

_N_THREADS, _FIRST, _UPDATE = int(Clock.N_THREADS), int(Clock.FIRST), int(Clock.UPDATE)
_TOTAL_ROWS, _BATCHES, _CLOCK = int(Clock.TOTAL_ROWS), int(Clock.BATCHES), len(Clock)
_STOP, _NOT_FINITE, _SHARED = int(Shared.STOP), int(Shared.NOT_FINITE), int(Shared.SIZE)
_LOOKED_AT = 2**18
"""Bytes of rows in order that are looked at before the batches that they are in: a second-level
cache has them when these are fetched."""
_INFINITY = np.int64(0x7F800000), np.int64(0x7FF0000000000000)
"""The bits of infinity in float32 and float64."""


class Single:
    """A program, and what running it for some epochs in one call takes.

    Parameters
    ----------
    program : Program
    n_rows : int
    arrays : list of array
        What updates change.
    rows : None or (array, array)
        None if all runs read the rows for which the program was made.  Otherwise the program has
        let go of them (:meth:`~fastnn.engine.program.Program.loosen`), and each run reads others
        of the same layout as these x and y.  But labels are always read from this y.
    classes : int
        How many classes labels tell, or 0 if y has numbers.
    touched : list, optional
        For each of `arrays`, its rows that a run can change, as an int64 array where -1 is no row,
        or None for all.  The caller may write other rows into it before a run.
    in_order : bool
        Whether batches are consecutive rows of x.

    Attributes
    ----------
    clock : int64 array
        Its fields EPOCH and UPDATE say where the next run begins, and UPDATE where it ended.
    limits : int64 array
        Magnitudes of x, y and the arrays up to which the loss is known to be finite, as bits.
    sizes : int64 array
        What they were after the run.
    """

    def __init__(
        self,
        program: Program,
        n_rows: int,
        arrays: list[np.ndarray],
        rows: tuple[np.ndarray, np.ndarray] | None = None,
        classes: int = 0,
        touched: list[np.ndarray | None] | None = None,
        in_order: bool = False,
    ):
        table, self.n_rows = program.table, n_rows
        self.clock = program.clocks[0]
        self.limits, self.sizes = np.full((2, 2 + len(arrays)), -1)
        self.sums = np.zeros((EPOCHS, 2))
        all_rows = np.zeros(1, np.int64)  # a whole array is one row
        pairs = [
            (array[None], all_rows) if some is None else (array, some)
            for array, some in zip(arrays, touched or [None] * len(arrays), strict=True)
        ]
        saved = [aligned((len(some), *array.shape[1:]), array.dtype) for array, some in pairs]
        places = addresses(arrays), addresses(saved), addresses([some for _, some in pairs])
        lengths = np.array([len(some) for _, some in pairs], np.int64)
        n_bytes = np.array([array[:1].nbytes for array, _ in pairs], np.int64)
        changed = np.stack([*places, lengths, n_bytes])
        pointers, y, sizes = np.empty((3, 0), np.int64), self.sums, (0, 0)
        together = n_rows
        if rows is not None:
            pointers, y = table.pointers(1 if classes else 2), rows[1]
            sizes = rows[0].size, y.size
            if in_order:
                size = program.batch_size
                together = size * max(1, _LOOKED_AT // (size * rows[0].strides[0]))
        stamps = np.zeros(EPOCHS + 1, np.int64)
        loss, sums = program.loss[0], self.sums
        ran = table.steps, table.forward, self.clock, program.shared, loss, sums, stamps
        found = [*ran, table.integers, pointers, changed, self.limits, self.sizes]
        numbers = program.dtype.itemsize, n_rows, program.batch_size, *sizes, classes, together
        counts = len(table.steps), len(table.forward), pointers.shape[1], len(arrays)
        self.frame = np.array([*numbers, y.ctypes.data, *counts, *addresses(found)], np.int64)
        self._kept = found, pairs, saved, program, y  # to which the frame points


_ITEM, _ROWS, _BATCH, _X_SIZE, _Y_SIZE, _CLASSES, _TOGETHER, _LABELS = range(8)
_N_STEPS, _N_FORWARD, _N_POINTERS, _COUNT = range(8, 12)
_STEPS, _FORWARD, _CLOCKS, _SHARES, _LOSS, _SUMS, _STAMPS = range(12, 19)
_INTEGERS, _POINTERS, _ARRAYS, _LIMITS, _SIZES = range(19, 24)
"""The layout of a frame."""


@njit
def train(x, y, epochs, frame):
    """Train for some epochs, on rows of the layout that a :class:`Single` was made for.

    Returns
    -------
    did : int
        DONE, UNSURE or NOTHING.
    loss : float
        The first epoch's mean loss of the batches, each before its update.
    """
    return _train(x.ctypes.data, y.ctypes.data, epochs, frame)


@njit
def _train(x, y, epochs, frame):
    single, count = frame[_ITEM] == 4, frame[_COUNT]
    limits = vector(frame[_LIMITS], 2 + count, types.int64)
    sizes = vector(frame[_SIZES], 2 + count, types.int64)
    infinity = _INFINITY[0] if single else _INFINITY[1]
    sizes[0], sizes[1] = 0, 0
    if frame[_CLASSES] == 0:
        sizes[1] = magnitude(y, frame[_Y_SIZE], single)
    else:  # copied, because the caller's may change any time, and steps index with them
        move(frame[_LABELS], y, 8 * frame[_ROWS])
        for label in vector(frame[_LABELS], frame[_ROWS], types.int64):
            if label < 0 or label >= frame[_CLASSES]:
                return NOTHING, 0.0
    if sizes[1] >= infinity:
        return NOTHING, 0.0
    pointers = matrix(frame[_POINTERS], 3, frame[_N_POINTERS], types.int64)
    for each in range(frame[_N_POINTERS]):
        place = vector(frame[_INTEGERS] + 8 * pointers[0, each], 1, types.int64)
        place[0] = pointers[2, each] + (y if pointers[1, each] else x)
    changed = _copied(frame, False)
    clock = vector(frame[_CLOCKS], _CLOCK, types.int64)
    number, n_rows, together = clock[_UPDATE], frame[_ROWS], frame[_TOGETHER]
    sums, did, width = _sums(frame, epochs), DONE, frame[_X_SIZE] // max(n_rows, 1)
    for first in range(0, n_rows, together):
        items, begin = width * min(together, n_rows - first), width * first * frame[_ITEM]
        sizes[0] = max(sizes[0], magnitude(x + begin, items, single))
        batches = together // frame[_BATCH] if first + together < n_rows else -1
        clock[_FIRST], clock[_BATCHES] = first, batches
        if sizes[0] >= infinity or not _run(frame, frame[_STEPS], frame[_N_STEPS], sums, 0):
            did = NOTHING
            break
    for each in range(count):
        array, rows, n_bytes = changed[0, each], changed[2, each], changed[4, each]
        sizes[2 + each] = 0
        for row in vector(rows, changed[3, each], types.int64):
            if row >= 0:
                size = magnitude(array + row * n_bytes, n_bytes // frame[_ITEM], single)
                sizes[2 + each] = max(sizes[2 + each], size)
    for each in range(2 + count):
        if sizes[each] >= infinity:
            did = NOTHING
        elif sizes[each] > limits[each] and did == DONE:
            did = UNSURE
    if did == NOTHING:
        take_back(number, frame)
    return did, sums[0, 0] / sums[0, 1]


@njit
def _copied(frame, back):
    """Copy what a run changes, or copy it back.

    Return for each array where it is, where its copy and the numbers of its rows that change are,
    how many those are, and the bytes of each.
    """
    changed = matrix(frame[_ARRAYS], 5, frame[_COUNT], types.int64)
    for each in range(changed.shape[1]):
        saved, n_bytes = changed[1, each], changed[4, each]
        for row in vector(changed[2, each], changed[3, each], types.int64):
            if row >= 0:
                own = changed[0, each] + row * n_bytes
                move(own if back else saved, saved if back else own, n_bytes)
            saved += n_bytes
    return changed


@njit
def _sums(frame, epochs):
    """Return where to add up the losses of some epochs, set to 0."""
    sums = matrix(frame[_SUMS], epochs, 2, types.float64)
    sums[:] = 0.0
    return sums


@njit
def _run(frame, steps, n_steps, sums, stop):
    """Run the clock's batches of the epochs of `sums`; return whether all losses were finite."""
    clock = vector(frame[_CLOCKS], _CLOCK, types.int64)
    shared = vector(frame[_SHARES], _SHARED, types.int64)
    loss = vector(frame[_LOSS], 2, types.float64)
    stamps = vector(frame[_STAMPS], len(sums) + 1, types.int64)
    shared[:] = 0
    shared[_STOP] = stop
    clock[_N_THREADS], clock[_TOTAL_ROWS] = 1, frame[_ROWS]
    table = matrix(steps, n_steps, COLUMNS, types.int64)
    work(table, clock, shared, loss, sums, stamps, frame[_BATCH], None)
    return shared[_NOT_FINITE] == 0


@njit
def _from_start(frame, steps, n_steps, sums, stop):
    """Run all batches."""
    clock = vector(frame[_CLOCKS], _CLOCK, types.int64)
    clock[_FIRST], clock[_BATCHES] = 0, -1
    return _run(frame, steps, n_steps, sums, stop)


@njit
def run(frame):
    """Run an epoch of the program's own rows; return whether its loss was finite."""
    return _from_start(frame, frame[_STEPS], frame[_N_STEPS], _sums(frame, 1), 0)


@njit
def take_back(number, frame):
    """Undo a run that began after update `number`."""
    _copied(frame, True)
    vector(frame[_CLOCKS], _CLOCK, types.int64)[_UPDATE] = number


@njit
def look(frame):
    """Compute the loss of the next batch; return its sum and that of the weights."""
    sums = matrix(frame[_SUMS], 1, 2, types.float64)
    _from_start(frame, frame[_FORWARD], frame[_N_FORWARD], sums, 1)
    loss = vector(frame[_LOSS], 2, types.float64)
    return loss[0], loss[1]
