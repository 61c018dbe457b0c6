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


def transpose(a, out):
    out[...] = a.T
