"""Inner products of contiguous rows of A and columns of B.

With L lanes, lane l sums the products of p = l, l + L, ... in order; the lanes are then added by
halves.
"""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.structures import unpack
from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.vectors import Vectors
from fastnn.kernels.jit import inlined
from fastnn.kernels.memory import INT64, constant, keep_rolled, least, size_of
from fastnn.kernels.numba_internals import cgutils, ir

DOTS = 4
INNER_MOST_M = 16
"""The most rows of C for which :func:`inner_products` is faster than transposing B."""
_INNER_LEAST_BYTES = 32
"""Bytes of a row of A for each row of C from which it is: every sum ends with shuffles."""


def _sums(vectors, k, rows, columns):
    """Build the loop over k; return the sums of every row by every column, lane by lane.

    Rows and columns are addresses.
    """
    builder = vectors.builder
    lanes, step = constant(vectors.lanes), constant(TILE.vector_bytes)
    sums = [[cgutils.alloca_once_value(builder, vectors.zero) for _ in columns] for _ in rows]

    def add(place, existing=None):
        offset = builder.mul(place, step)
        ys = [vectors.load(builder.add(column, offset), 0, existing) for column in columns]
        for row, totals in zip(rows, sums, strict=True):
            x = vectors.load(builder.add(row, offset), 0, existing)
            for y, total in zip(ys, totals, strict=True):
                builder.store(vectors.fma(x, y, builder.load(total)), total)

    whole, rest = builder.udiv(k, lanes), builder.urem(k, lanes)
    with cgutils.for_range(builder, whole) as loop:
        keep_rolled(builder)
        add(loop.index)
    with builder.if_then(builder.icmp_unsigned("!=", rest, constant(0))):
        add(whole, rest)
    return [[builder.load(total) for total in totals] for totals in sums]


@intrinsic
def dots(_, like, k, a, stride, last, b, out):
    """Write the inner products of DOTS rows and a column of `k` elements to an address.

    The rows begin at `a`, `stride` bytes apart; those after the one with the number `last` repeat
    it.
    """

    def codegen(context, builder, signature, args):
        _, k, a, stride, last, b, out = args
        vectors = Vectors(builder, like)
        numbers = [least(builder, constant(row), last) for row in range(DOTS)]
        rows = [builder.add(a, builder.mul(stride, number)) for number in numbers]
        target = builder.inttoptr(out, vectors.element.as_pointer())
        for row, (total,) in enumerate(_sums(vectors, k, rows, [b])):
            builder.store(vectors.sum(total), builder.gep(target, [constant(row)]))
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 6), codegen


def _sums_of_lanes(vectors, sums):
    """Return a vector that begins with the sums of the lanes of each of some vectors.

    These are as many as a power of two, and no more than lanes.  Added together, they need half of
    the shuffles that :meth:`Vectors.sum` needs for each.
    """
    count, width = len(sums), vectors.lanes
    while width > 1:
        half = width // 2
        if len(sums) > 1:
            starts = range(0, 2 * vectors.lanes, width)
            low = [start + lane for start in starts for lane in range(half)]
            halves = low, [lane + half for lane in low]
            pairs = zip(sums[::2], sums[1::2], strict=True)
            both = [[vectors.shuffle(*pair, lanes) for lanes in halves] for pair in pairs]
        else:
            other = [lane ^ half for lane in range(vectors.lanes)]
            both = [[sums[0], vectors.take(sums[0], other)]]
        sums, width = [vectors.builder.fadd(*two) for two in both], half
    apart = vectors.lanes // count
    return vectors.take(sums[0], [lane % count * apart for lane in range(vectors.lanes)])


class _Inner:
    """Builds C = A B: tiles of rows of A by groups of columns of B, which the rows reuse."""

    def __init__(self, builder, like, dims, a, b, c):
        self.builder, self.dims, self.a, self.b, self.c = builder, dims, a, b, c
        self.vectors = Vectors(builder, like)
        self.group = min(4, self.vectors.lanes)

    def build(self):
        """Build everything."""
        registers, least_columns = TILE.mr * TILE.widths[0], self.group
        most, wide = (max(1, registers // (n * least_columns)) for n in (1, 2))
        lowest = min(wide + 1, (most + 1) // 2)
        # Few rows are few chains of sums, so they take twice as many columns.
        few = self.builder.icmp_signed("<=", self.dims.m, constant(wide))
        with self.builder.if_else(few) as (then, otherwise):
            with then:
                self._panels(range(1, wide + 1), 2)
            with otherwise:
                self._panels(range(lowest, most + 1), 1)

    def _panels(self, heights, groups):
        """Build the loops over columns and, within, over tiles, of nearly equal height."""
        builder, (m, n, _) = self.builder, self.dims
        width, highest = groups * self.group, heights[-1]
        tiles = builder.udiv(builder.add(m, constant(highest - 1)), constant(highest))
        with cgutils.for_range_slice(builder, constant(0), n, constant(width), INT64) as (j, _):
            last = builder.sub(n, constant(1))
            numbers = [least(builder, builder.add(j, constant(v)), last) for v in range(width)]
            columns = [_at(builder, self.b.address, number, self.b.cs) for number in numbers]
            with cgutils.for_range(builder, tiles) as loop:
                after = builder.add(loop.index, constant(1))
                first, end = (
                    builder.udiv(builder.mul(m, place), tiles) for place in (loop.index, after)
                )
                done = builder.append_basic_block("tile")
                switch = builder.switch(builder.sub(end, first), done)
                for height in heights:
                    block = builder.append_basic_block(f"inner{height}x{width}")
                    switch.add_case(constant(height), block)
                    builder.position_at_end(block)
                    self._tile(height, first, j, columns)
                    builder.branch(done)
                builder.position_at_end(done)

    def _tile(self, height, first, j, columns):
        """Build a tile from the row `first` and the column `j` on."""
        builder, vectors, group = self.builder, self.vectors, self.group
        numbers = [builder.add(first, constant(row)) for row in range(height)]
        rows = [_at(builder, self.a.address, number, self.a.rs) for number in numbers]
        sums = _sums(vectors, self.dims.k, rows, columns)
        for number, totals in zip(numbers, sums, strict=True):
            start = _at(builder, self.c.address, number, self.c.rs)
            for place in range(0, len(columns), group):
                column = builder.add(j, constant(place))
                left = builder.sub(self.dims.n, least(builder, column, self.dims.n))
                there = _at(builder, start, column, constant(vectors.align))
                value = _sums_of_lanes(vectors, totals[place : place + group])
                vectors.store(value, there, 0, least(builder, left, constant(group)))


def _at(builder, address, number, stride):
    return builder.add(address, builder.mul(number, stride))


@intrinsic
def inner_products(_, like, dims, a, b, c):
    """C = A B; rows of A and C and columns of B are contiguous."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args[1:]])
        function = ir.Function(builder.module, kind, "fastnn_inner_products")
        function.linkage = "internal"
        builder.call(function, args[1:])
        inside = ir.IRBuilder(function.append_basic_block())
        given = map(unpack, [inside] * 4, signature.args[1:], function.args)
        _Inner(inside, like, *given).build()
        inside.ret_void()
        return context.get_dummy_value()

    return types.void(like, dims, a, b, c), codegen


@inlined
def suits_inner_products(dims, a, b, one):
    """Return whether a product is faster as inner products than by :func:`loops.gemm`."""
    size = size_of(one)
    enough = dims.m <= INNER_MOST_M and dims.k * size >= _INNER_LEAST_BYTES * dims.m
    return enough and a.cs == size and b.rs == size
