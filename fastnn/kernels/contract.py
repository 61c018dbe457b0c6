"""A kernel's contract: the specification on its decorator, and what follows from it.

:func:`kernel` compiles a function and adds its contract to ``CONTRACTS``.  A specification has one
word per argument:

========== ===================================================================================
``mn``     an array with two axes; axes with the same letter have the same length
``m(qn)``  an array whose second axis has length q times n; a digit is a length itself
``-``      a number
``m<n``    a vector of labels or indices, integers in [0, n)
``mn!``    an array that the kernel overwrites
``mn~``    an array that the kernel updates: it reads the old values and writes new ones
``n?``     an array that may also be empty
``mn*``    an array of any dtype; all others share one dtype, float32 or float64
``mn=``    an array that must be contiguous, in a strided kernel whose others need not be
========== ===================================================================================

In calls from Python, threads share axis m if the kernel is `parallel`.
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
        One string per axis: a letter, or several whose lengths are multiplied; empty for a number.
    scalar : bool
        Whether it is a number.
    written, updated : bool
        Whether the kernel writes to it, and whether it first reads the old values.
    below : str
        The axis that it indexes, whose length bounds its values; empty if it holds no indices.
    optional, any_dtype, strided : bool
        Whether it may be empty, have any dtype, or have any strides.

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
        """Return what is wrong with a value of this Numba type for this argument, or None."""
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
        """Whether it has the float type that the call's arrays share."""
        return not (self.scalar or self.below or self.any_dtype)


class Contract(NamedTuple):
    """What a kernel takes, what it writes, and how threads may share a call.

    Attributes
    ----------
    compiled : dispatcher
        The kernel.
    arguments : tuple of Argument
    parallel : bool
        Whether a part of axis m can be computed separately.
    strided : bool
        Whether arrays that it only reads may have any strides, and arrays that it writes any row
        stride.  A part of axis n can then be computed separately too.
    prepare : function or None
        Called with the arguments of each call from Python that needs compiling.
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
"""All kernels' contracts, by name."""


def kernel(
    specification: str,
    *,
    parallel: bool = True,
    strided: bool = False,
    prepare: Callable[..., None] | None = None,
    fastmath: frozenset[str] = frozenset(),
) -> Callable[[Any], Any]:
    """Compile a function and add its contract to ``CONTRACTS``.

    The decorated name is the compiled function, which checks nothing; other compiled code calls it.
    Python calls the :class:`~fastnn.kernels.public.Kernel` in front of it.

    Parameters
    ----------
    specification : str
        One word per argument; see above.
    parallel, strided, prepare
        See :class:`Contract`.
    fastmath : frozenset
        ``REASSOCIATE`` for a kernel that is a single sum over a row.
    """

    def enter(function: Any) -> Any:
        name = function.__name__
        if name in CONTRACTS and CONTRACTS[name].compiled.__module__ != function.__module__:
            raise ValueError(f"two kernels are called {name}")
        code = function.__code__  # inspect.signature would add 3 ms to the import
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
