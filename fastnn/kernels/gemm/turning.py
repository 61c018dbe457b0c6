"""Products of few rows with a B that is stored by columns: it is transposed in registers.

Packing such a B, as :mod:`fastnn.kernels.gemm.loops` does for more rows, costs several times what
these products do.  Here a block of B, as deep as it is wide, is loaded, transposed and multiplied
by all rows of A before it leaves the registers.  The order of additions is that of the
micro-kernel, so the bits are the same.
"""

from typing import NamedTuple

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.microkernel import MR, Tile, dtype_of, finish
from fastnn.kernels.gemm.structures import unpack
from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.transpose import transposed_block
from fastnn.kernels.gemm.vectors import Vectors
from fastnn.kernels.memory import constant, keep_rolled, least
from fastnn.kernels.numba_internals import cgutils, ir

_HEIGHTS = (2, MR)
"""Rows of the tiles.  One that does not exist repeats the last one: up to four rows take little
longer than the shuffles, and every height takes a quarter of a second to compile."""
_WIDTH = 2
"""Vectors of a tile: few rows are few chains of sums, so one is summed while one is transposed."""
TURNED_BYTES = _WIDTH * TILE.vector_bytes
"""A row of the tiles."""


class _Panel(NamedTuple):
    """The columns of B for a tile: their addresses, by vectors of C, and a buffer."""

    vectors: Vectors
    k: ir.Value
    columns: list
    tail: ir.Value
    """Address of the rows of the last terms that fill a vector."""

    def block(self, v, p):
        """Return the rows of B from the term `p` on, as many as a vector has lanes."""
        builder = self.vectors.builder
        offset = builder.mul(p, constant(self.vectors.align))
        return transposed_block(
            self.vectors, [builder.add(column, offset) for column in self.columns[v]]
        )

    def last_row(self, place):
        """Return the address of a row of the last terms' block."""
        builder = self.vectors.builder
        return builder.add(self.tail, builder.mul(place, constant(TURNED_BYTES)))


def _sums(panel, tile, rows):
    """Build the loops over k; return the vectors of A B."""
    builder, vectors = tile.builder, tile.vectors
    lanes, size = constant(vectors.lanes), constant(vectors.align)
    sums = [cgutils.alloca_once_value(builder, vectors.zero) for _ in tile.places]

    def add(v, p, row_of_b):
        offset = builder.mul(p, size)
        for row, total in zip(rows, sums[v :: tile.width], strict=True):
            factor = vectors.broadcast(builder.add(row, offset))
            builder.store(vectors.fma(factor, row_of_b, builder.load(total)), total)

    with cgutils.for_range(builder, builder.udiv(panel.k, lanes)) as loop:
        first = builder.mul(loop.index, lanes)
        for v in range(tile.width):
            for place, row_of_b in enumerate(panel.block(v, first)):
                add(v, builder.add(first, constant(place)), row_of_b)
    rest = builder.urem(panel.k, lanes)
    with cgutils.for_range(builder, rest) as loop:
        keep_rolled(builder)
        before = builder.sub(loop.index, rest)
        row_of_b = panel.last_row(builder.add(before, lanes))
        for v in range(tile.width):
            add(v, builder.add(panel.k, before), vectors.load(row_of_b, v))
    return [builder.load(total) for total in sums]


@intrinsic
def multiply_turning(_, dims, a, b, c, epilogue, tail):
    """Compute C of at most MR rows of TURNED_BYTES.

    Rows of A and columns of B are contiguous, and the terms at least as many as a vector has lanes.
    `tail` is the address of a buffer for that many rows of C.
    """

    def codegen(context, caller, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
        function = ir.Function(caller.module, kind, "fastnn_turned")
        function.linkage = "internal"
        function.attributes.add("noinline")
        caller.call(function, args)
        builder = ir.IRBuilder(function.append_basic_block())
        dims, a, b, c, end, tail = map(unpack, [builder] * 6, signature.args, function.args)
        vectors = Vectors(builder, dtype_of(epilogue))
        lanes = constant(vectors.lanes)
        last_row, last = (builder.sub(length, constant(1)) for length in (dims.m, dims.n))
        numbers = [least(builder, constant(j), last) for j in range(_WIDTH * vectors.lanes)]
        columns = [builder.add(b.address, builder.mul(b.cs, number)) for number in numbers]
        columns = [columns[v * vectors.lanes :][: vectors.lanes] for v in range(_WIDTH)]
        panel = _Panel(vectors, dims.k, columns, tail)
        # The last terms, if they do not fill a block, are the end of one that overlaps the others.
        rest = builder.icmp_signed("!=", builder.urem(dims.k, lanes), constant(0))
        with builder.if_then(rest):
            for v in range(_WIDTH):
                for place, row in enumerate(panel.block(v, builder.sub(dims.k, lanes))):
                    vectors.store(row, panel.last_row(constant(place)), v)
        done = builder.append_basic_block("done")
        for height in _HEIGHTS:
            fits, taller = (builder.append_basic_block(f"turned{height}") for _ in range(2))
            builder.cbranch(builder.icmp_signed("<=", dims.m, constant(height)), fits, taller)
            builder.position_at_end(fits)
            tile = Tile(builder, vectors, height, _WIDTH, dims.n, last_row)
            sums = _sums(panel, tile, [tile.row(a, row) for row in range(height)])
            finish(tile, sums, c, end._replace(accumulate=ir.Constant(ir.IntType(1), 0)))
            builder.branch(done)
            builder.position_at_end(taller)
        builder.branch(done)
        builder.position_at_end(done)
        builder.ret_void()
        return context.get_dummy_value()

    return types.void(dims, a, b, c, epilogue, tail), codegen
