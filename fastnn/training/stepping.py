"""Single updates: what ``train_on_batch`` keeps between calls, so that they cost microseconds."""

import math
from typing import Any

import numpy as np

from fastnn.engine import magnitude, single
from fastnn.engine.program import addresses, aligned_copy
from fastnn.losses import Loss
from fastnn.training import bounds, loop, pool
from fastnn.training.model import Data, Model
from fastnn.training.planning import Plan

_MOST = 4
"""Sizes of batches for which a model keeps programs."""
_MOST_FLOPS = 1e7
"""Operations of a batch, some hundred microseconds, for whose end other threads may wait."""
_WIDER = 4.0
"""Limits are so many times the magnitudes for which the loss was first seen to be finite."""


class Stepper:
    """Makes updates of a model as it is now, each with one call of compiled code."""

    def __init__(self, model: Model):
        self._settled, self._own, self._how = model.settled, model.own, _how(model)
        self._lines: dict[int, _Line | None] = {}

    def fits(self, model: Model) -> bool:
        """Return whether the model is what it was."""
        return (
            self._own is model.own
            and self._settled is model.settled
            and self._settled is not None
            and self._how == _how(model)
            and self._settled.holds(model)
        )

    def step(self, model: Model, X: Any, y: Any) -> float | None:
        """Make an update and return the loss before it, or change nothing and return None.

        None means that the rows want a conversion, or an error a message.
        """
        if not (type(X) is type(y) is np.ndarray and X.ndim == 2 and self.fits(model)):
            return None
        line = self._lines.get(len(X))
        return None if line is None or not line.takes(X, y) else line.step(model, X, y)

    def expect(self, model: Model, data: Data) -> None:
        """Prepare for batches like these, if there were such before."""
        n = len(data.x)
        if n not in self._lines:
            self._lines[n] = None
            if len(self._lines) > _MOST:
                del self._lines[next(iter(self._lines))]
        elif self._lines[n] is None and _is_plain(model, n):
            self._lines[n] = _Line.of(model, data)


def expect(model: Model, data: Data) -> None:
    """Have the model prepare for more updates with batches like these."""
    if model.stepper is None or not model.stepper.fits(model):
        model.stepper = Stepper(model)
    model.stepper.expect(model, data)


def _how(model: Model) -> tuple[Any, ...]:
    """Return what a program depends on that :class:`attributes.Settled` does not know."""
    return model.seed, model.n_threads, model.backend, model.optimizer, model.preprocessing


def _is_plain(model: Model, n_rows: int) -> bool:
    """Return whether compiled code can do all that an update takes."""
    return (
        model.backend == "numba"
        and model.preprocessing is None
        and not model.optimizer.searches
        and model.loss.target in ("real", "class")
        and type(model.loss).as_targets is Loss.as_targets
        and 3 * model.flops() * n_rows <= _MOST_FLOPS
    )


class _Line:
    """A program for batches of one size, and all that it takes to run it."""

    def __init__(self, model: Model, data: Data, kept: pool.Kept):
        program, own = kept.program, model.own
        n, labels = len(data.x), data.y.dtype == np.int64
        self._program = program
        self._x, self._y = (data.x.shape, data.x.dtype), (data.y.shape, data.y.dtype)
        self._flat = data.y.shape[1:] == (1,)
        self._penalized = any(each.regularizer for each in model.all_parameters())
        self._single = model.dtype.itemsize == 4
        self._sizes = np.array([data.x.size, data.y.size, *own.sizes], np.int64)
        self._limits = np.append(np.full_like(self._sizes, -1), self._sizes)
        self._saved = [aligned_copy(array) for array in own.arrays]
        self._arrays = np.stack([own.begins, addresses(self._saved)])
        self._sums = np.zeros((1, 2))
        self._given = (
            (self._sizes, self._limits, self._single),
            (data.y if labels else np.empty(0, np.int64), model.n_outputs),
            (program.table.pointers(1 if labels else 2), program.table.integers),
            self._arrays,
            program.table.steps,
            n,
            (program.clocks[0], program.shared, np.zeros(2, np.int64)),
            (program.loss[0], self._sums),
        )

    @classmethod
    def of(cls, model: Model, data: Data) -> "_Line | None":
        """Return the line for the model and data of this form, or None if it must not be kept."""
        data = Data(data.x, data.y.copy())
        kept = loop.kept(model, Plan(data, None, 1, len(data.x), False))
        program, rows = kept.program, model.arrays_of(data)
        if program.threads > 1 or program.on_trial or not pool.loosen(kept):
            return None
        program.point(rows, model.own.arrays, model.own.begins)
        return cls(model, data, kept)

    def takes(self, X: np.ndarray, y: np.ndarray) -> bool:
        """Return whether these arrays can be used as they are."""
        (x_shape, x_dtype), (y_shape, y_dtype) = self._x, self._y
        return (
            X.shape == x_shape
            and (y.shape == y_shape or (self._flat and y.shape == y_shape[:1]))
            and X.dtype == x_dtype
            and y.dtype == y_dtype
            and X.flags.c_contiguous
            and y.flags.c_contiguous
            and X.flags.aligned
            and y.flags.aligned
        )

    def step(self, model: Model, X: np.ndarray, y: np.ndarray) -> float | None:
        """Make an update and return the loss before it, or change nothing and return None."""
        penalty = model.penalty() if self._penalized else 0.0
        self._program.refresh()
        number = model.updates + 1
        did = single.update(single.begins(X, y), number, *self._given)
        if did == single.NOTHING:
            return None
        if did == single.UNSURE and not self._is_finite(model):
            single.restore(self._sizes, self._single, self._arrays)
            return None
        model.updates, model.access.ending = number, False
        loss, weight = self._sums[0]
        return float(loss / weight) + penalty

    @np.errstate(all="ignore")
    def _is_finite(self, model: Model) -> bool:
        """Return whether the loss is finite after an update; widen the limits for the next."""
        count = len(self._sizes)
        sizes = magnitude.from_bits(self._limits[count:], model.dtype)
        if not math.isfinite(model.penalty()):
            return False
        for factor in _WIDER, 1.0:
            wide = [factor * size for size in sizes]
            if not self._penalized and bounds.is_finite(model, wide[0], wide[1], wide[2:]):
                self._limits[:count] = magnitude.as_bits(wide, model.dtype)
                return True
        loss, weight = single.look(self._program.table.forward, *self._given[-3:])
        return bool(loss < weight * math.sqrt(np.finfo(model.dtype).max))
