"""A network as a flow graph, whose boxes compute forward and backward one at a time.

Every box has ``fprop``, which computes its value from its inputs, and ``bprop``, which takes the
gradient of the loss in that value and returns the gradient in the inputs.  Calling `fprop` of every
box in order is forward propagation, and `bprop` in the reverse order backpropagation.  The kernels
are those that train.  A box remembers the inputs of its last `fprop`, and its `value`.

>>> import numpy as np
>>> from fastnn import Dense, flow
>>> layer, loss = flow.LayerBox(Dense(1), weights=[[[2.0], [1.0]], [0.5]]), flow.LossBox("half_mse")
>>> loss.fprop(layer.fprop([[1.0, 3.0]]), [[5.0]])  # (5.5 - 5)**2 / 2
0.125
>>> layer.bprop(loss.bprop()), layer.gradients[0].ravel()
(array([[1. , 0.5]]), array([0.5, 1.5]))

:class:`Graph` is all of a network's boxes, and does what :meth:`fastnn.Network.gradients` does.
"""

from fastnn.flow.boxes import ActivationBox, Box, LayerBox, LossBox, PenaltyBox
from fastnn.flow.graph import Graph

__all__ = ["ActivationBox", "Box", "Graph", "LayerBox", "LossBox", "PenaltyBox"]
