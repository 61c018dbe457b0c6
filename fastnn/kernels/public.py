"""Kernels for calls from Python: with checked arguments, and parallel for large arrays.

The kernels themselves check nothing.  A :class:`Kernel` puts a compiled check of shapes, numbers,
indices and memory in front of a kernel, which costs a few nanoseconds, and hands out the parts of
one axis of large calls to :mod:`fastnn.kernels.helpers`.  Both are generated from the kernel's
contract.  Types are checked where a call needs compiling for them, before it is compiled.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator
from itertools import combinations
from textwrap import indent
from typing import Any

import numpy as np

from fastnn.kernels.contract import Argument, Contract
from fastnn.kernels.gemm.dot import INNER_MOST_M
from fastnn.kernels.helpers import hand_out, task
from fastnn.kernels.jit import defined, njit
from fastnn.kernels.memory import address_of
from fastnn.kernels.numba_internals import compile_within
from fastnn.kernels.refusals import refusal
from fastnn.kernels.threads import with_helpers

_DONE, _REFUSED, _LARGE = range(3)
_SHARES = 8
"""Parts per thread: threads that come late or pause leave theirs to others."""


class _ReadOnlyError(Exception):
    """A call has read-only arrays."""


def _cut(argument: Argument, letter: str) -> str:
    """Return the code that slices ``lo:hi`` of an argument's axis."""
    if letter not in argument.axes:
        return argument.name
    return f"{argument.name}[{'lo:hi' if argument.axes[0] == letter else ':, lo:hi'}]"


def _length(axis: str, lengths: dict[str, str]) -> str:
    """Return the code for an axis's length, from that of its letters."""
    products = ("*".join(lengths.get(f, f) for f in factors) for factors in axis.split("+"))
    return " + ".join(products)


def _number(argument: Argument) -> str:
    """Return the code for a number, of the one type in which the kernel gets it."""
    return f"{'int64' if argument.integer else 'float64'}({argument.name})"


def _limits(argument: Argument) -> str:
    """Return the code that is true for a number out of its range, as NaN is."""
    low, high = argument.range
    return f"not {low!r} <= {argument.name} <= {high!r}"


def _misplaced(argument: Argument) -> str:
    """Return the code that is true for an array that is not aligned: Numba may overlook it."""
    name = argument.name
    steps = [f"{name}.strides[{axis}]" for axis in range(len(argument.axes) * argument.strided)]
    return f"({' | '.join([f'address_of({name})', *steps])}) % {name}.itemsize != 0"


def _ends(argument: Argument) -> str:
    """Return the code for the addresses of an array's first byte and of the one past its last."""
    name = argument.name
    if not argument.strided:
        return f"address_of({name}), address_of({name}) + {name}.size * {name}.itemsize"
    ways = [
        f"({name}.shape[{axis}] - 1) * {name}.strides[{axis}]" for axis in range(len(argument.axes))
    ]
    low, high = (" + ".join(f"{end}({way}, 0)" for way in ways) for end in ("min", "max"))
    return f"address_of({name}) + {low}, address_of({name}) + {high} + {name}.itemsize"


