"""Matrix products on the register tile: ``a @ b``, ``a.T @ b``, ``a @ b.T`` and the dense layer.

One routine, :func:`_gemm`, does them all: a transposition is a matter of strides, so the public
kernels only pass views.  It is compiled once for each dtype and called through a table of
addresses, because code that five kernels share should not be compiled five times.
"""

import ctypes

import numpy as np
from numba import from_dtype, types
from numba.extending import intrinsic

from fastnn.kernels.jit import cfunc, inlined, njit
from fastnn.kernels.numba_internals import CFunc, as_dtype, cgutils, impl_ret_borrowed, ir, llvm
from fastnn.kernels.tile import (
    SHAPE,
    address_of,
    fused,
    inner_add,
    load_element,
    multiply_and_pack,
    multiply_column,
    size_of,
    stack_buffer,
    store_element,
    tile_sum,
    tile_zero,
    transpose_block,
)

LINE = np.int64(64)
"""Bytes of a cache line."""
WIDTH_BYTES = SHAPE.vectors[0] * SHAPE.vector_bytes
"""Bytes of a row of the widest tile; a strip of `b` is as wide."""
DEPTH = 256
"""Terms of each sum that are worked on together.  A strip of `b` so deep and of the widest tile's
width (64 KB) is more than the first cache holds; half of it fits, but then the sums are written and
read twice as often, which costs more (128x784x512: 111 and 112 GFLOP/s)."""
LINES = (WIDTH_BYTES + LINE - 1) // LINE
"""Cache lines of a row of a strip."""
STRIP = DEPTH * WIDTH_BYTES
"""Bytes of a packed strip of `b`."""
BLOCK = 2**18
"""Bytes of `a` that are worked on together."""
PACKS = WIDTH_BYTES < 4 * LINE
"""Whether strips of `b` are packed.  One that is a cache line wide is too scattered in a wide `b`
to come in time (784-512-256-10 by AVX2: 343 ms an epoch, packed 306); of four lines it is not, and
is faster as it lies (200x200x256: 112 and 114 GFLOP/s)."""
PACK_HEIGHT = 96
"""Least rows of `a` for packing `b`: for fewer the copy costs more than it gains."""
PACK_WIDTH = 256
"""Least columns of `b` for packing `a`."""
AHEAD_HEIGHT = 32
"""Least rows of `a` for asking for `b` ahead."""
NEAR = 2**15 if PACKS else 2**18
"""Bytes of `b` that stay near enough wherever they lie: in the first or in the second cache."""

# The loops below pass addresses and strides in bytes, grouped:
#   left = (a, row stride, column stride)     right = (b, row stride, lanes of the last vector)
#   addend = (address, row stride) of what is added to the sums; address 0 means nothing
#   target = (out, row stride)                after = (slope, scale)
#   gate = (address, row stride) of what decides on the slope; 0 and 0 means the sums
#   ahead = (address, stride from term to term, stride from tile to tile, tiles) of what is needed
#           soon: so many tiles ask for a cache line of it with each term of their sums


@inlined
def _moved(place, offset):
    """Return (address, stride) so many bytes further on; nothing stays nothing."""
    return (place[0] + offset if place[0] != 0 else place[0]), place[1]


# What leads to the tiles and to packing is inlined where it has one caller: else Numba makes the
# same machine code again for each level of functions (5.1 s to compile, and 3.3).
@inlined
def _strip(rows, width, depth, left, right, addend, target, after, gate, ahead, asks):
    """Multiply rows (from, to) of `a` by a strip of `b` that is no wider than the widest tile."""
    size = size_of(after[0])
    lanes = SHAPE.vector_bytes // size
    b, b_row = right
    widest, highest = SHAPE.vectors[0], SHAPE.rows
    # Heights as equal as can be: 7 rows are 4 + 3, since a tile of 1 row runs at half speed.
    first, end = rows
    tiles = (end - first + highest - 1) // highest
    least = (end - first) // max(tiles, 1)
    heights = first, tiles, least, end - first - least * tiles
    at = 0
    while at < width:
        whole = (width - at) // lanes
        vectors = widest if whole >= widest else 2 if whole >= 2 else 1
        here = (b + at * size, b_row, min(width - at, lanes))
        start, decides = _moved(addend, at * size), _moved(gate, at * size)
        there = (target[0] + at * size, target[1])
        multiply_column(
            vectors, heights, depth, left, here, start, there, after, decides, ahead, asks
        )
        at += vectors * lanes


