"""The layer of activations with a trainable number for each unit."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import activations
from fastnn.engine.arguments import FlatPart, High, Low, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import aligned, aligned_copy
from fastnn.formulas import Formula
from fastnn.inputs.checks import finite_float
from fastnn.inputs.settings import setting
from fastnn.layers.activation import apply, apply_gradient
from fastnn.layers.base import Factors, Layer, Node, Parameter
from fastnn.optimizers.updater import Updater


class ParametricActivation(Layer, Factors):
    """Blend an activation with the identity: ``x + share * (f(x) - x)``, a share for each unit.

    The shares are trainable.  A share of 1 gives f, one of 0 the identity, and others steeper or
    flatter functions.

    With "relu" this is PReLU, whose slope below 0 is ``1 - share``.  It starts at 0, as in Keras;
    ``initial_share=0.75`` starts it at PyTorch's 0.25.

    Parameters
    ----------
    function : str or fastnn.activations.Activation
        The activation f, any but softmax, which mixes units.
    initial_share : float
    learning_rate_factor : float of at least 0
        What the optimizer's learning rate is multiplied by for this layer's parameters.
    weight_decay_factor : float of at least 0, optional
        What :class:`~fastnn.AdamW`'s decay is multiplied by for them; see there.

    Raises
    ------
    ValueError, TypeError
        For unknown names, objects of the wrong kind, or an activation that mixes units.

    References
    ----------
    D. Holzmueller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", NeurIPS 2024 (arXiv:2407.04491); PReLU: K. He, X. Zhang, S. Ren
    and J. Sun, "Delving Deep into Rectifiers", ICCV 2015.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> layers = [fastnn.ParametricActivation("relu", initial_share=0.75), fastnn.Dense(2)]
    >>> network = fastnn.Network(layers)
    >>> network.build(2)
    >>> network.layer_outputs([[-4, 4]])[0]
    array([[-1.,  4.]], dtype=float32)
    """

    function: Any = setting(check=activations.get)
    initial_share: float = setting(default=1.0, check=finite_float, building=True)

    def check_settings(self) -> None:
        if not self.function.elementwise:
            raise ValueError(
                f"function is {self.function.name!r}, which mixes units, wanted an activation of "
                "each unit by itself"
            )

    def __repr__(self) -> str:
        return f"ParametricActivation({self.function.name!r})"

    @property
    def note(self) -> str:
        return f"parametric {self.function.name}"

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        return {"share": (n_inputs,)}

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        return [Parameter("share", aligned_copy(np.full(n_inputs, self.initial_share, dtype)))]

    def forward(self, node: Node) -> None:
        f = node.kept["f"] = node.program.buffer(node.width)
        apply(self.function, node.program, node.x, f)
        share = Whole(node.parameters[0].value)
        y = node.output(node.width)
        node.program.add("blend_units", node.x.rows, f.rows, share, y.rows)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        return x + (self.function.formula(x) - x) * own["share"]

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        node.kept["dy"] = dy
        if not inputs:
            return dy
        program = node.program
        df, dx = (program.buffer(node.width) for _ in range(2))
        apply_gradient(self.function, program, node.x, node.kept["f"], dy, df)
        share = Whole(node.parameters[0].value)
        program.add("blend_units", dy.rows, df.rows, share, dx.rows)
        return dx

    def update(self, node: Node, updater: Updater) -> None:
        gradient = aligned((node.width,), node.program.dtype)
        given = node.x.batch, node.kept["f"].batch, node.kept["dy"].batch, Low(), High()
        sums = "blend_units_gradient", (*given, Whole(gradient))
        calls = node.program.summed(sums, [gradient], node.width)
        calls += node.parameters[0].update(FlatPart(gradient), updater)
        node.program.add_group(calls, node.width)