class Kernel:
    """A compiled kernel for arrays from Python.

    Parameters
    ----------
    contract : Contract
        The kernel's contract.

    Attributes
    ----------
    compiled : dispatcher
        The unchecked kernel, for calls from other compiled code.
    arguments : tuple of Argument
        The kernel's arguments.
    """

    __name__: str

    def __init__(self, contract: Contract):
        functools.update_wrapper(self, contract.compiled.py_func)
        self.compiled, self.arguments = contract.compiled, contract.arguments
        self._contract = contract

    @functools.cached_property
    def _checked(self) -> Callable[..., int]:
        """The kernel with its checks, for arrays that can be written."""
        checked = self._compile(self._source)
        compile_within(checked, self._for_good_types)
        return checked

    @functools.cached_property
    def _checked_read_only(self) -> Callable[..., int]:
        """The same for calls that :func:`refusal` has already looked at.

        Numba tells read-only arrays by all but the order of their bytes, and would take one of the
        wrong order for another that came before.
        """
        return self._compile(self._source)

    @contextlib.contextmanager
    def _for_good_types(self, *arguments: Any) -> Iterator[None]:
        """Surround the compilation that a call needs: of a wrong call nothing is compiled."""
        if error := refusal(self.__name__, self._contract, arguments):
            raise error
        if any(isinstance(each, np.ndarray) and not each.flags.writeable for each in arguments):
            raise _ReadOnlyError
        yield

    @property
    def _source(self) -> str:
        """The code of the kernel with its checks; it returns one of the codes above."""
        arrays = [argument for argument in self.arguments if not argument.scalar]
        numbers = [argument for argument in self.arguments if argument.scalar]
        lengths = self._lengths()
        tests = [*map(_limits, numbers), *map(_misplaced, arrays)]
        for argument in arrays:
            for axis, letter in enumerate(argument.axes):
                length, wanted = f"{argument.name}.shape[{axis}]", _length(letter, lengths)
                if length != wanted:
                    empty = f" and {length} != 0" if argument.optional else ""
                    tests.append(f"{length} != {wanted}{empty}")
                if argument.filled:
                    tests.append(f"{length} == 0")
        refused = f"return {_REFUSED}\n"
        names = ", ".join(argument.name for argument in self.arguments)
        nothing = " and ".join(f"{each.name}.size == 0" for each in arrays if each.written)
        large = f"    if {self._work} >= {2 * self._worth}:\n        return {_LARGE}\n"
        return (
            f"def {self.__name__}_checked({names}):\n"
            + "".join(f"    if {test}:\n        {refused}" for test in tests)
            + "".join(
                f"    for value in {each.name}:\n"
                f"        if value < 0 or value >= {_length(each.below, lengths)}:\n"
                f"            {refused}"
                for each in arrays
                if each.below
            )
            + f"    if {nothing}:\n        return {_DONE}\n"
            + self._overlaps(arrays, refused)
            + (large if self._contract.parallel else "")
            + f"    {self._call()}\n    return {_DONE}\n"
        )

    def _overlaps(self, arrays: list[Argument], refused: str) -> str:
        """Return the code that refuses arrays that are written if they share memory with others."""
        code = ""
        for one, other in combinations(arrays, 2):
            if one.written or other.written:
                test = f"low_{one.name} < high_{other.name} and low_{other.name} < high_{one.name}"
                if one.overlaid and other is arrays[-1]:
                    test += f" and low_{one.name} != low_{other.name}"
                code += f"    if {test}:\n        {refused}"
        ends = [f"    low_{each.name}, high_{each.name} = {_ends(each)}\n" for each in arrays]
        return "".join(ends) + code if code else ""

    def _lengths(self) -> dict[str, str]:
        """Return the code for the length of each axis: that of the first array that has it."""
        lengths: dict[str, str] = {}
        for argument in self.arguments:
            for axis, letter in enumerate(argument.axes):
                if len(letter) == 1 and letter.isalpha():
                    lengths.setdefault(letter, f"{argument.name}.shape[{axis}]")
        return lengths

    def _call(self, cut: str = "") -> str:
        """Return the code that calls the kernel, on the part lo:hi of an axis."""
        given = [
            _number(a) + " + lo" * (a.place and bool(cut)) if a.scalar else _cut(a, cut)
            for a in self.arguments
        ]
        return f"kernel({', '.join(given)})"

    @property
    def _worth(self) -> int:
        """How large the product of all axes must be for each thread to pay off."""
        letters = {letter for a in self.arguments for axis in a.axes for letter in axis}
        return 2**21 if len(letters) > 2 else 2**17

    @property
    def _work(self) -> str:
        """The code for the product of all axes."""
        return "*".join(self._lengths().values())

    @functools.cached_property
    def _in_parallel(self) -> Callable[..., bool]:
        """The kernel on several threads: ``(helpers, most threads, *arguments)``."""
        names = ", ".join(argument.name for argument in self.arguments)
        each = 1 if self._contract.strided else _SHARES
        source = (
            f"def {self.__name__}_parallel(pool, most, {names}):\n"
            f"    threads = min(most, {self._work} // {self._worth})\n"
            f"    code, data = task(part_of, ({names},))\n"
            f"    return hand_out(pool, threads, threads * {each}, code, data)\n"
        )
        return self._compile(source, part_of=self._part)

    @functools.cached_property
    def _part(self) -> Callable[..., None]:
        """The kernel on one part of an axis: ``(part, parts, *arguments)``."""
        names = ", ".join(argument.name for argument in self.arguments)
        body = self._cut_call("m")
        if self._contract.strided:
            # Each thread packs the other factor, which is smaller if threads share the longer axis.
            # No part may have so few rows that its bits are those of inner products.
            m, n = self._length("m"), self._length("n")
            longer = f"if {n} > {m} or {m} // parts <= {INNER_MOST_M}:\n"
            body = f"{longer}{indent(self._cut_call('n'), '    ')}else:\n{indent(body, '    ')}"
        return self._compile(
            f"def {self.__name__}_part(part, parts, {names}):\n{indent(body, '    ')}"
        )

    def _length(self, letter: str) -> str:
        """Return the code for an axis's length."""
        return next(
            f"{argument.name}.shape[{argument.axes.index(letter)}]"
            for argument in reversed(self.arguments)
            if letter in argument.axes
        )

    def _cut_call(self, letter: str) -> str:
        """Return the code that calls the kernel on one part of an axis."""
        length = self._length(letter)
        return (
            f"lo = {length} * part // parts\n"
            f"hi = {length} * (part + 1) // parts\n"
            f"{self._call(letter)}\n"
        )

    def _compile(self, source: str, **more: Any) -> Callable[..., Any]:
        space = {
            "__name__": __name__,
            "address_of": address_of,
            "float64": np.float64,
            "hand_out": hand_out,
            "inf": math.inf,
            "int64": np.int64,
            "kernel": self.compiled,
            "task": task,
            **more,
        }
        function = defined(source, space)
        compiled: Callable[..., Any] = njit(function, prepare=self._contract.prepare)
        return compiled

    def __call__(self, *arguments: Any, **named: Any) -> None:
        if named:
            arguments = inspect.signature(self).bind(*arguments, **named).args
        try:
            code = self._checked(*arguments)
        except Exception:
            self._refuse(arguments)
            code = self._checked_read_only(*arguments)
        if code == _REFUSED:
            self._refuse(arguments)
            # Only the ranges that arrays span overlap, such as those of odd and even rows.
            self._unchecked(arguments)
        elif code == _LARGE and not with_helpers(self._in_parallel, arguments):
            self._unchecked(arguments)

    def _unchecked(self, arguments: tuple[Any, ...]) -> None:
        """Call the kernel without a check and on one thread."""
        kinds = [int if a.integer else float if a.scalar else None for a in self.arguments]
        pairs = zip(kinds, arguments, strict=True)
        self.compiled(*(kind(value) if kind else value for kind, value in pairs))

    def _refuse(self, arguments: tuple[Any, ...]) -> None:
        """Raise the error that says what is wrong with the arguments, if anything is."""
        if error := refusal(self.__name__, self._contract, arguments):
            raise error from None

    def __repr__(self) -> str:
        return f"<kernel {self.__name__}{inspect.signature(self)}>"
