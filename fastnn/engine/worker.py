"""The compiled loop that walks a step table for whole epochs, and its barrier."""

import functools

import numpy as np
from numba import from_dtype, types

from fastnn.engine.clock import Clock, Shared, share
from fastnn.engine.native import (
    call_step,
    flush_subnormals,
    matrix,
    restore_control,
    vector,
)
from fastnn.kernels.atomics import atomic_add, atomic_load, atomic_store, give_way, pause, ticks
from fastnn.kernels.interrupts import uninterrupted
from fastnn.kernels.jit import inlined, njit

COLUMNS = 6
ADDRESS, INTEGERS, FLOATS, PHASE, GROUP, PARTS = range(COLUMNS)
"""Columns of the step table.

A row with address 0 is the check that the loss is finite.  A group's first row says how many steps
the group has (GROUP) and into how many parts its work is cut (PARTS; 0 means one per thread, -p
means p per thread).  A thread runs the whole group for one of its parts, then for the next, so that
what one step writes is still in the cache when the next step reads it.
"""

_SPINS = 500
"""Turns of the spin loop before a waiting thread yields its core."""

_share = inlined(share)
_ARRIVED, _STOP, _HALT = int(Shared.ARRIVED), int(Shared.STOP), int(Shared.HALT)
_LEAVE, _SKIPPED = int(Shared.LEAVE), int(Shared.SKIPPED)
_DONE_ROWS, _DONE_EPOCHS = int(Shared.DONE_ROWS), int(Shared.DONE_EPOCHS)
_NOT_FINITE, _SHARED = int(Shared.NOT_FINITE), int(Shared.SIZE)
_THREAD, _N_THREADS, _EPOCH = int(Clock.THREAD), int(Clock.N_THREADS), int(Clock.EPOCH)
_PART, _PARTS = int(Clock.PART), int(Clock.PARTS)
_FIRST, _ROWS, _UPDATE = int(Clock.FIRST), int(Clock.ROWS), int(Clock.UPDATE)
_BEFORE, _ALL_ROWS = int(Clock.BEFORE), int(Clock.ALL_ROWS)
_TOTAL_ROWS = int(Clock.TOTAL_ROWS)
_INPUT, _OUTPUT, _CLOCK = int(Clock.INPUT), int(Clock.OUTPUT), len(Clock)
_BATCHES, _BEGUN, _PAUSED = int(Clock.BATCHES), int(Clock.BEGUN), int(Clock.PAUSED)


