"""Matrix products in NumPy: see :mod:`fastnn.kernels.matmul`."""

import numpy as np


def matmul_nn(a, b, out):
    np.matmul(a, b, out=out)


def matmul_tn(a, b, out):
    np.matmul(a.T, b, out=out)


def matmul_nt(a, b, out):
    np.matmul(a, b.T, out=out)


def matmul_tn_add(a, b, scale, out):
    out += np.asarray(scale, out.dtype) * (a.T @ b)


def dense_forward(x, w, b, slope, prefetch_distance, out):
    np.matmul(x, w, out=out)
    if b.size:
        out += b
    slope = out.dtype.type(slope)
    np.copyto(out, np.maximum(out, 0) if slope == 0 else np.where(out > 0, out, slope * out))


def dense_backward(dz, w, x, slope, out):
    np.matmul(dz, w.T, out=out)
    out *= np.where(x > 0, 1, slope).astype(out.dtype)


def _rounded(a):
    """Return float32 numbers rounded to bfloat16, to even if two are as near."""
    bits = np.ascontiguousarray(a).view(np.uint32)
    magnitude = bits & 0x7FFFFFFF
    near = bits + 0x7FFF + (bits >> 16 & 1)
    near = np.where(magnitude > 0x7F800000, bits | 0x400000, near)  # NaN
    near = np.where(magnitude < 0x800000, bits & 0x80000000, near)  # below the normal numbers
    return (near & 0xFFFF0000).view(np.float32)


def bfloat16_matmul_tn(a, b, out):
    matmul_tn(_rounded(a), _rounded(b), out)


def bfloat16_matmul_tn_add(a, b, scale, out):
    matmul_tn_add(_rounded(a), _rounded(b), scale, out)


def bfloat16_dense_forward(x, w, b, slope, prefetch_distance, out):
    dense_forward(_rounded(x), _rounded(w), b, slope, prefetch_distance, out)


def bfloat16_dense_backward(dz, w, x, slope, out):
    dense_backward(_rounded(dz), _rounded(w), x, slope, out)


def transpose(a, out):
    out[...] = a.T
