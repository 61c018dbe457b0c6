"""Steps: a kernel and its arguments, callable by address or in NumPy.

A step's arguments are plain numbers, fields of the clock, and arrays wrapped in an object that says
how the threads share them (:mod:`fastnn.engine.arguments` and :mod:`fastnn.engine.buffers`).  The
kinds of the arguments determine a few lines of generated code that unpack a row of the step table,
cut out this thread's share and call the kernel.  :func:`entry` compiles them once.  Any kernel can
become a step this way, without code of its own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from numba import types

from fastnn import reference
from fastnn.engine import native
from fastnn.engine.arguments import Arg, At, High, Low, Numbers, Symbols, Values
from fastnn.engine.clock import Clock, share
from fastnn.kernels import COMPILED
from fastnn.kernels.jit import cfunc, defined, inlined
from fastnn.kernels.numba_internals import fastmath_flags

_share = inlined(share)

BATCH = -1
"""The extent of a step whose threads share the rows of the batch."""
EVERY = -2
"""The extent of a step that every thread runs completely."""


@dataclass(frozen=True)
class Step:
    """A kernel with its arguments.

    Attributes
    ----------
    kernel : str or (compiled, reference)
        The name of a kernel in both `fastnn.kernels` and `fastnn.reference`, or a user's own pair.
    arguments : tuple
        Subclasses of :class:`Arg`, numbers, :class:`Clock` fields, :class:`Low` and
        :class:`High`.
    extent : int
        What the threads share: BATCH, EVERY, or a number of items (with 1, only one thread runs).
    """

    kernel: str | tuple[Callable[..., None], Callable[..., None]]
    arguments: tuple[Any, ...]
    extent: int = BATCH

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.kernel if isinstance(self.kernel, str) else self.kernel[0].__name__

    @property
    def parameters(self) -> list[str]:
        """The kernel's names for its arguments."""
        kernel: Any = COMPILED[self.kernel] if isinstance(self.kernel, str) else self.kernel[0]
        code = getattr(kernel, "py_func", kernel).__code__
        return list(code.co_varnames[: code.co_argcount])

    @property
    def code(self) -> str:
        """The code that unpacks a row of the table and calls the kernel."""
        return self._generated[0]

    @property
    def numbers(self) -> Numbers:
        """The integers and floats of this step's row of the table."""
        numbers = Numbers()
        numbers.integer(self.extent)
        self._values(numbers)
        return numbers

    def compiled(self) -> Any:
        """Return the compiled code, compiling it or loading it from the cache if necessary."""
        return entry(self.kernel, *self._generated)

    def run(self, clock) -> None:
        """Run the NumPy twin on the same part of the same arrays."""
        extent = {BATCH: clock[Clock.ROWS], EVERY: 0}.get(self.extent, self.extent)
        lo, hi = share(int(extent), int(clock[Clock.PART]), int(clock[Clock.PARTS]))
        twin = reference.TWINS[self.kernel] if isinstance(self.kernel, str) else self.kernel[1]
        twin(*self._values(Values(clock, lo, hi)))

    def _values(self, at: At) -> list[Any]:
        """Return what the kernel gets for each argument, as code or as a value."""
        values: list[Any] = []
        for argument in self.arguments:
            if isinstance(argument, (Arg, Low, High)):
                values.append(argument.value(at))
            elif isinstance(argument, Clock):
                values.append(at.clock(at.integer(argument)))
            else:
                values.append((at.real if isinstance(argument, float) else at.integer)(argument))
        return values

    @property
    def form(self) -> tuple[Any, ...]:
        """What the generated code depends on, beside a user's own kernel: steps share it."""
        arguments = [
            (type(each), each.array.dtype, each.form) if isinstance(each, Arg) else type(each)
            for each in self.arguments
        ]
        return self.name, min(self.extent, 0), *arguments

    @property
    def _generated(self) -> tuple[str, tuple[Any, ...]]:
        """The code, and the Numba types that it names."""
        form, known = self.form, _steps_of(self.kernel)
        if form not in known:
            known[form] = self.generate()
        found: tuple[str, tuple[Any, ...]] = known[form]
        return found

    def generate(self) -> tuple[str, tuple[Any, ...]]:
        """Write the code, which takes longer than all else that a new program needs."""
        symbols = Symbols()
        extent = symbols.integer(self.extent)
        values = zip(self._values(symbols), self.parameters, strict=True)
        call = ["kernel(", *(f"    {value},  # {name}" for value, name in values), ")"]
        if self.extent != EVERY:
            total = symbols.clock(Clock.ROWS) if self.extent == BATCH else extent
            part, parts = symbols.clock(Clock.PART), symbols.clock(Clock.PARTS)
            bounds = f"lo, hi = share({total}, {part}, {parts})"
            call = [bounds, "if lo < hi:", *(f"    {line}" for line in call)]
        # The name contains the dtypes because the cache identifies functions by name and code only.
        title = re.sub(r"\W", "", "_".join([self.name, *map(str, symbols.dtypes)]))
        code = f"def {title}(i, f, c):\n" + indent("\n".join(call), "    ") + "\n"
        return code, tuple(symbols.dtypes)


_steps: dict[Any, Any] = {}


def _steps_of(kernel: Any) -> dict[Any, Any]:
    """Return the code of a kernel's steps by their forms, and what is compiled of it by the code.

    A user's own function keeps its own, which go when it goes.
    """
    return _steps if isinstance(kernel, str) else vars(kernel[0]).setdefault("fastnn_steps", {})


@dataclass(frozen=True)
class Purpose:
    """What a step is for: "fetch", "forward", "loss", "backward" or "update", and its layer."""

    work: str = ""
    layer: int | None = None


@dataclass
class Group:
    """Steps of the same extent that run together: all of them on one part, then on the next.

    0 parts means one per thread.
    """

    steps: list[Step]
    parts: int = 0
    purpose: Purpose = Purpose()

    @property
    def leads_to_loss(self) -> bool:
        """Whether the batch's loss may depend on these steps."""
        return self.purpose.work not in ("backward", "update")


def entry(kernel, code, dtypes):
    """Return a step's code, compiled; equal steps of all networks share it."""
    name, known = kernel if isinstance(kernel, str) else "", _steps_of(kernel)
    if (name, code, dtypes) not in known:
        known[name, code, dtypes] = _compiled(kernel, code, dtypes)
    return known[name, code, dtypes]


def _compiled(kernel, code, dtypes):
    if isinstance(kernel, str):
        fastmath = fastmath_flags(COMPILED[kernel])
        call = inlined(COMPILED[kernel].py_func)
    else:  # not inlined: a user's function may have been compiled with other flags
        fastmath, call = (), kernel[0]
    space = {
        "__name__": __name__,
        "kernel": call,
        "share": _share,
        "vector": native.vector,
        "matrix": native.matrix,
        "strided": native.strided,
        **{field.name: int(field) for field in Clock},
        **{f"dtype{n}": dtype for n, dtype in enumerate(dtypes)},
    }
    integers, floats = types.CPointer(types.int64), types.CPointer(types.float64)
    signature = types.void(integers, floats, integers)
    cached = isinstance(kernel, str)
    return cfunc(signature, defined(code, space), fastmath=fastmath, cached=cached)
