"""The largest magnitudes of arrays, which are infinite or NaN if any of their numbers is."""

import numpy as np
from numba import types

from fastnn.engine.native import vector
from fastnn.kernels.jit import njit


@njit
def _largest(begins, sizes, single, out):
    """Write the largest bit patterns without sign.  As integers they have the order of numbers."""
    for number in range(len(begins)):
        most = np.int64(0)
        if single:
            short = np.int32(0)
            for bits in vector(begins[number], sizes[number], types.int32):
                short = max(short, bits & np.int32(0x7FFFFFFF))
            most = np.int64(short)
        else:
            for bits in vector(begins[number], sizes[number], types.int64):
                most = max(most, bits & np.int64(0x7FFFFFFFFFFFFFFF))
        out[number] = most


def largest(begins: np.ndarray, sizes: np.ndarray, dtype: np.dtype) -> list[float]:
    """Return the largest magnitude of each of several contiguous arrays, given by their addresses.

    Infinities count as larger than any number, and NaN as larger than infinity.

    Examples
    --------
    >>> x = np.array([[1.0, -3.0], [2.0, np.inf]])
    >>> largest(np.array([x.ctypes.data] * 2), np.array([3, 4]), x.dtype)
    [3.0, inf]
    """
    out = np.empty(len(begins), np.int64)
    single = dtype.itemsize == 4
    _largest(begins, sizes, single, out)
    if single:
        return out.astype(np.int32).view(np.float32).tolist()  # type: ignore[no-any-return]
    return out.view(np.float64).tolist()  # type: ignore[no-any-return]
