"""A kernel's contract: the specification on its decorator, and what follows from it.

:func:`kernel` compiles a function and adds its contract to ``CONTRACTS``.  A specification has one
word per argument:

========== ===================================================================================
``mn``     an array with two axes; axes with the same letter have the same length
``m(qn)``  an array whose second axis has length q times n; a digit is a length itself
``(2n+1)`` an array of length 2n + 1; ``(p+q)`` one of length p + q
``m<n``    a vector of labels or indices, integers in [0, n), or with ``m<(n+1)`` in [0, n]
``-``      a number that a float32 can hold; ``-inf`` is one that may also be infinite or larger
``+``      such a number above 0; ``+0`` is one from 0, and ``%`` one in [0, 1)
``#``      an integer of 64 bits; ``#0`` and ``#1`` are one from 0 or 1 to 2**62
``#@``     such an integer that says at which place axis m begins
``mn!``    an array that the kernel overwrites
``mn~``    an array that the kernel updates: it reads the old values and writes new ones
``mn&``    an array that may be the kernel's last argument, which is then written over it
``n?``     an array that may also be empty; ``n+`` one that must not be
``mn*``    an array of any real dtype; all others share one dtype, float32 or float64
``n!^``    an array of float64, whatever the dtype of the others
``n!#``    an array of int64; ``n'`` one of float32
``mn=``    an array that must be contiguous, in a strided kernel whose others need not be
========== ===================================================================================

Except for those with ``&``, an array that a kernel writes shares memory with no other.  In calls
from Python, threads share axis m if the kernel is `parallel`.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fastnn.kernels.jit import njit

_LENGTH = r"\w|\(\w+(?:\+\w+)?\)"
_WORD = re.compile(
    rf"(?P<number>-(inf)?|\+0?|%|#[01]?)(?P<place>@?)|(?P<axes>({_LENGTH})+)(<(?P<below>{_LENGTH}))?"
    r"(?P<marks>[!~&?+*^#'=]*)"
)
_DTYPES = {"^": "float64", "#": "int64", "'": "float32"}
_LEAST, _LARGEST = 2.0**-126, 2.0**128 - 2.0**104
"""The range of normal float32 numbers."""
_RANGES = {
    "-": (-_LARGEST, _LARGEST), "-inf": (-math.inf, math.inf),
    "+": (_LEAST, _LARGEST), "+0": (0.0, _LARGEST), "%": (0.0, 1.0 - 2.0**-53),
    "#": (-(2**63), 2**63 - 1), "#0": (0, 2**62), "#1": (1, 2**62),
}  # fmt: skip
"""The least and the largest value of a number.  Two positions or counts can be added."""


def length_of(axis: str, lengths: Mapping[str, int]) -> int:
    """Return the length of an axis, such as "n", "2n" or "2n+1", from those of its letters."""
    return sum(
        math.prod(int(f) if f.isdigit() else lengths[f] for f in factors)
        for factors in axis.split("+")
    )


class Argument:
    """One argument of a kernel, from its word in the kernel's specification.

    Attributes
    ----------
    name : str
    axes : list of str
        One string per axis: a letter, or several whose lengths are multiplied, perhaps with what is
        added; empty for a number.
    scalar, integer : bool
        Whether it is a number, and whether that is an integer.
    range : (number, number)
        The least and the largest value of a number.
    place : bool
        Whether it is the place at which axis m begins, and a part of that begins elsewhere.
    written, updated : bool
        Whether the kernel writes to it, and whether it first reads the old values.
    below : str
        The axis that it indexes, whose length bounds its values; empty if it holds no indices.
    optional, filled : bool
        Whether it may be empty, or must not be.
    any_dtype, strided, overlaid : bool
        Whether it may have any dtype, have any strides, be the last argument as well.
    dtype : str
        Its dtype, if that does not depend on the call, or nothing.

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
        number, axes, marks = match["number"] or "", match["axes"] or "", match["marks"] or ""
        self.name = name
        self.scalar, self.integer = bool(number), "#" in number
        self.range = _RANGES.get(number, (0, 0))
        self.place = bool(match["place"])
        self.axes = [axis.strip("()") for axis in re.findall(_LENGTH, axes)]
        self.below = (match["below"] or "").strip("()")
        self.updated = "~" in marks
        self.written = self.updated or "!" in marks
        self.optional, self.filled = "?" in marks, "+" in marks
        self.any_dtype = "*" in marks
        self.overlaid = "&" in marks
        self.dtype = next((_DTYPES[mark] for mark in marks if mark in _DTYPES), "")
        self.strided = (strided or self.any_dtype) and not self.written and "=" not in marks

    @property
    def shares_dtype(self) -> bool:
        """Whether it has the float type that the call's arrays share."""
        return not (self.scalar or self.below or self.any_dtype or self.dtype)


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
