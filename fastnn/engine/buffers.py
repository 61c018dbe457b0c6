"""Buffers for the rows of a batch, and each thread's share of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.engine.arguments import Arg, At, Place
from fastnn.engine.clock import Clock


@dataclass(frozen=True)
class Buffer:
    """The rows of a batch, in memory that the threads share.

    The kinds of buffers differ only in numbers, so they share the compiled steps.
    """

    array: np.ndarray

    note = ""
    """An extra note about the rows, for listings."""

    @property
    def flat(self) -> bool:
        """Whether each row is a single number."""
        return self.array.ndim == 1

    @property
    def width(self) -> int:
        """The number of columns."""
        return 1 if self.flat else self.array.shape[-1]

    @property
    def rows(self) -> Arg:
        """This thread's share of the rows."""
        return Rows(self.array, self)

    @property
    def batch(self) -> Arg:
        """All rows of the batch."""
        return Batch(self.array, self)

    @property
    def columns(self) -> Arg:
        """All rows, this thread's share of the columns."""
        return Columns(self.array, self)

    @property
    def ahead(self) -> Clock:
        """How many rows later in memory the next batch starts; 0 if batches reuse the memory."""
        return Clock.ZERO

    def origin(self, at: At) -> Any:
        """Return the address of the memory: a field of the clock, and what to add to it."""
        return at.clock(at.integer(Clock.ZERO)) + at.address(self.array)

    @property
    def strides(self) -> tuple[int, int]:
        """Bytes from one thread's buffer to the next, and from one row of the data to the next."""
        return 0, 0

    def first_row(self, at: At) -> tuple[Any, Any]:
        """Return the address of the batch's first row, and the number of columns."""
        start, (thread, row) = self.origin(at), self.strides
        start += at.clock(Clock.THREAD) * at.integer(thread)
        start += at.clock(Clock.FIRST) * at.integer(row)
        return start, at.integer(self.width)


class ThreadBuffer(Buffer):
    """A separate buffer for each thread: the first axis counts the threads."""

    note = "own"

    @property
    def flat(self):
        return self.array.ndim == 2

    @property
    def strides(self):
        return self.array.strides[0], 0


class InPlace(Buffer):
    """Not a copy: steps read the rows in place, in the data."""

    note = "in place"

    @property
    def ahead(self):
        return Clock.ROWS

    @property
    def strides(self):
        return 0, self.array.strides[0]


@dataclass(frozen=True)
class Stretch(InPlace):
    """Contiguous data whose address is in the clock, so that one program serves any data.

    `array` has no rows; it only defines the number of columns and the dtype.
    """

    field: Clock

    def origin(self, at):
        return at.clock(at.integer(self.field)) + at.integer(0)

    @property
    def strides(self):
        return 0, self.width * self.array.itemsize


@dataclass(frozen=True)
class Batch(Arg):
    """All rows of the batch, in any kind of :class:`Buffer`."""

    buffer: Buffer

    share = "batch"

    @property
    def note(self):
        return f"{self.buffer.note} {self.share}".lstrip()

    @property
    def form(self):
        return self.buffer.flat

    def place(self, at):
        start, columns = self.buffer.first_row(at)
        return self._lines(start, at.clock(Clock.ROWS), columns)

    def _lines(self, start: Any, rows: Any, columns: Any) -> Place:
        return Place(start, (rows,) if self.buffer.flat else (rows, columns))

    def shape(self, batch_size):
        return (batch_size,) if self.buffer.flat else (batch_size, self.buffer.width)


class Rows(Batch):
    """This thread's share of the rows of the batch."""

    share = "rows"

    def place(self, at):
        start, columns = self.buffer.first_row(at)
        start += at.lo * columns * self.array.itemsize
        return self._lines(start, at.hi - at.lo, columns)


class Columns(Batch):
    """All rows of the batch, this thread's share of the columns."""

    share = "columns"

    def place(self, at):
        (start, columns), size = self.buffer.first_row(at), self.array.itemsize
        shape = at.clock(Clock.ROWS), at.hi - at.lo
        return Place(start + at.lo * size, shape, (columns * size, size))
