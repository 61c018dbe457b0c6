"""Explanation: the steps that a fit runs for a batch, and how long each of them takes."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.engine import team
from fastnn.engine.listing import Line, Listing, Times
from fastnn.engine.program import Program, aligned
from fastnn.engine.worker import PARTS, count_nothing
from fastnn.inputs import checks
from fastnn.layers.base import Parameter
from fastnn.training import loop, planning
from fastnn.training.model import Model

_ROUNDS = 50
_SECONDS = 3.0
"""Roughly how long a measurement may take, unless a single epoch takes longer."""
_ROUND_SECONDS = 0.02
"""The least time of a round of epochs: long compared with the 0.1 ms that starting the threads
takes, and short enough that some rounds run undisturbed."""
_TRIES, _TURNS = 20, 5_000
"""How often the cost of reading the clock is measured, and over how many readings each time."""


@dataclass(repr=False)
class Explanation:
    """The steps of a training program; ``print(explanation)`` shows them.

    Attributes
    ----------
    steps : list of Line
        Each step's phase, kernel and arrays and, if measured, its seconds per epoch.
    code : str
        The code that was generated for Numba to compile.
    program : Program
    barriers : float or None
        Seconds per epoch that a thread spends waiting for others, if measured.
    epoch : float or None
        Seconds per epoch of a normal `fit`, which times no steps, if measured.
    """

    program: Program
    listing: Listing
    epoch: float | None = None

    @property
    def steps(self) -> list[Line]:
        return self.listing.lines

    @property
    def code(self) -> str:
        """The generated code of the steps, without repetitions."""
        groups = (group for _, group in self.program.groups if group is not None)
        return "\n".join(dict.fromkeys(step.code for group in groups for step in group.steps))

    @property
    def barriers(self) -> float | None:
        return None if self.listing.times is None else self.listing.times.barriers

    def __repr__(self) -> str:
        text, times = str(self.listing), self.listing.times
        if times is None or self.epoch is None:
            return text
        text += (
            f"\n\nAn epoch is {times.batches:,} batches. `fit` takes {1e3 * self.epoch:.2f} ms for "
            f"it; steps and barriers add up to {1e3 * times.total:.2f} ms."
        )
        if self.program.threads > 1:
            text += (
                f"\nTimes of steps are a thread's own, the mean of {self.program.threads} threads. "
                "What it waits for the others\nis the time of barriers."
            )
        elif self.program.n_threads > 1:
            text += "\nOne thread was the fastest."
        return text


def explain(model: Model, X: Any, y: Any, *, measure: Any, **options: Any) -> Explanation:
    """Explain a fit; :meth:`fastnn.Network.explain` documents the arguments.

    Raises
    ------
    ValueError
        If `measure` is set and the backend is "numpy".
    """
    measure = checks.boolean(measure, "measure")
    if measure and model.backend == "numpy":
        raise ValueError("measure times compiled steps, which backend 'numpy' does not run")
    model = copy.deepcopy(model)
    plan = planning.adapt(model, planning.make_plan(model, X, y, **options))
    # A long fit's program: a short one may have fewer threads.
    plan = replace(planning.begin(model, plan), epochs=team.WORTH_A_TRIAL)
    program, _ = loop.lowered(model, plan)
    layers = [repr(layer) for layer in model.layers]
    if not measure:
        return _listed(program, layers)
    return _measured(program, layers, model.all_parameters(), plan.n_rows)


def _listed(program: Program, layers: Sequence[str]) -> Explanation:
    """Explain a program without running it; `layers` are the layers' titles."""
    listing = program.listing
    listing.layers = layers
    return Explanation(program, listing)


def _measured(
    program: Program, layers: Sequence[str], parameters: Sequence[Parameter], n_rows: int
) -> Explanation:
    """Explain a program, and time each step in epochs of `n_rows` rows.

    Rounds of epochs with and without a clock around each step alternate.  The fastest round of each
    kind counts, since anything else that the machine does only slows rounds down.  The time for
    reading the clock is subtracted.  At the end, `parameters` and the optimizer's state are as
    before.

    Raises
    ------
    FloatingPointError
        If a loss is not finite.
    RuntimeError
        If the processor has no cycle counter.
    """
    rewind = _rewinding(program, parameters)
    batches = -(-n_rows // program.batch_size)

    def run(epochs: int, cycles: np.ndarray | None = None) -> float:
        """Run some epochs from the initial state, and return their seconds."""
        rewind()
        outcome = team.run(program, n_rows=n_rows, epochs=epochs, cycles=cycles)
        if not outcome.finite:
            raise FloatingPointError("the loss is not finite: fit says where that begins")
        return float(outcome.seconds.sum())

    try:
        run(-(-team.WORTH_A_TRIAL // batches) if program.on_trial else 1)
        once = run(1)
        epochs = max(1, round(_ROUND_SECONDS / once))
        rounds = max(1, min(_ROUNDS, round(_SECONDS / (2 * epochs * once))))
        plain, timed = [], []
        for _ in range(rounds):
            plain.append(run(epochs) / epochs)
            cycles = aligned((program.threads, len(program.table.steps) + 1), np.int64)
            seconds = run(epochs, cycles)
            timed.append(_times(program, cycles, seconds, epochs, batches))
    finally:
        rewind()
    explanation = _listed(program, layers)
    explanation.listing.times = min(timed, key=lambda times: times.total)
    explanation.epoch = min(plain)
    return explanation


def _rewinding(program: Program, parameters: Sequence[Parameter]) -> Callable[[], None]:
    """Return a function that undoes everything that a run changes."""
    arrays = [array for each in parameters for array in (each.value, *each.state.values())]
    saved, updates = [array.copy() for array in arrays], program.updates

    def rewind() -> None:
        program.updates = updates
        for array, before in zip(arrays, saved, strict=True):
            array[...] = before

    return rewind


def _times(
    program: Program, cycles: np.ndarray, seconds: float, epochs: int, batches: int
) -> Times:
    """Return the times of an epoch from the cycles that the threads counted."""
    if not cycles.any():
        raise RuntimeError("this processor has no cycle counter that could time the steps")
    rate = cycles.sum(axis=1).max() / seconds
    # How often a thread read the clock: after each step of each of its parts.
    parts = program.table.steps[:, PARTS]
    looks = np.where(parts > 0, parts / program.threads, np.maximum(-parts, 1))
    looks = epochs * batches * np.append(looks, len({phase for phase, _ in program.groups}))
    own = np.maximum(cycles.mean(axis=0) - looks * _look(), 0) / rate / epochs
    return Times(own[:-1], float(own[-1]), batches)


def _look() -> float:
    """Return the cycles that one look at the clock takes: the least, since others interrupt."""
    counts = []
    for _ in range(_TRIES):
        cycles = np.zeros(1, np.int64)
        count_nothing(cycles, _TURNS)
        counts.append(int(cycles[0]) / _TURNS)
    return min(counts)
