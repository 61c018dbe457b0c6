"""Periodic embeddings of numbers."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.engine.arguments import FlatPart, High, Low, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import aligned, aligned_copy
from fastnn.formulas import Formula
from fastnn.inputs.checks import positive_float, positive_int
from fastnn.inputs.settings import optional, setting
from fastnn.layers import columns
from fastnn.layers.base import Layer, Node, Parameter
from fastnn.optimizers.updater import Updater


class PeriodicEmbedding(Layer):
    """Add learned periodic functions of each number: smooth ones, with which networks learn more.

    For each number z, ``h = cos(2 pi frequencies * z + phases)`` and ``h @ kernel.T + bias``, with
    frequencies, phases, kernel and bias of its own.  The outputs are all inputs, in order, followed
    by `units` such numbers for each of the columns.  This is RealMLP's embedding ("PBLD"), with its
    sizes and starts as defaults.  The time grows with the number of columns, not its square.

    Scale the columns first, to a deviation of about 1: `stddev` says how wiggly the functions are
    at the start, for numbers of that size.

    The parameters are "frequencies" and "phases", (columns, n_frequencies), "kernel", with a row
    for each output, (columns * units, n_frequencies), and "bias", (columns * units,).  They start
    normal with deviation `stddev`, uniform from -pi to pi, and the others uniform within
    ``1 / sqrt(n_frequencies)``.

    Parameters
    ----------
    n_frequencies : int
    units : int
        How many outputs a column gets beside itself.
    stddev : float
        Deviation of the frequencies at the start.
    columns : list of int, optional
        The columns to embed, all by default: without those that hold the codes of an
        :class:`~fastnn.Embedding`, which may follow and finds them where they were.

    Raises
    ------
    ValueError, TypeError
        For settings out of range, or for columns given twice.  :meth:`fastnn.Network.build` raises
        for columns that there are not.

    References
    ----------
    Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning", NeurIPS 2022; D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default:
    Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS 2024.

    Examples
    --------
    >>> import fastnn
    >>> network = fastnn.Network([fastnn.PeriodicEmbedding(1, 1), fastnn.Dense(1)])
    >>> network.build(1)
    >>> [array.shape for array in network.get_weights()]
    [(1, 1), (1, 1), (1, 1), (1,), (2, 1), (1,)]
    >>> network.set_weights([[[1]], [[0]], [[3]], [1], *network.get_weights()[4:]])
    >>> network.layer_outputs([[0.0], [0.5]])[0]
    array([[ 0. ,  4. ],
           [ 0.5, -2. ]], dtype=float32)
    """

    n_frequencies: int = setting(default=16, check=positive_int, building=True)
    units: int = setting(default=3, check=positive_int, building=True)
    stddev: float = setting(default=0.1, check=positive_float, building=True)
    columns: Any = setting(default=None, check=optional(columns.as_columns), building=True)

    def width(self, n_inputs: int) -> int:
        return n_inputs + len(self.columns or range(n_inputs)) * self.units if n_inputs else 0

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        count = len(columns.chosen(self.columns, n_inputs))
        each, outputs = (count, self.n_frequencies), count * self.units
        kernel = outputs, self.n_frequencies
        return {"frequencies": each, "phases": each, "kernel": kernel, "bias": (outputs,)}

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        shapes, limit = self.shapes(n_inputs), 1 / math.sqrt(self.n_frequencies)
        start = {
            "frequencies": rng.normal(0, self.stddev, shapes["frequencies"]),
            "phases": rng.uniform(-math.pi, math.pi, shapes["phases"]),
            "kernel": rng.uniform(-limit, limit, shapes["kernel"]),
            "bias": rng.uniform(-limit, limit, shapes["bias"]),
        }
        return [Parameter(name, aligned_copy(array.astype(dtype))) for name, array in start.items()]

    def forward(self, node: Node) -> None:
        program, outputs = node.program, len(node.parameters[3].value)
        index = Whole(columns.chosen(self.columns, node.width))
        h = program.buffer(node.parameters[0].value.size)
        embedded, passed = program.buffer(outputs), np.arange(node.width)
        node.kept = {"columns": index, "passed": passed, "embedded": embedded, "h": h}
        given = node.x.rows, index, *(Whole(each.value) for each in node.parameters)
        program.add("periodic_forward", *given, h.rows, embedded.rows)
        columns.append(node, passed, embedded)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        index = np.repeat(columns.chosen(self.columns, x.width), self.n_frequencies)
        phases = own["phases"] * x.dtype.type(0.5 / math.pi)
        turns = x.columns(index) * own["frequencies"].ravel() + phases.ravel()
        h = ((0.25 - abs(turns - turns.round())) * (2 * math.pi)).sin()
        return Formula.concatenate([x, h.blocks(own["kernel"], own["bias"])])

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        program, kept = node.program, node.kept
        frequencies, phases, kernel, _ = (Whole(each.value) for each in node.parameters)
        dx, dy = columns.split(node, kept["passed"], kept["embedded"], dy)
        slopes = program.buffer(kept["h"].width)
        kept |= {"dy": dy, "slopes": slopes}
        given = node.x.rows, kept["columns"], frequencies, phases, kernel
        program.add("periodic_backward", *given, dy.rows, slopes.rows)
        if inputs:
            program.add("periodic_inputs", kept["columns"], frequencies, slopes.rows, dx.rows)
        return dx

    def update(self, node: Node, updater: Updater) -> None:
        program, kept = node.program, node.kept
        frequencies, phases, kernel, bias = node.parameters
        to = {each.name: aligned(each.value.shape, program.dtype) for each in (frequencies, phases)}
        given = node.x.batch, kept["columns"], kept["slopes"].batch, Low(), High()
        sums = "periodic_gradients", (*given, Whole(to["frequencies"]), Whole(to["phases"]))
        extent = len(to["phases"])
        program.add_group(program.summed(sums, list(to.values()), extent), extent)
        for parameter in (frequencies, phases):
            gradient = FlatPart(to[parameter.name])
            program.add_group(parameter.update(gradient, updater), len(to["phases"]))
        columns.update_blocks(node, updater, kernel, bias)
