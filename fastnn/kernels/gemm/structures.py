"""What the routines of a product pass each other.

Numba keeps the fields of a named tuple in registers, so a structure costs nothing when it runs.
In an intrinsic, :func:`unpack` gives the same structure with LLVM values in its fields.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.memory import constant
from fastnn.kernels.numba_internals import TypingError, ir

NONE, RELU, LEAKY, GATED = map(np.int64, range(4))
"""Activations.  RELU: 0 if t <= 0.  LEAKY: slope * t unless t > 0.  GATED: slope * t unless the
gate is > 0."""


class Dims(NamedTuple):
    """The product C (m, n) of A (m, k) and B (k, n)."""

    m: Any
    n: Any
    k: Any


class Matrix(NamedTuple):
    """A matrix in memory: an address, and the strides of rows and columns in bytes."""

    address: Any
    rs: Any
    cs: Any


class Epilogue(NamedTuple):
    """What is done to the sums t of a product before they reach C, in the order of the fields."""

    has_addend: Any
    addend: Matrix
    """Added first: a bias, whose row stride is 0, or the sums of earlier terms."""
    activation: Any
    slope: Any
    gate: Matrix
    """Read by GATED only."""
    accumulate: Any
    """False: ``C = t``.  True: ``C += scale * t``, rounded once."""
    scale: Any


class Prefetch(NamedTuple):
    """What a column of tiles prefetches for later: one cache line with every term of its sums."""

    address: Any
    per_term: Any
    """Bytes from one line to the next."""
    per_tile: Any
    """Bytes from one tile's first line to the next one's."""
    tiles: Any
    """How many tiles of the column prefetch."""
    c: Any
    """Whether every tile also prefetches its part of C, before it starts."""


DIMS, MATRIX = (types.NamedUniTuple(types.int64, 3, kind) for kind in (Dims, Matrix))


def epilogue_type(number):
    """Return the Numba type of an Epilogue for a dtype."""
    yes, code = types.boolean, types.int64
    return types.NamedTuple((yes, MATRIX, code, number, MATRIX, yes, number), Epilogue)


NOWHERE = Matrix(np.int64(0), np.int64(0), np.int64(0))
"""Stands for a matrix that is never read."""


def unpack(builder, kind, value):
    """Return an argument of an intrinsic: a structure with LLVM values in its fields, or a value.

    `kind` is its Numba type.
    """
    if not isinstance(kind, types.BaseNamedTuple):
        return value
    parts = (builder.extract_value(value, place) for place in range(len(kind.types)))
    return kind.instance_class(*map(unpack, [builder] * len(kind.types), kind.types, parts))


def pack(context, builder, kind, structure):
    """Return the LLVM value of what :func:`unpack` returns."""
    if not isinstance(kind, types.BaseNamedTuple):
        return structure
    parts = zip(kind.types, structure, strict=True)
    return context.make_tuple(builder, kind, [pack(context, builder, *part) for part in parts])


def offset(builder, matrix, i, j):
    """Return an unpacked matrix from row `i` and column `j` on."""
    steps = builder.mul(i, matrix.rs), builder.mul(j, matrix.cs)
    return matrix._replace(address=builder.add(builder.add(matrix.address, steps[0]), steps[1]))


# Intrinsics, because they are called often and Numba compiles an intrinsic faster than it inlines a
# function (a product takes 2.9 s, not 3.6).


@intrinsic
def moved(_, matrix, i, j):
    """Return a matrix from row `i` and column `j` on."""

    def codegen(context, builder, signature, args):
        place = unpack(builder, matrix, args[0])
        return pack(context, builder, matrix, offset(builder, place, *args[1:]))

    return matrix(matrix, types.int64, types.int64), codegen


@intrinsic
def moved_epilogue(_, epilogue, i, j):
    """Return the epilogue of the part of C from row `i` and column `j` on."""

    def codegen(context, builder, signature, args):
        end = unpack(builder, epilogue, args[0])
        addend, gate = (offset(builder, each, *args[1:]) for each in (end.addend, end.gate))
        return pack(context, builder, epilogue, end._replace(addend=addend, gate=gate))

    return epilogue(epilogue, types.int64, types.int64), codegen


@intrinsic
def transposed(_, matrix):
    """Return the transpose: the same memory with its strides swapped."""

    def codegen(context, builder, signature, args):
        address, rs, cs = unpack(builder, matrix, args[0])
        return pack(context, builder, matrix, Matrix(address, cs, rs))

    return matrix(matrix), codegen


@intrinsic
def overwrite(_, one):
    """Return the epilogue of a plain product, ``C = t``."""
    kind = epilogue_type(one)

    def codegen(context, builder, signature, args):
        no, nowhere = ir.Constant(ir.IntType(1), 0), Matrix(*[constant(0)] * 3)
        plain = Epilogue(no, nowhere, constant(NONE), args[0], nowhere, no, args[0])
        return pack(context, builder, kind, plain)

    return kind(one), codegen


@intrinsic
def matrix(_, array, like):
    """Return an array of the dtype of the number `like` as a Matrix; a vector's row stride is 0."""
    if array.dtype != like:
        raise TypingError(f"an array of {array.dtype} in a product of {like}")

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0])
        strides = [builder.extract_value(data.strides, axis) for axis in range(array.ndim)]
        address = builder.ptrtoint(data.data, strides[0].type)
        rs = strides[0] if array.ndim == 2 else constant(0)
        return pack(context, builder, MATRIX, Matrix(address, rs, strides[-1]))

    return MATRIX(array, like), codegen
