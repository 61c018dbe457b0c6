"""Programs: the buffers and steps to which a network is lowered.  No arithmetic happens here."""

import functools
import math
import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.engine.arguments import High, Low, Number, Strided, ThreadRow, Whole
from fastnn.engine.buffers import Buffer, ThreadBuffer
from fastnn.engine.clock import Clock, Shared
from fastnn.engine.garbage import uncollected
from fastnn.engine.steps import BATCH, EVERY, Group, Purpose, Step
from fastnn.engine.table import Table
from fastnn.kernels import COMPILED
from fastnn.kernels.interrupts import let_interrupt

if TYPE_CHECKING:
    from fastnn.engine.listing import Listing

LONG = 2**32
"""Operations, some 50 ms of a core, that a thread does between its looks at whether to stop."""
_LEAST_ROWS = 256
"""Rows that a matrix product computes together anyway."""

Call = tuple[Any, tuple[Any, ...]]
"""A kernel and its arguments."""
MEET = "meet"
"""Marks a barrier among the calls of a group: the calls after it run in the next phase."""

APART = 64
"""The distance between numbers that different threads write.  One cache line apart is not enough:
processors fetch lines in pairs, so the pair would still bounce between the cores."""


def aligned(shape, dtype) -> np.ndarray:
    """Return an array of zeros that starts at a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    room = np.zeros(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)


def addresses(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return where arrays begin."""
    return np.array([array.ctypes.data for array in arrays], np.int64)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """Return a copy that starts at a cache line."""
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


def _plain(argument):
    """Return a number of any type as an int or float for the step table."""
    if isinstance(argument, Clock):
        return argument
    if isinstance(argument, numbers.Integral):
        return int(argument)
    return float(argument) if isinstance(argument, numbers.Real) else argument


