"""The register tile: a block of a matrix held in SIMD registers, and the few operations on it.

A tile is ``rows`` x ``vectors`` SIMD vectors that LLVM keeps in registers: the sums of a block of
a matrix product, while :func:`multiply_column` walks along k.  This is the only file of the kernels
that speaks LLVM IR for vectors.

Addresses are integers (bytes) and so are strides; nothing is checked.  Of a tile that is one vector
wide only the first ``lanes`` columns exist in memory: it is how the right edge of a matrix is read
and written without touching its neighbours.
"""

from typing import NamedTuple

from numba import types
from numba.extending import intrinsic, models, register_model

from fastnn.kernels.numba_internals import cgutils, insert, ir, processor


class Shape(NamedTuple):
    """The tile of one instruction set."""

    name: str
    vector_bytes: int
    rows: int
    """Most rows of a tile."""
    vectors: tuple[int, ...]
    """Widths of a tile in vectors, widest first; the last is 1."""


# rows * vectors accumulators, the vectors of one row of B and a broadcast must fit the registers
# (32 for AVX-512 and NEON, 16 for AVX2 and SSE2): a tile that does not fit is 4 times slower.
_SHAPES = (
    ("+avx512f", Shape("AVX-512", 64, 6, (4, 2, 1))),
    ("+avx2", Shape("AVX2", 32, 6, (2, 1))),
    ("+neon", Shape("NEON", 16, 6, (4, 2, 1))),
)
_GENERIC = Shape("generic", 16, 4, (2, 1))


_CPU, _FEATURES = processor()
SHAPE = next((shape for it, shape in _SHAPES if it in _FEATURES), _GENERIC)
"""The tile of the instruction set that Numba compiles for."""
_HALVES = SHAPE.vector_bytes == 64 and _CPU == "znver4"
"""Whether vectors are written in halves: while a Zen 4 writes 64 bytes at once it multiplies
nothing (24 vectors take 37 cycles from it, and their halves 17)."""


class Tile(types.Type):
    """The Numba type of a tile; a tile of one vector is masked."""

    def __init__(self, dtype, rows, vectors):
        self.dtype, self.rows, self.vectors = dtype, rows, vectors
        self.lanes = SHAPE.vector_bytes * 8 // dtype.bitwidth
        self.masked = vectors == 1
        super().__init__(f"Tile({dtype}, {rows}, {vectors})")

    @property
    def element(self):
        return ir.FloatType() if self.dtype == types.float32 else ir.DoubleType()

    @property
    def vector(self):
        return ir.VectorType(self.element, self.lanes)

    @property
    def places(self):
        """(index in the tile, row, vector) of every vector."""
        return [
            (row * self.vectors + v, row, v)
            for row in range(self.rows)
            for v in range(self.vectors)
        ]


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, tile):
        super().__init__(manager, tile, ir.ArrayType(tile.vector, tile.rows * tile.vectors))


def _int32(value):
    return ir.Constant(ir.IntType(32), value)


def _splat(builder, value, lanes):
    vector = ir.VectorType(value.type, lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, _int32(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [_int32(0)] * lanes)
    return builder.shuffle_vector(first, undefined, zeros)


def _call(builder, name, result, *arguments):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, arguments)


class _VolatileStore(ir.instructions.StoreInstr):
    """A store that LLVM neither drops nor joins with another; llvmlite knows none."""

    def descr(self, buf):
        line: list[str] = []
        super().descr(line)
        buf.append("".join(line).replace("store", "store volatile", 1))


def _store_as_is(builder, value, pointer, align):
    store = _VolatileStore(builder.block, value, pointer)
    store.align = align
    insert(builder, store)


