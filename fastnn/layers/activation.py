"""The activation layer, and backpropagation through any activation."""

from typing import Any

from fastnn import activations
from fastnn.engine.buffers import Buffer
from fastnn.inputs.settings import setting
from fastnn.layers.base import Layer, Node


def through(function: activations.Activation, node: Node, z: Buffer, dy: Buffer) -> Buffer:
    """Add the step that takes `dy` back through an activation; return the gradient's buffer."""
    if node.fused or node.slope_applied or function.slope == 1:
        return dy
    dz = node.program.buffer(dy.width)
    if function.slope is None:
        settings = function.arguments
        node.program.add(function.backward, z.rows, node.y.rows, *settings, dy.rows, dz.rows)
    else:
        y = node.y.rows
        node.program.add("relu_backward", y, y, function.slope, dy.rows, dz.rows)
    return dz


class Activation(Layer):
    """Apply an activation as a separate layer: ``f(x)``.

    Use it to put another layer between a :class:`Dense` and its activation:
    ``Dense(64), BatchNormalization(), Activation("relu")``, as is usual in Keras.  A `Dense` picks
    its default initializer by its own activation only, so if a ReLU follows in a separate layer,
    set ``kernel_initializer="he_uniform"``.

    Parameters
    ----------
    activation : str or fastnn.activations.Activation
        A name, such as "relu", or an object of :mod:`fastnn.activations`.

    Raises
    ------
    ValueError, TypeError
        For unknown names or objects of the wrong kind.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Activation("relu")
    Activation('relu')
    """

    activation: Any = setting(check=activations.get)

    def __repr__(self) -> str:
        return f"Activation({self.activation.name!r})"

    @property
    def note(self) -> str:
        return self.activation.name

    def forward(self, node: Node) -> None:
        slope = self.activation.slope
        if node.fused or slope == 1:
            node.pass_on()
            return
        y = node.output(node.width)
        if slope is None:
            node.program.add(
                self.activation.forward, node.x.rows, *self.activation.arguments, y.rows
            )
        else:
            node.slope = slope
            node.program.add("relu_forward", node.x.rows, slope, y.rows)

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        return through(self.activation, node, node.x, dy) if inputs else dy
