"""Threads: start them, watch, and join them before an exception goes on."""

import contextvars
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastnn.engine import cores
from fastnn.engine.clock import Shared
from fastnn.engine.program import APART, aligned
from fastnn.kernels.interrupts import interruptible, uninterrupted

_POLL_SECONDS = 0.05
_here = threading.local()


class StoppedError(Exception):
    """Raised by :func:`fastnn.engine.team.run` in a thread of :func:`run_apart` that must stop."""


def share_out(job: Callable[[Any], bool], pieces: Iterable[Any], n_threads: int) -> bool:
    """Call ``job(piece)`` for all pieces until one returns False; return whether none did.

    A thread that finishes a piece takes the next one.  If a job raises, or on Ctrl-C, no further
    piece starts before the exception propagates.
    """
    waiting = iter(list(pieces))
    went_on = True

    def stop():
        nonlocal went_on
        went_on = False

    def body(_):
        for piece in waiting:
            if not (went_on and job(piece)):
                stop()
                return

    with cores.running():
        if n_threads == 1:
            body(0)
        else:
            run_threads(body, n_threads, stop)
    return went_on


def run_apart(
    job: Callable[[int], None], n_threads: int, watch: Callable[[], None] | None = None
) -> None:
    """Run job(0) ... job(n_threads - 1) concurrently; each thread runs its programs alone.

    On Ctrl-C, or if `watch` raises, which is called as in :func:`run_threads`, each program stops
    at its next step boundary and raises StoppedError in its job.  The exception propagates when
    all jobs have ended.
    """
    shared, stopped = aligned((n_threads, APART), np.int64), threading.Event()

    def alone(thread):
        _here.shared, _here.stopped = shared[thread], stopped
        with cores.at_most(1):
            job(thread)

    def stop():
        stopped.set()  # readers stop programs too, for a moment
        shared[:, [Shared.LEAVE, Shared.STOP]] = 1

    run_threads(alone, n_threads, stop, watch)


def own_shared() -> np.ndarray | None:
    """Return what a thread of :func:`run_apart` shares with nobody, or None in other threads."""
    return getattr(_here, "shared", None)


def stopped() -> bool:
    """Return whether the threads of :func:`run_apart`, of which this is one, must stop."""
    return _here.stopped.is_set()


def run_threads(
    job: Callable[[int], None],
    n_threads: int,
    stop: Callable[[], None],
    watch: Callable[[], None] | None = None,
) -> None:
    """Run job(0) ... job(n_threads - 1) concurrently; return or raise when all have ended.

    Meanwhile `watch()` is called about 20 times a second.  If it raises, or on Ctrl-C, `stop()` is
    called, which must make the jobs end.  The exception propagates when they have ended.

    Jobs run in the caller's context: callbacks find its decimal precision and NumPy's error state.
    """
    ready, ended = threading.Event(), threading.Semaphore(0)
    cancelled = False
    failures: list[BaseException] = []
    spread = cores.Spread()

    def body(thread):
        ready.wait()
        if cancelled:
            return
        try:
            spread.settle()
            job(thread)
        except BaseException as error:  # re-raised in the caller below
            failures.append(error)
        finally:
            ended.release()

    threads: list[threading.Thread] = []
    # Ctrl-C would leave the locks of threads and events locked, and not wait for the workers, which
    # write to buffers that die with this call.
    with uninterrupted():
        try:
            for thread in range(n_threads):
                within = contextvars.copy_context().run
                threads.append(threading.Thread(target=within, args=(body, thread), daemon=True))
                threads[-1].start()
            ready.set()
            for _ in threads:
                while not ended.acquire(timeout=_POLL_SECONDS):
                    with interruptible():
                        if watch is not None:
                            watch()
        except BaseException:
            cancelled = not ready.is_set()
            stop()
            ready.set()
            raise
        finally:
            for started in threads:
                if started.is_alive():
                    started.join()
    if failures:
        raise failures[0]
