"""Short fits: what a network keeps between calls, so that an update or epoch costs microseconds."""

import math
from dataclasses import replace
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np

from fastnn.engine import magnitude, single
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program
from fastnn.inputs.settings import revision
from fastnn.kernels.interrupts import uninterrupted
from fastnn.layers.base import Parameter
from fastnn.losses import Loss
from fastnn.training import attributes, bounds, loop, pool
from fastnn.training.data import Data
from fastnn.training.model import Model
from fastnn.training.planning import Plan

_MOST = 4
"""Kinds of fits for which a model keeps programs."""
_MOST_FLOPS = 1e8
"""Operations of an epoch, some milliseconds, for whose end other threads and Ctrl-C may wait."""
_WIDER = 4.0
"""Limits are so many times the magnitudes for which the loss was last shown to be finite."""

_EPOCH, _UPDATE = int(Clock.EPOCH), int(Clock.UPDATE)
_state = attrgetter("state")


class Stepper:
    """Trains a model as it is now, an epoch at a time, each with one call of compiled code.

    The data may be one batch.  `how` is a batch size, or None for all rows, and whether to shuffle,
    as the caller gave them.
    """

    def __init__(self, model: Model):
        self._revision, self._settings = revision(), attributes.settings(model)
        self._how, self._parameters = _how(model), model.parameters
        self._kept = _objects(model.parameters)
        self._ids = [*map(id, self._kept)]
        self._lines: dict[tuple[Any, ...], _Line | None] = {}

    def fits(self, model: Model) -> bool:
        """Return whether the model is what it was."""
        if self._revision != (now := revision()):
            if self._settings != attributes.settings(model):
                return False
            self._revision = now
        return (
            self._how == _how(model)
            and self._parameters is model.parameters
            and self._ids == [*map(id, _objects(self._parameters))]
        )

    def epoch(
        self, model: Model, X: Any, y: Any, how: tuple[Any, ...], counts: bool = False
    ) -> tuple[float, float, float] | None:
        """Train for an epoch; return its loss, and the penalties before and after it.

        None means that nothing has changed, because the rows want a conversion, or an error a
        message.  `counts` says whether it counts as an epoch.
        """
        line = self._lines.get((X.shape, *how)) if type(X) is np.ndarray else None
        if line is None or type(y) is not np.ndarray or not line.takes(X, y):
            return None
        return line.epoch(model, X, y, counts) if self.fits(model) else None

    def expect(self, model: Model, plan: Plan, how: tuple[Any, ...]) -> None:
        """Prepare for fits like this one, if there was such a one before."""
        kind = (plan.data.x.shape, *how)
        if kind not in self._lines:
            self._lines[kind] = None
            if len(self._lines) > _MOST:
                del self._lines[next(iter(self._lines))]
        elif self._lines[kind] is None and _is_plain(model, plan):
            self._lines[kind] = _line(model, plan)


def expect(model: Model, plan: Plan, how: tuple[Any, ...]) -> None:
    """Have the model prepare for more epochs like one that has just ended."""
    if model.stepper is None or not model.stepper.fits(model):
        model.stepper = Stepper(model)
    with uninterrupted():
        model.stepper.expect(model, plan, how)


def _objects(parameters: list[list[Parameter]]) -> list[Any]:
    """Return all that updates change, and what holds it, in which anybody may put something else.

    It says the same as :func:`fastnn.training.ownership.held` in half the time.
    """
    found: list[Any] = [*chain.from_iterable(parameters)]
    states = [*map(_state, found)]
    return [*found, *states, *chain.from_iterable(map(dict.values, states))]


def _how(model: Model) -> tuple[Any, ...]:
    own = vars(model)
    numbers = own["seed"], own["n_threads"], own["backend"], own["preprocessing"]
    penalties = own["kernel_regularizer"], own["bias_regularizer"]
    return *numbers, own["loss"], own["optimizer"], own["reduced"], *penalties, [*own["layers"]]


def _is_plain(model: Model, plan: Plan) -> bool:
    """Return whether compiled code can do all that an epoch takes."""
    return (
        model.backend == "numba"
        and plan.data.weight is None
        and model.preprocessing is None
        and not model.optimizer.searches
        and model.loss.target in ("real", "class")
        and type(model.loss).as_targets is Loss.as_targets
        and 3 * model.flops() * len(plan.data.x) <= _MOST_FLOPS
    )


def _line(model: Model, plan: Plan) -> "_Line | None":
    """Return the line for this model and such a plan, or None if its program must not be kept."""
    data = Data(plan.data.x, plan.data.y.copy())  # labels stay here
    kept = loop.kept(model, replace(plan, data=data))
    program, rows = kept.program, model.arrays_of(data)
    if program.threads > 1 or not pool.loosen(kept):
        return None
    program.point(rows, model.own.arrays, model.own.begins)
    classes = model.n_outputs if model.loss.target == "class" else 0
    return _Line(model, data, program, single.Single(program, rows, model.own.arrays, classes))


class _Line:
    """The epochs of one kind of fit."""

    def __init__(self, model: Model, data: Data, program: Program, own: single.Single):
        self._program, self._own, self._clock, self._frame = program, own, own.clock, own.frame
        self._types, self._shape = (data.x.dtype, data.y.dtype), data.y.shape
        self._flat = data.y.shape[:1] if data.y.shape[1:] == (1,) else data.y.shape
        self._penalized = any(each.regularizer for each in model.all_parameters())

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
        self, model: Model, X: np.ndarray, y: np.ndarray, counts: bool
    ) -> tuple[float, float, float] | None:
        """Train for an epoch; see :meth:`Stepper.epoch`."""
        clock, frame, number = self._clock, self._frame, model.updates
        before = model.penalty() if self._penalized else 0.0
        self._program.refresh()
        clock[_EPOCH], clock[_UPDATE] = model.epochs, number
        try:
            did, loss = single.epoch(X, y, frame)
            if did == single.UNSURE:
                with uninterrupted():
                    if not self._is_finite(model):
                        single.take_back(number, frame)
                        did = single.NOTHING
        finally:  # Ctrl-C comes before all updates or after them
            model.updates = int(clock[_UPDATE])
            model.epochs += counts and model.updates > number
        if did == single.NOTHING:
            return None
        model.access.ending = False
        return float(loss), before, model.penalty() if self._penalized else 0.0

    @np.errstate(all="ignore")
    def _is_finite(self, model: Model) -> bool:
        """Return whether the loss is finite now; widen the limits for the next time."""
        if not math.isfinite(model.penalty()):
            return False
        sizes = magnitude.from_bits(self._own.sizes, model.dtype)
        for factor in (_WIDER, 1.0) if not self._penalized else ():
            wide = [factor * size for size in sizes]
            if bounds.is_finite(model, wide[0], wide[1], wide[2:]):
                self._own.limits[:] = magnitude.as_bits(wide, model.dtype)
                return True
        clock, number = self._clock, int(self._clock[_UPDATE])
        loss, weight = single.look(self._frame)
        clock[_UPDATE] = number
        return bool(loss < weight * math.sqrt(np.finfo(model.dtype).max))
