"""The macro-kernel: five loops around the micro-kernel, and the packing between them.

As in BLIS (compare its sandbox/gemmlike/bls_gemm_bp_var1.c), each loop is ruled by a block size.
The block size fits the operand that the inner loops reuse into one level of memory:

====  =======  ====  =============================================================================
loop  step     over  what the loops inside it reuse
====  =======  ====  =============================================================================
5th   NC       n     Omitted, NC = n: a layer is at most a few thousand columns wide.
4th   KC       k     Nothing; it bounds the blocks below.  C is read and written once per step.
3rd   MC       m     A block of A, mc x kc, in the second-level cache.  ``_pack_a`` copies it if A
                     is stored by columns and large.
2nd   NR       n     A panel of B, kc x nr, in the first-level cache.  ``_pack_b`` copies it if its
                     rows are not contiguous; a far one is packed by the first tile that reads it.
                     With few rows of A, nothing is packed: see ``turning`` and ``sweeping``.
1st   MR       m     A tile of C, mr x nr, in registers: :func:`microkernel.multiply_column`.
--    1        k     The micro-kernel: one column of A times one row of B.
====  =======  ====  =============================================================================

For most layers the 4th and 3rd loop run once.  :func:`_macro_kernel` holds the 4th to the 2nd;
:func:`gemm` calls it, or computes a product with few columns in another way.

Order of additions: the micro-kernel sums each KC terms in the order of k, from 0; the addend joins
the first of these sums, and each later one is added to C.  So the order depends on k alone, and
results have the same bits however the rows and columns of C are shared among threads.

Operands are Matrix structures, so a transposition is a swap of strides.  Packed panels are on the
stack: nothing is allocated.
"""

from typing import Any, NamedTuple

import numpy as np

from fastnn.kernels.gemm.dot import DOTS, dots
from fastnn.kernels.gemm.microkernel import (
    BACKWARDS_MOST_K,
    multiply_and_pack,
    multiply_column,
)
from fastnn.kernels.gemm.structures import (
    GATED,
    LEAKY,
    NONE,
    RELU,
    Dims,
    Epilogue,
    Matrix,
    Prefetch,
    moved,
    moved_epilogue,
    overwrite,
    transposed,
)
from fastnn.kernels.gemm.sweeping import multiply_sweeping
from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.transpose import store_transposed, write_transposed
from fastnn.kernels.gemm.turning import TURNED_BYTES, multiply_turning
from fastnn.kernels.jit import inlined, njit
from fastnn.kernels.memory import (
    LINE,
    elements_at,
    fma,
    load_element,
    size_of,
    stack_buffer,
    store_element,
)

