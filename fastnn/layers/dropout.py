"""Dropout: drop random units or inputs during training."""

from fastnn.engine.arguments import Low
from fastnn.engine.buffers import Buffer
from fastnn.engine.steps import BATCH
from fastnn.inputs.checks import fraction
from fastnn.inputs.settings import among, setting
from fastnn.layers.base import Layer, Node
from fastnn.layers.penalties import Call


class Dropout(Layer):
    """Set each input of the layer to 0 with probability `rate` in each training step.

    Training draws a mask m of 0 or 1 for every row and unit, with ``P(m = 0) = rate``:

    * scaling "inverted": training uses ``m * x / (1 - rate)``, prediction and evaluation `x`.
    * scaling "test": training uses ``m * x``, prediction and evaluation ``(1 - rate) * x``.

    Either way, prediction uses the mean of what training uses.  Keras and PyTorch have the inverted
    form.  The paper scales at test time; its p is the probability of keeping a unit, so `rate` is
    one minus p.

    As the first layer, it drops inputs.  The mask depends only on the network's seed, the layer's
    position, the number of the update, the row's position in the batch and the unit.

    Parameters
    ----------
    rate : float in [0, 1)
        The share to drop; 0 does nothing.
    scaling : {"inverted", "test"}
        When to scale.

    Raises
    ------
    ValueError, TypeError
        For a rate outside [0, 1) or an unknown scaling.  :class:`fastnn.Network` also raises if
        this is the last layer.

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
