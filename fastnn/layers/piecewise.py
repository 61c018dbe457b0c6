"""Piecewise-linear embeddings of numbers."""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastnn.engine.arguments import Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import aligned_copy
from fastnn.formulas import Formula
from fastnn.inputs.checks import as_inputs, listed, positive_int
from fastnn.inputs.settings import optional, setting
from fastnn.layers import columns
from fastnn.layers.base import Layer, Node, Parameter
from fastnn.optimizers.updater import Updater


def _as_edges(edges: Any, name: str) -> list[list[float]]:
    if isinstance(edges, str | bytes) or not isinstance(edges, list | tuple | np.ndarray):
        raise TypeError(f"{name} is {edges!r}, wanted the edges of each column's bins")
    found = []
    for place, own in enumerate(edges):
        given = np.asarray(own, np.float64)
        if given.ndim != 1 or not len(given) or not np.isfinite(given).all():
            raise ValueError(f"{name}[{place}] is {own!r}, wanted finite edges")
        if (np.diff(given) <= 0).any():
            raise ValueError(f"{name}[{place}] is {listed(given.tolist())}, wanted rising edges")
        found.append(given.tolist())
    if not found:
        raise ValueError(f"{name} is empty, wanted the edges of at least one column's bins")
    return found


class PiecewiseLinearEmbedding(Layer):
    """Replace each number by learned functions of it that are linear within bins.

    A column's edges ``e[0] < e[1] < ... < e[f]`` bound f bins, and
    ``h[t] = clip((z - e[t]) / (e[t + 1] - e[t]), 0, 1)`` says how far z has come through bin t; the
    first bin is open below and the last one above.  The outputs are the columns that are not
    embedded, in order, followed by ``h @ kernel.T + bias``, `units` numbers for each column that
    is, with kernel and bias of its own.  The time grows with the number of columns, not its square.

    :meth:`of_quantiles` makes the layer for some data.  A column with less than two edges, as a
    constant one has, gets its bias only.

    Parameters
    ----------
    edges : list of lists of float
        For each of the columns, in rising order.  They are part of the network's settings.
    units : int
    columns : list of int, optional
        The columns to embed, all by default.

    Raises
    ------
    ValueError, TypeError
        For edges that do not rise or are not finite, or columns given twice.
        :meth:`fastnn.Network.build` raises for columns that there are not, or another number of
        them than of `edges`.

    References
    ----------
    Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning", NeurIPS 2022.

    Examples
    --------
    >>> import fastnn
    >>> layer = fastnn.PiecewiseLinearEmbedding([[0.0, 1.0, 3.0]], 1)
    >>> network = fastnn.Network([layer, fastnn.Dense(1)])
    >>> network.build(1)
    >>> network.set_weights([[[10, 100]], [1], *network.get_weights()[2:]])
    >>> network.layer_outputs([[-1.0], [0.5], [2.0], [4.0]])[0].ravel()
    array([ -9.,   6.,  61., 161.], dtype=float32)
    """

    edges: Any = setting(check=_as_edges, building=True)
    units: int = setting(check=positive_int, building=True)
    columns: Any = setting(default=None, check=optional(columns.as_columns), building=True)

    @classmethod
    @np.errstate(all="ignore")
    def of_quantiles(
        cls, X: ArrayLike, units: int, n_bins: int = 48, columns: list[int] | None = None
    ) -> Self:
        """Return the layer whose bins hold about as many rows of X each: its quantiles.

        X are training rows as the layer will get them, after preprocessing.  Equal quantiles are
        one edge, so a column of few values has few bins.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> X = np.array([[0, 0], [1, 0], [2, 0], [3, 5], [4, 5]])
        >>> fastnn.PiecewiseLinearEmbedding.of_quantiles(X, 2, n_bins=2).edges
        [[0.0, 2.0, 4.0], [0.0, 5.0]]
        """
        n_bins = positive_int(n_bins, "n_bins")
        rows = as_inputs(X, None, np.dtype(np.float64), "X")
        index = range(rows.shape[1]) if columns is None else columns
        places = np.linspace(0, 1, n_bins + 1)
        edges = [np.unique(np.quantile(rows[:, column], places)).tolist() for column in index]
        return cls(edges, units, columns)

    @property
    def _bins(self) -> int:
        """How many bins a column has; some do not count if it has less edges than another."""
        return max(2, *map(len, self.edges)) - 1

    def __repr__(self) -> str:
        return f"PiecewiseLinearEmbedding({len(self.edges)} columns, units={self.units})"

    def width(self, n_inputs: int) -> int:
        count = len(self.edges)
        return max(n_inputs - count, 0) + count * self.units if n_inputs else 0

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        count = len(columns.chosen(self.columns, n_inputs))
        if count != len(self.edges):
            raise ValueError(f"edges are those of {len(self.edges)} columns, but there are {count}")
        return {"kernel": (count * self.units, self._bins), "bias": (count * self.units,)}

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        limit = 1 / math.sqrt(self._bins)
        return [
            Parameter(name, aligned_copy(rng.uniform(-limit, limit, shape).astype(dtype)))
            for name, shape in self.shapes(n_inputs).items()
        ]

    @np.errstate(all="ignore")
    def _clipping(self, dtype: np.dtype) -> list[Whole]:
        """Return start, inverse, low and high of :mod:`fastnn.kernels.piecewise`."""
        start, inverse, low, high = np.zeros((4, len(self.edges), self._bins))
        for column, given in enumerate(map(np.array, self.edges)):
            count = len(given) - 1
            if count:
                start[column, :count] = given[:-1]
                inverse[column, :count] = (1 / np.diff(given)).clip(max=np.finfo(dtype).max)
                low[column, 0], high[column, :count], high[column, count - 1] = -np.inf, 1, np.inf
        return [Whole(array.astype(dtype)) for array in (start, inverse, low, high)]

    def forward(self, node: Node) -> None:
        program, (kernel, bias) = node.program, node.parameters
        index = columns.chosen(self.columns, node.width)
        start, *rest = self._clipping(program.dtype)
        h, embedded = program.buffer(len(index) * self._bins), program.buffer(len(bias.value))
        passed = np.setdiff1d(np.arange(node.width), index)
        node.kept = {"columns": Whole(index), "rest": rest, "passed": passed}
        node.kept |= {"h": h, "embedded": embedded}
        given = node.x.rows, Whole(index), start, *rest, Whole(kernel.value), Whole(bias.value)
        program.add("piecewise_forward", *given, h.rows, embedded.rows)
        columns.append(node, passed, embedded)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        index = columns.chosen(self.columns, x.width)
        start, inverse, low, high = (each.array.ravel() for each in self._clipping(x.dtype))
        h = (x.columns(np.repeat(index, self._bins)) - start) * inverse
        embedded = h.maximum(low).minimum(high).blocks(own["kernel"], own["bias"])
        return columns.appended(x, index, embedded)

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        kept, kernel = node.kept, Whole(node.parameters[0].value)
        dx, kept["dy"] = columns.split(node, kept["passed"], kept["embedded"], dy)
        if inputs:
            given = kept["h"].rows, kept["columns"], *kept["rest"], kernel, kept["dy"].rows
            node.program.add("piecewise_inputs", *given, dx.rows)
        return dx

    def update(self, node: Node, updater: Updater) -> None:
        kernel, bias = node.parameters
        columns.update_blocks(node, updater, kernel, bias)
