"""A network's boxes, in order."""

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import activations
from fastnn.flow.boxes import ActivationBox, Box, LayerBox, LossBox, PenaltyBox
from fastnn.layers import Activation, Layer
from fastnn.network import Network
from fastnn.training.gradients import check_penalties


class Graph:
    """The flow graph of a network's training loss: layers, activations, loss and penalties.

    Parameters
    ----------
    network : Network
        Built.  The graph has its weights as they are now, and never changes it.

    Attributes
    ----------
    boxes : list of Box
        In the order in which `fprop` calls them.  A layer's own activation is a box after it,
        unless the loss contains it (softmax in "softmax_cross_entropy"): then the layer's outputs
        go to the loss.

    Raises
    ------
    TypeError, ValueError
        For what is no network or not built, a last layer `HierarchicalSoftmax`, which computes with
        its loss, or penalties that have no gradient.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> network = fastnn.Network([fastnn.Dense(3, "tanh"), fastnn.Dense(1)])
    >>> network.build(2)
    >>> graph = fastnn.flow.Graph(network)
    >>> [box.name for box in graph.boxes]
    ["Dense(3, activation='linear')", 'tanh', "Dense(1, activation='linear')", 'mse']
    >>> x, y = np.ones((4, 2)), np.zeros((4, 1))
    >>> np.isclose(graph.fprop(x, y), network.evaluate(x, y))
    np.True_
    >>> [gradient.shape for gradient in graph.bprop()]  # as network.gradients(x, y)
    [(2, 3), (3,), (3, 1), (1,)]
    """

    def __init__(self, network: Network):
        if not isinstance(network, Network):
            raise TypeError(f"network is {network!r}, wanted a Network")
        network.model.need_built("Graph")
        check_penalties(network.model)
        self._model = model = copy.copy(network.model)
        how: dict[str, Any] = {"dtype": model.policy, "backend": model.backend}
        self._layers: list[tuple[int, LayerBox]] = []
        for number, layer in enumerate(model.layers):
            fused = model.fuses and layer is model.layers[-1]
            weights = [each.value for each in model.parameters[number]]
            at = {"seed": model.seed, "number": number, "update": model.updates}
            if not isinstance(layer, Activation):
                box = LayerBox(_without_activation(layer), weights, **at, **how)
                self._layers.append((number, box))
            if not (fused or layer.activation.slope == 1):
                self._layers.append((number, ActivationBox(layer.activation, **how)))
        self._loss = LossBox(model.loss, **how)
        self._penalties = [
            (place, PenaltyBox(each.regularizer, **how))
            for place, each in enumerate(model.all_parameters())
            if each.regularizer is not None
        ]
        self.boxes: list[Box] = [box for _, box in self._layers]
        self.boxes += [self._loss, *(box for _, box in self._penalties)]

    @np.errstate(all="ignore")
    def fprop(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Call `fprop` of every box; return the training loss with penalties."""
        model = self._model
        data = model.prepared(model.check_data(X, y, sample_weight), model.preprocessing)
        h = np.asarray(data.x, model.dtype)
        if model.selection is not None:
            h = h[:, model.selection.index]
        for _, box in self._layers:
            h = box.fprop(h)
        total = self._loss.fprop(h, data.y, data.weight)
        weights = [each.value for each in model.all_parameters()]
        return total + sum(box.fprop(weights[place]) for place, box in self._penalties)

    @np.errstate(all="ignore")
    def bprop(self) -> list[np.ndarray]:
        """Call `bprop` of every box in the reverse order; return the parameters' gradients.

        They are in the order and shapes of :meth:`fastnn.Network.get_weights`.
        """
        by_layer: dict[int, list[np.ndarray]] = {}
        gradient = self._loss.bprop()
        for number, box in reversed(self._layers):
            gradient = box.bprop(gradient)
            if not isinstance(box, ActivationBox):
                by_layer[number] = [each.copy() for each in box.gradients]
        gradients = [each for number in sorted(by_layer) for each in by_layer[number]]
        for place, penalty in self._penalties:
            gradients[place] += penalty.bprop()
        return gradients

    def __repr__(self) -> str:
        return f"Graph({self.boxes})"


def _without_activation(layer: Layer) -> Layer:
    """Return a copy of the layer that is linear, if it has an activation of its own."""
    if "activation" not in layer.settings():
        return layer
    plain = copy.copy(layer)
    plain.activation = activations.get("linear")
    return plain
