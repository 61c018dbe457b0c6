"""Which units and inputs a network can do without, and what becomes of the rest."""

from dataclasses import dataclass

import numpy as np

from fastnn.layers import Dense, Parameter
from fastnn.reference import TWINS


@dataclass
class Selection:
    """The columns of the data that a network reads."""

    width: int
    """How many columns the data has."""
    index: np.ndarray
    """The columns in use: integers below `width`, since compiled code reads at these places."""

    def __post_init__(self) -> None:
        self.index = np.asarray(self.index, np.int64)
        if not ((self.index >= 0) & (self.index < self.width)).all():
            raise ValueError(f"inputs are not all columns of {self.width}")


@dataclass
class Reduction:
    """What is left of a network: masks of the inputs and of each layer's units, and the biases."""

    kept: list[np.ndarray]
    biases: list[np.ndarray]


def reduce(layers: list[Dense], parameters: list[list[Parameter]], tolerance: float) -> Reduction:
    """Return what is left without units and inputs that change nothing.

    A unit or input whose outgoing weights are all 0 is left out; so is a unit whose incoming
    weights are all 0: its constant output times its outgoing weights goes into the next biases.
    That may free others, so both are done until nothing changes.  Weights of at most `tolerance`
    count as 0.  Each layer keeps at least one unit, and a layer whose activation mixes units
    (softmax) keeps all of them.
    """
    weights = [own[0].value for own in parameters]
    active = [np.abs(w) > tolerance for w in weights]
    biases = [_bias(layer, own) for layer, own in zip(layers, parameters, strict=True)]
    kept = [np.ones(len(w), bool) for w in weights] + [np.ones(weights[-1].shape[1], bool)]
    count = -1
    while count != sum(map(np.sum, kept)):
        count = sum(map(np.sum, kept))
        for number in reversed(range(len(layers))):
            if number == 0 or layers[number - 1].activation.elementwise:
                _drop(kept[number], ~active[number][:, kept[number + 1]].any(axis=1))
        for number, layer in enumerate(layers[:-1]):
            if layer.activation.elementwise:
                constant = ~active[number][kept[number]].any(axis=0)
                gone = _drop(kept[number + 1], constant)
                outputs = _applied(layer, biases[number][gone], weights[number].dtype)
                biases[number + 1] += outputs @ weights[number + 1][gone]
    return Reduction(kept, biases)


def _bias(layer: Dense, parameters: list[Parameter]) -> np.ndarray:
    if layer.use_bias:
        return parameters[1].value.astype(np.float64)
    return np.zeros(layer.units)


def _drop(kept: np.ndarray, needless: np.ndarray) -> np.ndarray:
    """Take from `kept` what is needless, but for the last one; return the places taken."""
    gone = np.flatnonzero(kept & needless)
    if len(gone) == kept.sum():
        gone = gone[1:]
    kept[gone] = False
    return gone


def _applied(layer: Dense, inputs: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the layer's activation of some of its inputs."""
    z = inputs.astype(dtype)[None]
    slope, forward = layer.activation.slope, layer.activation.forward
    if slope is not None:
        return np.where(z > 0, z, slope * z)[0].astype(np.float64)
    out = np.empty_like(z)
    (TWINS[forward] if isinstance(forward, str) else forward[1])(z, out)
    return out[0].astype(np.float64)


def fill(built: list[Parameter], old: list[Parameter], rows, columns, bias: np.ndarray) -> None:
    """Give a smaller layer's parameters the values, and the optimizer's state, that are left."""
    for new, source in zip(built, old, strict=False):
        place = np.ix_(rows, columns) if new.value.ndim == 2 else columns
        new.value[...] = source.value[place]
        new.state = {name: np.ascontiguousarray(a[place]) for name, a in source.state.items()}
    if len(built) > 1:
        built[1].value[...] = bias
