"""Updates and epochs one by one, from kept programs and from new ones."""

import copy
from typing import Any

import numpy as np

from fastnn.training import pool
from tests.fuzz.running import REFUSED, stored

_TURNS = 8


def short_fits(checked: Any) -> None:
    """A program that was kept does what one does that is made for the occasion."""
    if checked.found.how == "refused":
        return
    case = checked.case
    x, y, _ = case.arrays
    kept, new = (copy.copy(checked.found.network) for _ in range(2))
    with np.errstate(all="ignore"):
        x = np.ascontiguousarray(x, kept.dtype)
        y = np.ascontiguousarray(y, np.int64 if kept.loss.target == "class" else kept.dtype)
    rng = np.random.default_rng(case.seed)
    ways = [_way(rng, len(x)) for _ in range(2)]
    for turn in range(_TURNS):
        if turn == _TURNS // 2:
            for network in (kept, new):
                with np.errstate(all="ignore"):
                    half = [each / 2 for each in network.get_weights()]
                network.set_weights(half)
        way = ways[turn % 2 if turn < 6 else 0]
        new.model.stepper = None
        pool.clear()
        expected = _result(new, x, y, way)
        assert _result(kept, x, y, way) == expected, (turn, way)
        assert stored(kept) == stored(new), (turn, way)
        checked.counts["epochs one by one"] += 1


def _way(rng: np.random.Generator, n_rows: int) -> tuple[int, dict[str, Any]]:
    """Return how many rows to train on, and how."""
    rows = int(rng.integers(1, n_rows + 1))
    if rng.integers(2):
        return rows, {}
    return rows, {"batch_size": int(rng.integers(1, rows + 1)), "shuffle": bool(rng.integers(2))}


def _result(network: Any, x: np.ndarray, y: np.ndarray, way: tuple[int, dict[str, Any]]) -> Any:
    rows, options = way
    try:
        if options:
            return network.fit(x[:rows], y[:rows], **options).history
        return network.train_on_batch(x[:rows], y[:rows])
    except (*REFUSED, FloatingPointError) as error:
        return str(error)
