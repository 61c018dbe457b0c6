"""Choosing, gathering and summing rows, in NumPy: see :mod:`fastnn.kernels.rows`."""

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15
_MIX = 0xBF58476D1CE4E5B9
_ALL = 2**64 - 1


def _mix(x):
    x = ((x ^ (x >> 30)) * _MIX) & _ALL
    return x ^ (x >> 31)


def _permuted(place, n, key):
    bits = max(2, (n - 1).bit_length())
    low_bits = bits // 2
    while True:
        low, high, turn = place % 2**low_bits, place >> low_bits, key
        for _ in range(4):
            high ^= _mix((low * _GOLDEN + turn) & _ALL) % 2 ** (bits - low_bits)
            low ^= _mix((high * _GOLDEN + (_ALL ^ turn)) & _ALL) % 2**low_bits
            turn = (turn + _GOLDEN) & _ALL
        place = (high << low_bits) | low
        if place < n:
            return place


def batch_rows(seed, epoch, n, shuffle, first, index):
    if not shuffle:
        index[...] = np.arange(first, first + len(index))
        return
    key = _mix((_mix((int(seed) + _GOLDEN) & _ALL) + int(epoch) * _GOLDEN) & _ALL)
    index[...] = [_permuted((int(first) + i) % int(n), int(n), key) for i in range(len(index))]


def gather_rows(source, index, out):
    out[...] = source[index]


def gather(source, index, out):
    out[...] = source[index]


def gather_columns(source, index, out):
    out[...] = source[:, index]


def row_scales(rows, weight, scale):
    scale[...] = weight / weight.dtype.type(rows)


def batch_loss(row_loss, weight, total):
    total[0] = np.dot(row_loss.astype(np.float64), weight.astype(np.float64))
    total[1] = weight.sum(dtype=np.float64)


def flag_not_finite(a, flag):
    flag[0] = 0 if np.isfinite(a).all() else np.nan


def column_sums(a, first, last, out):
    out[first:last] = a[:, first:last].sum(axis=0, dtype=np.float64)


def claim_lines(a):
    pass