class _Memory:
    """Loads and stores the vectors of a tile at base + row * stride."""

    def __init__(self, builder, tile, base, stride, lanes):
        self.builder, self.tile = builder, tile
        self.base, self.stride, self.lanes = base, stride, lanes
        self.align = tile.dtype.bitwidth // 8
        self.suffix = f"v{tile.lanes}f{tile.dtype.bitwidth}"

    def pointer(self, row, v):
        builder = self.builder
        offset = builder.mul(self.stride, ir.Constant(self.stride.type, row))
        start = builder.inttoptr(builder.add(self.base, offset), self.tile.vector.as_pointer())
        return builder.gep(start, [_int32(v)])

    def _mask(self):
        lanes, int64 = self.tile.lanes, self.lanes.type
        counted = [ir.Constant(int64, lane) for lane in range(lanes)]
        numbers = ir.Constant(ir.VectorType(int64, lanes), counted)
        return self.builder.icmp_unsigned("<", numbers, _splat(self.builder, self.lanes, lanes))

    def load(self, row, v, masked):
        pointer = self.pointer(row, v)
        if not masked:
            value = self.builder.load(pointer)
            value.align = self.align
            return value
        vector = self.tile.vector
        return _call(
            self.builder,
            f"llvm.masked.load.{self.suffix}.p0",
            vector,
            pointer,
            _int32(self.align),
            self._mask(),
            ir.Constant(vector, None),
        )

    def store(self, value, row, v, masked):
        pointer = self.pointer(row, v)
        if not masked and _HALVES:
            self._store_halves(value, pointer)
        elif not masked:
            self.builder.store(value, pointer).align = self.align
        else:
            _call(
                self.builder,
                f"llvm.masked.store.{self.suffix}.p0",
                ir.VoidType(),
                value,
                pointer,
                _int32(self.align),
                self._mask(),
            )

    def _store_halves(self, value, pointer):
        lanes = self.tile.lanes // 2
        pointer = self.builder.bitcast(
            pointer, ir.VectorType(self.tile.element, lanes).as_pointer()
        )
        for place in range(2):
            half = _lanes(self.builder, value, range(place * lanes, (place + 1) * lanes))
            _store_as_is(self.builder, half, self.builder.gep(pointer, [_int32(place)]), self.align)


def _lanes(builder, value, order):
    """Return some lanes of a vector, in an order."""
    order = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), [_int32(i) for i in order])
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), order)


