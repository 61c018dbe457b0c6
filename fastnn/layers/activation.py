"""The activation layer, and backpropagation through any activation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import activations
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import Program
from fastnn.formulas import Formula
from fastnn.inputs.settings import setting
from fastnn.layers.base import Layer, Node


def apply(function: activations.Activation, program: Program, x: Buffer, y: Buffer) -> None:
    """Add the step that writes ``f(x)`` to `y`."""
    if function.slope is None:
        program.add(function.forward, x.rows, *function.arguments, y.rows)
    else:
        program.add("relu_forward", x.rows, function.slope, y.rows)


def apply_gradient(
    function: activations.Activation, program: Program, x: Buffer, y: Buffer, dy: Buffer, dx: Buffer
) -> None:
    """Add the step that takes `dy` back through ``y = f(x)`` and writes the gradient to `dx`."""
    if function.slope is None:
        program.add(function.backward, x.rows, y.rows, *function.arguments, dy.rows, dx.rows)
    else:
        program.add("relu_backward", y.rows, y.rows, function.slope, dy.rows, dx.rows)


def through(function: activations.Activation, node: Node, z: Buffer, dy: Buffer) -> Buffer:
    """Add the step that takes `dy` back through an activation; return the gradient's buffer."""
    if node.fused or node.slope_applied or function.slope == 1:
        return dy
    dz = node.program.buffer(dy.width)
    apply_gradient(function, node.program, z, node.y, dy, dz)
    return dz


class Activation(Layer):
    """Apply an activation as a separate layer: ``f(x)``.

    Use it to put another layer between a :class:`Dense` and its activation:
    ``Dense(64), BatchNormalization(), Activation("relu")``, as is usual in Keras.  A `Dense`
    picks its default initializer by its own activation only, so if a SELU follows in a separate
    layer, set ``kernel_initializer="lecun_normal"``.

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
        node.slope = 1.0 if slope is None else slope
        apply(self.activation, node.program, node.x, node.output(node.width))

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        return self.activation.formula(x)

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        return through(self.activation, node, node.x, dy) if inputs else dy
