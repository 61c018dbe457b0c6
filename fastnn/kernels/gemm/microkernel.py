"""The micro-kernel: one tile of C, its sums in registers.

Operation
    ``C = f(A B)`` or ``C += scale * f(A B)``, with C (m, n), A (m, k), B (k, n), 1 <= m <= MR,
    1 <= n <= NR and k >= 0.  f, the epilogue, adds a bias or earlier sums and applies a ReLU.
Operands
    A has any strides: its elements are broadcast.  The rows of B, C, the addend and the gate are
    contiguous, any stride apart, and need no alignment.  The addend may be C itself.
Edges
    There is a micro-kernel for every m up to MR and every width in the table of tiles.  That of one
    vector uses masked loads and stores; of wider ones the last vectors may overlap.  Nothing beyond
    column n is touched.
Order
    Every element is summed from 0 in the order of k, by one fused multiply-add per term.  The
    addend comes last: a sum that started from it would be rounded to the addend's precision at
    every term.  ``C += scale * t`` is one fused multiply-add more.
Bits
    An element's bits depend on its row of A, its column of B and the epilogue, and not on m, n, or
    where in a tile it is.

The loops are built as LLVM IR.  As Numba code, those over k took a quarter of the first run to
compile, and those over tiles another second.
"""

from typing import NamedTuple

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.structures import GATED, LEAKY, NONE, RELU, offset, unpack
from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.vectors import Pairs, Vectors
from fastnn.kernels.memory import (
    INT64,
    LINE,
    constant,
    keep_rolled,
    least,
    prefetch_block,
    prefetch_line,
)
from fastnn.kernels.numba_internals import cgutils, ir

MR, WIDTHS = TILE.mr, TILE.widths
BACKWARDS_MOST_K = 32
"""Updates of so few terms, which are bound by memory, run from the end of the weights to their
beginning: there the next forward pass begins, and finds them cached (200-64-1 in batches of 1: 1.49
us a batch, not 2.15)."""


class Tile(NamedTuple):
    """A tile: `rows` rows of `width` vectors, of which `existing` columns exist (None: all).

    The tile's block of any matrix is a list of vectors, row by row.
    """

    builder: ir.IRBuilder
    vectors: Vectors
    rows: int
    width: int
    existing: ir.Value | None
    last: ir.Value | None = None
    """The last row that exists, which stands for those after it (None: all exist)."""
    starts: list[ir.Value] | None = None
    """The bytes from the first column to each vector, if they overlap (None: they do not)."""

    @property
    def places(self):
        """(row, vector) of every vector, in the order of the lists."""
        return [(row, v) for row in range(self.rows) for v in range(self.width)]

    def row(self, matrix, row):
        """Return the address of a row."""
        number = constant(row)
        if self.last is not None:
            number = least(self.builder, number, self.last)
        return self.builder.add(matrix.address, self.builder.mul(matrix.rs, number))

    def lanes(self, v):
        """Return how many lanes of a vector exist (None: all)."""
        if self.existing is None or v == 0:
            return self.existing
        after = self.builder.sub(self.existing, constant(v * self.vectors.lanes))
        none = self.builder.icmp_signed("<", after, constant(0))
        return self.builder.select(none, constant(0), after)

    def load_one(self, matrix, place):
        """Return one vector of the tile's block of a matrix."""
        row, v = self.places[place]
        return self.load_vector(self.row(matrix, row), v)

    def load_vector(self, row, v):
        """Return one vector of the tile's part of a row, from its address on."""
        if self.starts is not None:
            return self.vectors.load(self.builder.add(row, self.starts[v]))
        return self.vectors.load(row, v, self.lanes(v))

    def store_one(self, value, matrix, place):
        """Write one vector of the tile's block of a matrix."""
        row, v = self.places[place]
        start = self.row(matrix, row)
        if self.starts is not None:
            self.vectors.store(value, self.builder.add(start, self.starts[v]))
        else:
            self.vectors.store(value, start, v, self.lanes(v))

    def load(self, matrix):
        """Return the tile's block of a matrix."""
        return [self.load_one(matrix, place) for place in range(len(self.places))]

    def store(self, values, matrix):
        """Write the tile's block of a matrix."""
        for place, value in enumerate(values):
            self.store_one(value, matrix, place)


