"""The file of a network: its description in the header, and arrays by name."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.engine.program import aligned_copy
from fastnn.files import storage
from fastnn.inputs.custom import restored
from fastnn.inputs.settings import look_up
from fastnn.layers import TABLE
from fastnn.layers.base import Layer, Selection
from fastnn.preprocessing.chain import below

if TYPE_CHECKING:
    from fastnn.network import Network

_FORMAT = "fastnn-network-1"


def save(network: "Network", path: str | os.PathLike[str], extra: dict[str, Any]) -> None:
    """Write a network that has parameters."""
    header = _header(network, extra)
    storage.save(path, _arrays(network), header)


def _arrays(network: "Network") -> dict[str, np.ndarray]:
    arrays = {}
    for number, layer in enumerate(network._parameters):
        for parameter in layer:
            name = f"layers.{number}.{parameter.name}"
            arrays[name] = parameter.value
            for key, state in parameter.state.items():
                arrays[f"optimizer.{name}.{key}"] = state
    if network.preprocessing is not None:
        for name, array in network.preprocessing.state().items():
            arrays[f"preprocessing.{name}"] = array
    return arrays


def _header(network: "Network", extra: dict[str, Any]) -> dict[str, Any]:
    selection, chain = network._selection, network.preprocessing
    penalties = {
        name: penalty and penalty.to_config()
        for name, penalty in [
            ("kernel_regularizer", network.kernel_regularizer),
            ("bias_regularizer", network.bias_regularizer),
        ]
    }
    return {
        "format": _FORMAT,
        "n_inputs": network._model().n_inputs,
        "inputs": None if selection is None else selection.index.tolist(),
        "layers": [layer.to_config() for layer in network.layers],
        "loss": network.loss.to_config(),
        "optimizer": network.optimizer.to_config(),
        **penalties,
        "seed": network.seed,
        "dtype": network.dtype.name,
        "n_threads": network.n_threads,
        "backend": network.backend,
        "metrics": [metric.name for metric in network.metrics if metric.builtin],
        "preprocessing": None if chain is None else chain.to_config()["steps"],
        "epochs": network._epochs,
        "updates": network._updates,
        "extra": extra,
    }


def load(
    network: "type[Network]", path: str | os.PathLike[str], custom: Mapping[str, Any] | None
) -> "Network":
    """Return the network of a file, made by its class."""
    arrays, header = storage.load(path)
    if header.get("format") != _FORMAT:
        raise ValueError(f"{path} is not a fastnn network (format {header.get('format')!r})")
    try:
        found = network(**_settings(header, custom, path))
        _restore(found, arrays, header)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a whole fastnn network: {error}") from error
    return found


def _settings(
    header: dict[str, Any], custom: Mapping[str, Any] | None, path: str | os.PathLike[str]
) -> dict[str, Any]:
    """Return the arguments of the class."""
    layers = restored(header["layers"], custom, path)
    return {
        "layers": [look_up(config, "layer", Layer, TABLE) for config in layers],
        "loss": restored(header["loss"], custom, path),
        **{name: header[name] for name in ("optimizer", "seed", "dtype", "n_threads", "backend")},
        "kernel_regularizer": header.get("kernel_regularizer"),
        "bias_regularizer": header.get("bias_regularizer"),
        "metrics": header.get("metrics"),
        "preprocessing": header.get("preprocessing"),
    }


def _restore(network: "Network", arrays: dict[str, np.ndarray], header: dict[str, Any]) -> None:
    """Give a network that was just made what training has changed."""
    inputs = header.get("inputs")
    network.build(header["n_inputs"] if inputs is None else len(inputs))
    if inputs is not None:
        network._selection = Selection(header["n_inputs"], np.array(inputs))
    for number, layer in enumerate(network._parameters):
        for parameter in layer:
            name = f"layers.{number}.{parameter.name}"
            parameter.value[...] = arrays[name]
            state = below(arrays, f"optimizer.{name}.")
            parameter.state = {key: aligned_copy(array) for key, array in state.items()}
    fitted = below(arrays, "preprocessing.")
    if fitted and network.preprocessing is not None:
        network.preprocessing.restore(fitted)
    network.extra = header["extra"]
    network._epochs, network._updates = header["epochs"], header["updates"]
