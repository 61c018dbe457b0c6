"""Run programs: try how many threads are fastest, halt for readers, and watch."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np

from fastnn.engine import cores, threads
from fastnn.engine.access import Access
from fastnn.engine.clock import Clock, Shared
from fastnn.engine.program import APART, Program, aligned
from fastnn.engine.worker import compile_predict, compile_worker, predict, work
from fastnn.kernels.interrupts import uninterrupted

_TRIAL_BATCHES = 16
_TURNS = 2
_CLEAR = 0.8
"""All threads win in the first turn if they take less than this share of any smaller number's time.
That saves a second turn, which costs as much as 50 batches.  Smaller numbers never win in the first
turn: all threads go first, with cold caches, and missing their gain would cost the run more."""
BRIEF = 1e7
"""So many operations take some milliseconds at most, also where they are not products."""
WORTH_A_TRIAL = 300
"""Fewest batches of a run for which it pays to try how many threads are fastest."""


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
    after a whole update and, still closed, calls `pause` with the number of updates in
    ``program.updates``; so it does at the end.  If that returns False, it ends after this epoch.

    Each thread writes the cycles that its steps take to its row of `cycles`, if given; see
    :func:`fastnn.engine.worker.work`.

    Inside :func:`~fastnn.engine.threads.run_apart`, the thread itself is the worker, so
    nobody calls `watch`.  The reference does not call it either.
    """
    going = _Run(program, n_rows, epochs, backend, watch, cycles, access, pause, updates == 0)
    going.begin(first_epoch, first_row)
    started = time.perf_counter()  # not earlier: compiling is not part of the epoch
    try:
        with uninterrupted(), cores.running():
            if updates == 0:
                going.go_on(program.threads)
            else:
                if updates < 0:
                    going.try_threads()
                going.finish(updates)
    finally:
        program.updates = going.update
    return going.outcome(time.perf_counter() - started)


