"""Products whose operands are rounded to bfloat16, and whose sums are float32.

Both operands are packed as they are rounded, and the blocks and tiles of
:mod:`fastnn.kernels.gemm.loops` multiply what is packed.

Rounding
    To the nearest, and to even if two are as near.  NaN stays NaN.  Numbers below the normal ones
    of float32 become zeros of their sign.
Order of additions
    As in ``loops``, except that terms come in pairs, of which the second is added first.
Bits
    A processor with AVX512-BF16 multiplies pairs of bfloat16 numbers, in this order; a packed pair
    is then as large as one float32.  Elsewhere the rounded numbers are float32, of each pair the
    second first, and the usual micro-kernel gives the same bits.  (AVX512-BF16 takes all sums below
    the normal numbers as 0; the engine has others do so too, direct calls do not.)
"""

import numpy as np
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.loops import (
    A_BLOCK_BYTES,
    B_CACHE_BYTES,
    B_PANEL_BYTES,
    KC,
    MR,
    NR_BYTES,
    NR_LINES,
    part_of,
)
from fastnn.kernels.gemm.microkernel import multiply_pairs
from fastnn.kernels.gemm.structures import Dims, Matrix, Prefetch, moved, moved_epilogue, transposed
from fastnn.kernels.gemm.table import add_product, gemm
from fastnn.kernels.gemm.tiles import BFLOAT16_PAIRS, TILE
from fastnn.kernels.gemm.transpose import write_transposed
from fastnn.kernels.gemm.vectors import Pairs
from fastnn.kernels.jit import inlined, njit
from fastnn.kernels.memory import LINE, load_element, stack_buffer, store_element

_SIZE = 4
_LANES = TILE.vector_bytes // _SIZE
_PAIR = 1 if BFLOAT16_PAIRS else 2
"""How many packed elements a pair is."""
_ROOM = 2 * TILE.vector_bytes


@inlined
def _ceil(x, y):
    return (x + y - 1) // y


@intrinsic(prefer_literal=True)
def _pack(_, partial, neighbors, first, second, n_first, n_second, target, step):
    """Round two vectors of float32 numbers, and write those of their pairs `step` bytes apart.

    With `neighbors` (a literal) 1, the second vector continues the first, and pairs are neighbors;
    with 0 they are numbers at the same places.  With `partial` (a literal) 1 only so many numbers
    of each exist; the others are 0.
    """
    whole, side_by_side = partial.literal_value == 0, neighbors.literal_value == 1

    def codegen(context, builder, signature, args):
        *sources, n_first, n_second, target, step = args[2:]
        vectors, counts = Pairs(builder), [None, None] if whole else [n_first, n_second]
        loaded = [vectors.load(*each) for each in zip(sources, (0, 0), counts, strict=True)]
        packed = (vectors.of_neighbors if side_by_side else vectors.of_rows)(*loaded)
        for vector in packed:
            vectors.store(vector, target)
            target = builder.add(target, step)
        return context.get_dummy_value()

    return types.void(partial, neighbors, *[types.int64] * 6), codegen


