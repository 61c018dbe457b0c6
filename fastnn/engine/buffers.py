"""Where the rows of a batch lie, and which of them a thread gets."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.engine.arguments import Arg, At, Place
from fastnn.engine.clock import Clock


@dataclass(frozen=True)
class Buffer:
    """Where the rows of a batch lie: in room that the threads share.

    The kinds differ in numbers alone, so that no step is compiled once for each.
    """

    array: np.ndarray

    note = ""
    """What to say of the rows besides, to who reads a program."""

    @property
    def flat(self) -> bool:
        """Whether a row is one number."""
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
        """How many rows further on in memory the next batch lies, 0 where it does not."""
        return Clock.ZERO

    @property
    def origin(self) -> tuple[Clock, int]:
        """The field of the clock that holds what the address counts from, and the address."""
        return Clock.ZERO, self.array.ctypes.data

    @property
    def strides(self) -> tuple[int, int]:
        """How many bytes lie between two threads' rooms, and between two rows of the data."""
        return 0, 0

    def first_row(self, at: At) -> tuple[Any, Any]:
        """Return the address of the batch's first row, and the number of columns."""
        (field, address), (thread, row) = self.origin, self.strides
        start = at.clock(at.integer(field)) + at.integer(address)
        start += at.clock(Clock.THREAD) * at.integer(thread)
        start += at.clock(Clock.FIRST) * at.integer(row)
        return start, at.integer(self.width)


class ThreadBuffer(Buffer):
    """Room of each thread's own: the first axis counts the threads."""

    note = "own"

    @property
    def flat(self):
        return self.array.ndim == 2

    @property
    def strides(self):
        return self.array.strides[0], 0


class InPlace(Buffer):
    """No room: the rows are read where they lie in the data."""

    note = "in place"

    @property
    def ahead(self):
        return Clock.ROWS

    @property
    def strides(self):
        return 0, self.array.strides[0]


@dataclass(frozen=True)
class Stretch(InPlace):
    """Contiguous data whose address the clock holds, so that one program serves all data.

    `array` has no rows: it says how many columns there are, and of what dtype.
    """

    field: Clock

    @property
    def origin(self):
        return self.field, 0

    @property
    def strides(self):
        return 0, self.width * self.array.itemsize


@dataclass(frozen=True)
class Batch(Arg):
    """All rows of the batch, in a :class:`Buffer` of any kind."""

    buffer: Buffer

    share = "batch"

    @property
    def note(self):
        return f"{self.buffer.note} {self.share}".lstrip()

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