def _once(builder):
    """Keep LLVM from unrolling the loop that this stands in: it unrolls none with a call."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", (), side_effect=True)


def _opaque(builder, value):
    """Return an integer of which LLVM does not know how it was computed."""
    return builder.asm(ir.FunctionType(value.type, [value.type]), "", "=r,0", (value,), False)


def _prefetch(builder, address):
    """Ask for a cache line; it is no access, so it may lie past the end of an array."""
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    reading, second_cache, data = _int32(0), _int32(2), _int32(1)
    _call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, reading, second_cache, data)


def _prefetch_rows(builder, *args):
    """Call the loop of :func:`prefetch_rows`.

    It is a function of its own, since in all its places it took a second of the first run.
    """
    name, int64 = "fastnn_prefetch_rows", ir.IntType(64)
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [int64] * 4)
        function = ir.Function(builder.module, kind, name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        inner = ir.IRBuilder(function.append_basic_block())
        source, stride, rows, lines = function.args
        with cgutils.for_range(inner, rows) as row:
            start = inner.add(source, inner.mul(row.index, stride))
            with cgutils.for_range(inner, lines) as line:
                _once(inner)
                _prefetch(inner, inner.add(start, inner.mul(line.index, ir.Constant(int64, 64))))
        inner.ret_void()
    builder.call(function, args)


def _fma(builder, tile, x, y, z):
    name = f"llvm.fma.v{tile.lanes}f{tile.dtype.bitwidth}"
    return _call(builder, name, tile.vector, x, y, z)


@intrinsic(prefer_literal=True)
def tile_zero(_, like, rows, vectors):
    """Return a tile of zeros with the dtype of the scalar `like`; the rest are literals."""
    tile = Tile(like, rows.literal_value, vectors.literal_value)

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like, rows, vectors), codegen


def _sums(builder, tile, depth, left, right, soon, packed=None):
    """Build the loop over k; return the vectors of the tile's sums, in the order of its places.

    With an address `packed` the rows of `b` are copied there on the way.  With each term a cache
    line is asked for, on from ``soon = (address, stride)``.

    Every element sees its additions in the order of k whatever the tile's size: results do not
    depend on how a matrix is cut into tiles.
    """
    a, a_row, a_column = left
    b, b_row, lanes = right
    before = builder.basic_block
    loop = builder.append_basic_block("k")
    done = builder.append_basic_block("sums")
    nothing, zero = ir.Constant(depth.type, 0), ir.Constant(tile.vector, None)
    # An address can be base + 0, 1 or 2 strides: a base for three rows leaves the fewest additions.
    apart = [builder.mul(a_row, ir.Constant(a_row.type, row)) for row in range(tile.rows)]
    bases = [_opaque(builder, builder.add(a, apart[row])) for row in range(0, tile.rows, 3)]
    builder.cbranch(builder.icmp_signed(">", depth, nothing), loop, done)

    builder.position_at_end(loop)
    k = builder.phi(depth.type)
    columns = [builder.phi(a.type) for _ in bases]
    old = [builder.phi(tile.vector) for _ in tile.places]
    row_of_b = _Memory(builder, tile, builder.add(b, builder.mul(k, b_row)), nothing, lanes)
    vectors = [row_of_b.load(0, v, tile.masked) for v in range(tile.vectors)]
    if packed is not None:
        wide = ir.Constant(k.type, tile.vectors * SHAPE.vector_bytes)
        at = builder.add(packed, builder.mul(k, wide))
        copy = _Memory(builder, tile, at, nothing, lanes)
        for v, vector in enumerate(vectors):
            copy.store(vector, 0, v, tile.masked)
    _prefetch(builder, builder.add(soon[0], builder.mul(k, soon[1])))
    new = []
    for row in range(tile.rows):
        place = builder.add(columns[row // 3], apart[row % 3])
        pointer = builder.inttoptr(place, tile.element.as_pointer())
        factor = _splat(builder, builder.load(pointer), tile.lanes)
        new += [
            _fma(builder, tile, factor, vector, old[row * tile.vectors + v])
            for v, vector in enumerate(vectors)
        ]
    # Unrolled it is twice the code, takes a third longer to compile, and gains nothing (50x200x64:
    # 111.0 and 111.5 GFLOP/s).
    _once(builder)
    following = builder.add(k, ir.Constant(k.type, 1))
    further = {column: builder.add(column, a_column) for column in columns}
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)
    k.add_incoming(nothing, before)
    k.add_incoming(following, loop)
    for base, column in zip(bases, columns, strict=True):
        column.add_incoming(base, before)
        column.add_incoming(further[column], loop)
    for phi, value in zip(old, new, strict=True):
        phi.add_incoming(zero, before)
        phi.add_incoming(value, loop)

    builder.position_at_end(done)
    sums = [builder.phi(tile.vector) for _ in tile.places]
    for phi, value in zip(sums, new, strict=True):
        phi.add_incoming(zero, before)
        phi.add_incoming(value, loop)
    return sums


def _changed(builder, condition, values, change):
    """Return ``change(values)`` where the condition holds, and the values where it does not."""
    before = builder.basic_block
    with builder.if_then(condition):
        new = change(values)
        branch = builder.basic_block
    phis = [builder.phi(value.type) for value in values]
    for phi, value, other in zip(phis, values, new, strict=True):
        phi.add_incoming(value, before)
        phi.add_incoming(other, branch)
    return phis


def _relu(builder, tile, values):
    """Return 0 where t <= 0, else t: NaN stays."""
    zero = ir.Constant(tile.vector, None)
    return [builder.select(builder.fcmp_ordered("<=", t, zero), zero, t) for t in values]


def _gated(builder, tile, slope, values, gates):
    """Return t where its gate is > 0, else slope * t."""
    factor = _splat(builder, slope, tile.lanes)
    zero = ir.Constant(tile.vector, None)
    return [
        builder.select(builder.fcmp_ordered(">", gate, zero), t, builder.fmul(factor, t))
        for t, gate in zip(values, gates, strict=True)
    ]


def _compute(builder, tile, depth, left, right, addend, target, after, gate, soon, packed=None):
    """Build the work on one tile; see :func:`multiply_column`."""
    lanes = right[2]
    slope, scale = after
    nothing, number = ir.Constant(addend[0].type, 0), slope.type
    sums = _sums(builder, tile, depth, left, right, soon, packed)

    def read(source):
        memory = _Memory(builder, tile, *source, lanes)
        return [memory.load(row, v, tile.masked) for _, row, v in tile.places]

    def plus(values):
        return [builder.fadd(*pair) for pair in zip(values, read(addend), strict=True)]

    def through_gate(values):
        return _gated(builder, tile, slope, values, read(gate))

    sums = _changed(builder, builder.icmp_signed("!=", addend[0], nothing), sums, plus)
    bends = builder.fcmp_unordered("!=", slope, ir.Constant(number, 1))
    gated = builder.icmp_signed("!=", gate[0], nothing)
    by_sums = builder.and_(bends, builder.not_(gated))
    flat = builder.fcmp_ordered("==", slope, ir.Constant(number, 0))
    relu, leaky = builder.and_(by_sums, flat), builder.and_(by_sums, builder.not_(flat))
    sums = _changed(builder, relu, sums, lambda t: _relu(builder, tile, t))
    sums = _changed(builder, leaky, sums, lambda t: _gated(builder, tile, slope, t, t))
    sums = _changed(builder, builder.and_(bends, gated), sums, through_gate)
    memory = _Memory(builder, tile, *target, lanes)
    writes = builder.fcmp_ordered("==", scale, ir.Constant(number, 0))
    with builder.if_else(writes) as (write, add):
        with write:
            for place, row, v in tile.places:
                memory.store(sums[place], row, v, tile.masked)
        with add:
            factor = _splat(builder, scale, tile.lanes)
            for place, row, v in tile.places:
                old = memory.load(row, v, tile.masked)
                memory.store(_fma(builder, tile, factor, sums[place], old), row, v, tile.masked)


def _groups(after):
    """Return the types of left, right, addend, target, after and gate."""
    three, two = types.UniTuple(types.int64, 3), types.UniTuple(types.int64, 2)
    return three, three, two, two, after, two


def _column(builder, like, width, heights, depth, groups, ahead, asks):
    """Build the loop over the tiles of a column; see :func:`multiply_column`."""
    left, right, addend, target, after, gate = groups
    row, blocks, least, higher = heights
    soon, per_term, per_tile, tiles = ahead
    lines = ir.Constant(row.type, -(-width * SHAPE.vector_bytes // 64))
    with cgutils.for_range(builder, blocks) as loop:
        block = loop.index
        taller = builder.icmp_signed("<", block, higher)
        count = builder.add(least, builder.zext(taller, row.type))
        before = builder.add(builder.mul(block, least), builder.select(taller, block, higher))
        first = builder.add(row, before)

        def here(place):
            return builder.add(place[0], builder.mul(first, place[1])), *place[1:]

        with builder.if_then(asks):
            # No hardware foresees the output row by row (256x3072x1024's gradient: 99 to 105).
            _prefetch_rows(builder, *here(target), count, lines)
        wanted = builder.icmp_signed("<", block, tiles)
        next_soon = (
            builder.select(wanted, builder.add(soon, builder.mul(block, per_tile)), left[0]),
            builder.select(wanted, per_term, ir.Constant(row.type, 0)),
        )
        parts = here(left), right, here(addend), here(target), after, here(gate), next_soon
        end = builder.append_basic_block("end")
        switch = builder.switch(count, end)
        for height in range(1, SHAPE.rows + 1):
            body = builder.append_basic_block(f"tile{height}x{width}")
            switch.add_case(ir.Constant(row.type, height), body)
            builder.position_at_end(body)
            _compute(builder, Tile(like, height, width), depth, *parts)
            builder.branch(end)
        builder.position_at_end(end)


@intrinsic
def multiply_column(
    _, vectors, heights, depth, left, right, addend, target, after, gate, ahead, asks
):
    """Compute a column of tiles of a product, `vectors` wide: one of the widths of SHAPE.

    ``heights = (first row, tiles, their height, how many of them are one row higher)``.  The other
    arguments are those of the loops in matmul.py: ``left = (a, row stride, column stride)``,
    ``right = (b, row stride, lanes of the last vector)``, ``addend``, ``target`` and ``gate =
    (address, row stride)``, ``after = (slope, scale)``, ``ahead``, and `asks`, whether the output
    is asked for.  All of it is built here, and not as Numba loops, because Numba takes seconds to
    get 18 such loops ready for LLVM.
    """
    four = types.UniTuple(types.int64, 4)

    def codegen(context, builder, signature, args):
        vectors, heights, depth, *groups, ahead, asks = args
        heights, ahead = (cgutils.unpack_tuple(builder, group) for group in (heights, ahead))
        groups = [cgutils.unpack_tuple(builder, group) for group in groups]
        end = builder.append_basic_block("end")
        switch = builder.switch(vectors, end)
        for width in SHAPE.vectors:
            block = builder.append_basic_block(f"width{width}")
            switch.add_case(ir.Constant(vectors.type, width), block)
            builder.position_at_end(block)
            _column(builder, after.dtype, width, heights, depth, groups, ahead, asks)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    given = types.int64, four, types.int64, *_groups(after), four, types.boolean
    return types.void(*given), codegen


@intrinsic
def multiply_and_pack(_, depth, left, right, addend, target, after, gate, soon, packed):
    """Compute the largest tile, and copy the strip of `b` that it goes through to `packed`."""
    like = after.dtype

    def codegen(context, builder, signature, args):
        parts = [cgutils.unpack_tuple(builder, group) for group in args[1:8]]
        tile = Tile(like, SHAPE.rows, SHAPE.vectors[0])
        _compute(builder, tile, args[0], *parts, args[8])
        return context.get_dummy_value()

    two = types.UniTuple(types.int64, 2)
    return types.void(types.int64, *_groups(after), two, types.int64), codegen


@intrinsic(prefer_literal=True)
def transpose_block(_, like, partial, rows, columns, source, source_stride, out, out_stride):
    """Write the transpose of a (rows, columns) block of at most lanes x lanes elements.

    With `partial` 0 (a literal) the block is whole and `rows` and `columns` are not looked at.
    """
    tile = Tile(like, SHAPE.vector_bytes * 8 // like.bitwidth, 1)
    whole = partial.literal_value == 0

    def codegen(context, builder, signature, args):
        rows, columns, source, source_stride, out, out_stride = args[2:]
        lanes = tile.lanes
        full = ir.Constant(rows.type, lanes)
        nothing = ir.Constant(rows.type, 0)

        def memory(base, stride, line, lines, length):
            # A line that does not exist has no lanes: a masked access to it touches nothing.
            if whole:
                return _Memory(builder, tile, base, stride, full)
            exists = builder.icmp_signed("<", ir.Constant(lines.type, line), lines)
            return _Memory(builder, tile, base, stride, builder.select(exists, length, nothing))

        block = [
            memory(source, source_stride, i, rows, columns).load(i, 0, not whole)
            for i in range(lanes)
        ]
        # Swap the off-diagonal quarters of ever larger blocks: log2(lanes) rounds of shuffles.
        width = 1
        while width < lanes:
            low = [lanes + i - width if i & width else i for i in range(lanes)]
            high = [lanes + i if i & width else i + width for i in range(lanes)]
            masks = [
                ir.Constant(ir.VectorType(ir.IntType(32), lanes), [_int32(i) for i in order])
                for order in (low, high)
            ]
            for i in range(lanes):
                if not i & width:
                    pair = block[i], block[i + width]
                    block[i] = builder.shuffle_vector(*pair, masks[0])
                    block[i + width] = builder.shuffle_vector(*pair, masks[1])
            width *= 2
        for i in range(lanes):
            memory(out, out_stride, i, columns, rows).store(block[i], i, 0, not whole)
        return context.get_dummy_value()

    int64 = types.int64
    return types.void(like, partial, *[int64] * 6), codegen


@intrinsic(prefer_literal=True)
def stack_buffer(_, count):
    """Return the address of `count` bytes (a literal) on the stack, at a cache line."""

    def codegen(context, builder, signature, args):
        with builder.goto_entry_block():  # not alloca_once, which would fill it with zeros
            room = builder.alloca(ir.ArrayType(ir.IntType(8), count.literal_value))
        room.align = 64
        return builder.ptrtoint(room, ir.IntType(64))

    return types.int64(count), codegen


@intrinsic
def address_of(_, array):
    """Return the address of an array's first element (signed, as all offsets are)."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), codegen


