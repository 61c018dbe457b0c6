"""Short runs: a few epochs in one call of compiled code, which is all that short epochs need."""

import math

import numpy as np

from fastnn.engine import magnitude, single
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program
from fastnn.kernels.interrupts import uninterrupted
from fastnn.training import bounds
from fastnn.training.model import ROW_FLOPS, Model

_MOST_FLOPS = 1e9
"""Operations of a run, 10 to 50 ms, for whose end other threads and Ctrl-C may wait."""
_WIDER = 4.0
"""Limits are so many times the magnitudes for which the loss was last shown to be finite."""
_EPOCH, _UPDATE = int(Clock.EPOCH), int(Clock.UPDATE)


def is_short(model: Model, program: Program, n_rows: int, epochs: int) -> bool:
    """Return whether a run takes so little time that one call may make it."""
    flops = (3 * model.flops() + ROW_FLOPS) * n_rows * epochs
    alone = program.threads == 1 and program.alone
    return flops <= _MOST_FLOPS and alone and program.backend == "numba"


class Short:
    """Short runs of one model's program; see :class:`fastnn.engine.single.Single`.

    Parameters
    ----------
    known : (float, float)
        The magnitudes of the rows, if all runs have the same ones.
    """

    def __init__(
        self,
        model: Model,
        program: Program,
        own: single.Single,
        known: tuple[float, float] = (0, 0),
    ):
        self._model, self._program, self._own, self._known = model, program, own, known
        self._clock, self._frame = own.clock, own.frame
        self._batches = -(-own.n_rows // program.batch_size)
        self._penalized = any(each.regularizer for each in model.all_parameters())

    @property
    def losses(self) -> np.ndarray:
        """The losses of the last run's epochs."""
        with np.errstate(all="ignore"):
            losses: np.ndarray = self._model.loss.reduced(*self._own.sums.T)
            return losses

    @property
    def sizes(self) -> list[float]:
        """The magnitudes of the arrays that updates change, after the last run."""
        return magnitude.from_bits(self._own.sizes[2:], self._model.dtype)

    def penalty(self) -> float:
        """Return the sum of the penalties."""
        return self._model.penalty() if self._penalized else 0.0

    def train(self, x: np.ndarray, y: np.ndarray, epochs: int, counted: int) -> float | None:
        """Train, and return the first epoch's loss, or change nothing and return None.

        Afterwards the loss is finite, and the model has `counted` more epochs.
        """
        model, clock, frame = self._model, self._clock, self._frame
        own, number = vars(model), model.updates
        after = number + epochs * self._batches, model.epochs + counted
        self._program.refresh()
        clock[_EPOCH], clock[_UPDATE] = model.epochs, number
        try:
            did, loss = single.train(x, y, epochs, frame)
            if did == single.UNSURE:
                with uninterrupted():
                    if not self._is_finite():
                        single.take_back(number, frame)
                        did = single.NOTHING
        except BaseException:  # Ctrl-C, which Python looks for after every call
            if clock[_UPDATE] != number:
                single.take_back(number, frame)
            raise
        if did == single.NOTHING:
            return None
        own["updates"], own["epochs"] = after  # no call, and so no Ctrl-C, before this
        return float(self._own.sums[0, 0]) if model.loss.sums else loss

    @np.errstate(all="ignore")
    def _is_finite(self) -> bool:
        """Return whether the loss is finite now; widen the limits for the next time."""
        model, own = self._model, self._own
        if not math.isfinite(model.penalty()):
            return False
        sizes = magnitude.from_bits(own.sizes, model.dtype)
        for factor in (_WIDER, 1.0):
            inputs, targets, *rest = (factor * size for size in sizes)
            rows = max(inputs, self._known[0]), max(targets, self._known[1])
            if bounds.is_finite(model, *rows, rest):
                own.limits[:] = magnitude.as_bits([inputs, targets, *rest], model.dtype)
                return True
        self._clock[_EPOCH] += 1
        return bounds.is_far_from_infinite(model, *single.look(self._frame))
