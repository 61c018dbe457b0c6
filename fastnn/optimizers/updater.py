"""An optimizer within one program."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import schedules
from fastnn.engine.arguments import Arg, FlatPart, Number, Part, Whole
from fastnn.engine.program import MEET, Program, aligned
from fastnn.optimizers.base import Optimizer
from fastnn.schedules import Rate

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
    whole : bool
        Whether each gradient must stay complete until all of them are known.  It then cannot be
        computed block by block in a buffer that is reused.
    """

    def __init__(self, program: Program, optimizer: Optimizer, parameters: Sequence[np.ndarray]):
        self._program, self._optimizer = program, optimizer
        self._rate = schedules.as_argument(optimizer.learning_rate, program)
        self._decay = schedules.as_argument(optimizer.weight_decay, program)
        self._products: dict[tuple[int, float], Rate] = {}
        self._factors: list[Number] = []
        if optimizer.factors is not None:
            kernel, settings, count = optimizer.factors
            self._factors = program.numbers([(kernel, settings)], count)
        weights = sum(each.nbytes for each in parameters)
        self._claims = program.n_threads > 1 and weights <= _CLAIMED
        self.whole = optimizer.global_clipnorm is not None
        if self.whole:
            self._norms = aligned((sum(map(len, parameters)),), np.float64)
            self._used = 0
            clip = [("norm_scale", (optimizer.global_clipnorm, Whole(self._norms)))]
            (self._scale,) = program.numbers(clip, 1, after=1)

    def rate_of(self, parameter: Any) -> Rate:
        """Return the learning rate of a parameter, as a kernel argument."""
        return self._product(self._rate, parameter.rate_factor)

    def _product(self, rate: Rate, factor: float) -> Rate:
        """Return the optimizer's rate or decay times a parameter's own factor."""
        if not isinstance(rate, Number):
            return rate * factor
        if factor == 1:
            return rate
        key = id(rate), factor
        if key not in self._products:
            (self._products[key],) = self._program.numbers([("scaled_rate", (rate, factor))], 1)
        return self._products[key]

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
        decay = self._product(self._decay, self._optimizer.decay_factor(parameter))
        kernel, settings = self._optimizer.update(rate, decay, self._factors)
        kept = [parameter.state[each] for each in self._optimizer.state]
        arrays = [FlatPart(array) for array in (*kept, value)]
        return [*calls, (kernel, (*settings, gradient, *arrays))]
