"""The layout of the small integer arrays shared by the workers, the steps and the watcher."""

from enum import IntEnum


class Clock(IntEnum):
    """One per worker: where the worker is in the run."""

    PART = 0
    """Which part of the work this worker does now ..."""
    PARTS = 1
    """... of how many parts: one per thread, or more (see PARTS in worker.py)."""
    EPOCH = 2
    FIRST = 3
    """Position in the epoch of the batch's first row; before a run, where the run begins."""
    ROWS = 4
    """Rows of this batch that this process has: all, unless others have some
    (:mod:`fastnn.engine.shards`); ..."""
    BEFORE = 5
    """... how many of its rows come before them; ..."""
    ALL_ROWS = 6
    """... and how many it has in all."""
    UPDATE = 7
    """The number of this batch's update, counted from 1; continues from fit to fit."""
    TOTAL_ROWS = 8
    """Rows in an epoch."""
    THREAD = 9
    N_THREADS = 10
    INPUT = 11
    """Address of the rows that a prediction reads ..."""
    OUTPUT = 12
    """... and of those it writes; they differ in each run of a kept program."""
    BATCHES = 13
    """After how many batches the run pauses; -1 means never."""
    BEGUN = 14
    """Cycle counter after the run's first batch ..."""
    PAUSED = 15
    """... and when it pauses."""
    ZERO = 16
    """Always 0: the base of addresses that are known in advance."""


class Shared(IntEnum):
    """One for all workers.  Elements that are written often have their own cache lines."""

    ARRIVED = 0
    """Arrivals at barriers since the run started."""
    STOP = 8
    """Set by the watcher: stop at the next check."""
    LEAVE = 9
    """Set by the watcher as well if nobody goes on: skip what is left before the check."""
    HALT = 16
    """Thread 0's copy of STOP, the same for all threads within a step."""
    SKIPPED = 17
    """Set by threads that skipped a part of the batch, which then makes no update."""
    DONE_ROWS = 24
    """Rows done in this epoch, for progress reports."""
    DONE_EPOCHS = 25
    NOT_FINITE = 26
    """1 when the run stopped because a loss was not finite."""
    SIZE = 32


def share(total, part, parts):
    """Return the range of `total` items that belong to a part: the first, and one past the last."""
    if parts == 1:  # avoids divisions, which take as long as a small layer's elementwise work
        return 0, total
    return total * part // parts, total * (part + 1) // parts
