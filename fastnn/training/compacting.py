"""Compaction: find the units and inputs that a model does not need, and rebuild it without them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastnn.engine.program import aligned_copy
from fastnn.inputs import checks
from fastnn.layers import Dense
from fastnn.layers.base import Layer, Parameter
from fastnn.reference import TWINS
from fastnn.training.data import Selection
from fastnn.training.model import Model


@dataclass
class Reduction:
    """What remains of a network: masks of its inputs and of each layer's units, and its weights."""

    kept: list[np.ndarray]
    weights: list[np.ndarray]
    biases: list[np.ndarray]


@np.errstate(all="ignore")
def compact(model: Model, tolerance: float) -> Model:
    """Return a copy of a model without the units and inputs it does not need."""
    model.need_built("compact")
    tolerance = checks.non_negative_float(tolerance, "tolerance")
    model = copy.copy(model)  # another thread may fit it
    layers = [copy.copy(layer) for layer in plain(model.layers)]
    left = reduce(layers, model.parameters, tolerance)
    for layer, units, bias in zip(layers, left.kept[1:], left.biases, strict=True):
        layer.units = int(units.sum())
        layer.use_bias = layer.use_bias or bool(bias[units].any())
    small = copy.copy(model)
    small.parameters, small.columns, small.selection = [], 0, None
    small.layers = [*layers]
    small.build(int(left.kept[0].sum()))
    fill(small.parameters, model.parameters, left)
    if len(model.inputs) < model.n_inputs or not left.kept[0].all():
        small.selection = Selection(model.n_inputs, model.inputs[left.kept[0]])
    return small


def plain(layers: Sequence[Layer]) -> list[Dense]:
    """Return the layers if all are exactly :class:`Dense`: subclasses may compute anything."""
    found = []
    for number, layer in enumerate(layers):
        if type(layer) is not Dense:
            raise TypeError(f"compact wants Dense layers, got layers[{number}], {layer!r}")
        found.append(layer)
    return found


def reduce(layers: list[Dense], parameters: list[list[Parameter]], tolerance: float) -> Reduction:
    """Return what remains without the units and inputs that change nothing.

    A unit without incoming weights is constant.  Its constant times its outgoing weights goes into
    the next layer's biases, and these weights become 0.  A unit without outgoing weights needs no
    incoming ones.  Each rule may make the other apply to more units, so both repeat until nothing
    changes.  Weights of at most `tolerance` count as 0.  Each layer keeps at least one unit, and a
    layer whose activation mixes units (softmax) keeps all of them.
    """
    weights = [own[0].value.copy() for own in parameters]
    biases = [_bias(layer, own) for layer, own in zip(layers, parameters, strict=True)]
    changed = True
    while changed:
        changed = False
        for number, layer in enumerate(layers[:-1]):
            w, after = weights[number], weights[number + 1]
            if layer.activation.elementwise:
                constant = (np.abs(w) <= tolerance).all(axis=0) & after.any(axis=1)
                outputs = _applied(layer, biases[number][constant], w.dtype)
                biases[number + 1] += outputs @ after[constant]
                after[constant] = 0
                unread = (np.abs(after) <= tolerance).all(axis=1) & w.any(axis=0)
                w[:, unread] = 0
                changed = changed or bool(constant.any() or unread.any())
    kept = [_read(w, tolerance) for w in weights] + [np.ones(layers[-1].units, bool)]
    for number, layer in enumerate(layers[:-1]):
        if not layer.activation.elementwise:
            kept[number + 1][:] = True
    return Reduction(kept, weights, biases)


def _read(w: np.ndarray, tolerance: float) -> np.ndarray:
    """Return which inputs of a layer matter, and set the weights of all others to 0."""
    kept = ~(np.abs(w) <= tolerance).all(axis=1)
    w[~kept] = 0
    kept[0] |= not kept.any()
    return kept


def _bias(layer: Dense, parameters: list[Parameter]) -> np.ndarray:
    if layer.use_bias:
        return parameters[1].value.astype(np.float64)
    return np.zeros(layer.units)


def _applied(layer: Dense, inputs: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the layer's activation, applied to `inputs`."""
    z = inputs.astype(dtype)[None]
    slope, forward = layer.activation.slope, layer.activation.forward
    if slope is not None:
        return np.where(z > 0, z, slope * z)[0].astype(np.float64)
    out = np.empty_like(z)
    (TWINS[forward] if isinstance(forward, str) else forward[1])(
        z, *layer.activation.arguments, out
    )
    return out[0].astype(np.float64)


def fill(built: list[list[Parameter]], old: list[list[Parameter]], left: Reduction) -> None:
    """Copy the remaining values and optimizer state into the smaller network's parameters."""
    for number, parameters in enumerate(built):
        rows, columns = left.kept[number : number + 2]
        values = left.weights[number], left.biases[number]
        for new, value in zip(parameters, values, strict=False):
            new.value[...] = _cut(value, rows, columns)
        for new, source in zip(parameters, old[number], strict=False):
            new.state = {
                name: aligned_copy(_cut(array, rows, columns))
                for name, array in source.state.items()
            }


def _cut(array: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return array[np.ix_(rows, columns)] if array.ndim == 2 else array[columns]
