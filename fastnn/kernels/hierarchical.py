"""Hierarchical softmax: a class is a path of binary decisions down a tree.

A tree of n + 1 classes has n inner nodes; the root is node 0.  Each computes
``z = h @ w[node] + b[node]`` and goes to one side with probability sigmoid(z), to the other with
sigmoid(-z).  Items are the classes, 0 ... n, followed by the nodes.  ``parent[item]`` is the node
above an item, and ``side[item]`` is 1 on the side of sigmoid(z) and -1 on the other.

`z` and `slopes` have one element per node of a path, from the class upward.  Elements after the
root are not touched, and a path longer than a row is cut off.

References
----------
F. Morin and Y. Bengio, "Hierarchical Probabilistic Neural Network Language Model", AISTATS 2005.
"""

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import copysign, exp_nonpositive, sigmoid, softplus
from fastnn.kernels.jit import REASSOCIATE, njit
from fastnn.kernels.memory import elements_at, stack_buffer
from fastnn.kernels.sums import BLOCK

_TOTALS = 2**15
_BYTES = 8 * _TOTALS


@kernel("mk m<(n+1) nk n (2n+1)<n (2n+1) md! m!", fastmath=REASSOCIATE)
def tree_forward(h, target, w, b, parent, side, z, row_loss):
    """Loss of each row: ``sum softplus(-side * z)`` along the path of its class.

    Parameters
    ----------
    h : array, (rows, k)
    target : integer array, (rows,)
    w : array, (n, k)
    b : array, (n,)
    parent : integer array, (2n + 1,)
    side : array, (2n + 1,)
    z : array, (rows, depth)
        Receives the z of each decision.
    row_loss : array, (rows,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, z, row_loss = np.ones((1, 1)), np.empty((1, 1)), np.empty(1)
    >>> parent, side = np.zeros(3, int), np.array([-1.0, 1.0, 0.0])
    >>> kernels.tree_forward(3 * one, np.array([1]), one, -one[0], parent, side, z, row_loss)
    >>> z, row_loss.round(4)
    (array([[2.]]), array([0.1269]))
    """
    n_classes = parent.shape[0] - w.shape[0]
    for i in range(h.shape[0]):
        item, total = target[i], row_loss.dtype.type(0)
        for place in range(z.shape[1]):
            node = parent[item]
            value = b[node]
            for j in range(h.shape[1]):
                value += h[i, j] * w[node, j]
            z[i, place] = value
            total += softplus(-side[item] * value)
            if node == 0:
                break
            item = n_classes + node
        row_loss[i] = total


@kernel("m<(n+1) nk (2n+1)<n (2n+1) m md~ mk!")
def tree_backward(target, w, parent, side, row_scale, slopes, dh):
    """Gradient of the rows' losses, each multiplied by `row_scale`.

    Parameters
    ----------
    target : integer array, (rows,)
    w : array, (n, k)
    parent : integer array, (2n + 1,)
    side : array, (2n + 1,)
    row_scale : array, (rows,)
    slopes : array, (rows, depth)
        Holds `z` at first; receives the gradient with respect to it.
    dh : array, (rows, k)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> slopes, dh, one = np.zeros((1, 1)), np.empty((1, 1)), np.ones((1, 1))
    >>> parent, side = np.zeros(3, int), np.array([-1.0, 1.0, 0.0])
    >>> kernels.tree_backward(np.array([1]), 3 * one, parent, side, one[0], slopes, dh)
    >>> slopes, dh
    (array([[-0.5]]), array([[-1.5]]))
    """
    n_classes = parent.shape[0] - w.shape[0]
    for i in range(dh.shape[0]):
        item = target[i]
        for j in range(dh.shape[1]):
            dh[i, j] = 0
        for place in range(slopes.shape[1]):
            node = parent[item]
            slope = -row_scale[i] * side[item] * sigmoid(-side[item] * slopes[i, place])
            slopes[i, place] = slope
            for j in range(dh.shape[1]):
                dh[i, j] += slope * w[node, j]
            if node == 0:
                break
            item = n_classes + node


@njit
def _add_very_many(factor, h, target, parent, slopes, first, last, w, b):
    """Do as :func:`_add_rows`, but sum in float64 and round once; see :mod:`fastnn.kernels.sums`.

    The totals of some nodes and columns fit on the stack at a time; the last column is that of `b`.
    """
    n_classes, columns, sums = parent.shape[0] - w.shape[0], h.shape[1], stack_buffer(_BYTES)
    width = min(columns + 1, _TOTALS)
    height = _TOTALS // width
    for low in range(first, last, height):
        high = min(low + height, last)
        for left in range(0, columns + 1, width):
            count, with_b = np.uint64(min(width, columns - left)), left + width > columns
            total = elements_at(0.0, sums)
            for place in range((high - low) * width):
                total[place] = 0.0
            for i in range(h.shape[0]):
                item, row = target[i], h[i, left:]
                for place in range(slopes.shape[1]):
                    node = parent[item]
                    if low <= node < high:
                        slope = np.float64(slopes[i, place])
                        total = elements_at(0.0, sums + 8 * (node - low) * width)
                        for j in range(count):
                            total[j] += slope * row[j]
                        if with_b:
                            total[count] += slope
                    if node == 0:
                        break
                    item = n_classes + node
            for node in range(low, high):
                total = elements_at(0.0, sums + 8 * (node - low) * width)
                for j in range(count):
                    w[node, left + j] += factor * total[j]
                if with_b:
                    b[node] += factor * total[count]


