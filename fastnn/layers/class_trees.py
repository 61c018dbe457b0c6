"""Binary class trees, in the form that the hierarchical softmax kernels use."""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.inputs.checks import as_regression_targets

Children = list[tuple[int, int]]
"""The two items below each inner node, with every node listed after its parent.  Items 0 ... n - 1
are the n classes, and node i is item n + i."""


@dataclass(eq=False)
class ClassTree:
    """A tree of n classes; see :mod:`fastnn.kernels.hierarchical` for `parent` and `side`."""

    parent: np.ndarray
    side: np.ndarray
    first: np.ndarray
    """The leftmost class below each node's first item."""
    second: np.ndarray
    """The leftmost class below each node's second item."""
    depth: np.ndarray
    """The number of decisions on the path to each class."""


def compiled(children: Children) -> ClassTree:
    """Return a tree as arrays."""
    n_classes = len(children) + 1
    items = n_classes + len(children)
    parent, side, depth = np.zeros(items, np.int64), np.zeros(items), np.zeros(items, np.int64)
    for node, pair in enumerate(children):
        for item, sign in zip(pair, (-1, 1), strict=True):
            parent[item], side[item], depth[item] = node, sign, depth[n_classes + node] + 1
    leftmost = np.arange(items)
    for node in reversed(range(len(children))):
        leftmost[n_classes + node] = leftmost[children[node][0]]
    first, second = leftmost[np.array(children)].T.copy()
    return ClassTree(parent, side, first, second, depth[:n_classes])


def balanced(n_classes: int) -> Children:
    """Return the tree that splits the classes, in order, in half at each node."""
    children: Children = []
    waiting = deque([(0, n_classes)])
    nodes = 1  # numbered so far
    while waiting:
        low, high = waiting.popleft()
        middle = (low + high + 1) // 2
        pair = []
        for begin, end in ((low, middle), (middle, high)):
            if end - begin == 1:
                pair.append(begin)
            else:
                waiting.append((begin, end))
                pair.append(n_classes + nodes)
                nodes += 1
        children.append((pair[0], pair[1]))
    return children


def huffman(frequencies: np.ndarray) -> Children:
    """Return the tree with the shortest mean path.

    Source: D. A. Huffman, "A Method for the Construction of Minimum-Redundancy Codes", 1952.
    """
    n_classes = len(frequencies)
    # The algorithm works from the bottom up, so it numbers the nodes from the last one.
    heap = [(frequency, place, place) for place, frequency in enumerate(frequencies.tolist())]
    heapq.heapify(heap)
    children: Children = []
    for node in reversed(range(n_classes - 1)):
        (one, _, left), (other, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        children.append((left, right))
        heapq.heappush(heap, (one + other, 2 * n_classes - node, n_classes + node))
    return children[::-1]


def nested(tree: Any, n_classes: int) -> Children:
    """Return the tree that the caller wrote as nested pairs of labels.

    Raises
    ------
    ValueError, TypeError
        If a node does not have two children, or a class does not appear exactly once.
    """
    children: list[list[int]] = []
    seen = np.zeros(n_classes, bool)
    waiting = deque([(tree, -1)])
    while waiting:
        given, above = waiting.popleft()
        if isinstance(given, int | np.integer) and not isinstance(given, bool):
            item = _label(int(given), seen)
        elif isinstance(given, Sequence) and not isinstance(given, str):
            if len(given) != 2:
                raise ValueError(f"tree has a node with {len(given)} children, wanted 2")
            item = n_classes + len(children)
            waiting.extend((child, len(children)) for child in given)
            children.append([])
        else:
            raise TypeError(f"tree has {given!r}, wanted pairs of class labels or of pairs")
        if above >= 0:
            children[above].append(item)
    if not seen.all():
        raise ValueError(f"tree has no class {int(seen.argmin())}, wanted 0 to {n_classes - 1}")
    return [(left, right) for left, right in children]


def _label(label: int, seen: np.ndarray) -> int:
    """Return a class label that has not appeared before, and mark it as seen."""
    if not 0 <= label < len(seen):
        raise ValueError(f"tree has class {label}, wanted 0 to {len(seen) - 1}")
    if seen[label]:
        raise ValueError(f"tree has class {label} twice")
    seen[label] = True
    return label


def as_frequencies(frequencies: ArrayLike, n_classes: int) -> np.ndarray:
    """Return the class frequencies, checked."""
    given = np.asarray(frequencies)
    if given.shape != (n_classes,):
        raise ValueError(f"frequencies has shape {given.shape}, wanted ({n_classes},)")
    array = as_regression_targets(given[:, None], n_classes, 1, np.float64, "frequencies")[:, 0]
    if array.min() < 0:
        raise ValueError(f"frequencies has {array.min():g}, wanted at least 0")
    return array
