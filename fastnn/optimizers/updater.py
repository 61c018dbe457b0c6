"""An optimizer within one program."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.engine.arguments import Arg, FlatPart, Number, Part, ThreadRow, Whole
from fastnn.engine.clock import Clock
from fastnn.engine.program import MEET, Program, aligned
from fastnn.engine.steps import EVERY
from fastnn.optimizers.base import Optimizer, Rate
from fastnn.schedules import Schedule

_CLAIMED = 2**22
"""If all weights together have at most this many bytes, a thread claims their cache lines before it
updates them.  That saved 3 % of an Adam epoch at 200-256-128-1 on two threads, 7 % at 512-512-10,
and 15 % at 200-64-1 in batches of 64.  Larger weights are in no other core's cache, and
3072-1024-512-10 lost 2 %."""


class Updater:
    """Gives a layer the calls that update its parameters.

    Some numbers hold for a whole update: a scheduled rate, the norm of all gradients.  Every thread
    computes them once for itself, before any parameter changes, and the kernels read them.

    Parameters
    ----------
    program : Program
        It must already contain its check, because the steps added here must follow it.
    optimizer : Optimizer
    parameters : sequence of ndarray
        All parameters that will be updated.

    Attributes
    ----------
    rate : float or Number
        The optimizer's learning rate, without a parameter's own factor.
    whole : bool
        Whether each gradient must stay complete until all of them are known.  It then cannot be
        computed block by block in a buffer that is reused.
    """

    def __init__(self, program: Program, optimizer: Optimizer, parameters: Sequence[np.ndarray]):
        self._program, self._optimizer = program, optimizer
        self.rate: Rate
        if isinstance(optimizer.learning_rate, Schedule):
            calls = [
                (kernel, (*given, Clock.UPDATE))
                for kernel, given in optimizer.learning_rate.calls()
            ]
            (self.rate,) = self._numbers(calls, 1)
        else:
            self.rate = optimizer.learning_rate
        self._factors: list[Number] = []
        if optimizer.factors is not None:
            kernel, settings, count = optimizer.factors
            self._factors = self._numbers([(kernel, settings)], count)
        self._rates: dict[float, Rate] = {1.0: self.rate}
        weights = sum(each.nbytes for each in parameters)
        self._claims = program.n_threads > 1 and weights <= _CLAIMED
        self.whole = optimizer.global_clipnorm is not None
        if self.whole:
            self._norms = aligned((sum(map(len, parameters)),), np.float64)
            self._used = 0
            clip = [("norm_scale", (optimizer.global_clipnorm, Whole(self._norms)))]
            (self._scale,) = self._numbers(clip, 1, after=1)

    def _numbers(self, calls: Any, count: int, after: int = 0) -> list[Number]:
        """Have every thread compute numbers for itself; return them as arguments."""
        room = self._program.thread_numbers(count)
        for kernel, settings in calls:
            self._program.add(kernel, *settings, ThreadRow(room), extent=EVERY, after=after)
        return [Number(room[:, place : place + 1]) for place in range(count)]

    def rate_of(self, parameter: Any) -> Rate:
        """Return the learning rate of a parameter, as a kernel argument."""
        factor = parameter.rate_factor
        if factor not in self._rates:
            if isinstance(self.rate, Number):
                (self._rates[factor],) = self._numbers([("scaled_rate", (self.rate, factor))], 1)
            else:
                self._rates[factor] = self.rate * factor
        return self._rates[factor]

    def calls(self, parameter: Any, gradient: Arg) -> list[Any]:
        """Return the calls that update a parameter with its gradient, given as one vector.

        A parameter is a :class:`fastnn.layers.base.Parameter`, which imports this module.
        """
        value: np.ndarray = parameter.value
        calls: list[Any] = []
        limit = self._optimizer.clipvalue
        if limit is not None:
            calls.append(("bound", (-limit, limit, gradient)))
        if self.whole:
            # The thread that has a row computes its norm.  After the barrier, every thread adds up
            # all rows in the same order, so the bits do not depend on how rows are shared.
            norms = self._norms[self._used : self._used + len(value)]
            self._used += len(value)
            rows = Part(gradient.array.reshape(len(value), -1))
            calls += [("gradient_norms", (rows, Part(norms))), MEET]
            calls.append(("scale_gradient", (self._scale, gradient)))
        if self._claims and value.ndim > 1:
            calls.append(("claim_lines", (FlatPart(value),)))
        rate = self.rate_of(parameter)
        kernel, settings = self._optimizer.update(rate, parameter, self._factors)
        kept = [parameter.state[each] for each in self._optimizer.state]
        arrays = [FlatPart(array) for array in (*kept, value)]
        return [*calls, (kernel, (*settings, gradient, *arrays))]
