"""Binary class trees, in the form that the hierarchical softmax kernels use."""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.inputs.checks import as_regression_targets

Children = np.ndarray
"""The two items below each inner node, (nodes, 2), with every node listed after its parent.  Items
0 ... n - 1 are the n classes, and node i is item n + i."""
NODE = -1
"""What stands for an inner node in a tree written as a flat list."""


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
    parent, side = np.zeros(items, np.int64), np.zeros(items)
    parent[children] = np.arange(len(children))[:, None]
    side[children] = -1, 1
    # Each round doubles how far an item has looked: up the tree, and down to its first class.
    depth, above = np.ones(items, np.int64), n_classes + parent
    depth[n_classes] = 0  # the root
    leftmost = np.concatenate([np.arange(n_classes), children[:, 0]])
    while (above != n_classes).any():
        depth += depth[above]
        above = above[above]
        leftmost = leftmost[leftmost]
    first, second = leftmost[children].T.copy()
    return ClassTree(parent, side, first, second, depth[:n_classes])


def balanced(n_classes: int) -> Children:
    """Return the tree that splits the classes, in order, in half at each node."""
    levels = []
    low, high = np.array([0]), np.array([n_classes])
    nodes = 1  # numbered so far
    while len(low):
        middle = (low + high + 1) // 2
        begin, end = np.stack([low, middle], axis=1), np.stack([middle, high], axis=1)
        inner = end - begin > 1
        low, high = begin[inner], end[inner]
        begin[inner] = np.arange(n_classes + nodes, n_classes + nodes + len(low))
        nodes += len(low)
        levels.append(begin)
    return np.concatenate(levels)


def huffman(frequencies: np.ndarray) -> Children:
    """Return the tree with the shortest mean path.

    Source: D. A. Huffman, "A Method for the Construction of Minimum-Redundancy Codes", 1952.
    """
    n_classes = len(frequencies)
    # The algorithm works from the bottom up, so it numbers the nodes from the last one.
    heap = [(frequency, place, place) for place, frequency in enumerate(frequencies.tolist())]
    heapq.heapify(heap)
    children = []
    for node in reversed(range(n_classes - 1)):
        (one, _, left), (other, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        children.append((left, right))
        heapq.heappush(heap, (one + other, 2 * n_classes - node, n_classes + node))
    return np.array(children[::-1])


def flat(tree: Any, n_classes: int) -> list[int]:
    """Return a tree, given as nested pairs of labels or flat already, as one flat list.

    It has the pairs of all nodes, level by level, with :data:`NODE` for an item that is a node
    itself.  JSON, pickle and copies limit how deeply lists may be nested, and trees do not.

    Raises
    ------
    ValueError, TypeError
        If a node does not have two children, or a class does not appear exactly once.
    """
    found: list[int] = []
    seen = np.zeros(n_classes, bool)
    given = isinstance(tree, list | tuple) and len(tree) > 2 and NODE in tree
    for item in _listed(tree) if given else _walked(tree):
        found.append(item if item == NODE else _label(item, seen))
        if len(found) == 2 * n_classes:  # which ends trees that contain themselves
            raise ValueError(f"tree has more than the {n_classes - 1} pairs of its classes")
    if not seen.all():
        raise ValueError(f"tree has no class {int(seen.argmin())}, wanted 0 to {n_classes - 1}")
    return found[1:]


def from_flat(tree: Sequence[int]) -> Children:
    """Return the tree that :func:`flat` wrote."""
    children = np.array(tree).reshape(-1, 2)
    is_node = children == NODE
    nodes = int(is_node.sum())
    children[is_node] = len(children) + 2 + np.arange(nodes)
    return children


def _walked(tree: Any) -> Iterator[int]:
    """Yield the items of nested pairs, beginning with the root, level by level."""
    waiting = deque([tree])
    while waiting:
        given = waiting.popleft()
        if isinstance(given, np.ndarray):
            given = given.tolist()
        if isinstance(given, int | np.integer) and not isinstance(given, bool):
            if given == NODE:
                raise ValueError(f"tree has class {NODE}, wanted labels of at least 0")
            yield int(given)
        elif isinstance(given, Sequence) and not isinstance(given, str):
            if len(given) != 2:
                raise ValueError(f"tree has a node with {len(given)} children, wanted 2")
            yield NODE
            waiting.extend(given)
        else:
            raise TypeError(f"tree has {given!r}, wanted pairs of class labels or of pairs")


def _listed(tree: Sequence[Any]) -> Iterator[int]:
    """Yield the items of a flat list, beginning with the root."""
    yield NODE
    places = 2
    for item in tree:
        if type(item) is not int or places == 0:
            raise ValueError(f"tree has {item!r} in a flat list where no class or {NODE} can be")
        places += 1 if item == NODE else -1
        yield item
    if places:
        raise ValueError(f"tree is a flat list that lacks {places} classes at its end")


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
