"""The kernels as Python calls them: arguments checked, large arrays in parallel.

The kernels themselves check nothing.  A :class:`Kernel` puts a compiled check of the shapes in
front of one, which costs a nanosecond, and hands large calls to a ``prange`` loop over parts of
one axis.
"""

import functools
import inspect
import os
import re
import threading
from textwrap import indent

import numba
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.jit import njit
from fastnn.kernels.numba_internals import TypingError

_DONE, _BAD_SHAPES, _BAD_INDEX, _LARGE = range(4)

_lock = threading.Lock()
_forked = False


def _after_fork():
    global _lock, _forked
    _lock, _forked = threading.Lock(), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _NoThreadsError(Exception):
    """Numba's threads cannot be used from here now."""


class _Threads:
    """The right to use Numba's threads, which at most one caller of fastnn has at a time.

    OpenMP's threads do not survive a fork, and the work queue aborts the process when two threads
    enter it: after a fork nobody uses them, and the work queue is used only in a process that has
    no other Python thread.
    """

    def __enter__(self):
        if _forked or not _lock.acquire(blocking=False):
            raise _NoThreadsError
        try:
            self.count = numba.get_num_threads()  # starts them, so the layer is known
            if numba.threading_layer() == "workqueue" and threading.active_count() > 1:
                raise _NoThreadsError
        except BaseException:
            _lock.release()
            raise
        return self.count

    def __exit__(self, *_):
        _lock.release()


def _type_problem(arguments, kinds):
    """Return what is wrong with the Numba types of the arguments, or None."""
    floats = None
    for argument, kind in zip(arguments, kinds, strict=True):
        if argument.scalar:
            if not isinstance(kind, (types.Number, types.Boolean)):
                return f"{argument.name} is not a number"
            continue
        if not isinstance(kind, types.Array) or kind.ndim != len(argument.axes):
            return f"{argument.name} is not an array of {len(argument.axes)} axes"
        if kind.layout != "C" and not argument.strided:
            return f"{argument.name} is not C-contiguous"
        if argument.written and not kind.mutable:
            return f"{argument.name} is read-only, and is written"
        if argument.below:
            if not isinstance(kind.dtype, types.Integer):
                return f"{argument.name} holds {kind.dtype}, wanted integers"
        elif not argument.any_dtype:
            floats = floats or kind.dtype
            if kind.dtype not in (types.float32, types.float64) or kind.dtype != floats:
                return f"{argument.name} holds {kind.dtype}, wanted one float type throughout"
    return None


def _checker(arguments):
    """Return an intrinsic that compiles only for the types that the arguments want."""

    @intrinsic
    def check(_, given):
        problem = _type_problem(arguments, given.types)
        if problem:
            raise TypingError(problem)

        def codegen(context, builder, signature, args):
            return context.get_dummy_value()

        return types.void(given), codegen

    return check


class _Argument:
    """One argument of a kernel, from its word in the kernel's specification.

    ``mn`` is an array of two axes, ``m(qn)`` one whose second axis is as long as q times n (a
    digit is itself), ``-`` a number, ``m<n`` an integer vector with values in [0, n), a trailing
    ``!`` an array that is written, ``?`` one that may be empty instead, ``*`` one of any dtype,
    ``=`` one that must be contiguous where others of the kernel need not be.
    """

    def __init__(self, name, word, strided):
        self.name = name
        self.written = "!" in word
        self.optional = "?" in word
        self.any_dtype = "*" in word
        axes, _, self.below = word.strip("!?*=").partition("<")
        self.scalar = axes == "-"
        self.axes = [] if self.scalar else re.findall(r"(?<=\()\w+|\w", axes)
        self.strided = (strided or self.any_dtype) and not self.written and "=" not in word

    def cut(self, letter):
        """Return the code of this argument's part ``lo:hi`` of an axis."""
        if letter not in self.axes:
            return self.name
        return f"{self.name}[{'lo:hi' if self.axes[0] == letter else ':, lo:hi'}]"


