"""The layout of the small integer arrays that the workers, the steps and the watcher share."""

from enum import IntEnum


class Clock(IntEnum):
    """Each worker's own: where it stands."""

    PART = 0
    """Which part of the work falls to this worker now ..."""
    PARTS = 1
    """... of how many: as many as there are threads, or more (see PARTS in worker.py)."""
    EPOCH = 2
    FIRST = 3
    """Place in the epoch of the batch's first row; before a run, where in its epoch it begins."""
    ROWS = 4
    """Rows of this batch."""
    UPDATE = 5
    """The number of this batch's update, from 1; counts on from fit to fit."""
    TOTAL_ROWS = 6
    """Rows of an epoch."""
    THREAD = 7
    N_THREADS = 8
    INPUT = 9
    """Address of the rows that a prediction reads ..."""
    OUTPUT = 10
    """... and of those that it writes: each run of a kept program has others."""
    BATCHES = 11
    """After how many batches the run pauses; -1 is never."""
    BEGUN = 12
    """Cycle counter after the run's first batch ..."""
    PAUSED = 13
    """... and where it pauses."""
    ZERO = 14
    """Always 0: what addresses count from that are known beforehand."""


class Shared(IntEnum):
    """One for all workers; the elements that are written often lie in cache lines of their own."""

    ARRIVED = 0
    """Arrivals at barriers since the start."""
    STOP = 8
    """Set by the watcher: stop at the next step."""
    HALT = 16
    """Thread 0's copy of STOP, the same for all threads within a step."""
    DONE_ROWS = 24
    """Rows done of this epoch, for progress."""
    DONE_EPOCHS = 25
    NOT_FINITE = 26
    """1 when the run stopped because a loss was not finite."""
    SIZE = 32


def share(total, part, parts):
    """Return the first and one past the last of `total` items that fall to a part."""
    if parts == 1:  # no divisions: a step's take as long as a small layer's elementwise work
        return 0, total
    return total * part // parts, total * (part + 1) // parts
