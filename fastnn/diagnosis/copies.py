"""Copies of a network to try things on; the caller's own never changes."""

import copy
import functools
from collections.abc import Callable
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from fastnn import initializers
from fastnn.inputs import checks
from fastnn.network import Network
from fastnn.optimizers import Optimizer
from fastnn.preprocessing.chain import Chain
from fastnn.training import planning

T = TypeVar("T")


def without_warnings(function: Callable[..., T]) -> Callable[..., T]:
    """Suppress the warnings of `fit`, which are for training: the diagnosis reports its own."""

    @np.errstate(all="ignore")
    @functools.wraps(function)
    def quiet(*arguments: Any, **settings: Any) -> T:
        before = planning.unwarned.set(True)
        try:
            return function(*arguments, **settings)
        finally:
            planning.unwarned.reset(before)

    return quiet


def as_network(network: Any) -> Network:
    """Return `network` if it is a Network."""
    if not isinstance(network, Network):
        raise TypeError(f"network is {network!r} ({type(network).__name__}), wanted a Network")
    return network


def copy_of(network: Network, n_inputs: int, *, start: bool = False, **changes: Any) -> Network:
    """Return a built network on one thread with the same settings except for `changes`.

    It has the network's current weights.  With `start`, with other layers, or if the network has no
    parameters yet, it has starting weights instead.  The optimizer's state starts fresh.
    """
    settings: dict[str, Any] = {
        "layers": network.layers,
        "loss": network.loss,
        "optimizer": copy.copy(network.optimizer),
        "kernel_regularizer": network.kernel_regularizer,
        "bias_regularizer": network.bias_regularizer,
        "seed": network.seed,
        "dtype": network.dtype,
        "n_threads": 1,
        "backend": network.backend,
    }
    twin = Network(**(settings | changes))
    twin.build(n_inputs)
    if network.built and not start and "layers" not in changes:
        twin.set_weights(network.get_weights())
    return twin


def with_settings(layers: list[Any], **settings: Any) -> list[Any]:
    """Return copies of the layers, with these settings changed in those that have them."""
    changed = []
    for layer in layers:
        changed.append(copy.copy(layer))
        for name, value in settings.items():
            if hasattr(layer, name):
                setattr(changed[-1], name, value)
    return changed


def default_start(layers: list[Any]) -> list[Any]:
    """Return copies of the layers with the default initializers."""
    changed = with_settings(layers, bias_initializer=initializers.Zeros())
    for layer in changed:
        if hasattr(layer, "kernel_initializer"):
            layer.kernel_initializer = initializers.default_for(layer.activation)
    return changed


def rate_of(optimizer: Optimizer) -> float | None:
    """Return the learning rate, or None if it is not a single number that can be set."""
    rate = optimizer.settings().get("learning_rate")
    return float(rate) if isinstance(rate, Real) else None


def with_rate(optimizer: Optimizer, rate: float) -> Optimizer:
    """Return a copy of the optimizer with another learning rate."""
    changed = copy.copy(optimizer)
    changed.learning_rate = checks.positive_float(rate, "rate")
    return changed


def parts_of(network: Network, X: Any, y: Any, parts: Any) -> list[tuple[np.ndarray, ...]]:
    """Return inputs and targets of the rows to train on, then those of the others, of each part.

    Preprocessing learns from the rows to train on alone, anew if it is fitted.
    """
    chain, model = network.preprocessing, network.model
    if chain is None or (network.built and len(network.inputs_) < chain.n_features_out_):
        x, targets = arrays_of(network, X, y)
        return [(x[train], targets[train], x[test], targets[test]) for train, test in parts]
    data = model.check_data(X, y, None)
    found: list[tuple[np.ndarray, ...]] = []
    for train, test in (map(data.part, rows) for rows in parts):
        known = planning.targets_of(model, chain, train.y)
        own = Chain(chain.steps).fit(train.inputs(), known)
        moved = own.cross_transform(train.inputs(), known, model.dtype)
        found.append((moved, train.y, own.transform(test.inputs(), model.dtype), test.y))
    return found


def arrays_of(network: Network, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the first layer's inputs and the targets, checked as `fit` checks them."""
    data = as_network(network).model.check_data(X, y, None)
    x, chain = data.x, network.preprocessing
    if chain is not None:
        if not chain.fitted:
            chain = Chain(chain.steps).fit(x, planning.targets_of(network.model, chain, data.y))
        x = chain.transform(x, network.model.dtype)
    if network.built and len(network.inputs_) < x.shape[1]:  # made by compact
        x = x[:, network.inputs_]
    return x, data.y
