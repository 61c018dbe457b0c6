"""Explaining: what the program of a fit does in a batch, and what each step of it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fastnn.engine import team
from fastnn.engine.listing import Line, Listing, Times
from fastnn.engine.program import Program, aligned
from fastnn.engine.worker import PARTS, count_nothing
from fastnn.layers.base import Parameter

_ROUNDS = 50
_SECONDS = 3.0
"""About how long a measurement may take, if an epoch does not take longer."""
_ROUND_SECONDS = 0.02
"""Least time of a round, of so many epochs: starting the threads takes 0.1 ms, and a short round is
the sooner undisturbed."""
_TRIES, _TURNS = 20, 5_000
"""How often the cost of a look at the clock is measured, and over how many looks each time."""


@dataclass(repr=False)
class Explanation:
    """The steps of a training program; ``print(explanation)`` shows them.

    Attributes
    ----------
    steps : list of Line
        Their phases, kernels, arrays and, where they were measured, seconds an epoch.
    code : str
        What was generated for Numba to compile.
    program : Program
    barriers : float or None
        Seconds an epoch in which a thread waits for others.
    epoch : float or None
        Seconds of an epoch of `fit`, in which no step is timed.
    """

    program: Program
    listing: Listing
    epoch: float | None = None

    @property
    def steps(self) -> list[Line]:
        return self.listing.lines

    @property
    def code(self) -> str:
        """The generated code of the steps, each once."""
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


def explain(program: Program, layers: Sequence[str]) -> Explanation:
    """Explain a program without running it; `layers` says what to call the layers."""
    listing = program.listing
    listing.layers = layers
    return Explanation(program, listing)


def measured(
    program: Program, layers: Sequence[str], parameters: Sequence[Parameter], n_rows: int
) -> Explanation:
    """Explain a program and the time that each step takes in epochs of `n_rows` rows.

    Epochs with and without a clock around each step take turns, and the fastest round of each
    counts: whatever else the machine does makes others slower.  What reading the clock takes is
    subtracted.  `parameters` and the optimizer's state are as before at the end.

    Raises
    ------
    FloatingPointError
        If a loss is not finite.
    RuntimeError
        Where the processor has no cycle counter.
    """
    rewind = _rewinding(program, parameters)
    batches = -(-n_rows // program.batch_size)

    def run(epochs: int, cycles: np.ndarray | None = None) -> float:
        """Return the seconds of all epochs."""
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
            cycles = aligned((program.threads, len(program.table[0]) + 1), np.int64)
            seconds = run(epochs, cycles)
            timed.append(_times(program, cycles, seconds, epochs, batches))
    finally:
        rewind()
    explanation = explain(program, layers)
    explanation.listing.times = min(timed, key=lambda times: times.total)
    explanation.epoch = min(plain)
    return explanation


def _rewinding(program: Program, parameters: Sequence[Parameter]) -> Callable[[], None]:
    """Return a function that sets back what a run changes."""
    arrays = [array for each in parameters for array in (each.value, *each.state.values())]
    kept, updates = [array.copy() for array in arrays], program.updates

    def rewind() -> None:
        program.updates = updates
        for array, copy in zip(arrays, kept, strict=True):
            array[...] = copy

    return rewind


def _times(
    program: Program, cycles: np.ndarray, seconds: float, epochs: int, batches: int
) -> Times:
    """Return the times of an epoch from the cycles that all threads have counted."""
    if not cycles.any():
        raise RuntimeError("this processor has no cycle counter that could time the steps")
    rate = cycles.sum(axis=1).max() / seconds
    # How often a thread has looked at the clock: after each step of each of its parts.
    parts = program.table[0][:, PARTS]
    looks = np.where(parts == 0, 1, parts / program.threads)
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
