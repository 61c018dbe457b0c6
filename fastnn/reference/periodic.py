"""Periodic embeddings of numbers in NumPy: see :mod:`fastnn.kernels.periodic`."""

import numpy as np


def _remainders(x, columns, frequency, phase):
    """Return the angles in turns, from -1/2 to 1/2, (rows, c, f)."""
    turns = frequency * x[:, columns, None] + phase * x.dtype.type(0.5 / np.pi)
    return turns - np.rint(turns)


def _sine(turns):
    """Return the sine of at most a quarter of a turn either way: exactly 0 of none."""
    return np.sin(2 * np.pi * turns.astype(np.float64)).astype(turns.dtype)


def _outputs_of(column, n_columns, n_outputs):
    share = -(-n_outputs // n_columns)
    return slice(column * share, column * share + share)


def periodic_forward(x, columns, frequency, phase, w, b, h, out):
    blocks = _sine(0.25 - np.abs(_remainders(x, columns, frequency, phase)))
    h[...] = blocks.reshape(h.shape)
    for column in range(len(columns)):
        some = _outputs_of(column, len(columns), len(b))
        out[:, some] = b[some] + blocks[:, column] @ w[some].T


def periodic_backward(x, columns, frequency, phase, w, dy, slopes):
    r = _remainders(x, columns, frequency, phase)
    blocks = -_sine(np.copysign(0.25 - np.abs(np.abs(r) - 0.25), r))
    for column in range(len(columns)):
        some = _outputs_of(column, len(columns), len(w))
        blocks[:, column] *= dy[:, some] @ w[some]
    slopes[...] = blocks.reshape(slopes.shape)


def periodic_inputs(columns, frequency, slopes, dx):
    sums = (slopes.reshape(len(dx), *frequency.shape) * frequency).sum(axis=2)
    for column, place in enumerate(columns):
        dx[:, place] += dx.dtype.type(2 * np.pi) * sums[:, column]


def periodic_gradients(x, columns, slopes, first, last, dfrequency, dphase):
    blocks = slopes.reshape(len(x), *dphase.shape)
    for c in range(first, min(last, len(columns))):
        dphase[c] = blocks[:, c].sum(axis=0, dtype=np.float64)
        products = blocks[:, c] * x[:, columns[c], None]
        dfrequency[c] = products.sum(axis=0, dtype=np.float64).astype(x.dtype) * x.dtype.type(
            2 * np.pi
        )


def block_gradients(h, dy, first, last, dw):
    count = min(dw.shape[1], h.shape[1])
    n_columns = max(h.shape[1] // max(dw.shape[1], 1), 1)
    for column in range(n_columns):
        some = _outputs_of(column, n_columns, len(dw))
        for j in range(max(some.start, first), min(some.stop, last, len(dw))):
            block = h[:, column * count : (column + 1) * count]
            dw[j, :count] = (dy[:, j, None] * block).sum(axis=0, dtype=np.float64)
