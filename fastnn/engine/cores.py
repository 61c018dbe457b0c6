"""How many cores this process may use, how many a piece of work can use well, and which."""

import ctypes
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_lock = threading.Lock()
_running = 0
_here = threading.local()


def _quota() -> float:
    """Return the cores that the control groups grant (inf where they set no limit)."""
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


def available() -> int:
    """Return the number of cores that this process is allowed: affinity and quota respected."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min(cores, _quota())))


@contextmanager
def running():
    """Count one more run for as long as the block lasts."""
    global _running
    with _lock:
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1


@contextmanager
def at_most(threads: int):
    """Give no run that this thread starts more than so many threads, whatever it asks for."""
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


_core_here = getattr(ctypes.CDLL(None), "sched_getcpu", None) if os.name == "posix" else None


class Spread:
    """Gives each thread of a run a core of its own to begin on.

    Linux may start them all on the core of their starter and leave them there for some ms, others
    idle: longer than the trial of how many threads are fastest takes, which then kept one thread
    in a third of the first fits (200-64-64-1 on two: 15 ms an epoch in place of 10).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[int] = set()

    def settle(self) -> None:
        """Keep to the core that this thread runs on, or move on if another thread has it."""
        if _core_here is None or not hasattr(os, "sched_setaffinity"):
            return
        with self._lock:
            core, allowed = _core_here(), os.sched_getaffinity(0)
            free = sorted(allowed - self._taken, key=lambda other: (other < core, other))
            if core in self._taken and free:
                core = free[0]
                with suppress(OSError):  # where it is forbidden, threads stay where they are
                    os.sched_setaffinity(0, {core})  # moves at once
                    os.sched_setaffinity(0, allowed)
            self._taken.add(core)


FLOPS_PER_THREAD = 3e6
"""Operations of a batch for which a further thread is worth having: handing the weights and the
gradients from core to core takes longer than a smaller share of the work."""
FLOPS_PER_TRIED = 1e6
"""Operations for which it may be, on some machines: between this ..."""
FLOPS_PER_CERTAIN = 1e7
"""... and this it is found out (:mod:`fastnn.engine.team`)."""


def unused() -> int:
    """Return the cores that the other runs of this process leave a new one, at least one."""
    return max(1, available() // (_running + 1))


def threads_for(
    flops: float, rows: int, most: int | None = None, worth: float | None = None
) -> int:
    """Return how many threads to give to batches of `rows` rows and `flops` operations each.

    One for each `worth` operations, FLOPS_PER_THREAD by default.  At most `most`; where that is
    None, at most the cores of this process that its other runs leave it.  Within :func:`at_most`,
    no more than that says.
    """
    useful = max(1, min(int(flops / (worth or FLOPS_PER_THREAD)), rows))
    limit = getattr(_here, "most", None)
    if limit is not None:
        most = limit if most is None else min(most, limit)
    if useful > 1 and most is None:  # to ask the system takes longer than a small piece of work
        most = unused()
    return useful if most is None else max(1, min(most, useful))
