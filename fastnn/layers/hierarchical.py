"""Hierarchical softmax: an output layer for very many classes."""

import functools
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import activations, initializers
from fastnn.engine.arguments import FlatPart, High, Low, Strided, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import aligned
from fastnn.formulas import Formula
from fastnn.inputs.arrays import as_numbers, by_label
from fastnn.inputs.checks import listed, positive_int
from fastnn.inputs.settings import optional, setting
from fastnn.layers import class_trees
from fastnn.layers.base import KernelFactors, Layer, Node, Parameter
from fastnn.losses import Loss, SoftmaxCrossEntropy
from fastnn.optimizers.updater import Updater
from fastnn.regularizers import Regularizer

_MOST_CLASSES = 10_000_000
"""Their tree takes half a GB, and some seconds."""


def _as_list(frequencies: Any, name: str) -> list[float]:
    found = by_label(frequencies, name)
    if isinstance(found, Mapping):
        if set(found) != set(range(len(found))):
            raise ValueError(f"{name} has labels {listed(found)}, wanted 0 to {len(found) - 1}")
        found = [found[label] for label in range(len(found))]
    return as_numbers(found, name).tolist()


class HierarchicalSoftmax(Layer, KernelFactors):
    """Output layer for many classes: each class is a path of binary decisions down a tree.

    A tree of C classes has C - 1 inner nodes.  Each computes ``z = W[node] @ x + b[node]`` and
    takes its second branch with probability ``sigmoid(z)``.  A class's probability is the product
    along its path, so all of them add up to 1.  Training on a row visits only the nodes on its
    label's path, about ``log2(C)`` of them instead of C units.  Prediction returns the
    probabilities of all classes, at the cost of a softmax layer.

    Use it in place of ``Dense(n_classes, "softmax")`` with the same loss, softmax cross-entropy:
    here ``-log p(label)``, without label smoothing.  It is a different model, whose probabilities
    depend on the tree.  Put similar classes near each other in the tree.

    Plain `SGD`, with a constant or scheduled rate, the same for W and b, and without penalties or
    clipping, changes only the nodes on the paths of a batch's labels.  Other optimizers, momentum,
    penalties and clipping work on the whole gradient, which is mostly zeros and costs as much as
    all classes.

    Parameters
    ----------
    n_classes : int
        At least 2, at most 10 million.
    tree : "balanced", "huffman" or nested pairs
        "balanced" repeatedly splits the labels, in order, in half.  "huffman" gives frequent
        classes short paths.  Your own tree is a pair whose members are labels or such pairs, as in
        ``((0, 1), (2, 3))``, with every label exactly once.  It is kept as a flat list, which
        may be given too: all pairs, level by level, with -1 for a pair in them.  That one is
        ``[-1, -1, 0, 1, 2, 3]``.
    frequencies : array-like, (n_classes,), optional
        How often each class occurs, on any scale; required for "huffman".  Or a dict or pandas
        Series by label, such as ``labels.value_counts()``.
    kernel_initializer, bias_initializer : str or Initializer
        Initial W, (n_classes - 1, n_inputs), and b.  Glorot's bound counts the classes as
        outputs, so with many classes W starts near 0.
    kernel_learning_rate_factor, bias_learning_rate_factor : float of at least 0
    kernel_weight_decay_factor, bias_weight_decay_factor : float of at least 0, optional
        As in :class:`~fastnn.Dense`.

    Raises
    ------
    ValueError, TypeError
        For fewer than 2 classes or too many, or a tree or frequencies that do not match them.
        :class:`fastnn.Network` also raises if this is not the last layer or the loss is another.

    References
    ----------
    F. Morin and Y. Bengio, "Hierarchical Probabilistic Neural Network Language Model", AISTATS
    2005; Huffman trees: T. Mikolov, I. Sutskever, K. Chen, G. Corrado and J. Dean, "Distributed
    Representations of Words and Phrases and their Compositionality", NIPS 2013.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> layers = [fastnn.Dense(8, "tanh"), fastnn.HierarchicalSoftmax(4)]
    >>> network = fastnn.Network(layers, loss="softmax_cross_entropy")
    >>> history = network.fit(np.eye(4), np.arange(4))
    >>> probabilities = network.predict(np.eye(4))
    >>> probabilities.shape, bool(np.allclose(probabilities.sum(axis=1), 1))
    ((4, 4), True)
    """

    activation = activations.get("softmax")

    n_classes: int = setting(check=positive_int, building=True)
    tree: Any = setting(default="balanced", building=True)
    frequencies: Any = setting(default=None, check=optional(_as_list), building=True)
    kernel_initializer: Any = setting(
        default="glorot_uniform", check=initializers.get, building=True
    )
    bias_initializer: Any = setting(default="zeros", check=initializers.get, building=True)

    def check_settings(self) -> None:
        n_classes, tree, own = self.n_classes, self.tree, vars(self)
        if not 2 <= n_classes <= _MOST_CLASSES:
            wanted = f"at least 2 and at most {_MOST_CLASSES:,}"
            raise ValueError(f"n_classes must be {wanted}, got {n_classes}")
        if (self.frequencies is not None) != (isinstance(tree, str) and tree == "huffman"):
            raise ValueError('tree="huffman" and frequencies go together, got one of them')
        if not isinstance(tree, str):
            own["tree"] = class_trees.flat(tree, n_classes)
        elif tree == "huffman":
            class_trees.as_frequencies(self.frequencies, n_classes)
        elif tree != "balanced":
            raise ValueError(f"tree must be 'balanced', 'huffman' or nested pairs, got {tree!r}")
        own["made_"] = None

    @property
    def _tree(self) -> class_trees.ClassTree:
        """The tree as arrays, made when they are first needed: with many classes it takes long."""
        own = vars(self)
        if own["made_"] is None:
            own["made_"] = class_trees.compiled(self._children())
        made: class_trees.ClassTree = own["made_"]
        return made

    def _children(self) -> class_trees.Children:
        if self.tree == "balanced":
            return class_trees.balanced(self.n_classes)
        if self.tree == "huffman":
            return class_trees.huffman(np.array(self.frequencies, np.float64))
        return class_trees.from_flat(self.tree)

    def __repr__(self) -> str:
        return f"HierarchicalSoftmax({self.n_classes}, tree={self.note!r})"

    @property
    def note(self) -> str:
        return self.tree if isinstance(self.tree, str) else "given"

    @property
    def path_lengths(self) -> np.ndarray:
        """The number of decisions for each class, (n_classes,)."""
        return self._tree.depth.copy()

    def check(self, last: bool, loss: Loss, penalty: Regularizer | None) -> None:
        if not last:
            raise ValueError(f"{self!r} must be the last layer")
        if not isinstance(loss, SoftmaxCrossEntropy) or loss.label_smoothing:
            raise ValueError(
                f"{self!r} wants the loss 'softmax_cross_entropy' without label smoothing, "
                f"got {loss!r}"
            )
        if penalty is not None and any(term.per != "weight" for term in penalty.terms()):
            raise ValueError(
                f"{self!r} takes no penalties on groups, got kernel_regularizer {penalty!r}: give "
                "it to the other layers"
            )

    def width(self, n_inputs: int) -> int:
        return self.n_classes

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        return {"kernel": (self.n_classes - 1, n_inputs), "bias": (self.n_classes - 1,)}

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        shapes = self.shapes(n_inputs)
        kernel = aligned(shapes["kernel"], dtype)
        kernel[...] = self.kernel_initializer(kernel.shape, rng, dtype)
        bias = aligned(shapes["bias"], dtype)
        bias[...] = self.bias_initializer(bias.shape, rng, dtype)
        return [Parameter("kernel", kernel), Parameter("bias", bias)]

    def forward(self, node: Node) -> None:
        if node.fused:  # the loss works on the inputs directly
            node.y = node.x
            return
        kernel, bias = (parameter.value for parameter in node.parameters)
        z = node.program.buffer(self.n_classes - 1)
        y = node.output(self.n_classes)
        # Not matmul_nt, whose bits depend on how many rows a thread has.
        node.program.add("matmul_nn", node.x.rows, Strided(kernel.T), z.rows)
        order = Whole(self._tree.first), Whole(self._tree.second)
        node.program.add("tree_probabilities", Whole(bias), *order, z.rows, y.rows)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        z = x.dot(own["kernel"].T, own["bias"])
        branches = Formula.concatenate([z.sigmoid(), (-z).sigmoid()])
        tree, nodes = self._tree, self.n_classes - 1
        item, parts = np.arange(self.n_classes), []
        for depth in range(int(tree.depth.max())):
            there, node = depth < tree.depth, tree.parent[item]
            branch = node + np.where(tree.side[item] > 0, 0, nodes)
            # Up the paths of all classes at once; above the root's, there is only 1.
            parts.append(branches.columns(np.where(there, branch, 0)).maximum(1.0 - there))
            item = np.where(depth + 1 < tree.depth, self.n_classes + node, 0)
        return functools.reduce(operator.mul, parts)

    def loss_forward(self, node: Node, loss: Loss, target: Buffer, row_loss: Buffer) -> None:
        program, dtype = node.program, node.program.dtype
        kernel, bias = (Whole(parameter.value) for parameter in node.parameters)
        z = program.buffer(int(self._tree.depth.max()))
        parent, side = Whole(self._tree.parent), Whole(self._tree.side.astype(dtype))
        node.kept = {"z": z, "parent": parent, "side": side, "target": target}
        decisions = kernel, bias, parent, side, z.rows
        program.add("tree_forward", node.x.rows, target.rows, *decisions, row_loss.rows)

    def loss_backward(self, node: Node, loss: Loss, target: Buffer, scale: Buffer) -> Buffer:
        kernel, dx = Whole(node.parameters[0].value), node.program.buffer(node.width)
        tree = node.kept["parent"], node.kept["side"]
        slopes = node.kept["z"].rows
        node.program.add("tree_backward", target.rows, kernel, *tree, scale.rows, slopes, dx.rows)
        return dx

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        return dy  # the loss has already computed the inputs' gradient

    def update(self, node: Node, updater: Updater) -> None:
        program, (kernel, bias), kept = node.program, node.parameters, node.kept
        w, b = kernel.value, bias.value
        given = node.x.batch, kept["target"].batch, kept["parent"], kept["z"].batch, Low(), High()
        at_once = kernel.rate_factor == bias.rate_factor
        if node.plain_descent and at_once and not kernel.regularizer and not bias.regularizer:
            step = updater.rate_of(kernel), *given, Whole(w), Whole(b)
            program.add("tree_update", *step, extent=len(w))
            return
        dw, db = aligned(w.shape, w.dtype), aligned(b.shape, b.dtype)
        sums = "tree_gradient", (*given, Whole(dw), Whole(db))
        program.add_group(program.summed(sums, [dw, db], len(w)), len(w))
        for parameter, gradient in ((kernel, dw), (bias, db)):
            program.add_group(parameter.update(FlatPart(gradient), updater), len(w))
