"""A model's file: its description in the header, and its arrays by name."""

import copy
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.engine.program import aligned_copy
from fastnn.files import storage
from fastnn.inputs.columns import Names
from fastnn.inputs.custom import restored
from fastnn.inputs.settings import look_up
from fastnn.layers import TABLE
from fastnn.layers.base import Layer
from fastnn.preprocessing.chain import below
from fastnn.training.model import Model, Selection

_FORMAT = "fastnn-network-1"


def save(kept: Model, path: str | os.PathLike[str], extra: dict[str, Any] | None) -> None:
    """Write a model; :meth:`fastnn.Network.save` documents the arguments."""
    kept.need_built("save")
    extra = kept.extra if extra is None else dict(extra)
    model = copy.copy(kept)  # another thread may fit it
    header = _header(model, extra)
    storage.save(path, _arrays(model), header)
    kept.extra = extra


def _arrays(model: Model) -> dict[str, np.ndarray]:
    arrays = {}
    for number, layer in enumerate(model.parameters):
        for parameter in layer:
            name = f"layers.{number}.{parameter.name}"
            arrays[name] = _finite(parameter.value, name)
            for key, state in parameter.state.items():
                arrays[f"optimizer.{name}.{key}"] = state
    if model.preprocessing is not None:
        for name, array in model.preprocessing.state().items():
            arrays[f"preprocessing.{name}"] = array
    return arrays


def _header(model: Model, extra: dict[str, Any]) -> dict[str, Any]:
    selection, chain = model.selection, model.preprocessing
    penalties = {
        name: penalty and penalty.to_config()
        for name, penalty in [
            ("kernel_regularizer", model.kernel_regularizer),
            ("bias_regularizer", model.bias_regularizer),
        ]
    }
    return {
        "format": _FORMAT,
        "n_inputs": model.n_inputs,
        "inputs": None if selection is None else selection.index.tolist(),
        "feature_names": model.names.x,
        "target_names": model.names.y,
        "layers": [layer.to_config() for layer in model.layers],
        "loss": model.loss.to_config(),
        "optimizer": model.optimizer.to_config(),
        **penalties,
        "seed": model.seed,
        "dtype": model.dtype.name,
        "n_threads": model.n_threads,
        "backend": model.backend,
        "metrics": [metric.name for metric in model.metrics if metric.builtin],
        "preprocessing": None if chain is None else chain.to_config()["steps"],
        "epochs": model.epochs,
        "updates": model.updates,
        "extra": extra,
    }


def load(path: str | os.PathLike[str], custom: Mapping[str, Any] | None) -> Model:
    """Return the model that a file holds; see :func:`fastnn.load`."""
    arrays, header = storage.load(path)
    if header.get("format") != _FORMAT:
        raise ValueError(f"{path} is not a fastnn network (format {header.get('format')!r})")
    try:
        found = Model(**_settings(header, custom))
        _restore(found, arrays, header)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a complete fastnn network: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found


def _settings(header: dict[str, Any], custom: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the arguments of :class:`Model`."""
    layers = restored(header["layers"], custom)
    return {
        "layers": [look_up(config, "layer", Layer, TABLE) for config in layers],
        "loss": restored(header["loss"], custom),
        **{name: header[name] for name in ("optimizer", "seed", "dtype", "n_threads", "backend")},
        "kernel_regularizer": header.get("kernel_regularizer"),
        "bias_regularizer": header.get("bias_regularizer"),
        "metrics": header.get("metrics"),
        "preprocessing": header.get("preprocessing"),
    }


def _restore(model: Model, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> None:
    """Give a new model the state that training had reached."""
    inputs = header.get("inputs")
    model.build(header["n_inputs"] if inputs is None else len(inputs))
    if inputs is not None:
        model.selection = Selection(header["n_inputs"], np.array(inputs))
    for number, layer in enumerate(model.parameters):
        for parameter in layer:
            name = f"layers.{number}.{parameter.name}"
            parameter.value[...] = _finite(_like(parameter.value, arrays[name], name), name)
            state = below(arrays, f"optimizer.{name}.")
            parameter.state = {
                key: aligned_copy(_like(parameter.value, array, f"{name}.{key}"))
                for key, array in state.items()
            }
    names = (header.get(f"{kind}_names") for kind in ("feature", "target"))
    model.names = Names(*(None if each is None else tuple(each) for each in names))
    fitted = below(arrays, "preprocessing.")
    if fitted and model.preprocessing is not None:
        model.preprocessing.restore(fitted)
        model.preprocessing.names_ = model.names
    model.extra = header["extra"]
    model.epochs, model.updates = header["epochs"], header["updates"]


def _like(value: np.ndarray, array: np.ndarray, name: str) -> np.ndarray:
    """Return an array that has a parameter's shape and type: compiled code relies on them."""
    if array.shape != value.shape or array.dtype != value.dtype:
        raise ValueError(
            f"{name} is {array.dtype} {array.shape}, wanted {value.dtype} {value.shape}"
        )
    return array


def _finite(value: np.ndarray, name: str) -> np.ndarray:
    """Return an array in which all numbers are finite: no fit leaves others."""
    if not np.isfinite(value).all():
        raise ValueError(f"{name} holds NaN or infinity, wanted finite numbers")
    return value
