"""Steps: one kernel and its arguments, callable by address or in NumPy.

A step's arguments are arrays wrapped in how the threads share them (:class:`Rows`, :class:`Part`,
...), plain numbers, and fields of the clock.  From their kinds :func:`entry` writes the few lines
that unpack a row of the step table, cut out this thread's share and call the kernel, and compiles
them once: no kernel needs code of its own to become a step.
"""

import ctypes
import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import types

from fastnn import reference
from fastnn.engine import native
from fastnn.engine.clock import Clock, share
from fastnn.kernels import COMPILED
from fastnn.kernels.jit import cfunc, inlined
from fastnn.kernels.numba_internals import fastmath_flags

_share = inlined(share)


@dataclass(frozen=True)
class Arg:
    """An array and how it is shared; the subclasses say how."""

    array: np.ndarray

    def numbers(self) -> list[int]:
        """Return the integers that describe the array in the step table."""
        return [self.array.ctypes.data, *self.array.shape]

    def code(self, i: int, dtype: str) -> str:
        """Return the code that makes the array from the integers i, i + 1 ... of a step."""
        raise NotImplementedError

    def view(self, clock: np.ndarray, lo: int, hi: int) -> np.ndarray:
        """Return what that code makes, for items lo ... hi - 1 of the step's extent."""
        raise NotImplementedError

    @property
    def dtype(self) -> Any:
        """The Numba type of the elements."""
        return numba.from_dtype(self.array.dtype)


class Whole(Arg):
    """All of an array that does not depend on the batch."""

    def code(self, i, dtype):
        if self.array.ndim == 1:
            return f"vector(i[{i}], i[{i + 1}], {dtype})"
        return f"matrix(i[{i}], i[{i + 1}], i[{i + 2}], {dtype})"

    def view(self, clock, lo, hi):
        return self.array


class Strided(Whole):
    """The same, of any strides: an array and its transpose need no steps of their own."""

    def numbers(self):
        return [*super().numbers(), *self.array.strides]

    def code(self, i, dtype):
        return f"strided(i[{i}], i[{i + 1}], i[{i + 2}], i[{i + 3}], i[{i + 4}], {dtype})"


@dataclass(frozen=True)
class Part(Arg):
    """This thread's share of the rows of an array that does not depend on the batch.

    With `own` it is room of each thread's own, (threads, rows, columns), which a share fills from
    the start.  The two differ in numbers alone, so that no step is compiled once for each.
    """

    own: bool = False

    def numbers(self):
        thread, row = (self.array.strides[0], 0) if self.own else (0, self.array.strides[0])
        columns = math.prod(self.array.shape[1 + self.own :])
        return [self.array.ctypes.data, thread, row, columns]

    def start(self, i: int) -> str:
        """Return the code of the address of the share's first row."""
        return f"i[{i}] + c[{Clock.THREAD:d}] * i[{i + 1}] + lo * i[{i + 2}]"

    def code(self, i, dtype):
        if self.array.ndim == 1:
            return f"vector({self.start(i)}, hi - lo, {dtype})"
        return f"matrix({self.start(i)}, hi - lo, i[{i + 3}], {dtype})"

    def view(self, clock, lo, hi):
        return self.array[clock[Clock.THREAD], : hi - lo] if self.own else self.array[lo:hi]


class FlatPart(Part):
    """The same share as one vector: what an elementwise update wants."""

    def code(self, i, dtype):
        return f"vector({self.start(i)}, (hi - lo) * i[{i + 3}], {dtype})"

    def view(self, clock, lo, hi):
        return super().view(clock, lo, hi).reshape(-1)


class PartColumns(Arg):
    """This thread's share of the columns of an array that does not depend on the batch."""

    def code(self, i, dtype):
        size = self.array.itemsize
        return (
            f"strided(i[{i}] + lo * {size}, i[{i + 1}], hi - lo, "
            f"i[{i + 2}] * {size}, {size}, {dtype})"
        )

    def view(self, clock, lo, hi):
        return self.array[:, lo:hi]


class Mine(Arg):
    """This thread's own row of an array with a row for each thread."""

    def numbers(self):
        return [self.array.ctypes.data, self.array.shape[1], self.array.strides[0]]

    def code(self, i, dtype):
        return f"vector(i[{i}] + c[{Clock.THREAD:d}] * i[{i + 2}], i[{i + 1}], {dtype})"

    def view(self, clock, lo, hi):
        return self.array[clock[Clock.THREAD]]


class Number(Mine):
    """The first element of this thread's own row, as a number that an earlier step has left."""

    sign = ""

    def code(self, i, dtype):
        return f"{self.sign}{super().code(i, dtype)}[0]"

    def view(self, clock, lo, hi):
        return super().view(clock, lo, hi)[0]

    def __neg__(self) -> "Negated":
        return Negated(self.array)


