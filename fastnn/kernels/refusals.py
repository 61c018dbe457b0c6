"""What is wrong with the arguments of a call from Python, in words.

:class:`~fastnn.kernels.public.Kernel` asks before it compiles a kernel for new types, and when its
compiled check refuses a call; no other call pays for this.
"""

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.kernels.contract import Argument, Contract, length_of

_NUMBERS = (bool, int, float, np.bool_, np.integer, np.float32)
_INTEGERS = (bool, int, np.bool_, np.integer)
_FLOATS = ("float32", "float64")


def refusal(name: str, contract: Contract, given: Sequence[Any]) -> Exception | None:
    """Return the error to raise for a call of the kernel `name`, or None if nothing is wrong."""
    wanted = contract.arguments
    if len(given) != len(wanted):
        said = f"{len(wanted)} arguments wanted, got {len(given)}"
        return TypeError(f"{name}: {said}; {_explained(wanted, given)}")
    pairs = list(zip(wanted, given, strict=True))
    if problem := next(filter(None, (_kind(*pair) for pair in pairs)), None) or _dtypes(pairs):
        return TypeError(f"{name}: {problem}; {_explained(wanted, given)}")
    for argument, value in pairs:
        if argument.scalar and (problem := _number(argument, value)):
            return ValueError(f"{name}: {problem}")
    if problem := _shapes(pairs):
        explained = _explained(wanted, given)
        return ValueError(f"{name}: shapes do not fit; {explained}; {problem}")
    if problem := _indices(pairs) or _shared_memory(pairs):
        return ValueError(f"{name}: {problem}; {_explained(wanted, given)}")
    return None


def _explained(wanted: Sequence[Argument], given: Sequence[Any]) -> str:
    """Return what arrays the kernel wants and what it got."""
    arrays = [
        f"{a.name} ({', '.join(map('*'.join, a.axes)).replace('*+*', '+')})"
        for a in wanted
        if not a.scalar
    ]
    got = [
        f"{a.name} {value.shape} {value.dtype}"
        if isinstance(value, np.ndarray)
        else f"{a.name} {type(value).__name__}"
        for a, value in zip(wanted, given, strict=False)
        if not a.scalar
    ]
    return f"wanted {', '.join(arrays)}; got {', '.join(got)}"


def _kind(argument: Argument, value: Any) -> str | None:
    """Return what is wrong with a value's type and, for an array, with its memory."""
    name = argument.name
    if argument.scalar:
        if not isinstance(value, _INTEGERS if argument.integer else _NUMBERS):
            wanted = "an integer" if argument.integer else "a number"
            return f"{name} is not {wanted}, but {reprlib.repr(value)}"
        if not argument.integer and isinstance(value, int) and not -(2**63) <= value < 2**64:
            return f"{name} is {value}, wanted a float or an integer of 64 bits"
        return None
    if not isinstance(value, np.ndarray) or value.ndim != len(argument.axes):
        return f"{name} is not an array of {len(argument.axes)} axes"
    if isinstance(value, np.ma.MaskedArray):
        return f"{name} is a masked array, whose mask would be ignored"
    if not value.flags.aligned or not value.dtype.isnative:
        wrong = "not aligned in memory" if value.dtype.isnative else f"of the dtype {value.dtype}"
        return f"{name} is {wrong}, wanted an array as np.array makes it"
    if not value.flags.c_contiguous and not argument.strided:
        return f"{name} is not C-contiguous"
    if argument.written and not value.flags.writeable:
        return f"{name} is read-only, and is written"
    return _own_dtype(argument, value.dtype)


def _own_dtype(argument: Argument, dtype: np.dtype) -> str | None:
    """Return what is wrong with a dtype that does not depend on the other arrays."""
    if argument.below:
        fits = dtype.kind in "iu" and np.can_cast(dtype, np.int64)
        wanted = "" if fits else "integers, of a dtype whose numbers int64 holds"
    elif argument.any_dtype:
        wanted = "" if dtype.kind in "biu" or dtype in _FLOATS else "float32, float64 or integers"
    else:
        wanted = "" if argument.dtype in ("", dtype) else argument.dtype
    return f"{argument.name} holds {dtype}, wanted {wanted}" if wanted else None


def _dtypes(pairs: Sequence[tuple[Argument, Any]]) -> str | None:
    """Return what is wrong with the arrays' dtypes together."""
    shared = [(argument.name, value.dtype) for argument, value in pairs if argument.shares_dtype]
    for name, dtype in shared:
        if dtype not in _FLOATS or dtype != shared[0][1]:
            return f"{name} holds {dtype}, wanted one float type throughout, float32 or float64"
    cast = [(argument.name, value.dtype) for argument, value in pairs if argument.any_dtype]
    for name, dtype in cast[1:]:
        if not np.can_cast(cast[0][1], dtype, "same_kind"):
            return f"{name} holds {dtype}, which cannot hold the {cast[0][1]} of {cast[0][0]}"
    return None


def _number(argument: Argument, value: Any) -> str | None:
    """Return what is wrong with the value of a number."""
    low, high = argument.range
    if not low <= value <= high:
        kind = "an integer" if argument.integer else "a number"
        return f"{argument.name} is {value}, wanted {kind} from {low} to {high}"
    return None


def _lengths(pairs: Sequence[tuple[Argument, Any]]) -> dict[str, int]:
    """Return the length of each axis: that of the first array that has it."""
    lengths: dict[str, int] = {}
    for argument, value in pairs:
        for axis, length in zip(argument.axes, np.shape(value), strict=True):
            if len(axis) == 1 and axis.isalpha():
                lengths.setdefault(axis, length)
    return lengths


def _shapes(pairs: Sequence[tuple[Argument, Any]]) -> str | None:
    """Return which array has another shape than those before it make it have."""
    lengths = _lengths(pairs)
    for argument, value in pairs:
        shape = tuple(length_of(axis, lengths) for axis in argument.axes)
        if np.shape(value) != shape and not (argument.optional and not value.size):
            return f"{argument.name} is {value.shape}, wanted {shape}"
        if argument.filled and not value.size:
            return f"{argument.name} is empty"
    return None


def _indices(pairs: Sequence[tuple[Argument, Any]]) -> str | None:
    """Return which label or index is not one."""
    for argument, value in pairs:
        if argument.below:
            end = length_of(argument.below, _lengths(pairs))
            wrong = np.flatnonzero((value < 0) | (value >= end))
            if wrong.size:
                at = f"{argument.name}[{wrong[0]}] is {value[wrong[0]]}"
                return f"{argument.name} must be in [0, {argument.below}), which is {end}, but {at}"
    return None


def _shared_memory(pairs: Sequence[tuple[Argument, Any]]) -> str | None:
    """Return which array that is written shares memory with which other."""
    arrays = [pair for pair in pairs if not pair[0].scalar]
    for place, (argument, value) in enumerate(arrays):
        for other, written in arrays[place + 1 :]:
            if not (argument.written or other.written) or not np.shares_memory(value, written):
                continue
            is_last = other is arrays[-1][0] and value.ctypes.data == written.ctypes.data
            if not (argument.overlaid and is_last):
                return f"{other.name} shares memory with {argument.name}, and is written"
    return None
