"""Layers and weights as they are found in a model from elsewhere, and the network made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from fastnn import activations
from fastnn.layers import Activation, Dense, Layer
from fastnn.losses import Loss
from fastnn.network import Network
from fastnn.preprocessing import Standardize

_DTYPES = "float32", "float64"
_LOSSES = {"softmax": "softmax_cross_entropy", "sigmoid": "logistic"}


def refuse(where: str, reason: object) -> NoReturn:
    """Raise ValueError for a part that cannot become a layer."""
    raise ValueError(f"cannot import {where}: {reason}") from None


@dataclass
class Piece:
    """A layer to be, with its weights in the order of :meth:`fastnn.Network.get_weights`."""

    kind: type[Layer]
    settings: dict[str, Any]
    weights: list[np.ndarray]
    where: str
    """What it was, and the place where it stood."""


class Chain:
    """Layers in order.

    Attributes
    ----------
    pieces : list of Piece
    n_inputs, width : int or None
        How many numbers come in, and go out of the last layer, as far as layers have told.
    dtype : dtype or None
        That of all weights.
    before : list of (array, array)
        What is subtracted from the columns, and then what they are divided by, before all layers.
    """

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.n_inputs: int | None = None
        self.width: int | None = None
        self.dtype: np.dtype | None = None
        self.before: list[tuple[np.ndarray, np.ndarray]] = []

    def need_width(self, where: str, wanted: int) -> None:
        """Note that the next layer takes so many numbers.

        Raises
        ------
        ValueError
            If the layers before it return another number of them.
        """
        if self.width is None:
            self.n_inputs = self.width = wanted
        elif self.width != wanted:
            refuse(where, f"it takes {wanted} numbers, but what comes before it has {self.width}")

    def add(
        self,
        where: str,
        kind: type[Layer],
        settings: Mapping[str, Any],
        weights: Sequence[np.ndarray] = (),
    ) -> None:
        """Add a layer that returns as many numbers as it takes."""
        for each in weights:
            if each.dtype.name not in _DTYPES:
                refuse(where, f"its weights are {each.dtype}, wanted float32 or float64")
            if self.dtype is not None and self.dtype != each.dtype:  # float64 equals None
                refuse(where, f"its weights are {each.dtype}, those before it {self.dtype}")
            self.dtype = each.dtype
        self.pieces.append(Piece(kind, dict(settings), list(weights), where))

    def dense(
        self, where: str, w: np.ndarray, b: np.ndarray | None, settings: Mapping[str, Any] = {}
    ) -> None:
        """Add a dense layer; `w` is (inputs, units)."""
        self.need_width(where, w.shape[0])
        weights = [w] if b is None else [w, b]
        given = {"units": w.shape[1], "use_bias": b is not None, **settings}
        self.add(where, Dense, given, weights)
        self.width = w.shape[1]

    def activation(self, where: str, function: activations.Activation) -> None:
        """Add an activation: that of the dense layer before it, or a layer of its own."""
        if function.name == "linear":
            return
        last = self.pieces[-1] if self.pieces else None
        if last is not None and last.kind is Dense and "activation" not in last.settings:
            last.settings["activation"] = function
        else:
            self.add(where, Activation, {"activation": function})

    @property
    def output(self) -> str:
        """The name of the last activation."""
        last = self.pieces[-1].settings.get("activation") if self.pieces else None
        return "linear" if last is None else last.name

    def network(self, what: str, loss: str | Loss | None, optimizer: Any) -> Network:
        """Return the network; `what` is the argument that all of it was.

        Raises
        ------
        ValueError
            If no layer has weights, or a setting is not one of fastnn's.
        """
        if self.dtype is None or self.n_inputs is None:
            refuse(what, "it has no layer with weights, so its number of inputs is unknown")
        layers = []
        for piece in self.pieces:
            try:
                layers.append(piece.kind(**piece.settings))
            except (ValueError, TypeError) as error:
                refuse(piece.where, error)
        network = Network(
            layers,
            loss=_LOSSES.get(self.output, "mse") if loss is None else loss,
            optimizer="sgd" if optimizer is None else optimizer,
            dtype=self.dtype.name,
            preprocessing=[Standardize() for _ in self.before] or None,
        )
        network.build(self.n_inputs)
        network.set_weights([each for piece in self.pieces for each in piece.weights])
        if network.preprocessing is not None:
            network.preprocessing.restore(self._standardized(self.n_inputs))
        return network

    def standardize(self, where: str, mean: np.ndarray, scale: np.ndarray) -> None:
        """Note that columns are standardized before the first layer: ``(x - mean) / scale``.

        Both are float64, with a number for each column or one for all.
        """
        if self.pieces:
            refuse(where, "it stands behind the first layer, wanted it in front of all")
        if not (np.isfinite([*mean, *scale]).all() and (scale > 0).all()):
            refuse(where, "it does not divide all columns by numbers above 0")
        self.before.append((mean, scale))
        for each in (mean, scale):
            if len(each) > 1:
                self.need_width(where, len(each))

    def _standardized(self, width: int) -> dict[str, np.ndarray]:
        """Return the state of the preprocessing."""
        state = {name: np.array(width) for name in ("n_features_in_", "width_")}
        for place, (mean, scale) in enumerate(self.before):
            arrays = {"mean_": mean, "var_": scale**2, "scale_": scale}
            for name, array in arrays.items():
                state[f"{place}.{name}"] = np.array(np.broadcast_to(array, width))
            state[f"{place}.n_features_in_"] = np.array(width)
        return state
