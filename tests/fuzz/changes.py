"""What callbacks and threads change while a network trains."""

import contextlib
import dataclasses
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn
from tests.fuzz import forms
from tests.fuzz.cases import Case
from tests.fuzz.running import REFUSED, outcome, trained

Data = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def harmless_changes(checked: Any) -> None:
    """Labels written to, and equal arrays put in the parameters' place, change no bit of a fit."""
    case: Case = checked.case
    if checked.found.how != "finished":
        return
    x, y, weight = case.arrays
    y, given = y.copy(), []
    network = case.network(n_threads=1)

    def change(epoch: int, logs: Any) -> None:
        if y.ndim == 1:
            y[...] = epoch % case.outputs
        for own in network.model.all_parameters():
            own.value = np.array(own.value)
            for name, array in own.state.items():
                form = _FORMS[len(given) % len(_FORMS)]
                own.state[name] = forms.LAYOUTS[form](array.copy())
                given.append((own.state[name], array.tobytes()))

    how = {**case.fit, "callbacks": [change]}
    found = trained(dataclasses.replace(case, fit=how), (x, y, weight), network=network)
    assert outcome(found, x) == checked.results
    assert all(array.tobytes() == before for array, before in given)


_FORMS = "plain", "read-only", "misaligned", "column order", "memory map", "gaps"


def wild_changes(checked: Any) -> None:
    """Whatever is written to data and settings during a fit, its weights stay finite."""
    case: Case = checked.case
    if checked.found.how == "refused":
        return
    rng = np.random.default_rng(case.seed)
    x, y, weight = (None if each is None else _writable(each) for each in case.arrays)
    network, over = case.network(), threading.Event()

    def change(epoch: int, logs: Any) -> None:
        for kind in (_write, *(_CHANGES[place] for place in rng.integers(0, len(_CHANGES), 3))):
            with contextlib.suppress(*REFUSED, AttributeError, IndexError), _quiet():
                kind(network, (x, y, weight), rng)

    def write() -> None:
        other = np.random.default_rng(case.seed)
        while not over.wait(1e-4):
            with _quiet():
                _write(network, (x, y, weight), other)

    thread = threading.Thread(target=write)
    if case.seed % 2:
        thread.start()
    how = {**case.fit, "epochs": 4, "callbacks": [change]}
    try:
        trained(dataclasses.replace(case, fit=how), (x, y, weight), network=network)
    finally:
        over.set()
        if case.seed % 2:
            thread.join()
    for number, weights in enumerate(network.get_weights() if network.built else []):
        assert np.isfinite(weights).all(), f"weights[{number}] are not finite"


@contextlib.contextmanager
def _quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _writable(array: np.ndarray) -> np.ndarray:
    array = np.array(array, array.dtype.newbyteorder("="))
    return forms.LAYOUTS["guarded, last"](array)


def _write(network: fastnn.Network, data: Data, rng: np.random.Generator) -> None:
    array = data[rng.integers(0, 2 + (data[2] is not None))]
    assert array is not None
    if array.dtype.kind == "f":
        array[...] = rng.choice([np.nan, np.finfo(array.dtype).max, -1.0, 0.0, 1.5])
    elif array.dtype.kind == "b":
        array[...] = rng.integers(0, 2)
    else:
        info = np.iinfo(array.dtype)
        array[...] = rng.choice(np.array([info.min, info.max, 0, 1], array.dtype))


def _reshape(network: fastnn.Network, data: Data, rng: np.random.Generator) -> None:
    array = data[rng.integers(0, 2)]
    assert array is not None
    array.shape = (array.size, 1) if rng.integers(0, 2) else (1, array.size)


def _set(owner: Callable[[fastnn.Network], Any], name: str, value: Any):
    return lambda network, data, rng: setattr(owner(network), name, value)


def _do(action: Callable[[fastnn.Network], Any]):
    return lambda network, data, rng: action(network)


def _itself(network: fastnn.Network) -> fastnn.Network:
    return network


def _scaled(network: fastnn.Network, factor: float) -> None:
    network.set_weights([np.abs(each) * factor for each in network.get_weights()])


_CHANGES: list[Callable[[fastnn.Network, Data, np.random.Generator], Any]] = [
    _reshape,
    _set(_itself, "seed", 5),
    _set(_itself, "n_threads", 3),
    _set(_itself, "optimizer", "adam"),
    _set(_itself, "optimizer", "rprop"),
    _set(_itself, "loss", "mae"),
    _set(_itself, "kernel_regularizer", "l2"),
    _set(_itself, "preprocessing", None),
    _set(_itself, "backend", "numpy"),
    _set(_itself, "stop_training", True),
    _set(lambda network: network.optimizer, "learning_rate", 1e30),
    _set(lambda network: network.optimizer, "momentum", 0.9),
    _set(lambda network: network.layers[0], "activation", "tanh"),
    _set(lambda network: network.layers[0], "units", 7),
    _do(lambda network: network.layers.pop()),
    _do(lambda network: network.layers.reverse()),
    _do(lambda network: network.layers.insert(0, fastnn.Dense(3))),
    _do(lambda network: network.metrics.append("mae")),
    _do(lambda network: _scaled(network, 1e30)),
    _do(lambda network: _scaled(network, 0.0)),
    _do(lambda network: network.model.parameters[0][0].state.clear()),
    _do(lambda network: network.get_weights()[0].fill(np.nan)),
    _do(lambda network: network.inputs_.fill(10**9)),
    _do(lambda network: network.compact().fit(np.ones((2, network.model.n_inputs)), [[1], [1]])),
]
"""What one change does to the network, the caller's arrays, or both."""
