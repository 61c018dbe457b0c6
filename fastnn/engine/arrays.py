"""The arrays of a program, and the arguments of steps that show them to the threads.

A program is written once and runs in two ways: threads share the rows of a batch, or, where it is
`replicated`, each thread does all of it on copies of its own, because handing the numbers from
core to core would take longer than computing them again.
"""

from dataclasses import dataclass

import numpy as np

from fastnn.engine.clock import share
from fastnn.engine.steps import (
    Arg,
    Batch,
    Columns,
    Copy,
    FlatCopy,
    FlatPart,
    Own,
    OwnColumns,
    OwnRows,
    Part,
    PartColumns,
    Rows,
    Span,
    Whole,
)


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


@dataclass(frozen=True)
class Buffer:
    """A buffer for a batch, shared by the threads or with a copy for each (a first axis)."""

    array: np.ndarray
    own: bool = False
    replicated: bool = False

    @property
    def rows(self) -> Arg:
        """This thread's share of the rows; all of them in a replicated program."""
        if self.replicated:
            return self.batch
        return OwnRows(self.array) if self.own else Rows(self.array)

    @property
    def batch(self) -> Arg:
        """All rows of the batch."""
        return Own(self.array) if self.own else Batch(self.array)

    @property
    def columns(self) -> Arg:
        """All rows, this thread's share of the columns."""
        return OwnColumns(self.array) if self.own else Columns(self.array)


@dataclass(frozen=True)
class Blocks:
    """An array stored as a block of columns for each thread, each in memory of its own.

    Threads that write interleaved columns of one array slow each other down even where they share
    no cache line: the prefetchers run on into the other's.
    """

    array: np.ndarray
    n_threads: int

    @property
    def grain(self) -> int:
        """Elements of a cache line: blocks are as many columns, or a multiple."""
        return 64 // self.array.itemsize

    @property
    def parts(self) -> list[tuple[int, np.ndarray]]:
        """The first column and the elements of each block."""
        rows, columns = self.array.shape
        parts = []
        for thread in range(self.n_threads):
            lo, hi = share(columns, self.grain, thread, self.n_threads)
            if lo < hi:
                flat = self.array.reshape(-1)[lo * rows : hi * rows]
                parts.append((lo, flat.reshape(rows, hi - lo)))
        return parts

    def fill(self, array: np.ndarray) -> None:
        """Copy an array to its blocks."""
        for first, block in self.parts:
            block[...] = array[:, first : first + block.shape[1]]

    def collect(self, array: np.ndarray) -> None:
        """Copy the blocks to the array that they are of."""
        for first, block in self.parts:
            array[:, first : first + block.shape[1]] = block


@dataclass(frozen=True)
class Stretch:
    """The whole data in place of a buffer: each batch has its rows in it."""

    array: np.ndarray

    @property
    def rows(self) -> Arg:
        """The rows that this thread's share of the batch stands for."""
        return Span(self.array)


@dataclass(frozen=True)
class Weights:
    """An array that outlives the batch, or copies of it for each thread (a first axis)."""

    array: np.ndarray
    replicated: bool = False

    @property
    def whole(self) -> Arg:
        """All of it."""
        return Copy(self.array) if self.replicated else Whole(self.array)

    @property
    def part(self) -> Arg:
        """This thread's share of its rows; all of them in a replicated program."""
        return Copy(self.array) if self.replicated else Part(self.array)

    @property
    def columns(self) -> Arg:
        """This thread's share of its columns; all of them in a replicated program."""
        return Copy(self.array) if self.replicated else PartColumns(self.array)

    @property
    def flat(self) -> Arg:
        """The same as `part`, as one vector."""
        return FlatCopy(self.array) if self.replicated else FlatPart(self.array)