class _Run:
    """A run in progress: its threads' clocks, what they share, and the epochs' sums."""

    def __init__(
        self,
        program: Program,
        n_rows: int,
        epochs: int,
        backend: str,
        watch: Callable[[int, int, np.ndarray], None] | None,
        cycles: np.ndarray | None,
        access: Access | None,
        pause: Callable[[], bool] | None,
        brief: bool,
    ):
        self.program, self.n_rows, self.epochs, self.backend = program, n_rows, epochs, backend
        self.watch, self.cycles, self.access, self.pause = watch, cycles, access, pause
        self.goes_on = True
        """Whether to go on after this epoch, as `pause` last said."""
        self.clocks = program.clocks
        self.sums, self.stamps = np.zeros((epochs, 2)), np.zeros(epochs + 1, np.int64)
        self.last = epochs
        """How many epochs to do, which `pause` may lower."""
        self.before = 0
        """How many epochs were done before the last pause."""
        self.ended: list[int] = []
        """The threads that have stopped."""
        self.brief = brief
        """Whether to end at the first check."""
        own = threads.own_shared()
        self.apart = own is not None
        self.shared = program.shared if brief or own is None else own

    def begin(self, first_epoch: int, first_row: int) -> None:
        """Set the clocks, and compile."""
        program, clocks = self.program, self.clocks
        clocks[...] = 0
        for thread, clock in enumerate(clocks):
            clock[Clock.THREAD] = thread
        clocks[0, Clock.EPOCH : Clock.ROWS] = first_epoch, first_row
        clocks[0, Clock.UPDATE : Clock.THREAD] = program.updates, self.n_rows
        if self.apart and not self.brief:
            self.shared[Shared.HALT :] = 0  # all but what may already be set to stop them
        else:
            self.shared[...] = 0
        if self.brief:
            self.stop()
        program.refresh()
        if self.backend == "numba":
            self.table = program.table.forward if self.brief else program.table.steps
            compile_worker(counts=self.cycles is not None)

    @property
    def update(self) -> int:
        """The number of the last update."""
        return int(self.clocks[0, Clock.UPDATE])

    @property
    def done(self) -> int:
        """How many epochs are done."""
        return int(self.shared[Shared.DONE_EPOCHS])

    def stop(self) -> None:
        """Ask the threads to stop at the next check."""
        self.shared[Shared.STOP] = 1

    def leave(self) -> None:
        """Ask them to stop even sooner, for good."""
        self.shared[[Shared.LEAVE, Shared.STOP]] = 1

    def settle(self) -> None:
        """Stop, and wait until no thread changes anything."""
        self.stop()
        while len(self.ended) < self.clocks[0, Clock.N_THREADS]:
            time.sleep(1e-4)

    def look(self) -> None:
        """Call `watch`."""
        if self.watch is not None:
            self.watch(self.done, int(self.shared[Shared.DONE_ROWS]), self.sums)

    @contextmanager
    def closed(self, *halting: Callable[[], None]) -> Iterator[None]:
        """Close the arrays to readers, and count what was done before these come in again."""
        with nullcontext() if self.access is None else self.access.closed(*halting):
            try:
                yield
            finally:
                self.program.updates = self.update
                self.goes_on = self.pause is None or self.pause()

    def work(self, thread: int) -> None:
        """Do one thread's part of the batches up to the next pause."""
        clock = self.clocks[thread]
        sums, stamps = self.sums[self.before : self.last], self.stamps[self.before :]
        try:
            if self.backend == "numpy":
                self.program.run_reference(clock, self.shared, sums, self.brief)
            else:
                loss, size = self.program.loss[thread], self.program.batch_size
                cycles = None if self.cycles is None else self.cycles[thread]
                work(self.table, clock, self.shared, loss, sums, stamps, size, cycles)
        finally:
            self.ended.append(thread)

    def go_on(self, n_threads: int, batches: int = -1) -> int:
        """Run `batches` more (-1: all remaining); return the cycles of all but the first."""
        clocks = self.clocks
        self.before = self.done
        self.ended.clear()
        for field in (Clock.EPOCH, Clock.FIRST, Clock.UPDATE, Clock.TOTAL_ROWS):
            clocks[:, field] = clocks[0, field]
        clocks[:, Clock.N_THREADS], clocks[:, Clock.BATCHES] = n_threads, batches
        self.shared[Shared.ARRIVED] = 0
        # Some milliseconds are not worth a thread that Ctrl-C could interrupt.
        brief = self.brief or self.program.brief
        if self.apart or self.backend == "numpy" or (brief and n_threads == 1):
            self.work(0)
        else:
            threads.run_threads(self.work, n_threads, self.leave, self.look)
        if self.program.failure is not None:
            raise self.program.failure
        return int(clocks[0, Clock.PAUSED] - clocks[0, Clock.BEGUN])

    def try_threads(self) -> None:
        """Find out how many threads are fastest, if that is open and pays."""
        program, batches = self.program, self.epochs * -(-self.n_rows // self.program.batch_size)
        if program.on_trial and batches >= WORTH_A_TRIAL:
            with self.closed():
                program.threads = _fastest(program.n_threads, self.go_on, self.shared)
            program.on_trial = False

    def finish(self, updates: int) -> None:
        """Make `updates` more (-1: all), halting for readers; end before if `pause` says so."""
        program, shared, access = self.program, self.shared, self.access
        stuck, told, first = False, False, program.updates
        while self.done < self.last and not shared[Shared.NOT_FINITE]:
            update = self.update
            left = first + updates - update if updates > 0 else -1
            if left == 0:
                return
            with self.closed(self.stop, self.settle) if not stuck else self.closed():
                if access is not None and access.ending and not told:
                    self.stop()
                # A batch that takes longer than readers wait is done before the next pause.
                self.go_on(program.threads, batches=1 if stuck else left)
            stuck = self.update == update
            if not shared[Shared.STOP]:
                continue
            shared[Shared.STOP] = 0
            if self.apart and threads.stopped():
                raise threads.StoppedError
            program.refresh()  # `watch` may have changed parameters
            if not self.goes_on:
                told = True
                self.last = min(self.last, self.done + int(self.clocks[0, Clock.FIRST] > 0))

    def outcome(self, elapsed: float) -> Outcome:
        """Return what the run did in `elapsed` seconds."""
        seconds = _epoch_seconds(self.stamps[: self.done + 1], elapsed, self.epochs)
        finite = not self.shared[Shared.NOT_FINITE]
        return Outcome(self.sums, seconds, finite, self.done, self.clocks[0])


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
            table = program.table.steps
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


def _epoch_seconds(stamps, elapsed, epochs):
    """Divide a run's time among its epochs by the cycle counter, or equally without one."""
    if len(stamps) == 2:
        return np.array([elapsed])
    ticks = np.diff(stamps).astype(np.float64)
    if len(ticks) == 0 or ticks.min() <= 0:
        return np.full(epochs, elapsed / max(1, len(ticks)))
    return elapsed * ticks / ticks.sum()
