"""A program: the buffers and the steps that a network is lowered to.  No arithmetic here."""

import functools
import numbers
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from fastnn.engine.clock import Clock
from fastnn.engine.steps import BATCH, EVERY, Buffer, Mine, Step
from fastnn.engine.worker import compile_worker
from fastnn.kernels.matmul import compile_gemm


class Phase(IntEnum):
    """Threads meet between phases."""

    ROWS = 0
    """Forward and backward: each thread has its rows and needs no other's."""
    UPDATE = 1
    """After the backward pass: each thread has its weights and needs all rows."""
    COLUMNS = 2
    """After the update: each thread has its columns of the weights, what bounds whole units."""


APART = 64
"""Numbers that one thread writes lie this far from another's: in two neighbouring cache lines they
would still be torn from core to core, since lines are fetched in pairs."""


def aligned(shape, dtype) -> np.ndarray:
    """Return zeros that start at a cache line."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    room = np.zeros(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """Return a copy that starts at a cache line."""
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


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
        self.loss = aligned((n_threads, APART), np.float64)
        """Sums of weighted losses and of weights of the batch, a row for each thread."""
        self._transposed: list[tuple[np.ndarray, np.ndarray]] = []
        self.updates = 0
        """Updates done; the optimizer's step counts from it."""
        self._phases: list[list[Group | None]] = [[] for _ in Phase]

    def buffer(self, columns: int | None = None, dtype=None, own: bool = False) -> Buffer:
        """Return a buffer for a batch, (batch_size,) or (batch_size, columns)."""
        shape: tuple[int, ...] = (self.batch_size,)
        if columns is not None:
            shape = (*shape, columns)
        if own:
            shape = (self.n_threads, *shape)
        return Buffer(aligned(shape, dtype or self.dtype), own)

    def transposed(self, w: np.ndarray) -> np.ndarray:
        """Return a copy of ``w.T``; whoever updates `w` adds the step that updates it.

        The transpose of a single column is the same memory.
        """
        if w.shape[1] == 1:
            return w.reshape(1, -1)
        self._transposed.append((w, aligned(w.shape[::-1], w.dtype)))
        return self._transposed[-1][1]

    def copy_of(self, w: np.ndarray) -> np.ndarray | None:
        """Return the copy that :meth:`transposed` made of `w`, if it made one."""
        return next((copy for kept, copy in self._transposed if kept is w), None)

    def refresh(self) -> None:
        """Make the transposed copies anew: the parameters may have been set between runs."""
        for w, copy in self._transposed:
            copy[...] = w.T

    def add(self, kernel, *arguments, phase=Phase.ROWS, extent=BATCH) -> None:
        """Append a step to a phase."""
        self.add_group(
            [(kernel, arguments)],
            phase,
            extent,
        )

    def add_group(self, calls, phase: Phase, extent: int, *, blocks: int = 1) -> None:
        """Append steps, given as (kernel, arguments), that run together, block by block."""
        steps = [Step(kernel, tuple(map(_plain, args)), extent) for kernel, args in calls]
        self._phases[phase].append(Group(steps, blocks))

    def add_check(self, row_loss=None, weight=None) -> None:
        """Let the run end here when the batch's loss is not finite, or when it is told to stop."""
        if row_loss is not None:
            arguments = row_loss.batch, weight.batch, Mine(self.loss)
            self.add("batch_loss", *arguments, phase=Phase.UPDATE, extent=EVERY)
        self._phases[Phase.UPDATE].append(None)

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
