"""Model files with one thing changed, and a checksum that is right."""

import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn.files import storage
from tests.fuzz.running import stored

NUMBERS = -5, 0, 3, 200_000_000, 2**70, -1.0, 0.5, 1e300, "x", None, [], {}, True
"""What takes the place of anything in a header."""


def forge(network: fastnn.Network, rng: np.random.Generator) -> tuple[str, fastnn.Network | None]:
    """Change one thing in a network's file; return what, and the network that loads, if any does.

    A file that is refused with anything but a ValueError fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        path.write_bytes(stored(network))
        arrays, header = storage.load(path)
        what = (_other_array if arrays and rng.random() < 0.5 else _other_value)(
            arrays, header, rng
        )
        try:
            storage.save(path, arrays, header)
        except (ValueError, TypeError):
            return what, None  # nothing that a file can hold
        try:
            return what, fastnn.load(path)
        except ValueError:
            return what, None
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error


def _other_array(arrays: dict[str, Any], header: Any, rng: np.random.Generator) -> str:
    name = sorted(arrays)[rng.integers(len(arrays))]
    array = arrays.pop(name)
    changes = {
        "left out": lambda: {},
        "cut": lambda: {name: array[..., :-1] if array.ndim else array[None]},
        "turned": lambda: {name: array.T[None]},
        "in float16": lambda: {name: array.astype(np.float16)},
        "renamed": lambda: {name + "x": array},
        **{
            f"with {value}": lambda value=value: {name: _with(array, value, rng)}
            for value in (np.nan, np.inf, -1, 0, 1e30)
        },
    }
    how = list(changes)[rng.integers(len(changes))]
    with np.errstate(all="ignore"):
        arrays.update(changes[how]())
    return f"{name} {how}"


def _with(array: np.ndarray, value: float, rng: np.random.Generator) -> np.ndarray:
    changed = array.copy()
    if array.dtype.kind == "f" and array.size:
        changed.reshape(-1)[rng.integers(array.size)] = value
    return changed


def _other_value(arrays: Any, header: dict[str, Any], rng: np.random.Generator) -> str:
    here: Any = header
    path = []
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        keys = [key for key in keys if key != "n_threads"]
        key = keys[rng.integers(len(keys))]
        path.append(key)
        if not isinstance(here[key], dict | list) or not here[key] or rng.random() < 0.2:
            break
        here = here[key]
    place = int(rng.integers(len(NUMBERS) + 1))
    if place == len(NUMBERS):
        del here[key]
        return f"{path} left out"
    here[key] = copy.copy(NUMBERS[place])
    return f"{path} {NUMBERS[place]!r}"
