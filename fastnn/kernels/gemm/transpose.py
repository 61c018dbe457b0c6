"""Transposed copies, block by block in registers; packing is made of them."""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.structures import moved, unpack
from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.gemm.vectors import Vectors
from fastnn.kernels.jit import njit
from fastnn.kernels.memory import constant, fma, load_element, size_of, store_element


def _swap(vectors, block, end):
    """Swap the off-diagonal quarters of ever larger blocks, of up to `end` vectors, in place.

    For a whole transposition these are log2(lanes) rounds of shuffles.
    """
    lanes, width = len(block), 1
    while width < end:
        low = [lanes + i - width if i & width else i for i in range(lanes)]
        high = [lanes + i if i & width else i + width for i in range(lanes)]
        for i in range(lanes):
            if not i & width:
                pair = block[i], block[i + width]
                block[i] = vectors.shuffle(*pair, low)
                block[i + width] = vectors.shuffle(*pair, high)
        width *= 2


def transposed_block(vectors, rows):
    """Return the transpose of as many vectors as each has lanes, which lie at the addresses `rows`.

    The last round, of halves, is done by loading: an insertion from memory is no shuffle, of which
    an Intel core starts only one in a cycle.
    """
    half = vectors.lanes // 2
    block = [
        vectors.join(vectors.load_half(rows[i], part), vectors.load_half(rows[half + i], part))
        for part in range(2)
        for i in range(half)
    ]
    _swap(vectors, block, half)
    return block


@intrinsic(prefer_literal=True)
def _transpose_block(_, like, partial, rows, columns, source, target):
    """Write the transpose of a block of at most lanes x lanes elements.

    With `partial` 0 (a literal) the block is whole, and `rows` and `columns` are ignored.
    """
    whole = partial.literal_value == 0

    def codegen(context, builder, signature, args):
        _, _, rows, columns, *matrices = args
        source, target = map(unpack, [builder] * 2, signature.args[4:], matrices)
        vectors = Vectors(builder, like)
        lanes = vectors.lanes

        def row(matrix, number):
            return builder.add(matrix.address, builder.mul(matrix.rs, constant(number)))

        def existing(number, count, length):
            # A row that does not exist has no lanes: a masked access to it touches nothing.
            if whole:
                return None
            inside = builder.icmp_signed("<", constant(number), count)
            return builder.select(inside, length, constant(0))

        block = [vectors.load(row(source, i), 0, existing(i, rows, columns)) for i in range(lanes)]
        _swap(vectors, block, lanes)
        for i, value in enumerate(block):
            vectors.store(value, row(target, i), 0, existing(i, columns, rows))
        return context.get_dummy_value()

    return types.void(like, partial, types.int64, types.int64, source, target), codegen


@njit(cached=False)
def write_transposed(like, rows, columns, source, target):
    """Write the transpose of a (rows, columns) Matrix; both have contiguous columns."""
    lanes = TILE.vector_bytes // size_of(like)
    for i in range(0, rows, lanes):
        for j in range(0, columns, lanes):
            block, there = moved(source, i, j), moved(target, j, i)
            if rows - i >= lanes and columns - j >= lanes:
                _transpose_block(like, 0, lanes, lanes, block, there)
            else:
                height, width = min(lanes, rows - i), min(lanes, columns - j)
                _transpose_block(like, 1, height, width, block, there)


@njit(cached=False)
def store_transposed(accumulate, scale, rows, columns, source, target):
    """Write the transpose of a (rows, columns) Matrix, or add `scale` times it, one by one.

    For a narrow target this is faster than blocks, most of whose lanes would be empty.
    """
    for j in range(columns):
        for i in range(rows):
            value = load_element(scale, moved(source, i, j).address)
            there = moved(target, j, i).address
            if accumulate:
                value = fma(scale, value, load_element(scale, there))
            store_element(value, there)
