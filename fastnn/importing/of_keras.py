"""Keras's models as networks."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn.importing import keras_training
from fastnn.importing.chain import Chain, refuse
from fastnn.importing.keras_layers import add, is_keras
from fastnn.losses import Loss
from fastnn.network import Network

_QUIET = {"mask": None, "training": None}
"""What a layer may be called with beside its input."""


@np.errstate(all="ignore")
def from_keras(model: Any, *, loss: str | Loss | None = None, optimizer: Any = None) -> Network:
    """Return a network with the layers and weights of a Keras model, and what it was compiled with.

    It predicts what ``model.predict`` does, to rounding, in the model's dtype, and its training
    goes on from these weights, with a new state of the optimizer.  The model stays as it is, and
    its backend does not matter.

    A model is a `Sequential`, or a functional one whose layers follow one another: `Dense` with its
    activation, penalties and constraints, activations, `BatchNormalization`, `LayerNormalization`,
    `Dropout`, `Flatten`, such models themselves, and in front of all `Normalization` and
    `Rescaling`, which become preprocessing.  Layers that are not trainable get learning-rate
    factors of 0.

    Parameters
    ----------
    model : keras.Model
        Of Keras 3, with weights.
    loss : str or Loss, optional
        By default the compiled one.  If there is none, "softmax_cross_entropy" if the last layer is
        softmax, "logistic" if it is sigmoid, else "mse".
    optimizer : str or Optimizer, optional
        By default the compiled one, with its current learning rate, or "sgd".

    Raises
    ------
    ValueError
        For a layer, loss or optimizer that fastnn does not have, or computes in another way, naming
        its place and the reason.
    TypeError
        For what is not a model of Keras 3.

    Notes
    -----
    Labels here are whole numbers, also under "categorical_crossentropy".  Keras's ``L2(c)`` becomes
    ``L2(2 * c)``, which is the same penalty.  Keras's `Adam` adds epsilon before it corrects the
    bias of the second moment, which matters only where gradients are nearly as small as epsilon;
    its constraints add 1e-7 to norms.

    Examples
    --------
    >>> import keras, fastnn  # doctest: +SKIP
    >>> model = keras.Sequential(
    ...     [keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]
    ... )  # doctest: +SKIP
    >>> fastnn.from_keras(model).layers  # doctest: +SKIP
    [Dense(8, activation='relu'), Dense(1, activation='linear')]
    """
    if not is_keras(model, "Sequential", "Functional"):
        raise TypeError(
            f"model is a {type(model).__name__}, wanted a Sequential or functional model of Keras 3"
        )
    if not model.built:
        refuse("model", "it has no weights yet: call model.build")
    chain = Chain()
    owners: dict[int, str] = {}
    for where, layer in _layers(model, ""):
        if layer.weights and id(layer) in owners:
            refuse(where, f"it is {owners[id(layer)]} again, and shares its weights")
        owners[id(layer)] = where
        add(chain, where, layer)
    if model.compiled and (loss is None or optimizer is None):
        compiled = model.get_compile_config() or {}
        if loss is None and model.loss is not None:
            loss = keras_training.loss(model.loss, compiled, chain)
        if optimizer is None:
            optimizer = keras_training.optimizer(model.optimizer, chain)
    return chain.network("model", loss, optimizer)


def _layers(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model in the order of its computation, each with its place."""
    listed = model.layers if is_keras(model, "Sequential") else _in_order(model, prefix)
    for number, layer in enumerate(listed):
        place = f"{prefix}{number}"
        if is_keras(layer, "Sequential", "Functional"):
            yield from _layers(layer, f"{place}.")
        else:
            yield f"layer {place} of model, {type(layer).__name__} {layer.name!r}", layer


def _in_order(model: Any, prefix: str) -> list[Any]:
    """Return the layers of a functional model from input to output, or refuse what is no chain."""
    what = f"model, {model.name!r}" if not prefix else f"layer {prefix[:-1]} of model"
    config = model.get_config()
    entries = {each["name"]: each for each in config["layers"]}
    (end, node, _), (begin, *_) = (
        _only(config[side], what) for side in ("output_layers", "input_layers")
    )
    names: list[str] = []
    while end != begin:
        if end in names:
            refuse(what, f"layer {end!r} is called twice")
        names.append(end)
        entry = entries[end]
        if not entry["inbound_nodes"]:
            refuse(what, f"its output does not begin at {begin!r}")
        if entry["module"].startswith("keras.src.ops"):
            refuse(what, f"it calls the operation {entry['class_name']}, wanted layers only")
        end, node = _before(entry, node, what)
    if len(names) + 1 != len(entries):
        refuse(what, f"its layers are no chain: {sorted({*entries} - {*names, begin})} are beside")
    layers = {each.name: each for each in model.layers}
    return [layers[name] for name in reversed(names)]


def _only(given: Any, what: str) -> Any:
    """Return the only input or output."""
    if isinstance(given, dict):
        given = list(given.values())
    if len(given) == 3 and isinstance(given[0], str):
        return given
    if len(given) != 1:
        refuse(what, f"it has {len(given)} inputs or outputs, wanted one")
    return given[0]


def _before(entry: dict[str, Any], node: int, what: str) -> tuple[str, int]:
    """Return the layer that a layer's input comes from, and which call of it."""
    call = entry["inbound_nodes"][node]
    for name, value in call["kwargs"].items():
        if name not in _QUIET or value is not None:
            refuse(what, f"layer {entry['name']!r} is called with {name}={value!r}")
    args = call["args"]
    if len(args) != 1 or not isinstance(args[0], dict) or "keras_history" not in args[0]["config"]:
        refuse(what, f"layer {entry['name']!r} has more than one input")
    name, number, _ = args[0]["config"]["keras_history"]
    return name, number
