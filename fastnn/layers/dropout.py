"""Dropout: units or inputs left out at random while training."""

from fastnn.engine.arguments import Low
from fastnn.engine.buffers import Buffer
from fastnn.engine.steps import BATCH
from fastnn.inputs.checks import fraction
from fastnn.inputs.settings import among, setting
from fastnn.layers.base import Layer, Node
from fastnn.layers.penalties import Call


class Dropout(Layer):
    """Leave out each input of the layer with probability `rate`, anew in each training step.

    While training, with m = 0 or 1 drawn for every row and unit, ``P(m = 0) = rate``:

    * scaling "inverted": ``m * x / (1 - rate)``; prediction and evaluation pass `x` on.
    * scaling "test": ``m * x``; prediction and evaluation multiply by ``1 - rate``.

    Both use the mean of what training uses.  Keras and PyTorch have the inverted form; the paper
    scales at test time, where `rate` is one minus its p, the probability to keep a unit.

    As the first layer it drops inputs.  The draws depend on the network's seed, the layer's place,
    the number of the update, the row's place in the batch and the unit, and on nothing else.

    Parameters
    ----------
    rate : float in [0, 1)
        The share that is left out; 0 does nothing.
    scaling : {"inverted", "test"}
        When to scale.

    Raises
    ------
    ValueError, TypeError
        For a rate outside [0, 1) or another scaling; by :class:`fastnn.Network` as a last layer.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A Simple
    Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Dropout(0.5)
    Dropout(rate=0.5, scaling='inverted')
    """

    rate: float = setting(check=fraction)
    scaling: str = setting(default="inverted", check=among("inverted", "test"))

    @property
    def note(self) -> str:
        return f"rate {self.rate}" + ("" if self.scaling == "inverted" else ", scaled at test")

    def forward(self, node: Node) -> None:
        if self.rate and node.training:
            y = node.output(node.width)
            node.program.add_group([self._drop(node, node.x, y)], BATCH)
        elif self.rate and self.scaling == "test":
            y = node.output(node.width)
            node.program.add("dropout_mean", self.rate, node.x.rows, y.rows)
        else:
            node.pass_on()

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        if not inputs or not self.rate:
            return dy
        dx = node.program.buffer(node.width)
        node.program.add_group([self._drop(node, dy, dx)], BATCH)
        return dx

    def _drop(self, node: Node, source: Buffer, target: Buffer) -> Call:
        scale = 1 / (1 - self.rate) if self.scaling == "inverted" else 1.0
        return node.drop(self.rate, scale, Low(), source.rows, target.rows)
