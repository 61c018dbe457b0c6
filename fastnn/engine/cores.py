"""How many cores this process may use, how many a piece of work uses well, and which ones."""

import os
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from fastnn.kernels.helpers import core_here
from fastnn.kernels.threads import chosen, limit

_CGROUP = Path("/sys/fs/cgroup")
_lock = threading.Lock()
_running = 0
_here = threading.local()


def _quota() -> float:
    """Return the cores that the control groups grant (inf without a limit)."""
    cores = [float("inf")]
    try:
        own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
        for group in (_CGROUP / own, *(_CGROUP / own).parents):
            if group.is_relative_to(_CGROUP) and (group / "cpu.max").exists():
                quota, period = (group / "cpu.max").read_text().split()
                if quota != "max":
                    cores.append(int(quota) / int(period))
    except (OSError, ValueError):
        pass
    if len(cores) > 1:
        return min(cores)
    try:
        quota_us = int((_CGROUP / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((_CGROUP / "cpu/cpu.cfs_period_us").read_text())
        return quota_us / period_us if quota_us > 0 else float("inf")
    except (OSError, ValueError, ZeroDivisionError):
        return float("inf")


def _allowed() -> int:
    """Return the number of cores on which this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available() -> int:
    """Return the number of cores this process may use, by its affinity and quota."""
    return max(1, int(min(_allowed(), _quota())))


@contextmanager
def running():
    """Count one more run for the duration of the block."""
    global _running
    counted = 0  # Ctrl-C may come before or after both are counted, not between
    try:
        with _lock:
            _running += 1
            counted = 1
        yield
    finally:
        with _lock:
            _running -= counted


@contextmanager
def at_most(threads: int):
    """Limit the threads of every run that this thread starts, whatever the run asks for."""
    before = getattr(_here, "most", None)
    _here.most = threads
    try:
        yield
    finally:
        _here.most = before


def _forget():
    global _running, _lock
    _running, _lock = 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Spread:
    """Gives each thread of a run its own core to start on.

    Linux may start all threads on their creator's core and leave them there for some milliseconds
    while other cores are idle.  That is longer than the trial of how many threads are fastest,
    which then chose one thread in a third of first fits (200-64-64-1 on two: 15 ms an epoch instead
    of 10).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[int] = set()

    def settle(self) -> None:
        """Claim the core that this thread runs on, or move if another thread has claimed it."""
        if core_here is None:
            return
        with self._lock:
            core, allowed = core_here(), os.sched_getaffinity(0)
            free = sorted(allowed - self._taken, key=lambda other: (other < core, other))
            if core in self._taken and free:
                core = free[0]
                with suppress(OSError):  # if moving is forbidden, threads stay where they are
                    os.sched_setaffinity(0, {core})  # moves at once
                    os.sched_setaffinity(0, allowed)
            self._taken.add(core)


FLOPS_PER_THREAD = 3e6
"""Operations per batch for which another thread pays off.  With less, passing weights and gradients
between cores takes longer than it saves."""
FLOPS_PER_TRIED = 1e6
"""Between this many operations, for which another thread may pay off on some machines ..."""
FLOPS_PER_CERTAIN = 1e7
"""... and this many, a trial decides (:mod:`fastnn.engine.team`)."""
FLOPS_TO_START = 5e8
"""Operations of a run, some 5 ms, for which it pays to start threads: with fewer, one call of
compiled code on one thread has not much more to do."""

LEAST_LIMIT = 1
"""A limit up to this is kept even with fewer cores, where results of many threads are compared."""


def usable() -> int:
    """Return how many threads this process may run at a time, by what its caller allows.

    FASTNN_NUM_THREADS takes the place of the cores; all other limits only lower their number.
    """
    return chosen() or min(available(), limit() or sys.maxsize)


def unused() -> int:
    """Return how many threads this process's other runs leave for a new one: at least one."""
    return max(1, usable() // (_running + 1))


def threads_for(
    flops: float, rows: int, most: int | None = None, worth: float | None = None
) -> int:
    """Return how many threads to use for batches of `rows` rows and `flops` operations each.

    That is one per `worth` operations, FLOPS_PER_THREAD by default.  `most` is the limit, as far as
    there are cores, or if it is None, what this process's other runs leave.  :func:`at_most` may
    lower it.
    """
    useful = max(1, min(int(flops / (worth or FLOPS_PER_THREAD)), rows))
    limit = getattr(_here, "most", None)
    if limit is not None:
        most = limit if most is None else min(most, limit)
    if useful > 1:  # asking the system takes longer than a small piece of work
        most = unused() if most is None else min(most, max(chosen() or 0, _allowed(), LEAST_LIMIT))
    return useful if most is None else max(1, min(most, useful))
