"""Products of one row with a wide B: its rows are read from end to end, some at a time.

A product of one row takes as long as reading B.  Tiles read narrow columns of it, and a processor
fetches whole rows up to twice as fast.  Sums are kept in memory here instead of in registers.  The
order of additions is that of the micro-kernel, so the bits are the same.
"""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.microkernel import Tile, dtype_of, finish
from fastnn.kernels.gemm.structures import offset, unpack
from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.vectors import Vectors
from fastnn.kernels.memory import constant, keep_rolled, least
from fastnn.kernels.numba_internals import cgutils, ir

_ROWS = 8
"""Rows of B that are read at a time, so that sums are loaded and stored once for as many terms."""


class _Sweep:
    """Builds loops over the vectors of C, whose sums are in a buffer.

    If B's rows begin in the middle of a vector, so do the vectors: a load from two cache lines
    takes as long as two loads.
    """

    def __init__(self, builder, dims, a, b, buffer, dtype):
        self.builder, self.dims, self.a, self.b = builder, dims, a, b
        self.vectors = Vectors(builder, dtype)
        width, lanes = constant(TILE.vector_bytes), constant(self.vectors.lanes)
        before = builder.urem(b.address, width)
        begins = builder.icmp_unsigned("==", builder.urem(b.rs, width), constant(0))
        self.sums = builder.add(buffer, builder.select(begins, before, constant(0)))
        head = builder.udiv(builder.sub(width, before), constant(self.vectors.align))
        head = least(builder, builder.urem(head, lanes), dims.n)
        self.head = builder.select(begins, head, constant(0))
        left = builder.sub(dims.n, self.head)
        self.whole, self.tail = builder.udiv(left, lanes), builder.urem(left, lanes)

    def each(self, build):
        """Build ``build(column, existing)`` for every vector."""
        builder, lanes = self.builder, constant(self.vectors.lanes)

        def after(vectors):
            return builder.add(self.head, builder.mul(vectors, lanes))

        with cgutils.for_range(builder, self.whole) as loop:
            keep_rolled(builder)
            build(after(loop.index), None)
        # Masked stores delay loads of what follows in memory, so the first columns come last.
        for column, existing in ((after(self.whole), self.tail), (constant(0), self.head)):
            with builder.if_then(builder.icmp_unsigned("!=", existing, constant(0))):
                build(column, existing)

    def at(self, address, column):
        """Return the address of a column of a row."""
        return self.builder.add(address, self.builder.mul(column, constant(self.vectors.align)))

    def start(self):
        """Build sums of 0."""

        def build(column, existing):
            self.vectors.store(self.vectors.zero, self.at(self.sums, column), 0, existing)

        self.each(build)

    def add(self, first, count):
        """Build the addition of the terms of some rows of B."""
        places = [self.builder.add(first, constant(row)) for row in range(count)]
        factors = [
            self.vectors.broadcast(offset(self.builder, self.a, constant(0), place).address)
            for place in places
        ]
        rows = [offset(self.builder, self.b, place, constant(0)).address for place in places]

        def build(column, existing):
            total = self.vectors.load(self.at(self.sums, column), 0, existing)
            for factor, row in zip(factors, rows, strict=True):
                terms = self.vectors.load(self.at(row, column), 0, existing)
                total = self.vectors.fma(factor, terms, total)
            self.vectors.store(total, self.at(self.sums, column), 0, existing)

        self.each(build)

    def finish(self, c, epilogue):
        """Build the epilogue of all sums."""
        builder, lanes = self.builder, constant(self.vectors.lanes)
        count = builder.udiv(builder.add(self.dims.n, constant(self.vectors.lanes - 1)), lanes)
        with cgutils.for_range(builder, count) as loop:
            column = builder.mul(loop.index, lanes)
            existing = least(builder, lanes, builder.sub(self.dims.n, column))
            total = self.vectors.load(self.at(self.sums, column), 0, existing)

            def here(matrix):
                return offset(builder, matrix, constant(0), column)

            end = epilogue._replace(addend=here(epilogue.addend), gate=here(epilogue.gate))
            finish(Tile(builder, self.vectors, 1, 1, existing), [total], here(c), end)


@intrinsic
def multiply_sweeping(_, dims, a, b, c, epilogue, buffer):
    """Compute C of one row; rows of B are contiguous.

    `buffer` is the address, that of a vector, of a buffer for a row of C and another vector.
    """

    def codegen(context, caller, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
        function = ir.Function(caller.module, kind, "fastnn_sweep")
        function.linkage = "internal"
        function.attributes.add("noinline")
        caller.call(function, args)
        builder = ir.IRBuilder(function.append_basic_block())
        dims, a, b, c, end, buffer = map(unpack, [builder] * 6, signature.args, function.args)
        sweep = _Sweep(builder, dims, a, b, buffer, dtype_of(epilogue))
        sweep.start()
        rows = constant(_ROWS)
        many = builder.mul(builder.udiv(dims.k, rows), rows)
        with cgutils.for_range(builder, builder.udiv(dims.k, rows)) as loop:
            sweep.add(builder.mul(loop.index, rows), _ROWS)
        with cgutils.for_range(builder, builder.sub(dims.k, many)) as loop:
            sweep.add(builder.add(many, loop.index), 1)
        sweep.finish(c, end)
        builder.ret_void()
        return context.get_dummy_value()

    return types.void(dims, a, b, c, epilogue, types.int64), codegen
