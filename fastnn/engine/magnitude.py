"""The largest magnitudes of arrays, which are infinite or NaN if any of their numbers is."""

import numpy as np
from numba import types

from fastnn.engine.native import vector
from fastnn.kernels.jit import njit


@njit
def magnitude(begin, size, single):
    """Return the largest of the numbers at an address, as the bits of its absolute value.

    As integers, bits without sign have the order of the numbers, with NaN above infinity.
    """
    if single:
        short = np.int32(0)
        for bits in vector(begin, size, types.int32):
            bits = np.int32(bits & 0x7FFFFFFF)  # or Numba would compute with int64
            short = bits if bits > short else short
        return np.int64(short)
    most = np.int64(0)
    for bits in vector(begin, size, types.int64):
        most = max(most, bits & np.int64(0x7FFFFFFFFFFFFFFF))
    return most


@njit
def _magnitudes(begins, sizes, single, out):
    for number in range(len(begins)):
        out[number] = magnitude(begins[number], sizes[number], single)


def as_bits(numbers: list[float], dtype: np.dtype) -> np.ndarray:
    """Return the bits of numbers of at least 0."""
    kind = np.int32 if dtype.itemsize == 4 else np.int64
    with np.errstate(over="ignore"):
        return np.array(numbers, dtype).view(kind).astype(np.int64)


def from_bits(bits: np.ndarray, dtype: np.dtype) -> list[float]:
    """Return the numbers that have these bits."""
    kind = np.int32 if dtype.itemsize == 4 else np.int64
    found: list[float] = bits.astype(kind).view(dtype).tolist()
    return found


def largest(begins: np.ndarray, sizes: np.ndarray, dtype: np.dtype) -> list[float]:
    """Return the largest magnitude of each of several contiguous arrays, given by their addresses.

    Examples
    --------
    >>> x = np.array([[1.0, -3.0], [2.0, np.inf]])
    >>> largest(np.array([x.ctypes.data] * 2), np.array([3, 4]), x.dtype)
    [3.0, inf]
    """
    out = np.empty(len(begins), np.int64)
    _magnitudes(begins, sizes, dtype.itemsize == 4, out)
    return from_bits(out, dtype)