class Negated(Number):
    """The same with the other sign."""

    sign = "-"

    def view(self, clock, lo, hi):
        return -super().view(clock, lo, hi)


@dataclass(frozen=True)
class Batch(Arg):
    """All rows of the batch, in a :class:`Buffer` of any kind."""

    buffer: "Buffer"

    first, count = "0", f"c[{Clock.ROWS:d}]"

    def numbers(self):
        return self.buffer.numbers()

    def start(self, i: int) -> str:
        """Return the code of the address of the batch's first row."""
        thread, first = f"c[{Clock.THREAD:d}] * i[{i + 2}]", f"c[{Clock.FIRST:d}] * i[{i + 3}]"
        return f"c[i[{i + 4}]] + i[{i}] + {thread} + {first}"

    def code(self, i, dtype):
        if self.buffer.flat:
            at = f"{self.start(i)} + {self.first} * {self.array.itemsize}"
            return f"vector({at}, {self.count}, {dtype})"
        at = f"{self.start(i)} + {self.first} * i[{i + 1}] * {self.array.itemsize}"
        return f"matrix({at}, {self.count}, i[{i + 1}], {dtype})"

    def view(self, clock, lo, hi):
        return self.buffer.lines(clock)[: clock[Clock.ROWS]]


class Rows(Batch):
    """This thread's share of the rows of the batch."""

    first, count = "lo", "hi - lo"

    def view(self, clock, lo, hi):
        return super().view(clock, lo, hi)[lo:hi]


class Columns(Batch):
    """All rows of the batch, this thread's share of the columns."""

    def code(self, i, dtype):
        size = self.array.itemsize
        at = f"{self.start(i)} + lo * {size}"
        return f"strided({at}, {self.count}, hi - lo, i[{i + 1}] * {size}, {size}, {dtype})"

    def view(self, clock, lo, hi):
        return super().view(clock, lo, hi)[:, lo:hi]


@dataclass(frozen=True)
class Buffer:
    """Where the rows of a batch lie: in room that the threads share.

    The kinds differ in numbers alone, so that no step is compiled once for each.
    """

    array: np.ndarray

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

    def numbers(self) -> list[int]:
        """Return [address, columns, strides in bytes of threads and of the data's rows, origin].

        The field `origin` of the clock holds what the address counts from.
        """
        return [self.array.ctypes.data, self.width, 0, 0, Clock.ZERO]

    def lines(self, clock: np.ndarray) -> np.ndarray:
        """Return the array from the batch's first row on."""
        return self.array


class OwnBuffer(Buffer):
    """Room of each thread's own: the first axis counts the threads."""

    @property
    def flat(self):
        return self.array.ndim == 2

    def numbers(self):
        return [self.array.ctypes.data, self.width, self.array.strides[0], 0, Clock.ZERO]

    def lines(self, clock):
        return self.array[clock[Clock.THREAD]]


class InPlace(Buffer):
    """No room: the rows are read where they lie in the data."""

    @property
    def ahead(self):
        return Clock.ROWS

    def numbers(self):
        return [self.array.ctypes.data, self.width, 0, self.array.strides[0], Clock.ZERO]

    def lines(self, clock):
        return self.array[clock[Clock.FIRST] :]


@dataclass(frozen=True)
class Stretch(InPlace):
    """Contiguous data whose address the clock holds, so that one program serves all data.

    `array` has no rows: it says how many columns there are, and of what dtype.
    """

    origin: Clock

    def numbers(self):
        return [0, self.width, 0, self.width * self.array.itemsize, self.origin]

    def lines(self, clock):
        row = self.width * self.array.itemsize
        start = int(clock[self.origin] + clock[Clock.FIRST] * row)
        room = (ctypes.c_char * int(clock[Clock.ROWS] * row)).from_address(start)
        return np.frombuffer(room, self.array.dtype).reshape(-1, self.width)


class Source(Strided):
    """The whole of the user's data, of any strides."""

    def code(self, i, dtype):
        if self.array.ndim == 1:
            return f"strided(i[{i}], i[{i + 1}], 1, i[{i + 2}], 0, {dtype})[:, 0]"
        if self.array.flags.c_contiguous:
            return f"matrix(i[{i}], i[{i + 1}], i[{i + 2}], {dtype})"
        return super().code(i, dtype)


class Low:
    """The first item of this thread's share."""

    def code(self):
        return "lo"

    def view(self, clock, lo, hi):
        return lo


class High:
    """One past the last item of this thread's share."""

    def code(self):
        return "hi"

    def view(self, clock, lo, hi):
        return hi


