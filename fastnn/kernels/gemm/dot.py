"""Inner products of rows and a contiguous column."""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.vectors import Vectors
from fastnn.kernels.memory import constant
from fastnn.kernels.numba_internals import cgutils


@intrinsic(prefer_literal=True)
def dots(_, like, count, k, a, stride, b):
    """Return, for `count` rows (a literal) from address `a` on, the sums of their a[p] * b[p].

    Rows and `b` have `k` contiguous elements.  With L lanes, lane l sums the products of p = l,
    l + L, ... in order; the lanes are then added by halves.
    """
    rows = count.literal_value

    def codegen(context, builder, signature, args):
        _, _, k, a, stride, b = args
        vectors = Vectors(builder, like)
        lanes, step = constant(vectors.lanes), constant(TILE.vector_bytes)
        starts = [builder.add(a, builder.mul(stride, constant(row))) for row in range(rows)]
        sums = [cgutils.alloca_once_value(builder, vectors.zero) for _ in starts]

        def add(place, existing=None):
            offset = builder.mul(place, step)
            y = vectors.load(builder.add(b, offset), 0, existing)
            for start, total in zip(starts, sums, strict=True):
                x = vectors.load(builder.add(start, offset), 0, existing)
                builder.store(vectors.fma(x, y, builder.load(total)), total)

        whole, rest = builder.udiv(k, lanes), builder.urem(k, lanes)
        with cgutils.for_range(builder, whole) as loop:
            add(loop.index)
        with builder.if_then(builder.icmp_unsigned("!=", rest, constant(0))):
            add(whole, rest)
        results = [vectors.sum(builder.load(total)) for total in sums]
        return context.make_tuple(builder, signature.return_type, results)

    return types.UniTuple(like, rows)(like, count, *[types.int64] * 4), codegen
