"""Check the lists that `fit_many` takes: networks, rows of each and callbacks of each."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn.callbacks import Callback, CallbackList
from fastnn.network import Network
from fastnn.training import attributes


def as_networks(networks: Any) -> list[Network]:
    """Return `networks` as a list, checked to fit one plan."""
    if isinstance(networks, Network) or not isinstance(networks, Iterable):
        raise TypeError(f"networks must be a sequence of Network, got {type(networks).__name__}")
    found = list(networks)
    if not found:
        raise ValueError("networks is empty, wanted at least one Network")
    for number, network in enumerate(found):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{number}] must be a Network, got {type(network).__name__}")
    _check_distinct([(network, f"networks[{number}]") for number, network in enumerate(found)])
    for network in found:
        network.model.access.check_free("fit_many")
        attributes.settle(network.model)
    wants = [f"{n.loss.target} targets and {n.model.n_outputs} outputs" for n in found]
    for number, want in enumerate(wants):
        if want != wants[0]:
            raise ValueError(
                f"networks[{number}] wants {want}, but networks[0] {wants[0]}: they cannot share y"
            )
    return found


def as_splits(splits: Any, n: int, n_rows: int) -> list[list[np.ndarray]]:
    """Return the rows to train on and to evaluate of each of `n` networks; none if none given."""
    if splits is None:
        return []
    found = []
    for number, split in enumerate(splits):
        name = f"splits[{number}]"
        if not isinstance(split, tuple | list) or len(split) != 2:
            raise TypeError(f"{name} is {split!r}, wanted a pair of arrays of positions")
        found.append([_as_positions(rows, name, n_rows) for rows in split])
    if len(found) != n:
        raise ValueError(f"splits has {len(found)} pairs, wanted one for each of {n} networks")
    return found


def _as_positions(rows: Any, name: str, n_rows: int) -> np.ndarray:
    array = np.asarray(rows)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has {array.dtype} of shape {array.shape}, wanted positions of rows, (n,)"
        )
    if not len(array) or array.min() < 0 or array.max() >= n_rows:
        had = f"{array.min()} to {array.max()}" if len(array) else "no rows"
        raise ValueError(f"{name} has {had}, wanted positions from 0 to {n_rows - 1}")
    return array


def as_callbacks(callbacks: Any, n: int) -> list[list[Callback]]:
    """Return the callbacks of each of `n` networks."""
    if callbacks is None:
        return [[] for _ in range(n)]
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        kind = type(callbacks).__name__
        raise TypeError(f"callbacks must be a list with a list for each network, got {kind}")
    found = []
    for number, own in enumerate(callbacks):
        if isinstance(own, Callback) or not isinstance(own, Iterable):
            kind = type(own).__name__
            raise TypeError(f"callbacks[{number}] must be a list of callbacks, got {kind}")
        found.append(CallbackList(own).callbacks)
    if len(found) != n:
        raise ValueError(f"callbacks has {len(found)} lists, wanted one for each of {n} networks")
    _check_distinct(  # a callback belongs to one network; functions got a wrapper each
        [(hook, f"callbacks[{number}]") for number, own in enumerate(found) for hook in own]
    )
    return found


def _check_distinct(named: list[tuple[Any, str]]) -> None:
    """Refuse an object that appears under two names."""
    names: dict[int, str] = {}
    for value, name in named:
        first = names.setdefault(id(value), name)
        if first != name:
            raise ValueError(
                f"{name} has the same {type(value).__name__} as {first}, wanted another object"
            )