@njit(cached=False)
def _transpose(like, rows, columns, source, source_row, out, out_row):
    """Write the transpose of (rows, columns) at `source` to `out`, block by block."""
    size = size_of(like)
    lanes = SHAPE.vector_bytes // size
    for i in range(0, rows, lanes):
        for j in range(0, columns, lanes):
            block = source + i * source_row + j * size
            there = out + j * out_row + i * size
            if rows - i >= lanes and columns - j >= lanes:
                transpose_block(like, 0, lanes, lanes, block, source_row, there, out_row)
            else:
                transpose_block(
                    like,
                    1,
                    min(lanes, rows - i),
                    min(lanes, columns - j),
                    block,
                    source_row,
                    there,
                    out_row,
                )


@inlined
def _pack_strip(one, depth, width, right, packed):
    """Copy a strip of `b` to where its rows are contiguous and aligned."""
    b, b_row, b_column = right
    room, room_row = packed
    size = size_of(one)
    if b_row == size:
        _transpose(one, width, depth, b, b_column, room, room_row)
    else:
        for k in range(depth):
            for j in range(width):
                value = load_element(one, b + k * b_row + j * b_column)
                store_element(value, room + k * room_row + j * size)


def _pack_on_the_way(rows, depth, left, right, addend, target, after, gate, ahead, room):
    """Compute the first tile of a strip of `b` and pack the strip; return what is left to do."""
    soon, per_term, per_tile, tiles = ahead
    whole = (*right, SHAPE.vector_bytes // size_of(after[0]))
    multiply_and_pack(depth, left, whole, addend, target, after, gate, (soon, per_term), room)
    later = (soon + per_tile, per_term, per_tile, tiles - 1)
    return (rows[0] + SHAPE.rows, rows[1]), (room, np.int64(WIDTH_BYTES)), later


def _leave(rows, depth, left, right, addend, target, after, gate, ahead, room):
    """Leave the strip where it is."""
    return rows, right, ahead


_packing = inlined(_pack_on_the_way if PACKS else _leave)


@njit(cached=False)
def _matvec(m, k, left, b, addend, target, after, gate):
    """Multiply by one contiguous column: a sum along k for each row.

    The rows are independent, so the processor overlaps their chains of additions.
    """
    a, a_row, _ = left
    slope, scale = after
    size, step = size_of(slope), SHAPE.vector_bytes
    lanes = step // size
    whole = k * size // step * step
    for row in range(m):
        here, there = a + row * a_row, target[0] + row * target[1]
        tile = tile_zero(slope, 1, 1)
        for p in range(0, whole, step):
            tile = inner_add(tile, 0, here + p, b + p, lanes)
        if whole < k * size:
            tile = inner_add(tile, 1, here + whole, b + whole, k % lanes)
        total = tile_sum(tile, 0)
        if addend[0] != 0:
            total += load_element(slope, addend[0])
        if slope != 1 and gate[0] != 0:
            if not load_element(slope, gate[0] + row * gate[1]) > 0:
                total = slope * total
        elif slope != 1 and not total > 0:
            zero = slope - slope
            total = zero if slope == 0 and total <= 0 else slope * total + zero
        if scale != 0:
            total = fused(scale, total, load_element(slope, there))
        store_element(total, there)


@njit(cached=False)
def _turn(n, m, source, target, scale):
    """Write the transpose of (n, m), or add `scale` times it where `scale` is not 0."""
    if scale == 0:
        _transpose(scale, n, m, source[0], source[1], target[0], target[1])
        return
    size = size_of(scale)
    for i in range(m):
        for j in range(n):
            value = load_element(scale, source[0] + j * source[1] + i * size)
            there = target[0] + i * target[1] + j * size
            store_element(fused(scale, value, load_element(scale, there)), there)


@inlined
def _product(shape, left, right, bias, target, after, gate, coming, pack_a, rooms):
    """Compute a product (m, n, k) block by block; `bias` is an address, 0 for none.

    ``coming = (address, bytes)`` is asked for meanwhile, evenly: all at once it would have to be
    waited for.
    """
    m, n, k = shape
    room, left_room = rooms
    a_at, a_row, a_column = left
    b_at, b_row, b_column = right
    slope, scale = after
    one, size = type(slope)(1), size_of(slope)
    nothing, room_row = np.int64(0), np.int64(WIDTH_BYTES)
    widest, highest = WIDTH_BYTES // size, BLOCK // size // DEPTH
    far = b_column == size and n > widest and min(k, DEPTH) * n * size > NEAR
    blocks = (m + highest - 1) // highest if far or pack_a else 1
    height = max(1, (m + blocks - 1) // blocks)
    terms = k * ((m + SHAPE.rows - 1) // SHAPE.rows) * ((n + widest - 1) // widest)
    soon, per_term = coming[0], (coming[1] + terms - 1) // max(terms, 1)
    for k0 in range(0, max(k, 1), DEPTH):
        depth = min(DEPTH, k - k0)
        after = (slope if k0 + depth == k else one, scale)
        for i0 in range(0, m, height):
            rows = min(height, m - i0)
            tiles = (rows + SHAPE.rows - 1) // SHAPE.rows
            left = (a_at + i0 * a_row + k0 * a_column, a_row, a_column)
            if pack_a:
                _transpose(one, depth, rows, left[0], a_column, left_room, depth * size)
                left = (left_room, depth * size, size)
            for j in range(0, n, widest):
                width = min(widest, n - j)
                there = (target[0] + i0 * target[1] + j * size, target[1])
                decides = _moved(gate, i0 * gate[1] + j * size)
                addend = (nothing, nothing)
                if scale == 0:
                    addend = there if k0 > 0 else _moved((bias, nothing), j * size)
                ahead = (soon, per_term, depth * per_term, tiles)
                soon += tiles * depth * per_term
                asks = far and rows >= AHEAD_HEIGHT
                if asks:
                    # A large matrix lies in a far cache: its next strip comes meanwhile
                    # (256x3072x1024: 95 to 104 GFLOP/s).
                    k1, j1 = (k0, j + widest) if j + widest < n else (k0 + DEPTH, 0)
                    if k1 < k:
                        ahead = (b_at + k1 * b_row + j1 * size, b_row, LINE, LINES)
                part = (nothing, rows)
                b_here = b_at + k0 * b_row + j * b_column
                right = (b_here, b_row)
                if b_column != size:
                    right = (room, room_row)
                    _pack_strip(one, depth, width, (b_here, b_row, b_column), right)
                elif far and width == widest and rows >= PACK_HEIGHT:
                    part, right, ahead = _packing(
                        part, depth, left, right, addend, there, after, decides, ahead, room
                    )
                _strip(part, width, depth, left, right, addend, there, after, decides, ahead, asks)


def _gemm(a, b, bias, slope, scale, out, gate, ahead):
    """out = leaky(a @ b + bias, slope), or out += scale * (a @ b) where scale is not 0.

    `a` (m, k) and `b` (k, n) have any strides, the rows of `out` (m, n) are contiguous.  An empty
    bias is none.  A `gate` (m, n), its rows contiguous, decides in place of the sums where the
    slope holds; an empty one is none.  Where `ahead` is not 0, m more rows, so many rows on from
    `a`, are asked for meanwhile.  What is packed lies on the stack: nothing is allocated.
    """
    m, k = a.shape
    n = out.shape[1]
    size = size_of(slope)
    one = out.dtype.type(1)
    left, right = (address_of(a), *a.strides), (address_of(b), *b.strides)
    target, after = (address_of(out), out.strides[0]), (slope, scale)
    bias_at = address_of(bias) if bias.size > 0 else np.int64(0)
    decides = (np.int64(0), np.int64(0))
    if gate.size > 0:
        decides = (address_of(gate), gate.strides[0])
    if n == 1 and right[1] == size and left[2] == size:
        _matvec(m, k, left, right[0], (bias_at, np.int64(0)), target, after, decides)
        return
    coming = (left[0] + ahead * left[1], m * left[1] if ahead != 0 else ahead)
    rooms = stack_buffer(STRIP), stack_buffer(BLOCK)
    # Too narrow to fill a vector: compute out.T, along the rows of a, and turn it around.
    narrow = 0 < n < SHAPE.vector_bytes // size and left[1] == size
    narrow = narrow and bias_at == 0 and slope == 1
    turn = narrow and not (n == 1 and target[1] == size)  # out.T may lie in memory as out does
    pack_a = left[1] == size and n >= PACK_WIDTH and k > DEPTH
    chunk = BLOCK // size // n if turn else max(m, 1)
    for i in range(0, m, chunk):
        rows, columns = min(chunk, m - i), n
        here, other, there, then = (left[0] + i * left[1], left[1], left[2]), right, target, after
        if narrow:
            rows, columns = columns, rows
            here, other = (right[0], right[2], right[1]), (here[0], here[2], here[1])
        if turn:
            there, then = (rooms[1], columns * size), (one, one - one)
        shape = (rows, columns, k)
        _product(shape, here, other, bias_at, there, then, decides, coming, pack_a, rooms)
        if turn:
            _turn(rows, columns, there, (target[0] + i * target[1], target[1]), scale)


# The table of compiled _gemm, one place for each dtype.  Code that was compiled by another process
# finds it by name; a place that is still empty calls back into Python, which fills it.
_DTYPES = (types.float32, types.float64)
_table = (ctypes.c_void_p * len(_DTYPES))()
_compiled: list[CFunc] = []


def compile_gemm(dtype):
    """Compile :func:`_gemm` for a NumPy dtype, or load it, before somebody waits for it."""
    dtype = from_dtype(dtype)
    place = _DTYPES.index(dtype)
    if not _table[place]:
        matrix, vector = types.Array(dtype, 2, "A"), types.Array(dtype, 1, "A")
        signature = types.void(matrix, matrix, vector, dtype, dtype, matrix, matrix, types.int64)
        _compiled.append(cfunc(signature, _gemm))
        _table[place] = _compiled[-1].address


def prepare(*arguments):
    """Compile :func:`_gemm` for a call of a kernel whose last argument is an array."""
    compile_gemm(arguments[-1].dtype)


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _fill(place):
    compile_gemm(as_dtype(_DTYPES[place]))


llvm.add_symbol("fastnn_gemm_table", ctypes.addressof(_table))
llvm.add_symbol("fastnn_gemm_fill", ctypes.cast(_fill, ctypes.c_void_p).value)


@intrinsic
def gemm(_, a, b, bias, slope, scale, out, gate, ahead):
    """Call :func:`_gemm` of the dtype of `out`."""
    place = ir.Constant(ir.IntType(64), _DTYPES.index(out.dtype))

    def codegen(context, builder, signature, args):
        module = builder.module
        pointer = ir.IntType(8).as_pointer()
        table = cgutils.add_global_variable(module, pointer, "fastnn_gemm_table")
        entry = builder.gep(table, [place])
        empty = builder.icmp_unsigned("==", builder.load(entry), ir.Constant(pointer, None))
        with builder.if_then(empty, likely=False):
            kind = ir.FunctionType(ir.VoidType(), [place.type])
            builder.call(cgutils.get_or_insert_function(module, kind, "fastnn_gemm_fill"), [place])
            empty = builder.icmp_unsigned("==", builder.load(entry), ir.Constant(pointer, None))
            with builder.if_then(empty, likely=False):
                problem = ("the matrix product could not be compiled",)
                context.call_conv.return_user_exc(builder, RuntimeError, problem)
        kind = ir.FunctionType(pointer, [arg.type for arg in args])
        function = builder.bitcast(builder.load(entry), kind.as_pointer())
        builder.call(function, args)
        return context.get_dummy_value()

    matrix, vector = types.Array(out.dtype, 2, "A"), types.Array(out.dtype, 1, "A")
    kinds = matrix, matrix, vector, out.dtype, out.dtype, matrix, matrix, types.int64
    return types.void(*kinds), codegen


@intrinsic
def _view(_, array):
    """Return an array as one of any layout, which is how _gemm takes them all."""
    kind = types.Array(array.dtype, array.ndim, "A")

    def codegen(context, builder, signature, args):
        return impl_ret_borrowed(context, builder, kind, args[0])

    return kind(array), codegen


@njit
def matmul_nn(a, b, out):
    """Write ``out = a @ b``.

    Parameters
    ----------
    a : array, (m, k)
    b : array, (k, n)
    out : array, (m, n)
        float32 or float64 like `a` and `b`; its rows are contiguous.

    Notes
    -----
    Each element is summed in the order of k with fused multiply-adds, however the matrices are cut
    into tiles, so the rows of a product do not depend on how many are computed together.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> a, b = np.ones((2, 3)), np.arange(6.0).reshape(3, 2)
    >>> out = np.empty((2, 2))
    >>> kernels.matmul_nn(a, b, out)
    >>> out
    array([[6., 9.],
           [6., 9.]])
    """
    one = out.dtype.type(1)
    gemm(_view(a), _view(b), _view(b[0, :0]), one, one - one, _view(out), _view(out[:0]), 0)


@njit
def matmul_tn(a, b, out):
    """Write ``out = a.T @ b`` for `a` (k, m), `b` (k, n), `out` (m, n).

    This is the gradient of a dense layer's weights: inputs transposed times output gradients.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 1))
    >>> kernels.matmul_tn(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]), out)
    >>> out
    array([[11.]])
    """
    one = out.dtype.type(1)
    gemm(_view(a.T), _view(b), _view(b[0, :0]), one, one - one, _view(out), _view(out[:0]), 0)


@njit
def matmul_nt(a, b, out):
    """Write ``out = a @ b.T`` for `a` (m, k), `b` (n, k), `out` (m, n).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 1))
    >>> kernels.matmul_nt(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), out)
    >>> out
    array([[11.]])
    """
    one = out.dtype.type(1)
    gemm(_view(a), _view(b.T), _view(b[0, :0]), one, one - one, _view(out), _view(out[:0]), 0)


@njit
def matmul_tn_add(a, b, scale, out):
    """Add ``scale * (a.T @ b)`` to `out`: a gradient step that never stores the gradient.

    Parameters
    ----------
    a : array, (k, m)
    b : array, (k, n)
    scale : float
        Minus the learning rate, for plain gradient descent.
    out : array, (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> weights = np.ones((1, 1))
    >>> kernels.matmul_tn_add(np.ones((2, 1)), np.ones((2, 1)), -0.5, weights)
    >>> weights
    array([[0.]])
    """
    one = out.dtype.type(1)
    factor = out.dtype.type(scale)
    if factor != 0:
        gemm(_view(a.T), _view(b), _view(b[0, :0]), one, factor, _view(out), _view(out[:0]), 0)


@njit
def dense_forward(x, w, b, slope, ahead, out):
    """Write ``out = f(x @ w + b)`` with ``f(t) = t if t > 0 else slope * t``.

    Slope 1 is the linear layer, 0 the ReLU layer, anything between a leaky ReLU.

    Parameters
    ----------
    x : array, (m, k)
    w : array, (k, n)
    b : array, (n,) or (0,)
        Empty: no bias.
    slope : float
    ahead : int
        So many rows from `x` on lie the m rows that will be next; they are fetched from memory
        meanwhile, which need not be theirs: it changes nothing but the time.  0: none.
    out : array, (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 2))
    >>> kernels.dense_forward(np.ones((1, 1)), np.array([[2.0, -2.0]]), np.ones(2), 0.0, 0, out)
    >>> out
    array([[3., 0.]])
    """
    slope, nothing = out.dtype.type(slope), out.dtype.type(0)
    gemm(_view(x), _view(w), _view(b), slope, nothing, _view(out), _view(out[:0]), ahead)


@njit
def dense_backward(dz, w, x, slope, out):
    """Write ``out = (dz @ w.T) * f'(x)`` with ``f'(x) = 1 if x > 0 else slope``.

    This is the gradient with respect to a layer's inputs `x`, taken back through the (leaky) ReLU
    that they came out of; with slope 1 through nothing.

    Parameters
    ----------
    dz : array, (m, n)
    w : array, (k, n)
    x : array, (m, k)
    slope : float
    out : array, (m, k)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> dz, w, x = np.array([[3.0]]), np.array([[1.0], [2.0]]), np.array([[0.5, 0.0]])
    >>> out = np.empty((1, 2))
    >>> kernels.dense_backward(dz, w, x, 0.0, out)
    >>> out
    array([[3., 0.]])
    """
    one = out.dtype.type(1)
    slope = out.dtype.type(slope)
    gemm(_view(dz), _view(w.T), _view(w[0, :0]), slope, one - one, _view(out), _view(x), 0)


@njit
def transpose(a, out):
    """Write ``out = a.T`` for contiguous `a` (m, n) and `out` (n, m), block by block in registers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((2, 1))
    >>> kernels.transpose(np.array([[1.0, 2.0]]), out)
    >>> out
    array([[1.],
           [2.]])
    """
    _transpose(
        out.dtype.type(1),
        a.shape[0],
        a.shape[1],
        address_of(a),
        a.strides[0],
        address_of(out),
        out.strides[0],
    )
