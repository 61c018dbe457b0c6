"""Hierarchical softmax in NumPy: see :mod:`fastnn.kernels.hierarchical`."""

import numpy as np


def _path(label, parent, n_nodes, depth):
    """Return the nodes from a class up to the root, and the item below each on the path."""
    nodes, items = [], [int(label)]
    while len(nodes) < depth:
        nodes.append(int(parent[items[-1]]))
        if nodes[-1] == 0:
            break
        items.append(len(parent) - n_nodes + nodes[-1])
    return nodes, items[: len(nodes)]


def tree_forward(h, target, w, b, parent, side, z, row_loss):
    for i, label in enumerate(target):
        nodes, items = _path(label, parent, len(w), z.shape[1])
        z[i, : len(nodes)] = w[nodes] @ h[i] + b[nodes]
        row_loss[i] = np.logaddexp(0, -side[items] * z[i, : len(nodes)]).sum()


def tree_backward(target, w, parent, side, row_scale, slopes, dh):
    for i, label in enumerate(target):
        nodes, items = _path(label, parent, len(w), slopes.shape[1])
        against = -side[items] * slopes[i, : len(nodes)]
        probability = np.exp(-np.logaddexp(0, -against))
        slopes[i, : len(nodes)] = -row_scale[i] * side[items] * probability
        dh[i] = slopes[i, : len(nodes)] @ w[nodes]


def tree_update(rate, h, target, parent, slopes, first, last, w, b):
    dw, db = np.zeros_like(w), np.zeros_like(b)
    tree_gradient(h, target, parent, slopes, first, last, dw, db)
    w -= w.dtype.type(rate) * dw
    b -= b.dtype.type(rate) * db


def tree_gradient(h, target, parent, slopes, first, last, dw, db):
    dw[first:last], db[first:last] = 0, 0
    for i, label in enumerate(target):
        for place, node in enumerate(_path(label, parent, len(dw), slopes.shape[1])[0]):
            if first <= node < last:
                dw[node] += slopes[i, place] * h[i]
                db[node] += slopes[i, place]


def tree_probabilities(b, first, second, z, out):
    z += b
    smaller = np.exp(-np.logaddexp(0, np.abs(z)))
    right, left = (np.where(np.signbit(s), smaller, 1 - smaller) for s in (z, -z))
    out[:, first[0] if len(b) else 0] = 1
    for node in range(len(b)):
        here = out[:, first[node]].copy()
        out[:, second[node]] = here * right[:, node]
        out[:, first[node]] = here * left[:, node]
    np.copysign(smaller, -z, out=z)
