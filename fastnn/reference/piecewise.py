"""Piecewise-linear embeddings of numbers in NumPy: see :mod:`fastnn.kernels.piecewise`."""

import numpy as np


def _outputs_of(column, n_columns, n_outputs):
    share = -(-n_outputs // n_columns)
    return slice(column * share, column * share + share)


def piecewise_forward(x, columns, start, inverse, low, high, w, b, h, out):
    shares = (x[:, columns, None] - start) * inverse
    shares = np.where(shares < low, low, shares)
    shares = np.where(shares > high, high, shares)
    h[...] = shares.reshape(h.shape)
    for column in range(len(columns)):
        some = _outputs_of(column, len(columns), len(b))
        out[:, some] = b[some] + shares[:, column] @ w[some].T


def piecewise_inputs(h, columns, inverse, low, high, w, dy, dx):
    shares = h.reshape(len(dx), *inverse.shape)
    moves = (low < shares) & (shares < high)
    for column, place in enumerate(columns):
        some = _outputs_of(column, len(columns), len(w))
        slopes = np.where(moves[:, None, column], w[some] * inverse[column], 0).sum(axis=2)
        dx[:, place] += (dy[:, some] * slopes).sum(axis=1)