_BOUNDS = (Low, High)

BATCH = -1
"""The extent of a step whose work is shared by rows of the batch."""
EVERY = -2
"""The extent of a step that every thread runs whole."""


@dataclass(frozen=True)
class Step:
    """One kernel with its arguments.

    Attributes
    ----------
    kernel : str or (compiled, reference)
        The name of a kernel in both `fastnn.kernels` and `fastnn.reference`, or a user's own pair.
    arguments : tuple
        Subclasses of :class:`Arg`, numbers, :class:`Clock` fields, :class:`Low` and
        :class:`High`.
    extent : int
        How many items the threads share: BATCH, EVERY, or a number (1: thread that gets it runs).
    """

    kernel: str | tuple[Callable[..., None], Callable[..., None]]
    arguments: tuple[Any, ...]
    extent: int = BATCH

    def numbers(self) -> tuple[list[int], list[float]]:
        """Return the integers and the floats of this step's row of the table."""
        integers, floats = [self.extent], []
        for argument in self.arguments:
            if isinstance(argument, Arg):
                integers += argument.numbers()
            elif isinstance(argument, float):
                floats.append(argument)
            elif isinstance(argument, int):  # a field of the clock among them: its place
                integers.append(argument)
        return integers, floats

    def source(self) -> tuple[str, tuple[Any, ...]]:
        """Return the code that unpacks a row and calls the kernel, and the dtypes it names."""
        i, f, dtypes, calls = 1, 0, [], []
        for argument in self.arguments:
            if isinstance(argument, Arg):
                if argument.dtype not in dtypes:
                    dtypes.append(argument.dtype)
                calls.append(argument.code(i, f"dtype{dtypes.index(argument.dtype)}"))
                i += len(argument.numbers())
            elif isinstance(argument, _BOUNDS):
                calls.append(argument.code())
            elif isinstance(argument, Clock):
                calls.append(f"c[i[{i}]]")
                i += 1
            elif isinstance(argument, float):
                calls.append(f"f[{f}]")
                f += 1
            else:
                calls.append(f"i[{i}]")
                i += 1
        if self.extent == EVERY:
            lines = [f"    kernel({', '.join(calls)})"]
        else:
            extent = f"c[{Clock.ROWS:d}]" if self.extent == BATCH else "i[0]"
            lines = [
                f"    lo, hi = share({extent}, c[{Clock.PART:d}], c[{Clock.PARTS:d}])",
                f"    if lo < hi:\n        kernel({', '.join(calls)})",
            ]
        return "\n".join(["def step(i, f, c):", *lines]), tuple(dtypes)

    def address(self) -> int:
        """Return the address of the compiled step, compiling it or loading it if need be."""
        return entry(self.kernel, *self.source()).address

    def run(self, clock) -> None:
        """Run the NumPy twin on the same part of the same arrays."""
        extent = {BATCH: clock[Clock.ROWS], EVERY: 0}.get(self.extent, self.extent)
        lo, hi = share(int(extent), int(clock[Clock.PART]), int(clock[Clock.PARTS]))
        values = []
        for argument in self.arguments:
            if isinstance(argument, (Arg, *_BOUNDS)):
                values.append(argument.view(clock, lo, hi))
            else:
                values.append(clock[argument] if isinstance(argument, Clock) else argument)
        twin = reference.TWINS[self.kernel] if isinstance(self.kernel, str) else self.kernel[1]
        twin(*values)


@functools.cache
def entry(kernel, source, dtypes):
    """Compile the code of :meth:`Step.source`; equal steps of all networks share it."""
    if isinstance(kernel, str):
        name, fastmath = kernel, fastmath_flags(COMPILED[kernel])
        call = inlined(COMPILED[kernel].py_func)
    else:  # a user's own stays a call: it may have been compiled with flags of its own
        name, fastmath, call = kernel[0].__name__, (), kernel[0]
    space = {
        "__name__": __name__,
        "kernel": call,
        "share": _share,
        "vector": native.vector,
        "matrix": native.matrix,
        "strided": native.strided,
        **{f"dtype{n}": dtype for n, dtype in enumerate(dtypes)},
    }
    # The name carries the dtypes, since the cache tells functions apart by name and code alone.
    title = re.sub(r"\W", "", "_".join([name, *map(str, dtypes)]))
    exec(compile(source.replace("def step", f"def {title}"), f"<step {title}>", "exec"), space)
    integers, floats = types.CPointer(types.int64), types.CPointer(types.float64)
    signature = types.void(integers, floats, integers)
    return cfunc(signature, space[title], fastmath=fastmath, cached=isinstance(kernel, str))