@intrinsic
def prefetch_rows(_, source, stride, rows, lines):
    """Ask for the first `lines` cache lines of `rows` rows."""

    def codegen(context, builder, signature, args):
        _prefetch_rows(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@intrinsic
def rewrite(_, address):
    """Write the byte at an address anew."""

    def codegen(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        _store_as_is(builder, builder.load(pointer), pointer, 1)
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def size_of(_, like):
    """Return the bytes of a number: a constant, by which to divide costs a shift."""

    def codegen(context, builder, signature, args):
        return ir.Constant(ir.IntType(64), like.bitwidth // 8)

    return types.int64(like), codegen


@intrinsic
def load_element(_, like, source):
    """Return the element at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[1], Tile(like, 1, 1).element.as_pointer()))

    return like(like, types.int64), codegen


@intrinsic
def store_element(_, value, target):
    """Write an element to an address."""

    def codegen(context, builder, signature, args):
        builder.store(args[0], builder.inttoptr(args[1], args[0].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(value, types.int64), codegen


@intrinsic
def fused(_, x, y, z):
    """Return x * y + z rounded once, as the tiles do."""

    def codegen(context, builder, signature, args):
        return _call(builder, f"llvm.fma.f{x.bitwidth}", args[0].type, *args)

    return x(x, x, x), codegen


@intrinsic(prefer_literal=True)
def inner_add(_, tile, partial, a, b, lanes):
    """Return tile + a * b for one vector of each, lane by lane, to be summed by tile_sum.

    With `partial` 0 (a literal) the vectors are whole and `lanes` is not looked at.
    """
    masked = partial.literal_value != 0

    def codegen(context, builder, signature, args):
        value, _, a, b, lanes = args
        factors = [
            _Memory(builder, tile, base, ir.Constant(base.type, 0), lanes).load(0, 0, masked)
            for base in (a, b)
        ]
        new = _fma(builder, tile, *factors, builder.extract_value(value, 0))
        return builder.insert_value(value, new, 0)

    return tile(tile, partial, types.int64, types.int64, types.int64), codegen


@intrinsic(prefer_literal=True)
def tile_sum(_, tile, row):
    """Return the sum of the lanes of one row (a literal), by halves: a fixed order."""
    place = row.literal_value

    def codegen(context, builder, signature, args):
        value = builder.extract_value(args[0], place)
        lanes = tile.lanes
        while lanes > 1:
            halves = range(lanes // 2), range(lanes // 2, lanes)
            value = builder.fadd(*(_lanes(builder, value, half) for half in halves))
            lanes //= 2
        return builder.extract_element(value, _int32(0))

    return tile.dtype(tile, row), codegen
