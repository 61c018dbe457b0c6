"""Run programs: start the worker threads, watch them and join them."""

import contextvars
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.engine import cores
from fastnn.engine.access import Access
from fastnn.engine.clock import Clock, Shared
from fastnn.engine.program import APART, Program, aligned
from fastnn.engine.worker import compile_predict, compile_worker, predict, work
from fastnn.kernels.interrupts import interruptible, uninterrupted

_POLL_SECONDS = 0.05
_TRIAL_BATCHES = 16
_TURNS = 2
_CLEAR = 0.8
"""All threads win in the first turn if they take less than this share of any smaller number's time.
That saves a second turn, which costs as much as 50 batches.  Smaller numbers never win in the first
turn: all threads go first, with cold caches, and missing their gain would cost the run more."""
WORTH_A_TRIAL = 300
"""Fewest batches of a run for which it pays to try how many threads are fastest."""
_here = threading.local()


class StoppedError(Exception):
    """Raised by :func:`run` in the threads of :func:`run_apart` when they must stop."""


@dataclass
class Outcome:
    """What a run did.

    Attributes
    ----------
    sums : array, (epochs, 2)
        Each epoch's sums of weighted losses and of weights.
    seconds : array, (epochs,)
    finite : bool
        False if the run ended early, before the update of a batch whose loss was not finite.
    epochs : int
        Whole epochs done.
    clock : array
        Where the run stopped (:class:`~fastnn.engine.clock.Clock`).
    ended : bool
        Whether the optimizer has nothing left to do.
    """

    sums: np.ndarray
    seconds: np.ndarray
    finite: bool
    epochs: int
    clock: np.ndarray
    ended: bool = False


