"""A model's file: its description in the header, and its arrays by name."""

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn.engine.program import aligned_copy
from fastnn.files import storage
from fastnn.inputs.checks import listed, non_negative_int, positive_int
from fastnn.inputs.columns import Label, Names
from fastnn.inputs.custom import restored
from fastnn.inputs.settings import look_up
from fastnn.layers import TABLE
from fastnn.layers.base import Layer, Parameter
from fastnn.optimizers import TABLE as OPTIMIZERS
from fastnn.preprocessing.chain import below
from fastnn.training.attributes import CHECKS
from fastnn.training.data import Selection
from fastnn.training.model import Model

_FORMAT = "fastnn-network-1"
_MANY = 2**53
"""More updates than a century has time for; the engine's numbers are 64-bit."""
_NONNEGATIVE = frozenset(name for kind in OPTIMIZERS.values() for name in kind.nonnegative)
"""Which arrays of an optimizer hold no number below 0, of whichever optimizer they are."""


def save(kept: Model, path: str | os.PathLike[str], extra: dict[str, Any] | None) -> None:
    """Write a model; :meth:`fastnn.Network.save` documents the arguments."""
    kept.need_built("save")
    extra = kept.extra if extra is None else CHECKS["extra"](extra, "extra")
    storage.save(path, *packed(kept, extra))
    kept.extra = extra


def packed(kept: Model, extra: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a built model's arrays, and its header."""
    model = copy.copy(kept)  # another thread may fit it
    header = _header(model, extra)
    return _arrays(model), header


def _arrays(model: Model) -> dict[str, np.ndarray]:
    arrays = {}
    for number, layer in enumerate(model.parameters):
        for parameter in layer:
            name = f"layers.{number}.{parameter.name}"
            arrays[name] = _at_least(parameter.least, parameter.value, name)
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
        "dtype": model.policy,
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
        found = header.get("format")
        tabular = isinstance(found, str) and found.startswith("fastnn-tabular")
        hint = ": fastnn.tabular.load reads it" if tabular else ""
        raise ValueError(f"{path} is not a fastnn network (format {found!r}){hint}")
    with naming(path, "network"):
        return unpacked(arrays, header, custom)


def unpacked(
    arrays: dict[str, np.ndarray], header: dict[str, Any], custom: Mapping[str, Any] | None = None
) -> Model:
    """Return the model that :func:`packed` packed.

    Arrays and header may say anything.  Whatever is wrong raises an error of those that
    :func:`naming` takes, before it costs memory.
    """
    found = Model(**_settings(header, custom))
    _restore(found, arrays, header)
    check_nothing_is_left(arrays, header, _arrays(found), _header(found, {}))
    return found


@contextmanager
def naming(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turn whatever a file's contents raise into one ValueError that names the file."""
    try:
        yield
    except (KeyError, TypeError, ArithmeticError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not a complete fastnn {what}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
    n_inputs, index = positive_int(header["n_inputs"], "n_inputs"), header.get("inputs")
    if index is not None:
        if not isinstance(index, list) or not all(type(each) is int for each in index):
            raise ValueError("inputs is not a list of the columns in use")
        model.selection = Selection(n_inputs, np.array(index))
    columns = n_inputs if index is None else len(index)
    _check_shapes(model, columns, arrays)
    model.build(columns)
    for number, layer in enumerate(model.parameters):
        for parameter in layer:
            name = f"layers.{number}.{parameter.name}"
            parameter.value[...] = _at_least(parameter.least, arrays[name], name)
            parameter.state = _state(parameter, below(arrays, f"optimizer.{name}."), name)
    if len({tuple(each.state) for each in model.all_parameters() if each.trained}) > 1:
        raise ValueError("its parameters have different arrays of the optimizer")
    fitted = below(arrays, "preprocessing.")
    if fitted and model.preprocessing is not None:
        model.preprocessing.restore(fitted)
        if model.preprocessing.n_features_out_ != model.n_inputs:
            width = model.preprocessing.n_features_out_
            raise ValueError(f"preprocessing.width_ is {width}, wanted {model.n_inputs}")
    model.names = Names(
        as_names(header.get("feature_names"), "feature_names", model.n_features),
        as_names(header.get("target_names"), "target_names", model.loss.n_targets(model.n_outputs)),
    )
    if model.preprocessing is not None and model.preprocessing.fitted:
        for each in (model.preprocessing, model.preprocessing.steps_[0]):
            each.names_ = model.names
    model.extra = header["extra"]
    model.epochs, model.updates = (_count(header[name], name) for name in ("epochs", "updates"))


def _check_shapes(model: Model, n_inputs: int, arrays: dict[str, np.ndarray]) -> None:
    """Raise unless the file has all parameters, before anything of their sizes is made."""
    width = n_inputs
    for number, layer in enumerate(model.layers):
        for key, shape in layer.shapes(width).items():
            name = f"layers.{number}.{key}"
            _like(arrays[name], shape, model.dtype, name)
        width = layer.width(width)


def check_nothing_is_left(
    arrays: Mapping[str, Any],
    header: Mapping[str, Any],
    known: Mapping[str, Any],
    known_header: Mapping[str, Any],
) -> None:
    """Raise if a file has more than what is known: a damaged name is not another version."""
    more = set(arrays) - set(known) or set(header) - set(known_header)
    if more:
        raise ValueError(f"it has {listed(sorted(more))}, which a model has not")


def _state(parameter: Parameter, arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Return the optimizer's state for a parameter, checked."""
    if arrays and not parameter.trained:
        raise ValueError(f"{name} is not trained, but the optimizer has arrays for it")
    value, state = parameter.value, {}
    for key, array in arrays.items():
        what = f"{name}.{key}"
        least = 0.0 if key in _NONNEGATIVE else -np.inf
        same = _like(array, value.shape, value.dtype, what)
        state[key] = aligned_copy(_at_least(least, same, what))
    return state


def as_names(given: Any, name: str, count: int | None) -> tuple[Label, ...] | None:
    """Return names of columns, checked; `count` is how many, if that is known."""
    if given is None:
        return None
    if not isinstance(given, list) or not all(type(each) in (str, int) for each in given):
        raise ValueError(f"{name} is not a list of names")
    if len(set(given)) != len(given) or len(given) != (count or len(given)):
        raise ValueError(f"{name} has {len(given)} names, wanted {count} different ones")
    return tuple(given)


def _count(value: Any, name: str) -> int:
    if non_negative_int(value, name) >= _MANY:
        raise ValueError(f"{name} is {value}, wanted less than {_MANY}")
    return int(value)


def _like(array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, name: str) -> np.ndarray:
    """Return an array that has a parameter's shape and type: compiled code relies on them."""
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, wanted {dtype} {shape}")
    return array


def _at_least(least: float, value: np.ndarray, name: str) -> np.ndarray:
    """Return an array in which all numbers are finite and so large: no fit leaves others."""
    if not np.isfinite(value).all():
        raise ValueError(f"{name} holds NaN or infinity, wanted finite numbers")
    if (value < least).any():
        raise ValueError(f"{name} holds {value.min()}, wanted numbers of at least {least:g}")
    return value
