"""A kernel's contract: the specification on its decorator, and what follows from it.

:func:`kernel` compiles a function and enters its contract in ``CONTRACTS``.  A specification has a
word for each argument:

========== ===================================================================================
``mn``     an array of two axes; axes of one letter have one length
``m(qn)``  its second axis is as long as q times n; a digit stands for itself
``-``      a number
``m<n``    a vector of labels or indices, integers in [0, n)
``mn!``    an array that the kernel writes, whatever stood there
``mn~``    an array that the kernel updates: it reads what stands there and writes to it
``n?``     an array that may be empty instead
``mn*``    an array of any dtype; all others share one, float32 or float64
``mn=``    an array that must be contiguous where others of a strided kernel need not be
========== ===================================================================================

Threads share axis m of a call from Python, unless the kernel is not `parallel`.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from numba import types

from fastnn.kernels.jit import njit

_WORD = re.compile(r"(?P<axes>-|(\w|\(\w+\))+)(<(?P<below>\w))?(?P<marks>[!~?*=]*)")


class Argument:
    """One argument of a kernel, from its word in the kernel's specification.

    Attributes
    ----------
    name : str
    axes : list of str
        A letter for each axis, or several, whose lengths are multiplied; empty for a number.
    scalar : bool
        Whether it is a number.
    written, updated : bool
        Whether the kernel writes to it, and whether it reads first what stands there.
    below : str
        The axis whose length its values stay below; empty where they are no indices.
    optional, any_dtype, strided : bool
        Whether it may be empty, hold any dtype, have any strides.

    Examples
    --------
    >>> from fastnn import kernels
    >>> [(a.name, a.axes, a.written) for a in kernels.relu_forward.arguments]
    [('x', ['m', 'n'], False), ('slope', [], False), ('out', ['m', 'n'], True)]
    """

    def __init__(self, name: str, word: str, strided: bool):
        match = _WORD.fullmatch(word)
        if match is None:
            raise ValueError(f"cannot parse {word!r}, the specification of {name}")
        axes, marks = match["axes"], match["marks"]
        self.name = name
        self.scalar = axes == "-"
        self.axes = [] if self.scalar else re.findall(r"(?<=\()\w+|\w", axes)
        self.below = match["below"] or ""
        self.updated = "~" in marks
        self.written = self.updated or "!" in marks
        self.optional = "?" in marks
        self.any_dtype = "*" in marks
        self.strided = (strided or self.any_dtype) and not self.written and "=" not in marks

    def type_problem(self, kind: Any) -> str | None:
        """Return what is wrong with the Numba type of a value for this argument, or None."""
        if self.scalar:
            is_number = isinstance(kind, (types.Number, types.Boolean))
            return None if is_number else f"{self.name} is not a number"
        if not isinstance(kind, types.Array) or kind.ndim != len(self.axes):
            return f"{self.name} is not an array of {len(self.axes)} axes"
        if kind.layout != "C" and not self.strided:
            return f"{self.name} is not C-contiguous"
        if self.written and not kind.mutable:
            return f"{self.name} is read-only, and is written"
        if self.below and not isinstance(kind.dtype, types.Integer):
            return f"{self.name} holds {kind.dtype}, wanted integers"
        return None

    @property
    def shares_dtype(self) -> bool:
        """Whether it has the one float type of the call."""
        return not (self.scalar or self.below or self.any_dtype)


class Contract(NamedTuple):
    """What a kernel takes, what it writes, and how calls of it may be shared among threads.

    Attributes
    ----------
    compiled : dispatcher
        The kernel.
    arguments : tuple of Argument
    parallel : bool
        Whether a part of axis m can be computed on its own.
    strided : bool
        Whether the arrays that are only read may have any strides, and what is written any rows:
        then a part of axis n can be computed on its own too.
    prepare : function or None
        Called with the arguments of each call from Python that has to be compiled.
    """

    compiled: Any
    arguments: tuple[Argument, ...]
    parallel: bool
    strided: bool
    prepare: Callable[..., None] | None

    def type_problem(self, kinds: Iterable[Any]) -> str | None:
        """Return what is wrong with the Numba types of the arguments, or None."""
        floats = None
        for argument, kind in zip(self.arguments, kinds, strict=True):
            problem = argument.type_problem(kind)
            if problem:
                return problem
            if argument.shares_dtype:
                floats = floats or kind.dtype
                if kind.dtype not in (types.float32, types.float64) or kind.dtype != floats:
                    return f"{argument.name} holds {kind.dtype}, wanted one float type throughout"
        return None


CONTRACTS: dict[str, Contract] = {}
"""The contract of every kernel by name."""


def kernel(
    specification: str,
    *,
    parallel: bool = True,
    strided: bool = False,
    prepare: Callable[..., None] | None = None,
    fastmath: frozenset[str] = frozenset(),
) -> Callable[[Any], Any]:
    """Compile a function, and enter its contract in ``CONTRACTS``.

    The name then stands for the compiled function, which checks nothing: other compiled code calls
    it.  Python calls the :class:`~fastnn.kernels.public.Kernel` in front of it.

    Parameters
    ----------
    specification : str
        A word for each argument, see above.
    parallel, strided, prepare
        See :class:`Contract`.
    fastmath : frozenset
        ``REASSOCIATE`` for a kernel that is one sum over a row.
    """

    def enter(function: Any) -> Any:
        name = function.__name__
        if name in CONTRACTS and CONTRACTS[name].compiled.__module__ != function.__module__:
            raise ValueError(f"two kernels are called {name}")
        code = function.__code__  # inspect.signature would take 3 ms of the import
        names, words = code.co_varnames[: code.co_argcount], specification.split()
        if len(words) != len(names):
            raise ValueError(
                f"{name} takes {len(names)} arguments, its specification has {len(words)}"
            )
        arguments = tuple(Argument(*pair, strided) for pair in zip(names, words, strict=True))
        compiled = njit(function, fastmath=fastmath)
        CONTRACTS[name] = Contract(compiled, arguments, parallel, strided, prepare)
        return compiled

    return enter