@njit
def _add_rows(factor, h, target, parent, slopes, first, last, w, b):
    """Add `factor` times the gradient of nodes first ... last - 1 to them, row by row."""
    if h.shape[0] > BLOCK:
        _add_very_many(factor, h, target, parent, slopes, first, last, w, b)
        return
    n_classes = parent.shape[0] - w.shape[0]
    for i in range(h.shape[0]):
        item = target[i]
        for place in range(slopes.shape[1]):
            node = parent[item]
            if first <= node < last:
                change = factor * slopes[i, place]
                b[node] += change
                for j in range(h.shape[1]):
                    w[node, j] += change * h[i, j]
            if node == 0:
                break
            item = n_classes + node


@kernel("- mk m<(n+1) (2n+1)<n md #0 #0 nk~ n~", parallel=False)
def tree_update(rate, h, target, parent, slopes, first, last, w, b):
    """Gradient descent on nodes first ... last - 1; touches only those on the rows' paths.

    Parameters
    ----------
    rate : float
    h : array, (rows, k)
        All rows of the batch.
    target : integer array, (rows,)
    parent : integer array, (2n + 1,)
    slopes : array, (rows, depth)
        From :func:`tree_backward`.
    first, last : int
    w : array, (n, k)
    b : array, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, w, b = np.ones((1, 1)), np.ones((1, 1)), np.ones(1)
    >>> parent = np.zeros(3, int)
    >>> kernels.tree_update(0.5, 3 * one, np.array([1]), parent, -one, 0, 1, w, b)
    >>> w, b
    (array([[2.5]]), array([1.5]))
    """
    low, high = max(first, 0), min(last, b.shape[0])
    _add_rows(w.dtype.type(-rate), h, target, parent, slopes, low, high, w, b)


@kernel("mk m<(n+1) (2n+1)<n md #0 #0 nk! n!", parallel=False)
def tree_gradient(h, target, parent, slopes, first, last, dw, db):
    """Write the gradient of nodes first ... last - 1, 0 for nodes on no path.

    Parameters
    ----------
    h : array, (rows, k)
        All rows of the batch.
    target : integer array, (rows,)
    parent : integer array, (2n + 1,)
    slopes : array, (rows, depth)
        From :func:`tree_backward`.
    first, last : int
    dw : array, (n, k)
    db : array, (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> one, dw, db = np.ones((1, 1)), np.empty((1, 1)), np.empty(1)
    >>> kernels.tree_gradient(3 * one, np.array([1]), np.zeros(3, int), -one, 0, 1, dw, db)
    >>> dw, db
    (array([[-3.]]), array([-1.]))
    """
    low, high = max(first, 0), min(last, db.shape[0])
    for node in range(low, high):
        db[node] = 0
        for j in range(dw.shape[1]):
            dw[node, j] = 0
    _add_rows(dw.dtype.type(1), h, target, parent, slopes, low, high, dw, db)


@kernel("n n<(n+1) n<(n+1) mn~ m(n+1)!")
def tree_probabilities(b, first, second, z, out):
    """Write the probabilities of all classes: products of decisions, from the root down.

    Before a node is processed, the element of its first class holds the probability of reaching the
    node.  Nodes must therefore have higher numbers than those above them.

    Parameters
    ----------
    b : array, (n,)
    first, second : integer arrays, (n,)
        The first class on either side of each node.
    z : array, (rows, n)
        Holds ``h @ w.T`` at first; receives the smaller probability of each decision, negated if
        that is the first side's.
    out : array, (rows, n + 1)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> b, first, second = np.zeros(2), np.array([0, 0]), np.array([2, 1])
    >>> z, out = np.array([[np.log(3.0), 0.0]]), np.empty((1, 3))
    >>> kernels.tree_probabilities(b, first, second, z, out)
    >>> out
    array([[0.125, 0.125, 0.75 ]])
    """
    one = z.dtype.type(1)
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            value = z[i, j] + b[j]
            e = exp_nonpositive(-abs(value))
            z[i, j] = copysign(e / (one + e), -value)
        out[i, first[0] if z.shape[1] > 0 else 0] = one
        for j in range(z.shape[1]):
            here, smaller = out[i, first[j]], abs(z[i, j])
            ahead = copysign(one, z[i, j]) < 0
            out[i, second[j]] = here * (one - smaller if ahead else smaller)
            out[i, first[j]] = here * (smaller if ahead else one - smaller)