@njit
def _barrier(shared, n_threads):
    """Wait until all threads arrive; afterwards each sees what all others wrote before."""
    if n_threads == 1:
        return
    arrived = atomic_add(shared, _ARRIVED, 1)
    goal = (arrived // n_threads + 1) * n_threads
    spins = 0
    while atomic_load(shared, _ARRIVED) < goal:
        spins += 1
        if spins > _SPINS:
            give_way()
        else:
            pause()


@njit
def _count(cycles, place, since):
    """Add the cycles since `since` to an element of `cycles`; return the current time."""
    now = ticks()
    cycles[place] += now - since
    return now


@njit
def count_nothing(cycles, turns):
    """Measure the cycles that counting itself takes."""
    since = ticks()
    for _ in range(turns):
        since = _count(cycles, -1, since)


@njit
def _walk(steps, clock, shared, loss, epochs, stamps, batch_size, cycles):
    """Do what :func:`work` does."""
    thread, n_threads, n_rows = clock[_THREAD], clock[_N_THREADS], clock[_TOTAL_ROWS]
    place = clock.ctypes.data
    first_epoch, begin, batches = clock[_EPOCH], clock[_FIRST], clock[_BATCHES]
    left = batches
    if thread == 0 and begin == 0:
        stamps[0] = ticks()
    if cycles is not None:
        since = ticks()
    check = np.int64(0)
    for row in range(steps.shape[0]):
        if steps[row, ADDRESS] == 0:
            check = steps[row, PHASE]
    for epoch in range(epochs.shape[0]):
        clock[_EPOCH] = first_epoch + epoch
        for first in range(begin, n_rows, batch_size):
            clock[_FIRST] = first
            if left == batches - 1:
                clock[_BEGUN] = ticks()
            if left == 0:
                clock[_PAUSED] = ticks()
                return
            left -= 1
            if thread == 0:
                atomic_store(shared, _HALT, atomic_load(shared, _STOP))
            clock[_ROWS] = clock[_ALL_ROWS] = min(batch_size, n_rows - first)
            clock[_BEFORE] = 0
            clock[_UPDATE] += 1
            phase = steps[0, PHASE]
            s = 0
            while s < steps.shape[0]:
                if steps[s, PHASE] != phase:
                    phase = steps[s, PHASE]
                    _barrier(shared, n_threads)
                    if cycles is not None:
                        since = _count(cycles, -1, since)
                if steps[s, ADDRESS] != 0:
                    parts, lo, hi = n_threads, thread, thread + 1
                    if steps[s, PARTS] > 0:
                        parts = steps[s, PARTS]
                        lo, hi = _share(parts, thread, n_threads)
                    elif steps[s, PARTS] < 0:
                        each = -steps[s, PARTS]
                        parts, lo, hi = n_threads * each, thread * each, (thread + 1) * each
                    clock[_PARTS] = parts
                    for part in range(lo, hi):
                        # Nothing that lasts has changed before the check.  All threads come to the
                        # barrier before it, after which each sees whether any has skipped a part.
                        if phase < check and atomic_load(shared, _LEAVE) != 0:
                            atomic_store(shared, _SKIPPED, np.int64(1))
                            break
                        clock[_PART] = part
                        for step in range(s, s + steps[s, GROUP]):
                            call_step(
                                steps[step, ADDRESS],
                                steps[step, INTEGERS],
                                steps[step, FLOATS],
                                np.int64(place),
                            )
                            if cycles is not None:
                                since = _count(cycles, step, since)
                else:
                    # Every thread has computed the same loss, so all continue or all stop, here
                    # before any parameter changes in this step.
                    skipped = atomic_load(shared, _SKIPPED) != 0
                    finite = skipped or np.isfinite(loss[0])
                    if skipped or not finite or shared[_HALT] != 0:
                        clock[_UPDATE] -= 1
                        if thread == 0 and not finite:
                            shared[_NOT_FINITE] = 1
                        return
                    if thread == 0:
                        epochs[epoch, 0] += loss[0]
                        epochs[epoch, 1] += loss[1]
                    if cycles is not None:
                        since = _count(cycles, s, since)
                s += steps[s, GROUP]
            if thread == 0:
                shared[_DONE_ROWS] = first + clock[_ALL_ROWS]
            _barrier(shared, n_threads)
            if cycles is not None:
                since = _count(cycles, -1, since)
        begin = 0
        if thread == 0:
            stamps[epoch + 1] = ticks()
            shared[_DONE_EPOCHS] += 1


@njit
def work(steps, clock, shared, loss, epochs, stamps, batch_size, cycles):
    """Run `len(epochs)` epochs of a step table, from ``clock[EPOCH]`` on, as one of the threads.

    The first epoch begins at row ``clock[FIRST]``.  After ``clock[BATCHES]`` batches the run
    pauses, and the clock says where to continue.

    In training, results that would be subnormal are 0.  The means of Adam's gradients end there
    where a unit is dead, and a processor may take a hundred times as long for them.

    Parameters
    ----------
    steps : int64 array, (steps, 6)
        The steps of a batch; see ADDRESS ... PARTS.  Threads wait for each other between phases.
    clock : int64 array
        This thread's :class:`Clock`.
    shared : int64 array
        All threads' :class:`Shared`.
    loss : float64 array, (2,)
        Where this thread's steps leave the batch's sums of weighted losses and of weights.
    epochs : float64 array, (epochs, 2)
        Receives the same sums per epoch.
    stamps : int64 array, (epochs + 1,)
        Receives the cycle counter at the start and after each epoch.
    batch_size : int
    cycles : None or int64 array, (steps + 1,)
        Receives the processor cycles spent in each step (or check) and, last, waiting at barriers,
        so that every cycle of the run is counted.  With None, a separately compiled worker measures
        nothing.
    """
    trains = steps[steps.shape[0] - 1, ADDRESS] != 0  # updates follow the check
    before = flush_subnormals(trains)
    _walk(steps, clock, shared, loss, epochs, stamps, batch_size, cycles)
    restore_control(before)


@njit
def predict(x, out, frame):
    """Run a prediction program on the rows of `x`; return whether all of them are finite.

    `frame` holds the addresses and sizes of the other arguments of :func:`work`, because every
    array that Python passes costs 40 ns.
    """
    table, n_steps, batch_size = frame[0], frame[1], frame[2]
    clock = vector(frame[3], _CLOCK, types.int64)
    shared = vector(frame[4], _SHARED, types.int64)
    loss = vector(frame[5], 2, types.float64)
    sums, stamps = matrix(frame[6], 1, 2, types.float64), vector(frame[7], 2, types.int64)
    clock[_INPUT], clock[_OUTPUT] = x.ctypes.data, out.ctypes.data
    clock[_TOTAL_ROWS] = x.shape[0]
    clock[_FIRST] = 0
    shared[_NOT_FINITE] = 0
    steps = matrix(table, n_steps, COLUMNS, types.int64)
    work(steps, clock, shared, loss, sums, stamps, batch_size, None)
    return shared[_NOT_FINITE] == 0


_INTEGERS, _FLOATS = types.Array(types.int64, 1, "C"), types.Array(types.float64, 1, "C")


@functools.cache
def compile_worker(counts=False):
    """Compile or load :func:`work` before anybody waits for it."""
    table, sums = types.Array(types.int64, 2, "C"), types.Array(types.float64, 2, "C")
    arrays = table, _INTEGERS, _INTEGERS, _FLOATS, sums, _INTEGERS
    with uninterrupted():
        work.compile((*arrays, types.int64, _INTEGERS if counts else types.none))


def compile_predict(dtype):
    """Compile or load :func:`predict` for a NumPy dtype before anybody waits for it."""
    out = types.Array(from_dtype(dtype), 2, "C")
    with uninterrupted():
        for x in (out, out.copy(readonly=True)):
            predict.compile((x, out, _INTEGERS))
