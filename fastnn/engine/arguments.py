"""The arguments that a step passes to its kernel: arrays, and each thread's share of them.

Each kind of argument defines once, in `place`, where its array lies.  Its address, lengths and
strides depend on numbers in the step table, on fields of the clock and on the bounds of the
thread's share.  From the same definition, :class:`Symbols` generates code, :class:`Numbers`
collects the numbers for the table, and :class:`Values` makes the array itself, for the NumPy twin.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np

from fastnn.engine.clock import Clock


class Place(NamedTuple):
    """Where an array lies, with strides in bytes; without strides it is contiguous."""

    address: Any
    shape: tuple[Any, ...]
    strides: tuple[Any, ...] | None = None


class Term:
    """A piece of code; arithmetic on it returns the code of the result."""

    def __init__(self, text: str, is_sum: bool = False):
        self.text, self.is_sum = text, is_sum

    def __str__(self) -> str:
        return self.text

    def __add__(self, other: Any) -> "Term":
        return Term(f"{self} + {other}", True)

    def __sub__(self, other: Any) -> "Term":
        return Term(f"{self} - {_factor(other)}", True)

    def __mul__(self, other: Any) -> "Term":
        return Term(f"{_factor(self)} * {_factor(other)}")

    def __neg__(self) -> "Term":
        return Term(f"-{_factor(self)}")

    def __getitem__(self, index: int) -> "Term":
        return Term(f"{_factor(self)}[{index}]")


def _factor(term: Any) -> str:
    return f"({term})" if isinstance(term, Term) and term.is_sum else str(term)


class At:
    """Base of :class:`Numbers`, :class:`Symbols` and :class:`Values`, which compute places."""

    lo: Any
    hi: Any
    """The bounds of the thread's share of the step's extent."""

    def integer(self, value: Any) -> Any:
        """Return an integer from the step's row of the table."""
        raise NotImplementedError

    def address(self, array: np.ndarray) -> Any:
        """Return the address of an array's first item, an integer from that row too."""
        return self.integer(array.ctypes.data)

    def real(self, value: float) -> Any:
        """Return a float from that row."""
        raise NotImplementedError

    def clock(self, field: Any) -> Any:
        """Return a field of the thread's clock."""
        raise NotImplementedError

    def array(self, place: Place, dtype: np.dtype) -> Any:
        """Return the array at this place."""
        raise NotImplementedError


class _Unknown:
    """What is not computed; nor is anything that depends on it."""

    def _itself(self, *_: Any) -> "_Unknown":
        return self

    __add__ = __sub__ = __mul__ = __neg__ = __getitem__ = _itself


_UNKNOWN = _Unknown()


class Numbers(At):
    """No places, only the numbers that they depend on: a step's row of the table.

    Every new program needs these, but hardly ever new code.
    """

    lo: Any = _UNKNOWN
    hi: Any = _UNKNOWN

    def __init__(self) -> None:
        self.integers: list[int] = []
        self.floats: list[float] = []
        self.pointers: list[tuple[int, np.ndarray]] = []
        """Which of the integers are addresses, and of which arrays."""

    def integer(self, value):
        self.integers.append(int(value))
        return _UNKNOWN

    def address(self, array):
        self.pointers.append((len(self.integers), array))
        return super().address(array)

    def real(self, value):
        self.floats.append(value)
        return _UNKNOWN

    def clock(self, field):
        return _UNKNOWN

    def array(self, place, dtype):
        return _UNKNOWN


class Symbols(Numbers):
    """Places as names in generated code, which calls Numba's types, `dtypes`, dtype0, dtype1 ..."""

    lo, hi = Term("lo"), Term("hi")

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: list[Any] = []

    def integer(self, value):
        super().integer(value)
        return Term(f"i[{len(self.integers) - 1}]")

    def real(self, value):
        super().real(value)
        return Term(f"f[{len(self.floats) - 1}]")

    def clock(self, field):
        return Term(f"c[{field.name if isinstance(field, Clock) else field}]")

    def array(self, place, dtype):
        kind = numba.from_dtype(dtype)
        if kind not in self.dtypes:
            self.dtypes.append(kind)
        name, (address, shape, strides) = f"dtype{self.dtypes.index(kind)}", place
        if strides is None:
            function = "vector" if len(shape) == 1 else "matrix"
            return Term(f"{function}({', '.join(map(str, (address, *shape, name)))})")
        if len(shape) == 1:  # `strided` makes matrices
            return Term(f"strided({address}, {shape[0]}, 1, {strides[0]}, 0, {name})[:, 0]")
        return Term(f"strided({', '.join(map(str, (address, *shape, *strides, name)))})")


class Values(At):
    """Places as actual numbers and arrays, for items lo ... hi - 1 of a step's extent."""

    def __init__(self, fields: np.ndarray, lo: int, hi: int):
        self.fields, self.lo, self.hi = fields, lo, hi

    def integer(self, value):
        return value

    def real(self, value):
        return value

    def clock(self, field):
        return self.fields[field]

    def array(self, place, dtype):
        return np.asarray(_Memory(place, dtype))


