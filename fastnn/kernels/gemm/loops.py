"""The macro-kernel: five loops around the micro-kernel, and the packing between them.

As in BLIS (compare its sandbox/gemmlike/bls_gemm_bp_var1.c) each loop is ruled by a block size,
which keeps what the loops inside it read again in one level of memory:

======  =========  =====  ==========================================================================
loop    steps by   over   what stays, and where
======  =========  =====  ==========================================================================
5th     NC         n      Not there: a layer is at most a few thousand columns wide, so NC = n.
4th     KC         k      The sums of kc terms.  C is read and written once for each.
3rd     MC         m      A block of A, mc x kc, in the second cache: packed here (``pack_a``) if
                          it must be read across its rows.
2nd     NR         n      A panel of B, kc x nr, in the first cache: packed here (``pack_b``) if its
                          rows are not contiguous or lie too far apart.
1st     MR         m      A tile of C, mr x nr, in registers (:func:`microkernel.multiply_column`).
--      1          k      The micro-kernel: one row of B and one column of A a step.
======  =========  =====  ==========================================================================

The 4th and 3rd loop run once for most layers.  The first four are :func:`_macro_kernel`;
:func:`gemm` stands before it and sends products with few columns elsewhere.

All operands are Matrix structures: addresses and strides in bytes.  A transposition is a matter of
strides.  Packed panels lie on the stack, so nothing is allocated.
"""

from typing import Any, NamedTuple

import numpy as np

