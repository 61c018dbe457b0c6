"""Programs kept for later fits, of this network or of others like it.

Lowering a network and making its step table takes a millisecond or two, longer than many an epoch.
But a program depends on settings, shapes and the layout of the data only: weights and rows are
addresses in its table, which can be exchanged.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.engine.program import Program
from fastnn.kernels.interrupts import uninterrupted
from fastnn.training import attributes
from fastnn.training.model import Model

_MOST = 16
_MOST_BYTES = 2**22
"""Beside the work of one update of a larger program, making it takes no time."""
_VALUES = str, int, float, bool, type(None), np.dtype


@dataclass(eq=False)
class Kept:
    """A program and the outputs of its layers, and what they are for now."""

    key: tuple[Any, ...]
    program: Program
    outputs: list[np.ndarray]
    rows: Sequence[np.ndarray] = ()
    parameters: Sequence[np.ndarray] = ()
    known: bool = False
    """Whether it has been in the pool."""


_pool: deque[Kept] = deque(maxlen=_MOST)


def take(
    how: tuple[Any, ...],
    model: Model,
    rows: Sequence[np.ndarray],
    make: Callable[[], tuple[Program, list[np.ndarray]]],
) -> Kept:
    """Return a program that nobody else has: one from the pool, or what `make` returns.

    `how` and the layout of the arrays `rows` are all on which it depends beside the model.
    """
    own = model.held()
    key = (*how, *_kind(model), len(own.arrays), *map(_layout, rows))
    for kept in list(_pool):
        if kept.key == key:
            try:
                _pool.remove(kept)
            except ValueError:  # another thread has just taken it
                continue
            kept.program.point(rows, own.arrays, own.begins)
            return kept
    kept = Kept(key, *make(), rows, own.arrays)
    kept.program.backend = model.backend
    return kept


def give(kept: Kept) -> None:
    """Put a program into the pool, if it is worth it."""
    with uninterrupted():
        if loosen(kept) and (kept.known or kept.program.table.nbytes <= _MOST_BYTES):
            kept.known = True
            _pool.append(kept)


def clear() -> None:
    """Forget all programs."""
    _pool.clear()


def loosen(kept: Kept) -> bool:
    """Let go of arrays that are not the program's, unless it is for these only."""
    if kept.program.backend == "numpy":  # the twins read the program itself, not its table
        return False
    if not kept.known:
        outputs, rows = set(map(id, kept.outputs)), set(map(id, kept.rows))
        if not (kept.program.table.cached and _plain(kept.key)) or outputs & rows:
            return False
    kept.program.loosen(kept.rows, kept.parameters)
    kept.rows = kept.parameters = ()
    return True


def _kind(model: Model) -> tuple[Any, ...]:
    """Return what programs depend on, beside addresses and the rows."""
    parameters = tuple(
        (each.name, each.trained, each.value.shape, *each.state) for each in model.all_parameters()
    )
    return model.backend, model.policy, model.seed, parameters, *attributes.settings(model)


def _layout(array: np.ndarray) -> tuple[Any, ...]:
    return array.shape, array.strides, array.dtype, array.flags.aligned


def _plain(key: Any) -> bool:
    """Return whether a key says all: a user's own classes and functions may read anything."""
    if isinstance(key, tuple | list):
        return all(map(_plain, key))
    if isinstance(key, type):
        return key.__module__.partition(".")[0] == __package__.partition(".")[0]
    return isinstance(key, _VALUES)