class Kernel:
    """A compiled kernel for arrays from Python.

    Parameters
    ----------
    compiled : dispatcher
        The kernel.
    specification : str
        A word for each argument; see :class:`_Argument`.  Axes of one letter have one length.
    parallel : bool
        Whether a part of axis m can be computed on its own.
    strided : bool
        Whether the arrays that are only read may have any strides, and what is written any rows:
        then a part of axis n can be computed on its own too.
    prepare : function, optional
        Called with the arguments of each call that has to be compiled.

    Attributes
    ----------
    compiled : dispatcher
        The kernel, unchecked, for use in other compiled code.
    """

    def __init__(self, compiled, specification, parallel=True, strided=False, prepare=None):
        functools.update_wrapper(self, compiled.py_func)
        names = list(inspect.signature(compiled.py_func).parameters)
        self.compiled = compiled
        self._arguments = [
            _Argument(name, word, strided)
            for name, word in zip(names, specification.split(), strict=True)
        ]
        self._parallel, self._strided, self._prepare = parallel, strided, prepare

    @functools.cached_property
    def _checked(self):
        """The kernel behind its checks; returns one of the codes above."""
        lengths, products, tests = {}, [], []
        for argument in self._arguments:
            for axis, letter in enumerate(argument.axes):
                length = f"{argument.name}.shape[{axis}]"
                if len(letter) > 1:
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
            for argument in self._arguments
            if argument.below
        ]
        for length, letters in products:
            factors = "*".join(lengths.get(letter, letter) for letter in letters)
            tests.append(f"{length} != {factors}")
        names = ", ".join(argument.name for argument in self._arguments)
        work = "*".join(lengths.values())
        large = f"    if {work} >= {self._threshold()}:\n        return {_LARGE}\n"
        source = (
            f"def {self.__name__}_checked({names}):\n    check(({names},))\n"
            + "".join(f"    if {test}:\n        return {_BAD_SHAPES}\n" for test in tests)
            + "".join(loops)
            + (large if self._parallel else "")
            + f"    kernel({names})\n    return {_DONE}\n"
        )
        return self._compile(source, f"{self.__name__}_checked", parallel=False)

    def _threshold(self):
        """Return how large the product of all axes must be for threads to pay."""
        letters = {letter for a in self._arguments for axis in a.axes for letter in axis}
        return 2**22 if len(letters) > 2 else 2**18

    @functools.cached_property
    def _in_parallel(self):
        names = ", ".join(argument.name for argument in self._arguments)
        body = self._loop("m")
        if self._strided:
            # Each thread packs what it multiplies by: the longer axis leaves it less of that.
            longer = f"if {self._length('n')} > {self._length('m')}:\n"
            body = longer + indent(self._loop("n"), "    ") + "else:\n" + indent(body, "    ")
        source = f"def {self.__name__}_parallel(parts, {names}):\n{indent(body, '    ')}"
        return self._compile(source, f"{self.__name__}_parallel", parallel=True)

    def _length(self, letter):
        """Return the code of an axis's length."""
        return next(
            f"{argument.name}.shape[{argument.axes.index(letter)}]"
            for argument in reversed(self._arguments)
            if letter in argument.axes
        )

    def _loop(self, letter):
        """Return the code of a loop over the parts of an axis."""
        length = self._length(letter)
        cuts = ", ".join(argument.cut(letter) for argument in self._arguments)
        return (
            "for part in prange(parts):\n"
            f"    lo = {length} * part // parts\n"
            f"    hi = {length} * (part + 1) // parts\n"
            f"    kernel({cuts})\n"
        )

    def _compile(self, source, name, parallel):
        space = {
            "__name__": __name__,
            "check": _checker(self._arguments),
            "kernel": self.compiled,
            "prange": numba.prange,
        }
        exec(compile(source, f"<{name}>", "exec"), space)
        return njit(space[name], parallel=parallel, prepare=self._prepare)

    def __call__(self, *arguments, **named):
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
                with _Threads() as count:
                    self._in_parallel(count, *arguments)
            except _NoThreadsError:
                self.compiled(*arguments)
        elif code == _BAD_SHAPES:
            raise ValueError(f"{self.__name__}: shapes do not fit; {self._explain(arguments)}")
        elif code == _BAD_INDEX:
            limits = [f"{a.name} must be in [0, {a.below})" for a in self._arguments if a.below]
            raise ValueError(f"{self.__name__}: {limits[0]}; {self._explain(arguments)}")

    def _problem(self, arguments):
        if len(arguments) != len(self._arguments):
            return f"{len(self._arguments)} arguments wanted"
        try:
            kinds = [numba.typeof(argument) for argument in arguments]
        except (ValueError, TypeError) as error:
            return str(error).splitlines()[0]
        return _type_problem(self._arguments, kinds)

    def _explain(self, arguments):
        """Say what the kernel wants and what it was given."""
        wanted = [
            f"{a.name} ({', '.join(map('*'.join, a.axes))})"
            for a in self._arguments
            if not a.scalar
        ]
        given = [
            f"{a.name} {value.shape} {value.dtype}"
            if hasattr(value, "shape") and hasattr(value, "dtype")
            else f"{a.name} {type(value).__name__}"
            for a, value in zip(self._arguments, arguments, strict=False)
            if not a.scalar
        ]
        return f"wanted {', '.join(wanted)}; got {', '.join(given)}"

    def __repr__(self):
        return f"<kernel {self.__name__}{inspect.signature(self)}>"