def run(
    program: Program,
    *,
    n_rows: int,
    epochs: int = 1,
    first_epoch: int = 0,
    first_row: int = 0,
    updates: int = -1,
    backend: str = "numba",
    watch: Callable[[int, int, np.ndarray], None] | None = None,
    cycles: np.ndarray | None = None,
    access: Access | None = None,
    pause: Callable[[], bool] | None = None,
) -> Outcome:
    """Run `epochs` epochs of `n_rows` rows, from `first_row` of the first one on.

    With `updates`, the run ends after so many batches.  With 0, it computes the loss of a batch and
    changes nothing.

    The calling thread calls `watch(epochs done, rows done of this epoch, sums)` about 20 times a
    second.  If it raises, or on Ctrl-C, the workers stop at the next step boundary before the
    exception propagates.

    The run closes `access` while it changes what that guards.  When a reader wants in, it halts
    after a whole update, with the number of updates in ``program.updates``, and calls `pause`.  If
    that returns False, the run ends after the current epoch.

    Each thread writes the cycles that its steps take to its row of `cycles`, if given; see
    :func:`fastnn.engine.worker.work`.

    Inside :func:`run_apart`, the thread itself is the worker, so nobody calls `watch`.  The
    reference does not call it either.
    """
    clocks = aligned((program.n_threads, APART), np.int64)
    clocks[:, Clock.THREAD] = np.arange(program.n_threads)
    clocks[0, [Clock.EPOCH, Clock.UPDATE, Clock.TOTAL_ROWS]] = first_epoch, program.updates, n_rows
    clocks[0, Clock.FIRST] = first_row
    sums = np.zeros((epochs, 2))
    stamps = np.zeros(epochs + 1, np.int64)
    apart = getattr(_here, "shared", None)
    shared = aligned((Shared.SIZE,), np.int64) if apart is None or updates == 0 else apart
    ended: list[int] = []
    last, told = epochs, False
    shared[Shared.HALT :] = 0  # all but STOP, which may already be set
    if updates == 0:
        shared[Shared.STOP] = 1
    program.refresh()
    if backend == "numba":
        table, _ = program.table
        compile_worker(counts=cycles is not None)

    def stop():
        shared[Shared.STOP] = 1

    def closed(*halting):
        return nullcontext() if access is None else access.closed(*halting)

    def settle():
        """Stop, and wait until no worker changes anything."""
        stop()
        while len(ended) < clocks[0, Clock.N_THREADS]:
            time.sleep(1e-4)

    def look():
        if watch is not None:
            watch(int(shared[Shared.DONE_EPOCHS]), int(shared[Shared.DONE_ROWS]), sums)

    def go_on(n_threads, batches=-1):
        """Run `batches` more (-1: all remaining); return the cycles of all but the first."""
        ended.clear()
        for field in (Clock.EPOCH, Clock.FIRST, Clock.UPDATE, Clock.TOTAL_ROWS):
            clocks[:, field] = clocks[0, field]
        clocks[:, Clock.N_THREADS], clocks[:, Clock.BATCHES] = n_threads, batches
        shared[Shared.ARRIVED] = 0
        done = int(shared[Shared.DONE_EPOCHS])
        left = sums[done:last], stamps[done:]

        def job(thread):
            try:
                if backend == "numpy":
                    program.run_reference(clocks[thread], shared, left[0])
                else:
                    loss, counts = program.loss[thread], None if cycles is None else cycles[thread]
                    work(table, clocks[thread], shared, loss, *left, program.batch_size, counts)
            finally:
                ended.append(thread)

        brief = updates == 0 and n_threads == 1  # not worth a thread that Ctrl-C could interrupt
        if apart is not None or backend == "numpy" or brief:
            job(0)
        else:
            run_threads(job, n_threads, stop, look)
        return int(clocks[0, Clock.PAUSED] - clocks[0, Clock.BEGUN])

    def finish():
        """Run all remaining batches, with pauses for readers; stop before if `pause` says so."""
        nonlocal last, told
        stuck, first = False, program.updates
        while shared[Shared.DONE_EPOCHS] < last and not shared[Shared.NOT_FINITE]:
            update = clocks[0, Clock.UPDATE]
            left = first + updates - int(update) if updates > 0 else -1
            if left == 0:
                return
            with closed(stop, settle) if not stuck else closed():
                if access is not None and access.ending and not told:
                    stop()
                # A batch that takes longer than readers wait is done before the next pause.
                go_on(program.threads, batches=1 if stuck else left)
            stuck = clocks[0, Clock.UPDATE] == update
            if not shared[Shared.STOP]:
                continue
            shared[Shared.STOP] = 0
            if apart is not None and _here.stopped.is_set():
                raise StoppedError
            program.updates = int(clocks[0, Clock.UPDATE])
            program.refresh()  # `watch` may have changed parameters
            if pause is not None and not pause():
                told = True
                last = min(last, int(shared[Shared.DONE_EPOCHS] + (clocks[0, Clock.FIRST] > 0)))

    started = time.perf_counter()  # not earlier: compiling is not part of the epoch
    try:
        with uninterrupted(), cores.running():
            batches = epochs * -(-n_rows // program.batch_size)
            if program.on_trial and updates < 0 and batches >= WORTH_A_TRIAL:
                with closed():
                    program.threads = _fastest(program.n_threads, go_on, shared)
                program.on_trial = False
            if updates == 0:
                go_on(program.threads)
            else:
                finish()
    finally:
        program.updates = int(clocks[0, Clock.UPDATE])
    elapsed = time.perf_counter() - started
    done, finite = int(shared[Shared.DONE_EPOCHS]), not shared[Shared.NOT_FINITE]
    return Outcome(
        sums, _epoch_seconds(stamps[: done + 1], elapsed, epochs), finite, done, clocks[0]
    )


def _fastest(most: int, go_on: Callable[[int, int], int], shared: np.ndarray) -> int:
    """Run the next batches on `most` threads, half as many ... one; return the fastest number.

    With little work per thread, the cost of threads depends on how far apart the cores are and on
    who else uses them: on one machine two threads were 1.4 times as fast as one, on another slower.
    An unclear result gets a second turn, because a single measurement may be disturbed.
    """
    counts = [most]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    cycles = dict.fromkeys(counts, float("inf"))
    for _ in range(_TURNS):
        for n_threads in counts:
            taken = go_on(n_threads, _TRIAL_BATCHES)
            if shared[Shared.NOT_FINITE]:
                return n_threads
            cycles[n_threads] = min(cycles[n_threads], taken)
        if cycles[most] < _CLEAR * min(cycles[fewer] for fewer in counts[1:]):
            break
    return min(counts, key=cycles.__getitem__)


class Kept:
    """A prediction program that one thread at a time can run repeatedly, on other rows each time.

    Everything a run needs is made once, so that a run takes little more than its arithmetic.
    """

    def __init__(self, program: Program, backend: str):
        self._program = program
        self._clock = aligned((APART,), np.int64)
        self._clock[[Clock.N_THREADS, Clock.BATCHES]] = 1, -1
        self._shared = aligned((Shared.SIZE,), np.int64)
        self._sums, self._stamps = np.zeros((1, 2)), np.zeros(2, np.int64)
        self._frame = None
        if backend == "numba":
            compile_predict(program.dtype)
            table, _ = program.table
            arrays = self._clock, self._shared, program.loss, self._sums, self._stamps
            places = [array.ctypes.data for array in arrays]
            head = [table.ctypes.data, len(table), program.batch_size]
            self._frame = np.array([*head, *places], np.int64)

    def run(self, x: np.ndarray, out: np.ndarray) -> bool:
        """Write the outputs for the rows of `x`; return False if `x` contains NaN or infinity.

        `x` and `out` must be contiguous and have the program's dtype.
        """
        if self._frame is not None:
            return predict(x, out, self._frame)
        self._clock[[Clock.INPUT, Clock.OUTPUT]] = x.ctypes.data, out.ctypes.data
        self._clock[[Clock.EPOCH, Clock.FIRST, Clock.TOTAL_ROWS]] = 0, 0, len(x)
        self._shared[Shared.NOT_FINITE] = 0
        with np.errstate(all="ignore"):
            self._program.run_reference(self._clock, self._shared, self._sums)
        return not self._shared[Shared.NOT_FINITE]


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


def _epoch_seconds(stamps, elapsed, epochs):
    """Divide a run's time among its epochs by the cycle counter, or equally without one."""
    ticks = np.diff(stamps).astype(np.float64)
    if len(ticks) == 0 or ticks.min() <= 0:
        return np.full(epochs, elapsed / max(1, len(ticks)))
    return elapsed * ticks / ticks.sum()


def run_apart(job: Callable[[int], None], n_threads: int) -> None:
    """Run job(0) ... job(n_threads - 1) concurrently; each thread runs its programs alone.

    On Ctrl-C, each program stops at its next step boundary and raises StoppedError in its job.  The
    exception propagates when all jobs have ended.
    """
    shared, stopped = aligned((n_threads, APART), np.int64), threading.Event()

    def alone(thread):
        _here.shared, _here.stopped = shared[thread], stopped
        with cores.at_most(1):
            job(thread)

    def stop():
        stopped.set()  # readers stop programs too, for a moment
        shared[:, Shared.STOP] = 1

    run_threads(alone, n_threads, stop)


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
