"""Kernels for calls from Python: with checked arguments, and parallel for large arrays.

The kernels themselves check nothing.  A :class:`Kernel` puts a compiled check of the shapes in
front of a kernel, which costs a nanosecond, and runs large calls in a ``prange`` loop over parts of
one axis.  Both are generated from the kernel's contract.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from textwrap import indent
from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.contract import Argument, Contract
from fastnn.kernels.jit import defined, njit
from fastnn.kernels.numba_internals import TypingError
from fastnn.kernels.threads import NoThreadsError, Threads

_DONE, _BAD_SHAPES, _BAD_INDEX, _LARGE = range(4)


def _checker(contract):
    """Return an intrinsic that compiles only for the types that the contract allows."""

    @intrinsic
    def check(_, given):
        problem = contract.type_problem(given.types)
        if problem:
            raise TypingError(problem)

        def codegen(context, builder, signature, args):
            return context.get_dummy_value()

        return types.void(given), codegen

    return check


def _cut(argument: Argument, letter: str) -> str:
    """Return the code that slices ``lo:hi`` of an argument's axis."""
    if letter not in argument.axes:
        return argument.name
    return f"{argument.name}[{'lo:hi' if argument.axes[0] == letter else ':, lo:hi'}]"


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
        """The kernel with its checks; returns one of the codes above."""
        lengths: dict[str, str] = {}
        products, tests = [], []
        for argument in self.arguments:
            for axis, letter in enumerate(argument.axes):
                length = f"{argument.name}.shape[{axis}]"
                if len(letter) > 1 or letter.isdigit():
                    products.append((length, letter))
                elif letter not in lengths:
                    lengths[letter] = length
                elif argument.optional:
                    tests.append(f"{length} != {lengths[letter]} and {length} != 0")
                else:
                    tests.append(f"{length} != {lengths[letter]}")
        loops = [
            f"    for value in {argument.name}:\n"
            f"        if value < 0 or value >= {lengths[argument.below]}:\n"
            f"            return {_BAD_INDEX}\n"
            for argument in self.arguments
            if argument.below
        ]
        for length, letters in products:
            factors = "*".join(lengths.get(letter, letter) for letter in letters)
            tests.append(f"{length} != {factors}")
        names = ", ".join(argument.name for argument in self.arguments)
        work = "*".join(lengths.values())
        large = f"    if {work} >= {self._threshold()}:\n        return {_LARGE}\n"
        source = (
            f"def {self.__name__}_checked({names}):\n    check(({names},))\n"
            + "".join(f"    if {test}:\n        return {_BAD_SHAPES}\n" for test in tests)
            + "".join(loops)
            + (large if self._contract.parallel else "")
            + f"    kernel({names})\n    return {_DONE}\n"
        )
        return self._compile(source, parallel=False)

    def _threshold(self) -> int:
        """Return how large the product of all axes must be for threads to pay off."""
        letters = {letter for a in self.arguments for axis in a.axes for letter in axis}
        return 2**22 if len(letters) > 2 else 2**18

    @functools.cached_property
    def _in_parallel(self) -> Callable[..., None]:
        names = ", ".join(argument.name for argument in self.arguments)
        body = self._loop("m")
        if self._contract.strided:
            # Each thread packs the other factor, which is smaller if threads share the longer axis.
            longer = f"if {self._length('n')} > {self._length('m')}:\n"
            body = longer + indent(self._loop("n"), "    ") + "else:\n" + indent(body, "    ")
        source = f"def {self.__name__}_parallel(parts, {names}):\n{indent(body, '    ')}"
        return self._compile(source, parallel=True)

    def _length(self, letter: str) -> str:
        """Return the code for an axis's length."""
        return next(
            f"{argument.name}.shape[{argument.axes.index(letter)}]"
            for argument in reversed(self.arguments)
            if letter in argument.axes
        )

    def _loop(self, letter: str) -> str:
        """Return the code for a loop over the parts of an axis."""
        length = self._length(letter)
        cuts = ", ".join(_cut(argument, letter) for argument in self.arguments)
        return (
            "for part in prange(parts):\n"
            f"    lo = {length} * part // parts\n"
            f"    hi = {length} * (part + 1) // parts\n"
            f"    kernel({cuts})\n"
        )

    def _compile(self, source: str, parallel: bool) -> Callable[..., Any]:
        space = {
            "__name__": __name__,
            "check": _checker(self._contract),
            "kernel": self.compiled,
            "prange": numba.prange,
        }
        function = defined(source, space)
        compiled: Callable[..., Any] = njit(
            function, parallel=parallel, prepare=self._contract.prepare
        )
        return compiled

    def __call__(self, *arguments: Any, **named: Any) -> None:
        if named:
            arguments = inspect.signature(self).bind(*arguments, **named).args
        try:
            code = self._checked(*arguments)
        except Exception:
            problem = self._problem(arguments)
            if problem:
                raise TypeError(f"{self.__name__}: {problem}; {self._explain(arguments)}") from None
            raise
        if code == _LARGE:
            try:
                with Threads() as count:
                    self._in_parallel(count, *arguments)
            except NoThreadsError:
                self.compiled(*arguments)
        elif code == _BAD_SHAPES:
            raise ValueError(f"{self.__name__}: shapes do not fit; {self._explain(arguments)}")
        elif code == _BAD_INDEX:
            limits = [f"{a.name} must be in [0, {a.below})" for a in self.arguments if a.below]
            raise ValueError(f"{self.__name__}: {limits[0]}; {self._explain(arguments)}")

    def _problem(self, arguments: Sequence[Any]) -> str | None:
        """Return what is wrong with the arguments' types, or None."""
        if len(arguments) != len(self.arguments):
            return f"{len(self.arguments)} arguments wanted"
        try:
            kinds = [numba.typeof(argument) for argument in arguments]
        except (ValueError, TypeError) as error:
            return str(error).splitlines()[0]
        return self._contract.type_problem(kinds)

    def _explain(self, arguments: Sequence[Any]) -> str:
        """Return a message that says what the kernel wants and what it got."""
        wanted = [
            f"{a.name} ({', '.join(map('*'.join, a.axes))})" for a in self.arguments if not a.scalar
        ]
        given = [
            f"{a.name} {value.shape} {value.dtype}"
            if hasattr(value, "shape") and hasattr(value, "dtype")
            else f"{a.name} {type(value).__name__}"
            for a, value in zip(self.arguments, arguments, strict=False)
            if not a.scalar
        ]
        return f"wanted {', '.join(wanted)}; got {', '.join(given)}"

    def __repr__(self) -> str:
        return f"<kernel {self.__name__}{inspect.signature(self)}>"
