"""Embeddings of categories."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn import initializers
from fastnn.engine.arguments import FlatPart, High, Low, Part, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import Call, aligned
from fastnn.formulas import Formula
from fastnn.inputs.checks import positive_int
from fastnn.inputs.settings import optional, setting
from fastnn.layers import columns
from fastnn.layers.base import Layer, Node, Parameter
from fastnn.optimizers.updater import Updater

_MOST_ROWS = 2**31 - 1


def _as_counts(counts: Any, name: str) -> int | list[int]:
    if not isinstance(counts, list | tuple | np.ndarray):
        return positive_int(counts, name)
    found = [positive_int(count, f"{name}[{place}]") for place, count in enumerate(counts)]
    if not 0 < sum(found) <= _MOST_ROWS:
        raise ValueError(f"{name} has {sum(found)} categories, wanted 1 to {_MOST_ROWS}")
    return found


class Embedding(Layer):
    """Replace each category, given as a whole number, by a vector that is learned.

    Some columns hold the codes 0, 1, ... n_categories - 1.  The outputs are the other columns, in
    order, followed by `units` numbers for each of these columns: the row of a table that belongs to
    its code.  Any other number (by custom -1) is a missing or an unknown category.  Its numbers are
    all 0, and it trains nothing.

    Codes are read from X, whose floats hold whole numbers exactly: float32 up to 2**24, float64 up
    to 2**53.  `preprocessing` must leave them as they are.  Other layers may come first if they
    pass these columns on.

    A batch reads and updates the rows of its own categories only, so it takes the same time and
    memory however many categories there are.  The table and the optimizer's arrays of its size take
    memory once.  To go back to if training goes wrong, a fit copies the rows that its data can
    change, or the whole table if that takes no longer: if it is less than eight times as long.

    A row's update is that of any other parameter, whichever the optimizer, with the sum of the
    gradients of its occurrences.  A row that does not occur in the batch stays as it is, and so
    does the optimizer's state for it.  Momentum, the averages of Adam and its like, and decoupled
    weight decay are thus "lazy", as in PyTorch's SparseAdam: between its occurrences a row neither
    moves on nor decays.

    Parameters
    ----------
    n_categories : int or list of int
        How many categories there are: in each of the columns, or a number for each.
    units : int
        How many numbers stand for a category.
    columns : list of int, optional
        The columns with codes; all by default.
    embeddings_initializer : str or Initializer
        Initial table, (sum of n_categories, units), one column's categories after the other's.
        PyTorch's standard normal numbers by default; Keras's are uniform up to 0.05.

    Raises
    ------
    ValueError, TypeError
        For numbers below 1, or for columns given twice.  :meth:`fastnn.Network.build` raises for
        columns that there are not, or another number of them than of `n_categories`.

    References
    ----------
    C. Guo and F. Berkhahn, "Entity Embeddings of Categorical Variables", 2016 (arXiv:1604.06737).

    Examples
    --------
    >>> import fastnn
    >>> layers = [fastnn.Embedding([3, 2], 1, columns=[0, 2]), fastnn.Dense(1)]
    >>> network = fastnn.Network(layers)
    >>> network.build(3)
    >>> [array.shape for array in network.get_weights()]
    [(5, 1), (3, 1), (1,)]
    >>> table, *others = network.get_weights()
    >>> network.set_weights([[[1], [2], [3], [10], [20]], *others])
    >>> network.layer_outputs([[2, 0.5, 0], [0, 0.5, 1], [-1, 0.5, 7]])[0]
    array([[ 0.5,  3. , 10. ],
           [ 0.5,  1. , 20. ],
           [ 0.5,  0. ,  0. ]], dtype=float32)
    """

    n_categories: Any = setting(check=_as_counts, building=True)
    units: int = setting(check=positive_int, building=True)
    columns: Any = setting(default=None, check=optional(columns.as_columns), building=True)
    embeddings_initializer: Any = setting(
        default={"name": "normal", "stddev": 1.0}, check=initializers.get, building=True
    )

    def width(self, n_inputs: int) -> int:
        count = len(self.columns or range(n_inputs))
        return max(n_inputs - count, 0) + count * self.units if n_inputs else 0

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        return {"embeddings": (int(self._begins(n_inputs)[-1]), self.units)}

    def _begins(self, n_inputs: int) -> np.ndarray:
        """Return the first row of each column's categories, and the number of rows."""
        count = len(columns.chosen(self.columns, n_inputs))
        counts = self.n_categories
        if isinstance(counts, int):
            counts = [counts] * count
        if len(counts) != count:
            raise ValueError(f"n_categories has {len(counts)} numbers for {count} columns")
        return np.cumsum([0, *counts])

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        ((name, shape),) = self.shapes(n_inputs).items()
        table = aligned(shape, dtype)
        table[...] = self.embeddings_initializer(shape, rng, dtype)
        return [Parameter(name, table, sparse=True)]

    def rows_read(self, x: np.ndarray) -> np.ndarray:
        index, begin = columns.chosen(self.columns, x.shape[1]), self._begins(x.shape[1])
        codes = x[:, index]
        with np.errstate(all="ignore"):
            known = (codes >= 0) & (codes < np.diff(begin)) & (codes == np.floor(codes))
        rows: np.ndarray = np.where(known, codes, 0).astype(np.int64) + begin[:-1]
        return np.where(known, rows, -1).reshape(-1)

    def forward(self, node: Node) -> None:
        index = columns.chosen(self.columns, node.width)
        embedded = node.program.buffer(len(index) * self.units)
        codes = Whole(index), Whole(self._begins(node.width))
        passed = np.setdiff1d(np.arange(node.width), index)
        node.kept = {"codes": codes, "passed": passed, "embedded": embedded}
        table = Whole(node.parameters[0].value)
        node.program.add("embedding_forward", node.x.rows, *codes, table, embedded.rows)
        columns.append(node, passed, embedded)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        index, begin = columns.chosen(self.columns, x.width), self._begins(x.width)
        codes = x.columns(index).cast(np.float64)  # which holds the number of any row
        row = (codes < np.diff(begin)).where(codes + (begin[:-1] + 1), 0.0)
        row = codes.floor().equals(codes).where((codes > -0.5).where(row, 0.0), 0.0)
        table = np.pad(own["embeddings"], ((1, 0), (0, 0)))  # 0 for the unknown
        return columns.appended(x, index, row.lookup(table))

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        program, kept, value = node.program, node.kept, node.parameters[0].value
        dx, kept["dy"] = columns.split(node, kept["passed"], kept["embedded"], dy)
        count = len(kept["codes"][0].array)
        slots = program.batch_size * count
        kept["place"], kept["following"] = np.zeros((2, program.batch_size, count), np.int64)
        kept["rows"] = aligned((slots, self.units), value.dtype)
        links = (
            Whole(np.zeros(len(value), np.int64)),
            Whole(kept["place"]),
            Whole(kept["following"]),
        )
        if node.before is not None:  # otherwise each thread has all rows itself
            program.barrier()
        given = node.x.batch, *kept["codes"], Low(), High()
        program.add("embedding_links", *given, *links, extent=count)
        return dx

    def updated(self, node: Node) -> list[np.ndarray]:
        return [node.kept["rows"]]

    def update(self, node: Node, updater: Updater) -> None:
        """Add the steps that take the batch's rows out, update them, and put them back.

        Threads share the slots, so each row has one thread, whichever that is.
        """
        (table,), kept, rows = node.parameters, node.kept, node.kept["rows"]
        gradient = aligned(rows.shape, rows.dtype)
        place = Part(kept["place"].reshape(-1))
        given = kept["dy"].batch, Whole(kept["place"]), Whole(kept["following"]), Low(), High()
        state = {name: aligned(rows.shape, rows.dtype) for name in table.state}
        pairs = [(table.value, rows), *((table.state[name], state[name]) for name in state)]
        calls: list[Call] = [("embedding_gradient", (*given, Whole(gradient)))]
        calls += [("embedding_take", (place, Whole(whole), Part(own))) for whole, own in pairs]
        calls += replace(table, value=rows, state=state).update(FlatPart(gradient), updater)
        calls += [("embedding_put", (place, Part(own), Whole(whole))) for whole, own in pairs]
        node.program.add_group(calls, len(rows))