class Program:
    """Buffers and steps for batches of up to `batch_size` rows, for up to `n_threads` threads."""

    alone = True
    """Whether no other process takes part."""
    in_order = True
    """Whether a batch's rows are consecutive, where they are not shuffled."""
    sums_first = False
    """Whether all gradients are known before the first update."""
    failure: Exception | None = None
    """Why a step could not go on."""

    def __init__(self, dtype, batch_size: int, n_threads: int, products: str = ""):
        self.dtype, self.batch_size, self.n_threads = np.dtype(dtype), batch_size, n_threads
        self.products = products or self.dtype.name
        """The numbers that matrix products multiply, after which kernels may be called."""
        self.threads = n_threads
        """How many threads actually run it; the results do not depend on this."""
        self.on_trial = False
        """Whether a long run should first try how many threads are fastest."""
        self.brief = False
        """Whether a run takes so little time that one thread had better not begin another."""
        self.backend = "numba"
        """What it was made to run on."""
        self.random = False
        """Whether a step draws random numbers, other ones in every update."""
        self.loss = self.thread_numbers(2)
        """The batch's sums of weighted losses and of weights, one row per thread."""
        self._transposed: list[tuple[np.ndarray, np.ndarray]] = []
        self._copied: list[tuple[int, np.ndarray]] = []
        self.updates = 0
        """Updates done so far, from which the optimizer's corrections count on."""
        self.clocks = aligned((n_threads, APART), np.int64)
        """The threads' clocks (:class:`~fastnn.engine.clock.Clock`) ..."""
        self.shared = aligned((Shared.SIZE,), np.int64)
        """... and what they share, for one run at a time."""
        self._groups: list[tuple[int, Group | None]] = []
        self._phase = 0
        self._purpose = Purpose()

    def __str__(self) -> str:
        return str(self.listing)

    @property
    def listing(self) -> "Listing":
        """The steps as text."""
        from fastnn.engine.listing import Listing  # most programs never need it

        return Listing(self.groups, self.dtype, self.batch_size, self.n_threads)

    def buffer(self, columns: int | None = None, dtype=None, per_thread: bool = False) -> Buffer:
        """Return a buffer, (batch_size,) or (batch_size, columns), or one such per thread."""
        shape: tuple[int, ...] = (self.batch_size,)
        if columns is not None:
            shape = (*shape, columns)
        if per_thread:
            shape = (self.n_threads, *shape)
        return (ThreadBuffer if per_thread else Buffer)(aligned(shape, dtype or self.dtype))

    def thread_numbers(self, count: int) -> np.ndarray:
        """Return an array for numbers that each thread computes for itself, (n_threads, count)."""
        return aligned((self.n_threads, APART), np.float64)[:, :count]

    def add_rows(self, seed: int, n_rows: int, shuffle: bool, places: Buffer) -> None:
        """Add the step that writes which of `n_rows` rows of the data the batch has."""
        key = seed, Clock.EPOCH, n_rows, int(shuffle), Clock.FIRST
        self.add("batch_rows", *key, places.batch, extent=EVERY)

    def numbers(self, calls, count: int, after: int = 0) -> list[Number]:
        """Have every thread compute numbers for itself; return them as arguments of later steps.

        All `calls`, given as (kernel, arguments), write to them in turn; see :meth:`add_group`.
        """
        room = self.thread_numbers(count)
        for kernel, arguments in calls:
            self.add(kernel, *arguments, ThreadRow(room), extent=EVERY, after=after)
        return [Number(room[:, place : place + 1]) for place in range(count)]

    def transposed(self, w: np.ndarray) -> np.ndarray:
        """Return a copy of ``w.T``.  Whoever updates `w` must add a step that updates the copy."""
        self._transposed.append((w, aligned(w.shape[::-1], w.dtype)))
        return self._transposed[-1][1]

    def copy_of(self, w: np.ndarray) -> np.ndarray | None:
        """Return the copy that :meth:`transposed` made of `w`, if it made one."""
        return next((copy for kept, copy in self._transposed if kept is w), None)

    def refresh(self) -> None:
        """Refill the transposed copies, since the parameters may have changed between runs."""
        for w, copy in self._transposed:
            copy[...] = w.T

    def begin(self, work: str, layer: int | None = None) -> None:
        """Set the purpose of the steps that are added from here on."""
        self._purpose = Purpose(work, layer)

    def barrier(self) -> None:
        """Begin a new phase: threads wait for each other, and then see each other's results."""
        self._phase += 1

    def add(self, kernel, *arguments, extent=BATCH, after: int = 0) -> None:
        """Append a step; see :meth:`add_group`."""
        self.add_group([(kernel, arguments)], extent, after=after)

    def add_group(self, calls, extent: int, *, parts: int = 0, after: int = 0) -> None:
        """Append steps, given as (kernel, arguments), that run together, part by part.

        They run in this phase, or `after` phases later, once everything in earlier phases has run.
        The last steps of an update use this to wait for the first steps of other parameters.
        """
        if not calls:
            return
        if MEET in calls:
            place = calls.index(MEET)
            self.add_group(calls[place + 1 :], extent, parts=parts, after=after + 1)
            calls = calls[:place]
        steps = [
            Step(self._rounding(kernel), tuple(map(_plain, args)), extent) for kernel, args in calls
        ]
        self._groups.append((self._phase + after, Group(steps, parts, self._purpose)))

    def summed(
        self, call: Call, sums: Sequence[np.ndarray], extent: int, parts: int = 0
    ) -> list[Call]:
        """Return the calls to make before an update that needs `sums`, which `call` writes.

        They are sums over the rows of the batch.
        """
        return [call]

    def add_sum(self, call: Call, sums: Sequence[np.ndarray], extent: int) -> None:
        """Add such a call, for steps of the next phase."""
        self.add(call[0], *call[1], extent=extent)

    def moments(self, x: Buffer, mean: np.ndarray, variance: np.ndarray) -> list[Call]:
        """Return the calls that compute the moments of the batch's columns, a share at a time."""
        return [("batch_moments", (x.batch, Low(), High(), Whole(mean), Whole(variance)))]

    def _rounding(self, kernel):
        """Return the kernel that does the same with rounded factors, if there is one."""
        rounding = f"{self.products}_{kernel}"
        return rounding if rounding in COMPILED else kernel

    def add_check(self, row_loss=None, weight=None) -> None:
        """End the run here if the batch's loss is not finite, or if the run was told to stop.

        Threads first wait for each other.  Each then adds up the losses of all rows itself, so all
        reach the same decision.
        """
        self.barrier()
        if row_loss is not None:
            arguments = row_loss.batch, weight.batch, ThreadRow(self.loss)
            self.add("batch_loss", *arguments, extent=EVERY)
        self._groups.append((self._phase, None))

    @property
    def groups(self) -> list[tuple[int, Group | None]]:
        """The groups of steps in order, as (phase, group); None stands for the check."""
        return sorted(self._groups, key=lambda each: each[0])

    @functools.cached_property
    def table(self) -> Table:
        """The step table, with its steps compiled."""
        with uncollected():
            groups = [
                (phase, group, (group.parts or self._pieces(group)) if group else 0)
                for phase, group in self.groups
            ]
            return Table(groups, self.products)

    def loosen(self, rows: Sequence[np.ndarray], parameters: Sequence[np.ndarray]) -> None:
        """Let go of arrays that are not the program's own, until :meth:`point` gives it others.

        Only its table is left to run.
        """
        if self._groups:
            number = {id(array): n for n, array in enumerate(parameters)}
            self._copied = [(number[id(w)], copy) for w, copy in self._transposed]
            self.table.loosen(rows, parameters)
        self._groups, self._transposed = [], []

    def point(
        self, rows: Sequence[np.ndarray], parameters: Sequence[np.ndarray], begins: np.ndarray
    ) -> None:
        """Work on other arrays, with the layout of those that it let go of.

        `begins` are the addresses of `parameters`.
        """
        self.table.point(np.append(addresses(rows), begins))
        self._transposed = [(parameters[number], copy) for number, copy in self._copied]

    @staticmethod
    def _let_leave(clock: np.ndarray) -> None:
        try:
            let_interrupt()
        except BaseException:
            clock[Clock.UPDATE] -= 1  # this batch makes none
            raise

    def _pieces(self, group: Group) -> int:
        """Return minus the pieces into which to cut each thread's rows, or 0, to stop in time."""
        step = group.steps[0]
        wholes = [each.array.size for each in step.arguments if type(each) in (Whole, Strided)]
        if step.extent != BATCH or not wholes:
            return 0
        rows = max(_LEAST_ROWS, LONG // (2 * max(1, *wholes)))
        pieces = self.batch_size // self.n_threads // rows
        return -pieces if pieces > 1 else 0

    @np.errstate(all="ignore")  # the check finds numbers that are not finite
    def run_reference(self, clock, shared, epochs, brief: bool = False) -> None:
        """Run the epochs of `epochs` in NumPy, on one thread; if `brief`, only up to the losses.

        It reads and writes the same memory as :func:`fastnn.engine.worker.work`, in the same order.
        """
        first_epoch, n_rows = int(clock[Clock.EPOCH]), int(clock[Clock.TOTAL_ROWS])
        begin, left = int(clock[Clock.FIRST]), int(clock[Clock.BATCHES])
        groups = [each for each in self.groups if not (brief and each[1]) or each[1].leads_to_loss]
        for epoch in range(len(epochs)):
            clock[Clock.EPOCH] = first_epoch + epoch
            for first in range(begin, n_rows, self.batch_size):
                clock[Clock.FIRST] = first
                if left == 0:
                    return
                left -= 1
                clock[Clock.ROWS] = clock[Clock.ALL_ROWS] = min(self.batch_size, n_rows - first)
                clock[Clock.BEFORE] = 0
                clock[Clock.UPDATE] += 1
                shared[Shared.HALT] = shared[Shared.STOP]
                checked = False
                for _, group in groups:
                    if group is not None:
                        parts = clock[Clock.PARTS] = group.parts or max(1, -self._pieces(group))
                        for clock[Clock.PART] in range(parts):
                            if not checked:
                                self._let_leave(clock)
                            for step in group.steps:
                                step.run(clock)
                        continue
                    checked = True
                    finite = np.isfinite(self.loss[0, 0])
                    if not finite or shared[Shared.HALT]:
                        clock[Clock.UPDATE] -= 1
                        shared[Shared.NOT_FINITE] = not finite
                        return
                    epochs[epoch] += self.loss[0, :2]
            begin = 0
            shared[Shared.DONE_EPOCHS] += 1