@njit(cached=False)
def _pack_rows(terms, length, source, target):
    """Pack a matrix (terms, length) whose rows are contiguous, by pairs of rows.

    Rows of the target have room for whole vectors.
    """
    for p in range(0, terms, 2):
        both = p + 1 < terms
        for j in range(0, length, _LANES):
            first, there = moved(source, p, j).address, moved(target, p // 2 * _PAIR, j).address
            second, count = first + source.rs, min(length - j, _LANES)
            if both and count == _LANES:
                _pack(0, 0, first, second, 0, 0, there, target.rs)
            else:
                _pack(1, 0, first, second, count, count * both, there, target.rs)


@njit(cached=False)
def _pack_terms(one, length, terms, source, target):
    """Pack a matrix (length, terms) with any strides, by pairs of columns.

    Rows of the target have room for whole vectors.
    """
    room, step = stack_buffer(_ROOM), _LANES * _SIZE
    for i in range(length):
        for p in range(0, terms, 2 * _LANES):
            left = min(terms - p, 2 * _LANES)
            first, there = moved(source, i, p).address, moved(target, i, p // 2 * _PAIR).address
            if source.cs != _SIZE:
                for place in range(left):
                    value = load_element(one, moved(source, i, p + place).address)
                    store_element(value, room + place * _SIZE)
                first = room
            second = first + step
            if left == 2 * _LANES:
                _pack(0, 1, first, second, 0, 0, there, step)
            else:
                of_second = max(left - _LANES, 0)
                _pack(1, 1, first, second, min(left, _LANES), of_second, there, step)


@inlined
def _bytes(terms):
    """Return the bytes of a packed row of terms, in whole vectors."""
    return _ceil(terms, 2 * _LANES) * _PAIR * TILE.vector_bytes


@inlined
def _pack_a(rows, terms, a, one, buffer):
    """Return a block of A, packed."""
    if a.rs == _SIZE and a.cs != _SIZE:
        packed = Matrix(buffer, _SIZE, _ceil(rows, _LANES) * TILE.vector_bytes)
        _pack_rows(terms, rows, transposed(a), transposed(packed))
    else:
        packed = Matrix(buffer, _bytes(terms), _SIZE)
        _pack_terms(one, rows, terms, a, packed)
    return packed


@inlined
def _pack_b(terms, n, b, one, buffer, aside):
    """Return a panel of B, packed; `aside` is the address of another such buffer."""
    packed = Matrix(buffer, NR_BYTES, _SIZE)
    if b.cs == _SIZE:
        _pack_rows(terms, n, b, packed)
    else:
        turned = Matrix(aside, _bytes(terms), _SIZE)
        _pack_terms(one, n, terms, transposed(b), turned)
        write_transposed(one, n, _ceil(terms, 2) * _PAIR, turned, packed)
    return packed


@inlined
def _multiply(dims, a, b, c, epilogue, prefetch):
    """Compute C of packed operands whose pairs are multiplied by an instruction."""
    j = 0
    while j < dims.n:  # once, or at the right edge by narrower tiles
        part, end = Dims(dims.m, dims.n - j, dims.k), moved_epilogue(epilogue, 0, j)
        j += multiply_pairs(part, a, moved(b, 0, j), moved(c, 0, j), end, prefetch)


def gemm_bfloat16(dims, a, b, c, epilogue, prefetch_distance):
    """Do what :func:`loops.gemm` does, with A and B rounded."""
    m, n, k = dims
    one, nr = type(epilogue.slope)(1), NR_BYTES // _SIZE
    a_buffer = stack_buffer(A_BLOCK_BYTES)
    b_buffer, aside = stack_buffer(B_PANEL_BYTES), stack_buffer(B_PANEL_BYTES)
    stream = moved(a, prefetch_distance, 0).address
    terms = max(1, _ceil(k, 2) * _PAIR * _ceil(m, MR) * _ceil(n, nr))
    per_term = _ceil(m * a.rs, terms) if prefetch_distance != 0 else 0
    most = A_BLOCK_BYTES // _bytes(min(max(k, 1), KC)) // _LANES * _LANES
    mc = max(1, _ceil(m, max(1, _ceil(m, most))))
    far_b = b.cs == _SIZE and n > nr and min(k, KC) * n * _SIZE > B_CACHE_BYTES
    for pc in range(0, max(k, 1), KC):  # 4th loop; once if k is 0
        kc = min(KC, k - pc)
        packed = _ceil(kc, 2) * _PAIR
        for ic in range(0, m, mc):  # 3rd loop
            rows = min(mc, m - ic)
            tiles = _ceil(rows, MR)
            a_block = _pack_a(rows, kc, moved(a, ic, pc), one, a_buffer)
            for jr in range(0, n, nr):  # 2nd loop
                columns = min(nr, n - jr)
                b_panel = _pack_b(kc, columns, moved(b, pc, jr), one, b_buffer, aside)
                c_panel, ending = part_of(c, epilogue, ic, jr, pc, pc + kc == k)
                if not BFLOAT16_PAIRS:  # a constant: Numba prunes one of the ways
                    part = Dims(rows, columns, packed)
                    gemm(one, part, a_block, b_panel, c_panel, ending, 0)
                    continue
                # Tiles of the upper half of the rows prefetch the even rows of the next panel of B,
                # those of the lower half the odd ones (256x3072x1024: 79 GFLOP/s, 75 without).
                p, j = (pc, jr + nr) if jr + nr < n else (pc + KC, 0)
                ahead = moved(b, p, j).address
                half = _ceil(tiles, 2) * MR if far_b and p < k else rows
                for i in range(0, rows, half):
                    prefetch = Prefetch(stream, per_term, packed * per_term, tiles, False)
                    if half < rows:
                        there = ahead + b.rs * (i > 0)
                        prefetch = Prefetch(
                            there, 2 * b.rs, np.int64(LINE), np.int64(NR_LINES), True
                        )
                    part = Dims(min(half, rows - i), columns, packed)
                    a_part, c_part = moved(a_block, i, 0), moved(c_panel, i, 0)
                    _multiply(part, a_part, b_panel, c_part, moved_epilogue(ending, i, 0), prefetch)
                stream += tiles * packed * per_term


BFLOAT16 = np.uint32(0)
"""Stands for an operand of :func:`table.gemm` that is rounded to bfloat16."""
add_product("bfloat16", types.uint32, types.float32, gemm_bfloat16)
