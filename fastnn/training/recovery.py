"""Recovery: notice that training has gone wrong, and go back to the last good weights.

An update can make weights that are not finite, or so large that the next loss is not.  The compiled
loop sees only the loss, and only before an update.  So every run of it begins with a copy of all
that updates change, and if it ends badly, it is repeated from there up to its last good update.
Training is deterministic, so this costs nothing until it is needed.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn.engine import magnitude, team
from fastnn.engine.program import Program, addresses
from fastnn.layers.base import Parameter
from fastnn.training.data import Data
from fastnn.training.model import Model

Reach = list[np.ndarray | None] | None
"""Which rows of each array that updates change they can change: None for all rows, or of all
arrays; -1 is no row."""
_IN_ORDER = 8
"""So many rows in order are copied in the time of one that is picked."""


class Start:
    """Where a run of a program began: a copy of all that updates change."""

    def __init__(self, model: Model, program: Program, reach: Reach):
        self.program, self.epoch, self.updates = program, model.epochs, program.updates
        self.reach = reach
        # A copy of each: one array for all, written for the first time, took twice as long.
        self._saved = [
            (array, rows, array.copy() if rows is ... else array[rows])  # which copies too
            for array, rows in _within(model, reach)
        ]

    def restore(self) -> None:
        """Put everything back."""
        self.program.updates = self.updates
        for array, rows, saved in self._saved:
            array[rows] = saved


def rows_read(model: Model, x: np.ndarray) -> np.ndarray:
    """Return which rows of the first layer's table some inputs need, or -1."""
    if model.selection is not None:
        x = x[:, model.selection.index]
    return model.layers[0].rows_read(x.astype(model.dtype, copy=False))


def reach(model: Model, data: Data) -> Reach:
    """Return what training on some rows can change: little of the first layer's table, if large."""
    tables = [each for each in model.parameters[0] if each.sparse and not each.regularizer]
    size = max((len(each.value) for each in tables), default=0)
    most = size // _IN_ORDER
    if len(data) >= most or len(read := rows_read(model, data.inputs())) >= most:
        return None
    own = set(map(id, tables))
    return [read if id(parameter) in own else None for _, parameter, *_ in _changing(model)]


def not_finite(model: Model, sizes: list[float]) -> str | None:
    """Return what holds NaN or infinity: the first parameter or state, or the penalty, if any.

    `sizes` are the magnitudes that :func:`largest` returned.
    """
    with np.errstate(all="ignore"):
        if all(map(math.isfinite, sizes)):
            return None if math.isfinite(model.penalty()) else "the penalty"
    for (number, parameter, key, _), size in zip(_changing(model), sizes, strict=True):
        if math.isfinite(size):
            continue
        name = f"the {parameter.name} of layer {number}"
        if number < len(model.layers):  # a callback may have taken it away
            name += f" ({model.layers[number]})"
        return f"the optimizer's {key} for {name}" if key else name
    raise AssertionError("one of them is not finite")


def largest(model: Model, reach: Reach = None) -> list[float]:
    """Return the largest magnitude in each of the arrays that updates change, where they can."""
    if model.backend == "numpy" or not model.own.holds(model.parameters):  # a callback's, by hand
        return [float(np.abs(array).max()) for *_, array in _changing(model)]
    if reach is None:
        return magnitude.largest(model.own.begins, model.own.sizes, model.dtype)
    arrays = [array[rows] for array, rows in _within(model, reach)]
    sizes = np.array([array.size for array in arrays])
    return magnitude.largest(addresses(arrays), sizes, model.dtype)


def go_back(model: Model, start: Start, made: int, n_rows: int) -> None:
    """Repeat a run up to before the first of the `made` updates after which not all was finite.

    If all is finite even after the last one, that one was bad for the loss, and is left out.
    """
    program, epoch, good = start.program, start.epoch, 0
    batches = -(-n_rows // program.batch_size)
    start.restore()
    while made - good > 1:
        ahead = (made - good) // 2
        team.run(
            program,
            n_rows=n_rows,
            epochs=ahead // batches + 2,
            first_epoch=epoch + good // batches,
            first_row=good % batches * program.batch_size,
            updates=ahead,
            backend=program.backend,
        )
        if not_finite(model, largest(model, start.reach)):
            made = good + ahead
            start.restore()
        else:
            good += ahead
            start = Start(model, program, start.reach)


def _within(model: Model, reach: Reach) -> Iterable[tuple[np.ndarray, Any]]:
    """Yield all arrays that updates change, and the index of the rows that they can change."""
    arrays = [array for *_, array in _changing(model)]
    for array, rows in zip(arrays, reach or [None] * len(arrays), strict=True):
        yield array, ... if rows is None else rows[rows >= 0]


def _changing(model: Model) -> Iterable[tuple[int, Parameter, str, np.ndarray]]:
    """Yield all arrays that updates change: their layer, parameter and name in the state."""
    for number, parameters in enumerate(model.parameters):
        for parameter in parameters:
            yield number, parameter, "", parameter.value
            for key, state in parameter.state.items():
                yield number, parameter, key, state