from fastnn.kernels.gemm.dot import dot
from fastnn.kernels.gemm.microkernel import multiply_and_pack, multiply_column
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
from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.transpose import add_transposed, write_transposed
from fastnn.kernels.jit import inlined, njit
from fastnn.kernels.memory import (
    LINE,
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
"""A panel of B so deep (64 KB by AVX-512) is more than the first cache holds.  One of half the
depth fits, but then C is read and written twice as often, which costs more (128x784x512: 111 and
112 GFLOP/s)."""
B_PANEL_BYTES = KC * NR_BYTES
A_BLOCK_BYTES = 2**18
"""MC is what makes a block of A as large as this."""

PACK_FAR_B = NR_BYTES < 4 * LINE
"""Whether panels of a large B are packed though their rows are contiguous.  Rows of one cache line
lie too scattered in a wide B to come in time (784-512-256-10 by AVX2: 343 ms an epoch, packed 306).
Rows of four lines do not, and are faster where they are (200x200x256: 112 and 114 GFLOP/s)."""
B_CACHE_BYTES = 2**15 if PACK_FAR_B else 2**18
"""How much of B stays near enough wherever its panels lie: in the first or in the second cache."""
PACK_B_LEAST_M = 96
"""Rows of C from which on such packing pays."""
PACK_A_LEAST_N = 256
"""Columns of C from which on packing A pays."""
PREFETCH_B_LEAST_M = 32
"""Rows of C from which on prefetching B pays."""


class _Plan(NamedTuple):
    """What was decided before the loops."""

    packs_a: Any
    a_block: Any
    """Addresses of the room for a packed block of A and a packed panel of B."""
    b_panel: Any
    stream: Any
    """What to prefetch meanwhile: address and bytes."""
    stream_bytes: Any


@inlined
def _ceil(x, y):
    return (x + y - 1) // y


@inlined
def _pack_a(m, kc, a, one, room):
    """Copy a block of A, whose columns are contiguous, so that its rows are; return the copy."""
    packed = Matrix(room, kc * size_of(one), size_of(one))
    write_transposed(one, kc, m, transposed(a), packed)
    return packed


@inlined
def _pack_b(kc, n, b, one, room):
    """Copy a panel of B so that its rows are contiguous and aligned; return the copy."""
    packed = Matrix(room, np.int64(NR_BYTES), size_of(one))
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


# What leads to the micro-kernels is inlined, and called at one place: else Numba generates the
# same machine code again for each level of functions (5.1 s to compile, and 3.3).
@inlined
def _macro_kernel(dims, a, b, c, epilogue, plan):
    """Compute C block by block.

    What the plan wants prefetched is spread evenly over all micro-kernels: all at once it would
    have to be waited for.
    """
    m, n, k = dims
    one = type(epilogue.slope)(1)
    size = size_of(one)
    nr, most = NR_BYTES // size, A_BLOCK_BYTES // size // KC
    far_b = b.cs == size and n > nr and min(k, KC) * n * size > B_CACHE_BYTES
    blocks = _ceil(m, most) if far_b or plan.packs_a else 1
    mc = max(1, _ceil(m, blocks))
    stream, terms = plan.stream, k * _ceil(m, MR) * _ceil(n, nr)
    per_term = _ceil(plan.stream_bytes, max(terms, 1))
    for pc in range(0, max(k, 1), KC):  # 4th loop; without terms it writes the epilogue of 0
        kc = min(KC, k - pc)
        for ic in range(0, m, mc):  # 3rd loop
            rows = min(mc, m - ic)
            tiles = _ceil(rows, MR)
            a_block = moved(a, ic, pc)
            if plan.packs_a:
                a_block = _pack_a(rows, kc, a_block, one, plan.a_block)
            prefetches_b = far_b and rows >= PREFETCH_B_LEAST_M
            for jr in range(0, n, nr):  # 2nd loop
                part = Dims(rows, min(nr, n - jr), kc)
                b_panel, c_panel = moved(b, pc, jr), moved(c, ic, jr)
                ending = Epilogue(
                    not epilogue.accumulate and (pc > 0 or epilogue.has_addend),
                    c_panel if pc > 0 else moved(epilogue.addend, ic, jr),
                    epilogue.activation if pc + kc == k else NONE,
                    epilogue.slope,
                    moved(epilogue.gate, ic, jr),
                    epilogue.accumulate,
                    epilogue.scale,
                )
                prefetch = Prefetch(stream, per_term, kc * per_term, tiles, prefetches_b)
                stream += tiles * kc * per_term
                if prefetches_b:
                    # A large B lies in a far cache: its next panel comes meanwhile, a column of
                    # cache lines a tile (256x3072x1024: 95 to 104 GFLOP/s).
                    p, j = (pc, jr + nr) if jr + nr < n else (pc + KC, 0)
                    if p < k:
                        there = moved(b, p, j).address
                        prefetch = Prefetch(there, b.rs, np.int64(LINE), np.int64(NR_LINES), True)
                if b.cs != size:
                    b_panel = _pack_b(kc, part.n, b_panel, one, plan.b_panel)
                first = np.int64(0)
                if PACK_FAR_B:  # decided by the instruction set: else Numba drops the branch
                    if far_b and part.n == nr and rows >= PACK_B_LEAST_M:
                        # The first tile packs on its way: to do it before cost 3 to 7 %.
                        multiply_and_pack(
                            part, a_block, b_panel, c_panel, ending, prefetch, plan.b_panel
                        )
                        b_panel = Matrix(plan.b_panel, np.int64(NR_BYTES), size)
                        prefetch = _without_first_tile(prefetch)
                        first = np.int64(MR)
                part = Dims(rows - first, part.n, kc)
                a_part, c_part = moved(a_block, first, 0), moved(c_panel, first, 0)
                ending = moved_epilogue(ending, first, 0)
                j = np.int64(0)
                while j < part.n:  # once; at the right edge once for each width of a tile
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
    """Return what becomes of a sum in row `i` whose element of C is now at `old`."""
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
    # One condition that LLVM takes out of the loop (50x64x1: 0.29 and 0.21 us).
    plain = epilogue.activation == NONE and not (epilogue.has_addend or epilogue.accumulate)
    for i in range(m):
        total, there = dot(epilogue.slope, k, a.address + i * a.rs, b.address), moved(c, i, 0)
        if not plain:
            total = _finished(total, there.address, i, epilogue)
        store_element(total, there.address)


def gemm(dims, a, b, c, epilogue, prefetch_distance):
    """C = f(A B), or C += scale * f(A B), with the epilogue's f.

    Rows of C and the gate are contiguous; A and B have any strides.  If `prefetch_distance` is not
    0, the m rows that begin so many rows below A's first are prefetched meanwhile.
    """
    m, n, k = dims
    slope = epilogue.slope
    one, size = type(slope)(1), size_of(slope)
    if n == 1 and a.cs == size and b.rs == size:
        _matvec(m, k, a, b, c, epilogue)
        return
    # C too narrow to fill a vector: compute its transpose, along the rows of A.
    swaps = 0 < n < TILE.vector_bytes // size and a.rs == size
    swaps = swaps and not epilogue.has_addend and epilogue.activation == NONE
    detours = swaps and not (n == 1 and c.rs == size)  # else the transpose lies as C does
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
            out = Matrix(plan.a_block, part.n * size, size)
            ending = overwrite(one)
        _macro_kernel(part, left, right, out, ending, plan)
        if detours:
            if epilogue.accumulate:
                add_transposed(epilogue.scale, n, part.n, out, moved(c, i, 0))
            else:
                write_transposed(one, n, part.n, out, moved(c, i, 0))
