"""Norms and bounds in NumPy: see `fastnn.kernels.norms`."""

import numpy as np


def _norms(vectors):
    """Norms of the last axis, in float64, of numbers whose squares may overflow."""
    vectors = vectors.astype(np.float64)
    most = np.abs(vectors).max(axis=-1, initial=0, keepdims=True)
    unit = np.where((most > 0) & np.isfinite(most), most, 1)
    return np.sqrt(np.square(vectors / unit).sum(axis=-1)) * unit[..., 0]


def bound(low, high, w):
    """Clip."""
    np.clip(w, low, high, out=w)


def column_norms(w, first, last, before, after):
    """Norms of columns."""
    before[first:last] = _norms(w[:, first:last].T)
    after[first:last] = before[first:last]


def row_norms(w, before, after):
    """Norms of rows."""
    before[...] = _norms(w)
    after[...] = before


def extend_norms(b, before, after):
    """Norms of vectors with one more element."""
    larger, smaller = np.where(np.abs(b) > before, [np.abs(b), before], [before, np.abs(b)])
    with np.errstate(invalid="ignore"):  # NaN is the answer for two that are infinite
        share = smaller / np.where(larger == 0, 1, larger)
    before[...] = larger * np.sqrt(1 + share * share)
    after[...] = before


def norm_ratios(before, after):
    """Factors that turn old norms into changed ones."""
    after /= np.where(before == 0, 1, before)


def scale_columns(factor, first, last, w):
    """Scale columns."""
    w[:, first:last] *= factor[first:last]


def scale_rows(factor, w):
    """Scale rows."""
    w *= factor[:, None]


def gradient_norms(dw, norms):
    """Euclidean norm of each row."""
    norms[:] = _norms(dw)


def norm_scale(limit, norms, scale):
    """Factor that scales a gradient down to a norm."""
    norm = _norms(norms)
    scale[0] = limit / norm if norm > limit else 1


def scale_gradient(scale, dw):
    """Scale a gradient."""
    dw *= dw.dtype.type(scale)