def phis(builder, sources):
    """Merge lists of values, each of which comes from a block: [(block, values), ...]."""
    merged = [builder.phi(value.type) for value in sources[0][1]]
    for block, values in sources:
        for phi, value in zip(merged, values, strict=True):
            phi.add_incoming(value, block)
    return merged


def _sums(tile, k, a, b, prefetch, packed_b):
    """Build the loop over k; return the vectors of A B."""
    builder, vectors = tile.builder, tile.vectors
    before = builder.basic_block
    loop, done = (builder.append_basic_block(name) for name in ("k", "sums"))
    zeros = [vectors.zero] * len(tile.places)
    # Copies, so that they stay in registers: LLVM spilled the strides, which live through all tiles
    # (4 to 15 % slower on tiles of one vector).
    a_step, b_step = _opaque(builder, a.cs), _opaque(builder, b.rs)
    # x86 addresses base + 0, 1 or 2 strides, so a base for every three rows takes the fewest
    # additions, provided that LLVM cannot derive one base from another (2 to 4 % on AVX2).
    offsets = [builder.mul(a.rs, constant(row)) for row in range(tile.rows)]
    starts = [_opaque(builder, builder.add(a.address, each)) for each in offsets[::3]]
    builder.cbranch(builder.icmp_signed(">", k, constant(0)), loop, done)

    builder.position_at_end(loop)
    p = builder.phi(INT64)
    bases = [builder.phi(INT64) for _ in starts]
    old = [builder.phi(vectors.type) for _ in zeros]
    row_of_b = builder.add(b.address, builder.mul(p, b_step))
    b_vectors = [tile.load_vector(row_of_b, v) for v in range(tile.width)]
    if packed_b is not None:
        target = builder.add(packed_b, builder.mul(p, constant(tile.width * TILE.vector_bytes)))
        for v, vector in enumerate(b_vectors):
            vectors.store(vector, target, v, tile.existing)
    prefetch_line(builder, builder.add(prefetch.address, builder.mul(p, prefetch.per_term)))
    new = []
    for row in range(tile.rows):
        factor = vectors.broadcast(builder.add(bases[row // 3], offsets[row % 3]))
        new += [
            vectors.add_product(factor, vector, old[len(new) + v])
            for v, vector in enumerate(b_vectors)
        ]
    # Unrolling gains nothing (50x200x64: 111.5 GFLOP/s, 111.0 rolled), doubles the code and takes a
    # third longer to compile.
    keep_rolled(builder)
    following = builder.add(p, constant(1))
    further = [builder.add(base, a_step) for base in bases]
    builder.cbranch(builder.icmp_signed("<", following, k), loop, done)
    entered, repeated = [constant(0), *starts, *zeros], [following, *further, *new]
    for phi, first, later in zip([p, *bases, *old], entered, repeated, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)

    builder.position_at_end(done)
    return phis(builder, [(before, zeros), (loop, new)])


def _opaque(builder, value):
    """Return an integer whose origin LLVM does not see."""
    return builder.asm(ir.FunctionType(value.type, [value.type]), "", "=r,0", (value,), False)


def _changed(tile, condition, sums, change):
    """Return what ``change()`` does if the condition holds, and the sums as they are if not."""
    before = tile.builder.basic_block
    with tile.builder.if_then(condition):
        changed = change()
        there = tile.builder.basic_block
    return phis(tile.builder, [(before, sums), (there, changed)])


def _with_addend(tile, epilogue, sums):
    """Return the sums plus the addend, if there is one."""

    def plus():
        pairs = zip(sums, tile.load(epilogue.addend), strict=True)
        return [tile.builder.fadd(*pair) for pair in pairs]

    return _changed(tile, epilogue.has_addend, sums, plus)


def _activated(tile, epilogue, sums):
    """Return the sums through the activation, if there is one."""
    builder, zero = tile.builder, tile.vectors.zero

    def relu():  # NaN stays
        return [builder.select(builder.fcmp_ordered("<=", t, zero), zero, t) for t in sums]

    def sloped(deciding):
        slope = tile.vectors.splat(epilogue.slope)
        return [
            builder.select(builder.fcmp_ordered(">", each, zero), t, builder.fmul(slope, t))
            for t, each in zip(sums, deciding, strict=True)
        ]

    def activation():
        builds = {
            RELU: relu,
            LEAKY: lambda: sloped(sums),
            GATED: lambda: sloped(tile.load(epilogue.gate)),
        }
        blocks = {code: builder.append_basic_block("activation") for code in builds}
        done = builder.append_basic_block("activated")
        switch, sources = builder.switch(epilogue.activation, blocks[GATED]), []
        for code, block in blocks.items():
            switch.add_case(constant(code), block)
            builder.position_at_end(block)
            sources.append((block, builds[code]()))
            builder.branch(done)
        builder.position_at_end(done)
        return phis(builder, sources)

    some = builder.icmp_signed("!=", epilogue.activation, constant(NONE))
    return _changed(tile, some, sums, activation)


def finish(tile, sums, c, epilogue):
    """Build the epilogue of a tile's sums."""
    builder, vectors = tile.builder, tile.vectors
    sums = _activated(tile, epilogue, _with_addend(tile, epilogue, sums))
    with builder.if_else(epilogue.accumulate) as (add, write):
        with write:
            tile.store(sums, c)
        with add:
            scale = vectors.splat(epilogue.scale)
            # Masked stores delay loads of what follows in memory, which is the next row of a narrow
            # C (500x10 with one term: 4.9 us if rows are loaded one by one).  All of a wider tile
            # would not fit the registers.
            step = tile.rows if tile.width == 1 else 1
            for first in range(0, len(tile.places), step):
                here = range(first, min(first + step, len(tile.places)))
                old = [tile.load_one(c, place) for place in here]
                for place, value in zip(here, old, strict=True):
                    tile.store_one(vectors.fma(scale, sums[place], value), c, place)


def _micro_kernel(tile, k, a, b, c, epilogue, prefetch, packed_b=None):
    """Build one micro-kernel; given an address `packed_b`, it copies its panel of B there."""
    finish(tile, _sums(tile, k, a, b, prefetch, packed_b), c, epilogue)


def _overlapping(vectors, width, n):
    """Return the starts of vectors, of which some may be the last one of `n` columns again."""
    last = vectors.builder.sub(n, constant(vectors.lanes))
    numbers = (constant(v * vectors.lanes) for v in range(width))
    size = constant(vectors.align)
    return [vectors.builder.mul(least(vectors.builder, each, last), size) for each in numbers]


def _column(vectors, width, existing, heights, dims, operands, starts=None):
    """Build the 1st loop, over the tiles of a column of C that is `width` vectors wide."""
    builder = vectors.builder
    a, b, c, epilogue, prefetch = operands
    # Tiles of nearly equal height, 7 = 4 + 3: a tile of one row runs at half speed.
    tiles = builder.sdiv(builder.add(dims.m, constant(MR - 1)), constant(MR))
    none = builder.icmp_signed("==", tiles, constant(0))
    lowest = builder.sdiv(dims.m, builder.select(none, constant(1), tiles))
    higher = builder.sub(dims.m, builder.mul(lowest, tiles))
    lines = constant(-(-width * TILE.vector_bytes // LINE))
    few_terms = builder.icmp_signed("<=", dims.k, constant(BACKWARDS_MOST_K))
    backwards = builder.and_(epilogue.accumulate, few_terms)
    with cgutils.for_range(builder, tiles) as loop:
        from_end = builder.sub(builder.sub(tiles, constant(1)), loop.index)
        number = builder.select(backwards, from_end, loop.index)
        taller = builder.icmp_signed("<", number, higher)
        rows = builder.add(lowest, builder.zext(taller, INT64))
        above = builder.select(taller, number, higher)
        first = builder.add(builder.mul(number, lowest), above)

        def here(matrix):
            return offset(builder, matrix, first, constant(0))

        with builder.if_then(prefetch.c):
            # The hardware prefetcher cannot predict C's rows (gradient of 256x3072x1024: 105
            # GFLOP/s, 99 without).
            prefetch_block(builder, *here(c)[:2], rows, lines)
        a_here = here(a)
        later = builder.add(prefetch.address, builder.mul(number, prefetch.per_tile))
        wanted = builder.icmp_signed("<", number, prefetch.tiles)
        own = prefetch._replace(
            address=builder.select(wanted, later, a_here.address),
            per_term=builder.select(wanted, prefetch.per_term, constant(0)),
        )
        end = epilogue._replace(addend=here(epilogue.addend), gate=here(epilogue.gate))
        done = builder.append_basic_block("tile")
        switch = builder.switch(rows, done)
        for height in heights:
            block = builder.append_basic_block(f"tile{height}x{width}")
            switch.add_case(constant(height), block)
            builder.position_at_end(block)
            tile = Tile(builder, vectors, height, width, existing, starts=starts)
            _micro_kernel(tile, dims.k, a_here, b, here(c), end, own)
            builder.branch(done)
        builder.position_at_end(done)


def dtype_of(epilogue):
    """Return the Numba type of the numbers of a product, from the type of its epilogue."""
    return epilogue.types[epilogue.fields.index("slope")]


def _leftmost(vectors, dims, operands):
    """Build the choice of a width, and its column of C; return how many columns that has."""
    builder = vectors.builder
    done, sources = builder.append_basic_block("columns"), []

    def unless(fits, name):
        """Build what follows for columns that fit; return where to go on with all others."""
        here, others = (builder.append_basic_block(each) for each in (name, "others"))
        builder.cbranch(fits, here, others)
        builder.position_at_end(here)
        return others

    def column(width, columns, *how):
        _column(vectors, width, *how)
        sources.append((builder.basic_block, [columns]))
        builder.branch(done)

    once = builder.not_(operands[3].accumulate)  # what overlaps would be added twice
    edge = 2 if 2 in WIDTHS[1:] else 1
    beyond = builder.icmp_signed(">", dims.n, constant(edge * vectors.lanes))
    one_row = builder.icmp_signed("==", dims.m, constant(1))
    several = unless(builder.and_(builder.and_(one_row, beyond), once), "row")
    most = constant(WIDTHS[0] * vectors.lanes)
    starts = _overlapping(vectors, WIDTHS[0], dims.n)
    column(WIDTHS[0], least(builder, most, dims.n), None, (1,), dims, operands, starts)
    builder.position_at_end(several)
    for width in WIDTHS:
        columns = constant(width * vectors.lanes)
        whole = builder.icmp_signed(">=", dims.n, columns)
        existing = starts = None
        if width == edge == 2:
            more = builder.icmp_signed(">", dims.n, constant(vectors.lanes))
            whole = builder.or_(whole, builder.and_(more, once))
            starts, columns = _overlapping(vectors, 2, dims.n), least(builder, columns, dims.n)
        if width > 1:
            narrower = unless(whole, f"width{width}")
        else:
            columns = existing = builder.select(whole, columns, dims.n)
        column(width, columns, existing, range(1, MR + 1), dims, operands, starts)
        builder.position_at_end(narrower if width > 1 else done)
    (columns,) = phis(builder, sources)
    return columns


@intrinsic
def multiply_column(_, dims, a, b, c, epilogue, prefetch):
    """Compute the leftmost columns of C, as many as a tile is wide; return how many.

    The tile is the widest of the table that fits into n columns, or one masked vector.  Vectors may
    overlap where nothing is accumulated: two at the right edge, instead of one and a masked one,
    and all of one row, which takes as long as its chain of additions, however many there are.
    """

    def codegen(context, builder, signature, args):
        dims, *operands = map(unpack, [builder] * 6, signature.args, args)
        return _leftmost(Vectors(builder, dtype_of(epilogue)), dims, operands)

    return types.int64(dims, a, b, c, epilogue, prefetch), codegen


@intrinsic
def multiply_pairs(_, dims, a, b, c, epilogue, prefetch):
    """Do the same with matrices of pairs of bfloat16 numbers; k is how many pairs."""

    def codegen(context, builder, signature, args):
        dims, *operands = map(unpack, [builder] * 6, signature.args, args)
        return _leftmost(Pairs(builder), dims, operands)

    return types.int64(dims, a, b, c, epilogue, prefetch), codegen


@intrinsic
def multiply_and_pack(_, dims, a, b, c, epilogue, prefetch, packed_b):
    """Compute a full tile, MR x NR, and copy the panel of B that it reads to an address.

    Only k of `dims` is used.
    """

    def codegen(context, builder, signature, args):
        dims, *operands, packed_b = map(unpack, [builder] * 7, signature.args, args)
        vectors = Vectors(builder, dtype_of(epilogue))
        tile = Tile(builder, vectors, MR, WIDTHS[0], None)
        _micro_kernel(tile, dims.k, *operands, packed_b)
        return context.get_dummy_value()

    return types.void(dims, a, b, c, epilogue, prefetch, packed_b), codegen
