"""Short fits: what a network keeps between calls, so that an update or epoch costs microseconds."""

from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.engine import single
from fastnn.inputs.settings import revision
from fastnn.kernels.interrupts import uninterrupted
from fastnn.losses import Loss
from fastnn.training import attributes, loop, pool
from fastnn.training.data import Data
from fastnn.training.model import Model
from fastnn.training.planning import Plan
from fastnn.training.recovery import reach, rows_read
from fastnn.training.short import Short, is_short

_MOST = 4
"""Kinds of fits for which a model keeps programs."""


class Stepper:
    """Trains a model as it is now, an epoch at a time, each with one call of compiled code.

    The data may be one batch.  `how` is a batch size, or None for all rows, and whether to shuffle,
    as the caller gave them.
    """

    def __init__(self, model: Model):
        self._revision, self._settings = revision(), attributes.settings(model)
        self._how, self._own = _how(model), model.own
        self._lines: dict[tuple[Any, ...], _Line | bool] = {}
        """By kind of fit; True if there was one, False if none can be short."""

    def fits(self, model: Model) -> bool:
        """Return whether the model is what it was."""
        if self._revision != (now := revision()):
            if self._settings != attributes.settings(model):
                return False
            self._revision = now
        own = self._own
        return own is model.own and self._how == _how(model) and own.holds(model.parameters)

    def epoch(
        self, model: Model, X: Any, y: Any, how: tuple[Any, ...], counted: int = 0
    ) -> tuple[float, float, float] | None:
        """Train for an epoch; return its loss, and the penalties before and after it.

        None means that nothing has changed, because the rows want a conversion, or an error a
        message.  It counts as `counted` epochs.
        """
        line = self._lines.get((X.shape, *how)) if type(X) is np.ndarray else None
        if not isinstance(line, _Line) or type(y) is not np.ndarray or not line.takes(X, y):
            return None
        return line.epoch(model, X, y, counted) if self.fits(model) else None

    def expect(self, model: Model, plan: Plan, how: tuple[Any, ...]) -> None:
        """Prepare for fits like this one, if there was such a one before."""
        if plan.data.weight is not None:
            return
        kind = (plan.data.x.shape, *how)
        if kind not in self._lines:
            self._lines[kind] = True
            if len(self._lines) > _MOST:
                del self._lines[next(iter(self._lines))]
        elif self._lines[kind] is True:
            self._lines[kind] = _is_plain(model, plan) and _line(model, plan)


def expect(model: Model, plan: Plan, how: tuple[Any, ...]) -> None:
    """Have the model prepare for more epochs like one that has just ended."""
    if model.stepper is None or not model.stepper.fits(model):
        model.stepper = Stepper(model)
    with uninterrupted():
        model.stepper.expect(model, plan, how)


def _how(model: Model) -> tuple[Any, ...]:
    own = vars(model)
    numbers = own["seed"], own["n_threads"], own["backend"], own["preprocessing"]
    penalties = own["kernel_regularizer"], own["bias_regularizer"]
    return *numbers, own["loss"], own["optimizer"], own["reduced"], *penalties, [*own["layers"]]


def _is_plain(model: Model, plan: Plan) -> bool:
    """Return whether compiled code can do all that an epoch takes."""
    return (
        plan.data.x.dtype == model.dtype
        and plan.data.y.dtype == (np.int64 if model.loss.target == "class" else model.dtype)
        and model.preprocessing is None
        and not model.optimizer.searches
        and model.loss.target in ("real", "class")
        and type(model.loss).as_targets is Loss.as_targets
    )


def _line(model: Model, plan: Plan) -> "_Line | bool":
    """Return the line for this model and such a plan, or False if its fits are not short."""
    data = Data(plan.data.x, plan.data.y.copy())  # labels stay here
    kept = loop.kept(model, replace(plan, data=data))
    program, rows = kept.program, model.arrays_of(data)
    if not is_short(model, program, len(data.x), 1) or not pool.loosen(kept):
        pool.give(kept)
        return False
    program.point(rows, model.own.arrays, model.own.begins)
    classes = model.n_outputs if model.loss.target == "class" else 0
    touched = reach(model, data)
    given = (data.x, data.y), classes, touched, not plan.shuffle
    own = single.Single(program, len(data.x), model.own.arrays, *given)
    read = next((rows for rows in touched or () if rows is not None), None)
    return _Line(model, data, Short(model, program, own), read)


class _Line:
    """The runs of one kind of fit; `read` is where to say which rows of a table a run changes."""

    def __init__(self, model: Model, data: Data, short: Short, read: np.ndarray | None):
        self._short, self._read = short, read
        self._types, self._shape = (data.x.dtype, data.y.dtype), data.y.shape
        self._flat = data.y.shape[:1] if data.y.shape[1:] == (1,) else data.y.shape

    def takes(self, X: np.ndarray, y: np.ndarray) -> bool:
        """Return whether the rows of `X`, whose shape is right, and `y` can be used as they are."""
        x_form, y_form, shape = X.flags, y.flags, y.shape
        return (
            (shape == self._shape or shape == self._flat)
            and (X.dtype, y.dtype) == self._types
            and x_form.c_contiguous
            and y_form.c_contiguous
            and x_form.aligned
            and y_form.aligned
        )

    def epoch(
        self, model: Model, X: np.ndarray, y: np.ndarray, counted: int
    ) -> tuple[float, float, float] | None:
        """Train for an epoch; see :meth:`Stepper.epoch`."""
        if self._read is not None:
            self._read[:] = rows_read(model, X)
        before = self._short.penalty()
        loss = self._short.train(X, y, 1, counted)
        if loss is None:
            return None
        model.access.ending = False
        return loss, before, self._short.penalty()
