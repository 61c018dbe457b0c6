"""A program: the buffers and the steps that a network is lowered to.  No arithmetic here."""

import functools
import numbers
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from fastnn.engine.arrays import Blocks, Buffer, Weights, aligned
from fastnn.engine.clock import Clock
from fastnn.engine.steps import BATCH, EVERY, Mine, Step
from fastnn.engine.worker import compile_worker
from fastnn.kernels.matmul import compile_gemm


class Phase(IntEnum):
    """Threads meet between phases; a phase without steps costs nothing."""

    COLUMNS = 0
    """Fetching the batch, and a first layer of which each thread has its columns."""
    ROWS = 1
    """Forward and backward: each thread has its rows and needs no other's."""
    UPDATE = 2
    """After the backward pass: each thread has its weights and needs all rows."""


def _plain(argument):
    """Return a number of any type as the int or float of the step table."""
    if isinstance(argument, Clock):
        return argument
    if isinstance(argument, numbers.Integral):
        return int(argument)
    return float(argument) if isinstance(argument, numbers.Real) else argument


@dataclass
class Group:
    """Steps of one extent that run together, `blocks` times on a part of each thread's share."""

    steps: list[Step]
    blocks: int = 1


class Program:
    """Buffers and steps for batches of up to `batch_size` rows, for `n_threads` threads."""

    def __init__(self, dtype, batch_size: int, n_threads: int):
        self.dtype, self.batch_size, self.n_threads = np.dtype(dtype), batch_size, n_threads
        self.loss = aligned((n_threads, 8), np.float64)
        """Sums of weighted losses and of weights of the batch, a row for each thread."""
        self.replicated = False
        """Whether what is added from now on is done by every thread on copies of its own."""
        self.update_phase = Phase.UPDATE
        """The phase of the check and of the updates."""
        self._blocks: list[tuple[np.ndarray, Blocks]] = []
        self._copies: list[tuple[np.ndarray, np.ndarray]] = []
        self._transposed: list[tuple[np.ndarray, Weights]] = []
        self.updates = 0
        """Updates done; the optimizer's step counts from it."""
        self._phases: list[list[Group | None]] = [[] for _ in Phase]

    def buffer(self, columns: int | None = None, dtype=None, own: bool = False) -> Buffer:
        """Return a buffer for a batch, (batch_size,) or (batch_size, columns)."""
        shape: tuple[int, ...] = (self.batch_size,)
        if columns is not None:
            shape = (*shape, columns)
        if own or self.replicated:
            shape = (self.n_threads, *shape)
        array = aligned(shape, dtype or self.dtype)
        return Buffer(array, own or self.replicated, self.replicated)

    def replicate(self) -> None:
        """Have every thread do all that is added from now on, on copies of its own.

        Nothing that another thread has is needed for the updates then: they follow at once.
        """
        self.replicated = True
        self.update_phase = Phase.ROWS

    def seen(self, buffer: Buffer) -> Buffer:
        """Return a buffer of an earlier part of the program as the present part uses it."""
        return Buffer(buffer.array, buffer.own, self.replicated)

    def weights(self, array: np.ndarray) -> Weights:
        """Return an array that is trained, or copies of it in a replicated program."""
        if not self.replicated:
            return Weights(array)
        for kept, copies in self._copies:
            if kept is array:
                return Weights(copies, True)
        self._copies.append((array, aligned((self.n_threads, *array.shape), array.dtype)))
        return Weights(self._copies[-1][1], True)

    def blocks(self, rows: int, columns: int) -> Blocks:
        """Return room for an array of which each thread has its columns."""
        return Blocks(aligned((rows, columns), self.dtype), self.n_threads)

    def blocked(self, w: np.ndarray) -> Blocks:
        """Return `w` in blocks; the program trains these, and they are taken back after a run."""
        for kept, blocks in self._blocks:
            if kept is w:
                return blocks
        self._blocks.append((w, self.blocks(*w.shape)))
        return self._blocks[-1][1]

    def transposed(self, w: np.ndarray) -> Weights:
        """Return a copy of ``w.T``; whoever updates `w` adds the step that updates it."""
        shape = (self.n_threads,) * self.replicated + w.shape[::-1]
        copy = Weights(aligned(shape, w.dtype), self.replicated)
        self._transposed.append((w, copy))
        return copy

    def copy_of(self, w: np.ndarray) -> Weights | None:
        """Return the copy that :meth:`transposed` made of `w`, if it made one."""
        return next((copy for kept, copy in self._transposed if kept is w), None)

    def refresh(self) -> None:
        """Make all copies anew: the parameters may have been set between runs."""
        for array, copies in self._copies:
            copies[...] = array
        for w, blocks in self._blocks:
            blocks.fill(w)
        for w, copy in self._transposed:
            copy.array[...] = w.T

    def collect(self) -> None:
        """Take the trained arrays back from the copies, which are all the same."""
        for array, copies in self._copies:
            array[...] = copies[0]
        for w, blocks in self._blocks:
            blocks.collect(w)

    def add(self, kernel, *arguments, phase=Phase.ROWS, extent=BATCH, grain=1) -> None:
        """Append a step to a phase."""
        self.add_group([(kernel, arguments)], phase, extent, grain=grain)

    def add_group(
        self,
        calls,
        phase: Phase,
        extent: int,
        *,
        blocks: int = 1,
        grain: int = 1,
        shared: bool = False,
    ) -> None:
        """Append steps, given as (kernel, arguments), that run together, block by block.

        In a replicated program every thread does all of them, unless they are `shared` there too.
        """
        if self.replicated and not shared:
            extent = EVERY
        steps = [Step(kernel, tuple(map(_plain, args)), extent, grain) for kernel, args in calls]
        self._phases[phase].append(Group(steps, blocks))

    def add_check(self, row_loss=None, weight=None) -> None:
        """Let the run end here when the batch's loss is not finite, or when it is told to stop."""
        if row_loss is not None:
            arguments = row_loss.batch, weight.batch, Mine(self.loss)
            self.add("batch_loss", *arguments, phase=self.update_phase, extent=EVERY)
        self._phases[self.update_phase].append(None)

    def groups(self) -> list[tuple[Phase, Group | None]]:
        """Return (phase, group of steps) in order; a group that is None is the check."""
        return [(phase, group) for phase in Phase for group in self._phases[phase]]

    @functools.cached_property
    def table(self) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        """The step table, its steps compiled, and the arrays that it points into."""
        compile_gemm(self.dtype)
        compile_worker()
        rows: list[tuple[int, ...]] = []
        kept: list[tuple[np.ndarray, np.ndarray]] = []
        for phase, group in self.groups():
            if group is None:
                rows.append((0, 0, 0, phase, 1, 1))
                continue
            for step in group.steps:
                integers, floats = step.numbers()
                kept.append((np.array(integers, np.int64), np.array(floats, np.float64)))
                where = (array.ctypes.data for array in kept[-1])
                rows.append((step.address(), *where, phase, len(group.steps), group.blocks))
        return np.array(rows, np.int64), kept

    def run_reference(self, clock, epochs) -> bool:
        """Run the epochs of `epochs` in NumPy; return False if a loss was not finite.

        The same order of things as :func:`fastnn.engine.worker.work`, for one thread.
        """
        first_epoch, n_rows = int(clock[Clock.EPOCH]), int(clock[Clock.TOTAL_ROWS])
        for epoch in range(len(epochs)):
            clock[Clock.EPOCH] = first_epoch + epoch
            for first in range(0, n_rows, self.batch_size):
                clock[Clock.FIRST] = first
                clock[Clock.ROWS] = min(self.batch_size, n_rows - first)
                clock[Clock.STEP] += 1
                for _, group in self.groups():
                    if group is not None:
                        clock[Clock.PARTS] = group.blocks
                        for clock[Clock.PART] in range(group.blocks):
                            for step in group.steps:
                                step.run(clock)
                    elif not np.isfinite(self.loss[0, 0]):
                        clock[Clock.STEP] -= 1
                        return False
                    else:
                        epochs[epoch] += self.loss[0, :2]
        return True