class _Memory:
    """Memory at an address, in the form that NumPy asks for."""

    def __init__(self, place: Place, dtype: np.dtype):
        strides = place.strides
        self.__array_interface__ = {
            "version": 3,
            "data": (int(place.address), False),
            "typestr": dtype.str,
            "shape": tuple(map(int, place.shape)),
            "strides": None if strides is None else tuple(map(int, strides)),
        }


@dataclass(frozen=True)
class Arg:
    """An array of which a kernel gets all or a share; subclasses define which."""

    array: np.ndarray

    note = ""
    """The share in a word or two, for listings."""

    @property
    def form(self) -> Any:
        """What the generated code depends on, besides the class and the dtype."""
        return self.array.ndim

    def place(self, at: At) -> Place:
        """Return the place of what the kernel gets."""
        raise NotImplementedError

    def value(self, at: At) -> Any:
        """Return what the kernel gets, as code or as a value."""
        return at.array(self.place(at), self.array.dtype)

    def shape(self, batch_size: int) -> tuple[int, ...]:
        """Return the shape of all threads' shares together."""
        return self.array.shape


class Whole(Arg):
    """All of a contiguous array that does not depend on the batch."""

    note = "whole"

    def place(self, at):
        return Place(at.address(self.array), tuple(map(at.integer, self.array.shape)))


class Strided(Whole):
    """The same with any strides, so an array and its transpose can use the same compiled step."""

    def place(self, at):
        return Place(*super().place(at)[:2], tuple(map(at.integer, self.array.strides)))


class Source(Strided):
    """All of the user's data, with any strides."""

    @property
    def form(self):
        return self.array.ndim, self._plain

    @property
    def _plain(self) -> bool:
        return self.array.ndim == 2 and self.array.flags.c_contiguous

    def place(self, at):
        return Whole.place(self, at) if self._plain else super().place(at)


@dataclass(frozen=True)
class Part(Arg):
    """This thread's share of the rows of an array that does not depend on the batch.

    With `per_thread`, each thread has its own buffer, (threads, rows, columns), which its share
    fills from the start.  The two cases differ only in numbers, so they share one compiled step.
    """

    per_thread: bool = False

    @property
    def note(self):
        return "own room" if self.per_thread else "rows"

    @property
    def form(self):
        return self.array.ndim - self.per_thread

    def place(self, at):
        address, rows, columns = self._share(at)
        return Place(address, (rows, columns)[: self.form])

    def _share(self, at: At) -> tuple[Any, Any, Any]:
        """Return the address of the share's first row, and its numbers of rows and columns."""
        stride = self.array.strides[0]
        thread, row = (stride, 0) if self.per_thread else (0, stride)
        address = at.address(self.array)
        address += at.clock(Clock.THREAD) * at.integer(thread) + at.lo * at.integer(row)
        columns = at.integer(math.prod(self.array.shape[1 + self.per_thread :]))
        return address, at.hi - at.lo, columns

    def shape(self, batch_size):
        return self.array.shape[self.per_thread :]


class FlatPart(Part):
    """The same share as one vector, for elementwise updates."""

    def place(self, at):
        address, rows, columns = self._share(at)
        return Place(address, (rows * columns,))


class PartColumns(Arg):
    """This thread's share of the columns of an array that does not depend on the batch."""

    note = "columns"

    def place(self, at):
        size = self.array.itemsize
        address = at.address(self.array) + at.lo * size
        rows, stride = at.integer(len(self.array)), at.integer(self.array.strides[0])
        return Place(address, (rows, at.hi - at.lo), (stride, size))


class ThreadRow(Arg):
    """This thread's row of an array that has one row per thread."""

    note = "own row"

    def place(self, at):
        address = at.address(self.array)
        address += at.clock(Clock.THREAD) * at.integer(self.array.strides[0])
        return Place(address, (at.integer(self.array.shape[1]),))

    def shape(self, batch_size):
        return self.array.shape[1:]


@dataclass(frozen=True)
class Number(ThreadRow):
    """The first element of this thread's row, as a number; an earlier step has computed it."""

    negative: bool = False

    note = "number"

    @property
    def form(self):
        return self.negative

    def value(self, at):
        number = super().value(at)[0]
        return -number if self.negative else number

    def shape(self, batch_size):
        return ()

    def __neg__(self) -> "Number":
        return Number(self.array, not self.negative)


class Low:
    """The first item of this thread's share."""

    def value(self, at: At) -> Any:
        return at.lo


class FirstRow(Low):
    """The number within the batch of the first row of this thread's share of its rows."""

    def value(self, at: At) -> Any:
        return at.lo + at.clock(Clock.BEFORE)


class High:
    """One past the last item of this thread's share."""

    def value(self, at: At) -> Any:
        return at.hi
