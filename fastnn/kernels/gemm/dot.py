"""Inner products of rows and a contiguous column."""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.vectors import Vectors
from fastnn.kernels.memory import constant, least
from fastnn.kernels.numba_internals import cgutils

DOTS = 4


@intrinsic
def dots(_, like, k, a, stride, last, b, out):
    """Write the inner products of DOTS rows and a column of `k` elements to an address.

    The rows begin at `a`, `stride` bytes apart; those after the one with the number `last` repeat
    it.  All elements are contiguous.  With L lanes, lane l sums the products of p = l, l + L, ...
    in order; the lanes are then added by halves.
    """

    def codegen(context, builder, signature, args):
        _, k, a, stride, last, b, out = args
        vectors = Vectors(builder, like)
        lanes, step = constant(vectors.lanes), constant(TILE.vector_bytes)
        numbers = [least(builder, constant(row), last) for row in range(DOTS)]
        starts = [builder.add(a, builder.mul(stride, number)) for number in numbers]
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
        target = builder.inttoptr(out, vectors.element.as_pointer())
        for row, total in enumerate(sums):
            place = builder.gep(target, [constant(row)])
            builder.store(vectors.sum(builder.load(total)), place)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 6), codegen
