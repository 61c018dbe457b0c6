"""The inner product of a row and a contiguous column."""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.vectors import Vectors
from fastnn.kernels.memory import constant
from fastnn.kernels.numba_internals import cgutils


@intrinsic
def dot(_, like, k, a, b):
    """Return the sum of a[p] * b[p] over `k` contiguous elements from two addresses on.

    With L lanes, lane l sums the products of p = l, l + L, ... in order; the lanes are then added
    by halves.
    """

    def codegen(context, builder, signature, args):
        _, k, a, b = args
        vectors = Vectors(builder, like)
        lanes, step = constant(vectors.lanes), constant(TILE.vector_bytes)
        sums = cgutils.alloca_once_value(builder, vectors.zero)

        def add(place, existing=None):
            offset = builder.mul(place, step)
            x, y = (vectors.load(builder.add(base, offset), 0, existing) for base in (a, b))
            builder.store(vectors.fma(x, y, builder.load(sums)), sums)

        whole, rest = builder.udiv(k, lanes), builder.urem(k, lanes)
        with cgutils.for_range(builder, whole) as loop:
            add(loop.index)
        with builder.if_then(builder.icmp_unsigned("!=", rest, constant(0))):
            add(whole, rest)
        return vectors.sum(builder.load(sums))

    return like(like, *[types.int64] * 3), codegen
