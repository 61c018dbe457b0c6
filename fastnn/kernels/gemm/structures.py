"""What the routines of a product pass each other.

Numba keeps the fields of a named tuple in registers, so a structure costs nothing when it runs.
In an intrinsic, :func:`unpack` gives the same structure with LLVM values in its fields.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.jit import inlined
from fastnn.kernels.memory import constant
from fastnn.kernels.numba_internals import TypingError

NONE, RELU, LEAKY, GATED = range(4)
"""Activations of an epilogue: none; 0 where t <= 0; slope * t unless t > 0; slope * t unless the
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
    """What becomes of the sums t of a product before they are in C, in the order of the fields."""

    has_addend: Any
    addend: Matrix
    """Added first: a bias, whose row stride is 0, or the sums of earlier terms."""
    activation: Any
    slope: Any
    gate: Matrix
    """Read by GATED only.  Its columns are contiguous."""
    accumulate: Any
    """False: ``C = t``.  True: ``C += scale * t``, rounded once."""
    scale: Any


class Prefetch(NamedTuple):
    """What the micro-kernels prefetch for later, a cache line with each term of their sums."""

    address: Any
    per_term: Any
    """Bytes from one line to the next."""
    per_tile: Any
    """Bytes from one tile's first line to the next one's."""
    tiles: Any
    """How many tiles of a column do so."""
    c: Any
    """Whether each tile prefetches its part of C before it starts."""


@inlined
def moved(matrix, i, j):
    """Return a matrix from row `i` and column `j` on."""
    return Matrix(matrix.address + i * matrix.rs + j * matrix.cs, matrix.rs, matrix.cs)


@inlined
def moved_epilogue(epilogue, i, j):
    """Return the epilogue of the part of C from row `i` and column `j` on."""
    return Epilogue(
        epilogue.has_addend,
        moved(epilogue.addend, i, j),
        epilogue.activation,
        epilogue.slope,
        moved(epilogue.gate, i, j),
        epilogue.accumulate,
        epilogue.scale,
    )


@inlined
def transposed(matrix):
    """Return the transpose: the same memory with its strides swapped."""
    return Matrix(matrix.address, matrix.cs, matrix.rs)


@inlined
def nowhere():
    """Return what stands for a matrix that is never read."""
    return Matrix(np.int64(0), np.int64(0), np.int64(0))


@inlined
def overwrite(one):
    """Return the epilogue of a plain product, ``C = t``."""
    return Epilogue(False, nowhere(), np.int64(NONE), one, nowhere(), False, one)


@intrinsic
def matrix(_, array, like):
    """Return an array of the dtype of the number `like` as a Matrix; a vector's row stride is 0."""
    if array.dtype != like:
        raise TypingError(f"an array of {array.dtype} in a product of {like}")
    three = types.NamedUniTuple(types.int64, 3, Matrix)

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0])
        strides = [builder.extract_value(data.strides, axis) for axis in range(array.ndim)]
        address = builder.ptrtoint(data.data, strides[0].type)
        rows = strides[0] if array.ndim == 2 else constant(0)
        return context.make_tuple(builder, three, (address, rows, strides[-1]))

    return three(array, like), codegen


def unpack(builder, kind, value):
    """Return an argument of an intrinsic: a structure with LLVM values in its fields, or a value.

    `kind` is its Numba type.
    """
    if not isinstance(kind, types.BaseNamedTuple):
        return value
    parts = (builder.extract_value(value, place) for place in range(len(kind.types)))
    return kind.instance_class(*map(unpack, [builder] * len(kind.types), kind.types, parts))
