"""Dropping random elements, in NumPy: see `fastnn.kernels.dropout`."""

import numpy as np

_ALL = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
    return x ^ (x >> 31)


def _random_bits(seed, layer, step, first, shape):
    """Return 32 random bits for every element of a matrix."""
    key = _mix((int(seed) + _GOLDEN) & _ALL)
    for number in (layer, step):
        key = _mix((key + _GOLDEN * int(number)) & _ALL)
    keys = [_mix((key + _GOLDEN * (int(first) + i)) & _ALL) for i in range(shape[0])]
    low = np.array([each % 2**32 for each in keys], np.uint32)[:, np.newaxis]
    high = np.array([each >> 32 for each in keys], np.uint32)[:, np.newaxis]
    x = np.arange(shape[1], dtype=np.uint32) * np.uint32(_GOLDEN >> 32) + low
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D) ^ high
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)


def dropout(rate, scale, seed, layer, step, first, x, out):
    """Drop random elements."""
    dropped = _random_bits(seed, layer, step, first, x.shape) < int(rate * 2**32)
    np.copyto(out, np.where(dropped, 0, x.dtype.type(scale) * x))


def dropout_mean(rate, x, out):
    """Multiply by the share that dropout keeps."""
    np.multiply(x, x.dtype.type(1 - rate), out=out)
