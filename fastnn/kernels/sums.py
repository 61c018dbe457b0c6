"""Sums over many rows: blocks of rows in the arrays' own type, and the blocks' totals in float64.

Added one by one to a float32 number, terms lose more digits the further the sum has grown: a
million of 1e-6 gave 1.009, and after 2**24 equal ones nothing is added any more.  A kernel that
sums over rows therefore sums at most ``BLOCK`` of them at a time, and carries the sums on::

    totals = stack_buffer(TOTALS_BYTES)
    for part in range(parts(rows, low, high)):
        left, right = columns_of(part, rows, low, high)
        for block in range(blocks(rows)):
            begin, end = rows_of(block, rows)
            write the block's sums to out[left:right]
            if rows > BLOCK:
                carry(begin, end == rows, left, right, out, totals)

Then `out` holds the sums over all rows, up to ``BLOCK`` of them the block's own.
"""

import numpy as np

from fastnn.kernels.jit import inlined
from fastnn.kernels.memory import elements_at

BLOCK = np.uint64(1024)
"""Rows of a block.  With 256, sums over 1024 rows of 64 columns took 13 % longer than without."""
TOTALS_BYTES = 2**15
_COLUMNS = np.uint64(TOTALS_BYTES // 8)


@inlined
def parts(rows, low, high):
    """Return in how many parts to sum columns low ... high - 1, so that totals fit on the stack."""
    return (high - low + _COLUMNS - np.uint64(1)) // _COLUMNS if rows > BLOCK else np.uint64(1)


@inlined
def columns_of(part, rows, low, high):
    """Return the first and the end of a part's columns."""
    left = low + part * _COLUMNS
    return left, min(left + _COLUMNS, high) if rows > BLOCK else high


@inlined
def blocks(rows):
    """Return the number of blocks, which is 1 for no rows."""
    return max((rows + BLOCK - np.uint64(1)) // BLOCK, np.uint64(1))


@inlined
def rows_of(block, rows):
    """Return the first and the end of a block's rows."""
    begin = block * BLOCK
    return begin, min(begin + BLOCK, rows)


@inlined
def quarters(begin, end):
    """Return the length of a quarter of rows begin ... end - 1, and where all that follows begins.

    Up to three rows are left over.  A kernel that adds a row of each quarter at a time reads and
    writes its sums a quarter as often.
    """
    quarter = (end - begin) // np.uint64(4)
    second = begin + quarter
    third = second + quarter
    fourth = third + quarter
    return quarter, second, third, fourth, fourth + quarter


@inlined
def carry(begin, ends, low, high, sums, totals):
    """Add a block's sums to the totals; if the block `ends` the rows, write the totals over them.

    Parameters
    ----------
    begin : int
        The block's first row: at row 0 there are no totals yet.
    ends : bool
    low, high : unsigned int
        The columns.
    sums : array, (n,)
    totals : int
        The address of a float64 number for each column from `low` on.
    """
    total = elements_at(0.0, totals)
    for j in range(low, high):
        before = total[j - low] if begin > 0 else 0.0
        total[j - low] = before + np.float64(sums[j])
    if ends:
        for j in range(low, high):
            sums[j] = total[j - low]