MR = TILE.mr
NR_BYTES = TILE.widths[0] * TILE.vector_bytes
"""NR in bytes: a row of the widest tile, and of a panel of B."""
NR_LINES = -(-NR_BYTES // LINE)
KC = 256
"""With AVX-512 a panel of B takes 64 KB, more than the first-level cache.  Half of KC would fit,
but reads and writes C twice as often, which costs more (128x784x512: 111 GFLOP/s, not 112)."""
B_PANEL_BYTES = KC * NR_BYTES
A_BLOCK_BYTES = 2**18
"""The size of a block of A; MC follows from it."""

PACK_FAR_B = NR_BYTES < 4 * LINE
"""Whether panels of a large B are packed even if their rows are contiguous.  In a wide B, rows of
one cache line are too scattered to arrive in time (784-512-256-10 on AVX2: 343 ms an epoch, 306
packed).  Rows of four lines are faster left in place (200x200x256: 114 GFLOP/s, 112 packed)."""
B_CACHE_BYTES = 2**15 if PACK_FAR_B else 2**18
"""A kc x n block of B up to this size stays in cache (first or second level) without help."""
PACK_B_LEAST_M = 96
"""Fewest rows of C for which packing a far B pays."""
SWAP_LEAST_TERMS = 4
"""How many times as many terms as columns a narrow C must have for the way over C.T to pay."""
PACK_A_LEAST_N = 256
"""Fewest columns of C for which packing A pays."""
PREFETCH_B_LEAST_M = 32
"""Fewest rows of C for which prefetching B pays."""


class _Plan(NamedTuple):
    """What is decided before the loops."""

    packs_a: Any
    packed_a: Any
    """Address of the buffer for a packed block of A."""
    packed_b: Any
    """Address of the buffer for a packed panel of B."""
    stream: Any
    """Address of what the product prefetches for its caller."""
    stream_bytes: Any


@inlined
def _ceil(x, y):
    return (x + y - 1) // y


@inlined
def _pack_a(m, kc, a, one, buffer):
    """Copy a block of A from column-major to row-major order; return the copy."""
    packed = Matrix(buffer, kc * size_of(one), size_of(one))
    write_transposed(one, kc, m, transposed(a), packed)
    return packed


@inlined
def _pack_b(kc, n, b, one, buffer):
    """Copy a panel of B to contiguous, aligned rows; return the copy."""
    packed = Matrix(buffer, np.int64(NR_BYTES), size_of(one))
    if b.rs == packed.cs:
        write_transposed(one, n, kc, transposed(b), packed)
    else:
        for p in range(kc):
            for j in range(n):
                value = load_element(one, moved(b, p, j).address)
                store_element(value, moved(packed, p, j).address)
    return packed


@inlined
def _without_first_tile(prefetch):
    """Return what is left to prefetch for the tiles after the first."""
    address, per_term, per_tile, tiles, c = prefetch
    return Prefetch(address + per_tile, per_term, per_tile, tiles - 1, c)


@inlined
def part_of(c, epilogue, ic, jr, pc, last):
    """Return the part of C from row `ic` and column `jr` on, and the epilogue of its sums.

    `pc` terms have been added before them, and the `last` ones are followed by the activation.
    """
    part = moved(c, ic, jr)
    ending = Epilogue(
        not epilogue.accumulate and (pc > 0 or epilogue.has_addend),
        part if pc > 0 else moved(epilogue.addend, ic, jr),
        epilogue.activation if last else NONE,
        epilogue.slope,
        moved(epilogue.gate, ic, jr),
        epilogue.accumulate,
        epilogue.scale,
    )
    return part, ending


# Inlined, and called in one place: Numba would generate the micro-kernels again for each level of
# functions above them (5.1 s to compile instead of 3.3).
@inlined
def _macro_kernel(dims, a, b, c, epilogue, plan):
    """Compute C block by block.

    The plan's stream is prefetched evenly over all micro-kernels: a burst would stall the first.
    """
    m, n, k = dims
    one = type(epilogue.slope)(1)
    size = size_of(one)
    nr, most = NR_BYTES // size, A_BLOCK_BYTES // size // KC
    far_b = b.cs == size and n > nr and min(k, KC) * n * size > B_CACHE_BYTES
    blocks = _ceil(m, most) if far_b or plan.packs_a else 1
    mc = max(1, _ceil(m, blocks))
    may_turn = m <= MR and b.rs == size and b.cs != size and a.cs == size
    may_turn = may_turn and not epilogue.accumulate  # repeated rows would be added twice
    wide = NR_BYTES < n * size <= B_PANEL_BYTES - TILE.vector_bytes
    sweeps = m == 1 and b.cs == size and wide and not epilogue.accumulate
    backwards = epilogue.accumulate and k <= BACKWARDS_MOST_K
    stream, terms = plan.stream, k * _ceil(m, MR) * _ceil(n, nr)
    per_term = _ceil(plan.stream_bytes, max(terms, 1))
    for pc in range(0, max(k, 1), KC):  # 4th loop; once if k is 0
        kc = min(KC, k - pc)
        turns = may_turn and kc * size >= TILE.vector_bytes
        step = nr
        if turns:
            step = TURNED_BYTES // size
        elif sweeps:
            step = n
        for ic in range(0, m, mc):  # 3rd loop
            rows = min(mc, m - ic)
            tiles = _ceil(rows, MR)
            a_block = moved(a, ic, pc)
            if plan.packs_a:
                a_block = _pack_a(rows, kc, a_block, one, plan.packed_a)
            prefetches_b = far_b and rows >= PREFETCH_B_LEAST_M
            for place in range(0, n, step):  # 2nd loop
                jr, following = place, place + step
                if backwards:
                    jr = (n - 1) // step * step - place
                    following = jr - step
                part = Dims(rows, min(step, n - jr), kc)
                b_panel = moved(b, pc, jr)
                c_panel, ending = part_of(c, epilogue, ic, jr, pc, pc + kc == k)
                prefetch = Prefetch(stream, per_term, kc * per_term, tiles, prefetches_b)
                stream += tiles * kc * per_term
                if prefetches_b:
                    # Each tile prefetches one column of cache lines of the next panel of B
                    # (256x3072x1024: 104 GFLOP/s, 95 without).
                    p, j = (pc, following) if 0 <= following < n else (pc + KC, 0)
                    if p < k:
                        there = moved(b, p, j).address
                        prefetch = Prefetch(there, b.rs, np.int64(LINE), np.int64(NR_LINES), True)
                if sweeps:
                    multiply_sweeping(part, a_block, b_panel, c_panel, ending, plan.packed_b)
                    continue
                if turns:
                    multiply_turning(part, a_block, b_panel, c_panel, ending, plan.packed_b)
                    continue
                if b.cs != size:
                    b_panel = _pack_b(kc, part.n, b_panel, one, plan.packed_b)
                first = np.int64(0)
                if PACK_FAR_B:  # a constant: Numba prunes the branch if it is False
                    if far_b and part.n == nr and rows >= PACK_B_LEAST_M:
                        # The first tile packs as it computes; a separate pass cost 3 to 7 %.
                        multiply_and_pack(
                            part, a_block, b_panel, c_panel, ending, prefetch, plan.packed_b
                        )
                        b_panel = Matrix(plan.packed_b, np.int64(NR_BYTES), size)
                        prefetch = _without_first_tile(prefetch)
                        first = np.int64(MR)
                part = Dims(rows - first, part.n, kc)
                a_part, c_part = moved(a_block, first, 0), moved(c_panel, first, 0)
                ending = moved_epilogue(ending, first, 0)
                j = np.int64(0)
                while j < part.n:  # once, or at the right edge by narrower tiles
                    j += multiply_column(
                        Dims(part.m, part.n - j, kc),
                        a_part,
                        moved(b_panel, 0, j),
                        moved(c_part, 0, j),
                        moved_epilogue(ending, 0, j),
                        prefetch,
                    )


@inlined
def _finished(total, old, i, epilogue):
    """Return the epilogue of a sum in row `i`; `old` is the address of its element of C."""
    slope = epilogue.slope
    zero = slope - slope
    if epilogue.has_addend:
        total += load_element(slope, epilogue.addend.address)
    if epilogue.activation == GATED:
        if not load_element(slope, moved(epilogue.gate, i, 0).address) > 0:
            total = slope * total
    elif epilogue.activation == RELU:
        total = zero if total <= 0 else total
    elif epilogue.activation == LEAKY and not total > 0:
        total = slope * total + zero
    return fma(epilogue.scale, total, load_element(slope, old)) if epilogue.accumulate else total


@njit(cached=False)
def _matvec(m, k, a, b, c, epilogue):
    """Compute C of one column from rows of A and a column of B that are contiguous.

    The rows are independent, so the processor overlaps their chains of additions.
    """
    # LLVM hoists a single condition out of the loop (50x64x1: 0.21 us, not 0.29).
    plain = epilogue.activation == NONE and not (epilogue.has_addend or epilogue.accumulate)
    slope = epilogue.slope
    size, totals = size_of(slope), stack_buffer(LINE)  # DOTS numbers
    for i in range(m):
        place = i % DOTS
        if place == 0:
            dots(slope, k, a.address + i * a.rs, a.rs, m - 1 - i, b.address, totals)
        total, there = load_element(slope, totals + place * size), moved(c, i, 0)
        if not plain:
            total = _finished(total, there.address, i, epilogue)
        store_element(total, there.address)


@njit(cached=False)
def _add_outer(m, n, a, b, c, epilogue):
    """Add one column of A times one row of B to C, whose rows and that of B are contiguous.

    Wide rows are faster from end to end than tile by tile (325x107: 2.5 us, 3.5 in tiles; 500x512:
    14 and 18), narrow ones are not.  Like all updates of few terms, it runs from the end of C.
    """
    one, scale = epilogue.slope, epilogue.scale
    zero, terms = one - one, elements_at(one, b.address)
    for row in range(m):
        i = m - 1 - row
        factor = load_element(one, a.address + i * a.rs)
        sums = elements_at(one, c.address + i * c.rs)
        for j in range(n):
            sums[j] = fma(scale, fma(factor, terms[j], zero), sums[j])


def gemm(dims, a, b, c, epilogue, prefetch_distance):
    """C = f(A B), or C += scale * f(A B), with the epilogue's f.

    Rows of C and the gate are contiguous; A and B have any strides.  If `prefetch_distance` is not
    0, the m rows that start that many rows below A's first are prefetched along the way.
    """
    m, n, k = dims
    slope = epilogue.slope
    one, size = type(slope)(1), size_of(slope)
    if n == 1 and a.cs == size and b.rs == size:
        _matvec(m, k, a, b, c, epilogue)
        return
    if k == 1 and n * size > NR_BYTES and epilogue.accumulate and b.cs == size:
        _add_outer(m, n, a, b, c, epilogue)
        return
    # C is narrower than a vector and A is stored by columns: compute C.T, along those columns, if
    # it lies in memory as C does or has many terms.
    narrow = 0 < n < TILE.vector_bytes // size and a.rs == size
    flat = n == 1 and c.rs == size
    swaps = narrow and not epilogue.has_addend and epilogue.activation == NONE
    swaps = swaps and (flat or k > SWAP_LEAST_TERMS * n)
    detours = swaps and not flat
    plan = _Plan(
        a.rs == size and n >= PACK_A_LEAST_N and k > KC,
        stack_buffer(A_BLOCK_BYTES),
        stack_buffer(B_PANEL_BYTES),
        moved(a, prefetch_distance, 0).address,
        m * a.rs if prefetch_distance != 0 else np.int64(0),
    )
    chunk = A_BLOCK_BYTES // size // n if detours else max(m, 1)
    for i in range(0, m, chunk):
        part = Dims(min(chunk, m - i), n, k)
        left, right, out, ending = moved(a, i, 0), b, moved(c, i, 0), epilogue
        if swaps:
            part = Dims(n, part.m, k)
            left, right, out = transposed(b), transposed(left), transposed(out)
        if detours:
            out = Matrix(plan.packed_a, part.n * size, size)
            ending = overwrite(one)
        _macro_kernel(part, left, right, out, ending, plan)
        if detours:
            store_transposed(epilogue.accumulate, epilogue.scale, n, part.n, out, moved(c, i, 0))
