"""Embeddings of categories in NumPy: see :mod:`fastnn.kernels.embedding`."""

import numpy as np


def _row_of(value, low, high):
    return int(low + value) if 0 <= value < high - low and value == int(value) else -1


def append_columns(x, index, more, out):
    np.concatenate([x[:, index], more], axis=1, out=out)


def split_columns(dy, index, dx, dmore):
    dx[...] = 0
    dx[:, index], dmore[...] = dy[:, : len(index)], dy[:, len(index) :]


def embedding_forward(x, columns, begin, table, out):
    blocks = out.reshape(len(x), len(columns), table.shape[1])
    blocks[...] = 0
    for i, c in np.ndindex(blocks.shape[:2]):
        row = _row_of(x[i, columns[c]], begin[c], begin[c + 1])
        if row >= 0:
            blocks[i, c] = table[row]


def embedding_links(x, columns, begin, first, last, slot, place, following):
    rows = min(len(x), len(place))
    for c in range(first, min(last, len(columns))):
        place[:, c] = following[:, c] = -1
        found = {}
        for i in range(rows):
            row = _row_of(x[i, columns[c]], begin[c], begin[c + 1])
            if row < 0:
                continue
            if row in found:
                following[found[row], c] = i
            else:
                place[i, c], slot[row] = row, i
            found[row] = i


def embedding_gradient(dy, place, following, first, last, dw):
    n_columns, width = place.shape[1], dw.shape[1]
    for number in range(first, min(last, len(dw))):
        i, column = divmod(number, n_columns)
        total = np.zeros(width)
        if place[i, column] >= 0:
            while i < len(dy):
                total += dy[i, column * width : (column + 1) * width]
                after = following[i, column] if i < len(following) else 0
                if after <= i:
                    break
                i = after
        dw[number] = total


def embedding_take(place, table, out):
    has = (place >= 0) & (place < len(table))
    out[...] = 0
    out[has] = table[place[has]]


def embedding_put(place, rows, table):
    for row, values in zip(place, rows, strict=True):
        if 0 <= row < len(table):
            table[row] = values
