"""The scaling layer."""

from collections.abc import Mapping

import numpy as np

from fastnn.engine.arguments import FlatPart, High, Low, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import aligned, aligned_copy
from fastnn.formulas import Formula
from fastnn.layers.base import Factors, Layer, Node, Parameter
from fastnn.optimizers.updater import Updater


class Scale(Layer, Factors):
    """Multiply each input by a trainable number of its own: ``x * scale``, scale starting as ones.

    As the first layer, and with a learning rate above that of the other layers, it learns how much
    each input matters.

    Parameters
    ----------
    learning_rate_factor : float of at least 0
        What the optimizer's learning rate is multiplied by for this layer's parameters.
    weight_decay_factor : float of at least 0, optional
        What :class:`~fastnn.AdamW`'s decay is multiplied by for them; see there.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.

    References
    ----------
    D. Holzmueller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", NeurIPS 2024 (arXiv:2407.04491).

    Examples
    --------
    >>> import fastnn
    >>> network = fastnn.Network([fastnn.Scale(learning_rate_factor=6), fastnn.Dense(1)])
    >>> network.build(3)
    >>> network.get_weights()[0]
    array([1., 1., 1.], dtype=float32)
    """

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        return {"scale": (n_inputs,)}

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        return [Parameter("scale", aligned_copy(np.ones(n_inputs, dtype)))]

    def forward(self, node: Node) -> None:
        y = node.output(node.width)
        scale = Whole(node.parameters[0].value)
        node.program.add("scale_units", node.x.rows, scale, y.rows)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        return x * own["scale"]

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        node.kept["dy"] = dy
        if not inputs:
            return dy
        dx = node.program.buffer(node.width)
        scale = Whole(node.parameters[0].value)
        node.program.add("scale_units", dy.rows, scale, dx.rows)
        return dx

    def update(self, node: Node, updater: Updater) -> None:
        gradient = aligned((node.width,), node.program.dtype)
        given = node.x.batch, node.kept["dy"].batch, Low(), High()
        sums = "scale_units_gradient", (*given, Whole(gradient))
        calls = node.program.summed(sums, [gradient], node.width)
        calls += node.parameters[0].update(FlatPart(gradient), updater)
        node.program.add_group(calls, node.width)
