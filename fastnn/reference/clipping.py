"""Gradient clipping in NumPy: see `fastnn.kernels.clipping`."""

import numpy as np


def row_squares(dw, squares):
    """Sum of the squares of each row."""
    squares[:] = np.square(dw, dtype=np.float64).sum(axis=1)


def norm_scale(limit, squares, scale):
    """Factor that scales a gradient down to a norm."""
    norm = np.sqrt(squares.sum())
    scale[0] = limit / norm if norm > limit else 1


def scale_gradient(scale, dw):
    """Scale a gradient."""
    dw *= dw.dtype.type(scale)
