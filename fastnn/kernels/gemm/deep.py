"""Products of very many terms, as the gradients of large batches are.

:func:`table.gemm` adds sums of KC terms to those in C one by one.  After some thousand of these, C
has grown so large beside each that its rounding shows: of 10 million rows a tenth of a percent.
Worse, ``C += scale * A B`` rounds every part of a gradient to the precision of the weights, and the
parts of a small step vanish.  So here blocks of C are computed aside, DEEP terms at a time, and the
sums of these are added in float64.
"""

import numpy as np

from fastnn.kernels.gemm.loops import KC
from fastnn.kernels.gemm.structures import Dims, Matrix, moved, overwrite
from fastnn.kernels.gemm.table import gemm
from fastnn.kernels.jit import njit
from fastnn.kernels.memory import elements_at, fma, size_of, stack_buffer

DEEP = 16 * KC
"""The most terms of a product that is computed without this, and of its parts."""
_COLUMNS, _ELEMENTS = 512, 2**15
"""The most columns and elements of a block of C."""
_BYTES = 8 * _ELEMENTS


@njit
def deep_product(operand, dims, a, b, c, accumulate, scale):
    """C = A B, or C += scale * A B, rounded once; rows of C are contiguous.

    `operand` is what :func:`table.gemm` takes.
    """
    m, n, k = dims
    one, size = type(scale)(1), size_of(scale)
    sums, totals = stack_buffer(_BYTES), stack_buffer(_BYTES)
    own, total = elements_at(scale, sums), elements_at(0.0, totals)
    width = min(max(n, 1), _COLUMNS)
    height = _ELEMENTS // width
    for i in range(0, m, height):
        for j in range(0, n, width):
            rows, columns = min(height, m - i), min(width, n - j)
            block = Matrix(sums, columns * size, size)
            for p in range(0, k, DEEP):
                part = Dims(rows, columns, min(DEEP, k - p))
                left, right = moved(a, i, p), moved(b, p, j)
                gemm(operand, part, left, right, block, overwrite(one), 0)
                if k > DEEP:
                    for place in range(rows * columns):
                        before = total[place] if p > 0 else 0.0
                        total[place] = before + np.float64(own[place])
            if k > DEEP:
                for place in range(rows * columns):
                    own[place] = total[place]
            for row in range(rows):
                here = elements_at(scale, sums + row * columns * size)
                there = elements_at(scale, moved(c, i + row, j).address)
                if accumulate:
                    for column in range(columns):
                        there[column] = fma(scale, here[column], there[column])
                else:
                    for column in range(columns):
                        there[column] = here[column]
