"""A model's file: how it reads tables, its networks, and what it knows of the targets."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fastnn.files import modelfile, storage
from fastnn.inputs.checks import positive_int
from fastnn.inputs.columns import Names
from fastnn.network import Network
from fastnn.preprocessing.chain import below
from fastnn.tabular.encoding import Encoding
from fastnn.tabular.recipe import Recipe
from fastnn.training.attributes import CHECKS

FORMAT = "fastnn-tabular-1"


@dataclass
class Contents:
    """What a file holds of a model.

    Attributes
    ----------
    kind : str
        The estimator's class.
    parameters : dict
        What its constructor was given.
    encoding : Encoding
    networks : list of Network
        Without the optimizers' state.
    arrays, header : dict
        What the estimator has learned of its targets; the header is what JSON can hold.
    extra : dict
    """

    kind: str
    parameters: dict[str, Any]
    encoding: Encoding
    networks: list[Network]
    arrays: dict[str, np.ndarray]
    header: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)


def save(path: str | os.PathLike[str], contents: Contents) -> None:
    """Write a file, whole or not at all."""
    storage.save(path, *_packed(contents))


def _packed(contents: Contents) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays: dict[str, np.ndarray] = {}
    networks = []
    for number, network in enumerate(contents.networks):
        own, header = modelfile.packed(network.model, {})
        networks.append(header)
        arrays |= {
            f"networks.{number}.{name}": array
            for name, array in own.items()
            if not name.startswith("optimizer.")
        }
    arrays |= {f"encoding.{name}": array for name, array in contents.encoding.state().items()}
    arrays |= {f"target.{name}": array for name, array in contents.arrays.items()}
    return arrays, {
        "format": FORMAT,
        "kind": contents.kind,
        "parameters": contents.parameters | {"preset": _plain(contents.parameters["preset"])},
        "encoding": contents.encoding.to_config(),
        "feature_names": contents.encoding.names.x,
        "networks": networks,
        "target": contents.header,
        "extra": CHECKS["extra"](contents.extra, "extra"),
    }


def load(path: str | os.PathLike[str]) -> Contents:
    """Return what a file holds, checked as far as no estimator is needed."""
    arrays, header = storage.load(path)
    if header.get("format") != FORMAT:
        hint = ": fastnn.load reads networks" if header else ""
        raise ValueError(f"{path} is not a fastnn.tabular model{hint}")
    with modelfile.naming(path, "model"):
        contents = _unpacked(arrays, header)
        modelfile.check_nothing_is_left(arrays, header, *_packed(contents))
        return contents


def _unpacked(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Contents:
    encoding = Encoding.of(header["encoding"], below(arrays, "encoding."))
    n_features = encoding.one_hot.n_features_in_
    encoding.names = Names(modelfile.as_names(header["feature_names"], "feature_names", n_features))
    encoding.one_hot.names_ = encoding.names
    given = header["networks"]
    if not isinstance(given, list) or not given:
        raise ValueError("networks is not a list of networks")
    networks = []
    for number, each in enumerate(given):
        model = modelfile.unpacked(below(arrays, f"networks.{number}."), each)
        if model.n_features != encoding.width:
            raise ValueError(
                f"networks[{number}] reads {model.n_features} columns, wanted {encoding.width}"
            )
        networks.append(Network.of(model))
    parameters = dict(header["parameters"])
    preset = parameters["preset"]
    if isinstance(preset, dict):
        parameters["preset"] = _recipe(preset)
    if isinstance(preset, list):
        parameters["preset"] = [_recipe(each) for each in preset]
    target = below(arrays, "target.")
    extra = CHECKS["extra"](header["extra"], "extra")
    return Contents(
        header["kind"], parameters, encoding, networks, target, dict(header["target"]), extra
    )


def _plain(preset: Any) -> Any:
    """Return a name, recipe or list of recipes as JSON can hold it."""
    if isinstance(preset, str):
        return preset
    return asdict(preset) if isinstance(preset, Recipe) else [asdict(each) for each in preset]


def _recipe(given: dict[str, Any]) -> Recipe:
    """Return the recipe that a file describes: settings of the types that they have by default."""
    usual = asdict(Recipe())
    settings: dict[str, Any] = {}
    for name, value in given.items():
        default = usual[name]
        if isinstance(default, tuple):
            if not isinstance(value, list):
                raise TypeError(f"preset.{name} is {value!r}, wanted a list")
            settings[name] = tuple(positive_int(each, f"preset.{name}") for each in value)
            continue
        alike = type(value) is type(default) or {type(value), type(default)} <= {int, float}
        if not alike and {type(value), type(default)} != {str, type(None)}:
            raise TypeError(f"preset.{name} is {value!r}, wanted something like {default!r}")
        settings[name] = value
    return Recipe(**settings)


def array_of(array: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return an array of a file, or raise ValueError for one that no fit leaves."""
    if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
        raise ValueError(f"{name} is {array.dtype} {array.shape}, wanted finite float64 {shape}")
    return array


def shares_of(
    shares: np.ndarray, kinds: np.ndarray, n_networks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each kind of network counts, and the networks' kinds, checked."""
    array_of(shares, (max(1, len(shares)),), "shares")
    if (shares < 0).any():
        raise ValueError("shares has numbers below 0")
    if kinds.shape != (n_networks,) or kinds.dtype != np.int64:
        raise ValueError(f"kinds is {kinds.dtype} {kinds.shape}, wanted int64 ({n_networks},)")
    if set(kinds.tolist()) != set(range(len(shares))):
        raise ValueError("kinds has not each of the kinds that shares has")
    return shares, kinds
