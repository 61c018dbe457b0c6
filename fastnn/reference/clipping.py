"""Gradient clipping in NumPy: see `fastnn.kernels.clipping`."""

import numpy as np


def gradient_norms(dw, norms):
    """Euclidean norm of each row."""
    norms[:] = _norms(dw.astype(np.float64))


def norm_scale(limit, norms, scale):
    """Factor that scales a gradient down to a norm."""
    norm = _norms(norms)
    scale[0] = limit / norm if norm > limit else 1


def _norms(vectors):
    most = np.abs(vectors).max(axis=-1, initial=0.0, keepdims=True)
    unit = np.where((most > 0) & np.isfinite(most), most, 1)
    return np.sqrt(np.square(vectors / unit).sum(axis=-1)) * unit[..., 0]


def scale_gradient(scale, dw):
    """Scale a gradient."""
    dw *= dw.dtype.type(scale)
