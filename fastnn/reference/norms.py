"""Norms of rows and columns, and bounds, in NumPy: see `fastnn.kernels.norms`."""

import numpy as np


def bound(low, high, w):
    """Clip."""
    np.clip(w, low, high, out=w)


def column_norms(w, first, last, before, after):
    """Norms of columns."""
    before[first:last] = np.sqrt(np.square(w[:, first:last]).sum(axis=0, dtype=np.float64))
    after[first:last] = before[first:last]


def row_norms(w, before, after):
    """Norms of rows."""
    before[...] = np.sqrt(np.square(w).sum(axis=1))
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
