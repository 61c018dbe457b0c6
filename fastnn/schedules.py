"""Schedules, for an optimizer's `learning_rate`, AdamW's `weight_decay` and Dropout's `rate`.

Time t counts updates (batches), as in Keras.  It is 0 at the first update, continues from fit to
fit and is saved with the network.  An epoch has ``ceil(rows / batch_size)`` updates; multiply times
in epochs by that number.  Compiled epochs compute the rates, in float64.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.engine.arguments import Number
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program
from fastnn.inputs.checks import (
    boolean,
    fraction,
    non_negative_float,
    non_negative_int,
    positive_float,
    positive_int,
    probability,
)
from fastnn.inputs.settings import Configured, look_up, setting, table
from fastnn.reference import TWINS

Calls = list[tuple[Any, tuple[Any, ...]]]
Rate = float | Number
"""A rate as a kernel argument: a constant, or a number that an earlier step computes."""


class Schedule(Configured):
    """A rate as a function of time; to add one, write a subclass and its kernel.

    Examples
    --------
    >>> import fastnn
    >>> schedule = fastnn.InverseTimeDecay(0.6, decay_steps=1, decay_rate=1)
    >>> [round(schedule(t), 6) for t in range(3)]
    [0.6, 0.3, 0.2]
    """

    name = ""

    def calls(self, first: int = 1) -> Calls:
        """Return the kernels that compute the rate, in order, with their settings.

        `first` is the number of the update at which t is 0; updates count from 1.
        """
        raise NotImplementedError

    def upper_bound(self) -> float:
        """Return what no rate exceeds; infinity, as here, keeps a schedule out of a Dropout."""
        return math.inf

    def __call__(self, t: int) -> float:
        """Return the rate at time `t`, which update number t + 1 uses."""
        out = np.empty(1)
        for kernel, settings in self.calls():
            twin = TWINS[kernel] if isinstance(kernel, str) else kernel[1]
            twin(*settings, t + 1, out)
        return float(out[0])


class _Decay(Schedule):
    """Base of the two schedules that depend on ``t / decay_steps``."""

    initial_learning_rate: float = setting(check=positive_float)
    decay_steps: float = setting(check=positive_float)
    decay_rate: float = setting(check=positive_float)
    staircase: bool = setting(default=False, check=boolean)

    def calls(self, first=1):
        settings = self.initial_learning_rate, self.decay_steps, self.decay_rate
        return [(f"{self.name}_rate", (*settings, int(self.staircase), first))]


class InverseTimeDecay(_Decay):
    """``initial_learning_rate / (1 + decay_rate * t / decay_steps)``.

    For example, ``InverseTimeDecay(lr0, 2000, 1)`` is ``lr0 / (1 + t / 2000)``.

    Parameters
    ----------
    initial_learning_rate, decay_steps, decay_rate : float
    staircase : bool
        Round t / decay_steps down.

    Raises
    ------
    ValueError, TypeError
        For settings that are not positive numbers.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.InverseTimeDecay(0.1, 2000, 1)(2000)
    0.05
    """

    name = "inverse_time"

    def upper_bound(self):
        return self.initial_learning_rate


class ExponentialDecay(_Decay):
    """``initial_learning_rate * decay_rate**(t / decay_steps)``.

    `staircase` rounds t / decay_steps down, which gives step decay: in PyTorch,
    ``StepLR(step_size=decay_steps, gamma=decay_rate)``.

    Parameters
    ----------
    initial_learning_rate, decay_steps, decay_rate : float
    staircase : bool

    Raises
    ------
    ValueError, TypeError
        For settings that are not positive numbers.

    Examples
    --------
    >>> import fastnn
    >>> halved = fastnn.ExponentialDecay(0.1, 1000, 0.5, staircase=True)
    >>> halved(999), halved(1000)
    (0.1, 0.05)
    """

    name = "exponential"

    def upper_bound(self):
        return self.initial_learning_rate if self.decay_rate <= 1 else math.inf


class CosineDecay(Schedule):
    """Follow half a cosine from `initial_learning_rate` down to `alpha` times that, and stay there.

    ``initial * ((1 - alpha) * (1 + cos(pi * min(t / decay_steps, 1))) / 2 + alpha)``, in which t
    counts from `hold_steps` on and is 0 until then.  In PyTorch's ``CosineAnnealingLR``,
    ``T_max = decay_steps`` and ``eta_min = alpha * initial``, and the rate rises again afterwards.
    For Keras's `warmup_steps`, see :class:`WarmUp`.

    Parameters
    ----------
    initial_learning_rate, decay_steps : float
    alpha : float from 0 to 1
    hold_steps : int
        For how many updates to stay at the initial rate first.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.

    Examples
    --------
    >>> import fastnn
    >>> round(fastnn.CosineDecay(0.1, 1000)(500), 6)
    0.05
    >>> schedule = fastnn.CosineDecay(0.1, 500, hold_steps=500)
    >>> [round(schedule(t), 6) for t in (0, 500, 750, 1000)]
    [0.1, 0.1, 0.05, 0.0]
    """

    name = "cosine"

    initial_learning_rate: float = setting(check=positive_float)
    decay_steps: float = setting(check=positive_float)
    alpha: float = setting(default=0.0, check=probability)
    hold_steps: int = setting(default=0, check=non_negative_int)

    def calls(self, first=1):
        settings = self.initial_learning_rate, self.decay_steps, self.alpha
        return [("cosine_rate", (*settings, first + self.hold_steps))]

    def upper_bound(self):
        return self.initial_learning_rate


_MOST_CYCLES = 50
"""The first of more would be shorter than an update of the longest fit."""


def _as_cycles(value: Any, name: str) -> int:
    if positive_int(value, name) > _MOST_CYCLES:
        raise ValueError(f"{name} is {value}, wanted at most {_MOST_CYCLES}")
    return int(value)


class CosLog(Schedule):
    """Go up to `max_learning_rate` and back to 0 in cycles, each twice as long as the one before.

    This is RealMLP's ``coslog``, ``max * (1 - cos(2 * pi * log2(1 + (2**cycles - 1) * s))) / 2``,
    where ``s = min(t / total_steps, 1)`` is the share of updates that are done.  So the first
    update, at s = 0, changes nothing, the last has ``s = 1 - 1 / total_steps`` and almost no rate,
    and any later ones have none.

    Parameters
    ----------
    max_learning_rate : float
    total_steps : int
        The number of updates in all cycles together, ``epochs * ceil(rows / batch_size)``.
    cycles : int
        At most 50.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.

    References
    ----------
    D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", NeurIPS 2024.

    Examples
    --------
    >>> import fastnn
    >>> schedule = fastnn.CosLog(0.1, total_steps=150)
    >>> [round(schedule(t), 3) for t in (0, 5, 10, 20, 30, 70, 110, 149, 150)]
    [0.0, 0.093, 0.0, 0.093, 0.0, 0.0, 0.093, 0.0, 0.0]
    """

    name = "cos_log"

    max_learning_rate: float = setting(check=positive_float)
    total_steps: int = setting(check=positive_int)
    cycles: int = setting(default=4, check=_as_cycles)

    def calls(self, first=1):
        settings = self.max_learning_rate, 2.0**self.cycles - 1, float(self.total_steps)
        return [("cos_log_rate", (*settings, first))]

    def upper_bound(self):
        return self.max_learning_rate


class OneCycle(Schedule):
    """Follow half a cosine up to `max_learning_rate`, another down to almost 0, and stay there.

    The rate starts at ``max_learning_rate / div_factor``, peaks at
    ``t = pct_start * total_steps - 1``, and at ``t = total_steps - 1`` reaches its starting value
    divided by `final_div_factor`.  PyTorch calls this ``OneCycleLR(cycle_momentum=False)``.

    Parameters
    ----------
    max_learning_rate : float
    total_steps : int
        The number of updates in the cycle, ``epochs * ceil(rows / batch_size)``.
    pct_start : float between 0 and 1
        The share of the cycle in which the rate rises.
    div_factor, final_div_factor : float

    Raises
    ------
    ValueError, TypeError
        For settings out of range, or a rise or fall of less than one update.

    Examples
    --------
    >>> import fastnn
    >>> cycle = fastnn.OneCycle(0.1, total_steps=100)
    >>> [round(cycle(t), 4) for t in (0, 29, 64, 99)]
    [0.004, 0.1, 0.05, 0.0]
    """

    name = "one_cycle"

    max_learning_rate: float = setting(check=positive_float)
    total_steps: int = setting(check=positive_int)
    pct_start: float = setting(default=0.3, check=fraction)
    div_factor: float = setting(default=25.0, check=positive_float)
    final_div_factor: float = setting(default=1e4, check=positive_float)

    def check_settings(self) -> None:
        if not 1 < self.pct_start * self.total_steps < self.total_steps:
            raise ValueError(
                f"pct_start is {self.pct_start:g}, wanted more than 1 / total_steps "
                f"(1 / {self.total_steps}) and less than 1"
            )

    def _rates(self) -> tuple[float, float, float]:
        start = self.max_learning_rate / self.div_factor
        return start, self.max_learning_rate, start / self.final_div_factor

    def calls(self, first=1):
        times = self.pct_start * self.total_steps - 1.0, self.total_steps - 1.0
        return [("one_cycle_rate", (*self._rates(), *times, first))]

    def upper_bound(self):
        return max(self._rates())


class WarmUp(Schedule):
    """Rise in a straight line to `learning_rate`, then follow it.

    With ``start = initial_learning_rate``, the rate is
    ``start + (learning_rate(0) - start) * t / warmup_steps`` for t < `warmup_steps`, and
    ``learning_rate(t - warmup_steps)`` from then on.  Keras builds this into its ``CosineDecay``.

    Parameters
    ----------
    learning_rate : float or Schedule
    warmup_steps : int
    initial_learning_rate : float
        The start of the line.  With 0, the first update changes nothing.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.

    Examples
    --------
    >>> import fastnn
    >>> schedule = fastnn.WarmUp(fastnn.CosineDecay(0.1, 100), warmup_steps=10)
    >>> [round(schedule(t), 6) for t in (0, 5, 10, 60)]
    [0.0, 0.05, 0.1, 0.05]
    """

    name = "warm_up"

    learning_rate: float | Schedule = setting(check=lambda value, name: get(value, name))
    warmup_steps: int = setting(check=positive_int)
    initial_learning_rate: float = setting(default=0.0, check=non_negative_float)

    def calls(self, first=1):
        then = first + self.warmup_steps
        if isinstance(self.learning_rate, Schedule):
            calls = self.learning_rate.calls(then)
        else:
            calls = [("constant_rate", (self.learning_rate, then))]
        line = self.initial_learning_rate, float(self.warmup_steps), first
        return [*calls, ("warm_up_rate", line)]

    def upper_bound(self):
        return max(self.initial_learning_rate, upper_bound(self.learning_rate))


TABLE = table(Schedule)


def get(
    rate: Any, name: str = "learning_rate", number: Callable[[Any, str], float] = positive_float
) -> float | Schedule:
    """Return a rate given as a number, a schedule or a schedule's configuration.

    `number` checks a number.
    """
    if isinstance(rate, Schedule | dict):
        found: Schedule = look_up(rate, name, Schedule, TABLE)
        return found
    return number(rate, name)


def upper_bound(rate: float | Schedule) -> float:
    """Return what a rate never exceeds."""
    return rate.upper_bound() if isinstance(rate, Schedule) else rate


def as_argument(rate: float | Schedule, program: Program) -> Rate:
    """Return a rate as an argument of the program's steps, adding steps that compute a schedule."""
    if not isinstance(rate, Schedule):
        return rate
    calls = [(kernel, (*settings, Clock.UPDATE)) for kernel, settings in rate.calls()]
    (number,) = program.numbers(calls, 1)
    return number
