"""L-BFGS: a quasi-Newton method for full batches, with SciPy's line search."""

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from fastnn.engine import single, team, threads
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program
from fastnn.inputs.checks import positive_float, positive_int
from fastnn.inputs.settings import setting
from fastnn.kernels.interrupts import let_interrupt
from fastnn.optimizers.base import Optimizer

Pair = tuple[np.ndarray, np.ndarray]


_MOST_PAIRS = 1000
"""Each takes twice the memory of the parameters."""


def _history_size(given: Any, name: str) -> int:
    if positive_int(given, name) > _MOST_PAIRS:
        raise ValueError(f"{name} is {given}, wanted at most {_MOST_PAIRS}")
    return int(given)


class Searching(Optimizer):
    """Base of optimizers that move the parameters themselves.

    A program that is lowered with one writes each parameter's gradient, penalties included, to its
    state.
    """

    full_batch = searches = True

    @property
    def state(self):
        return {"gradient": 0.0}

    def update(self, rate, decay, factors):
        return "store_update", ()


class LBFGS(Searching):
    """Limited-memory BFGS (Liu and Nocedal, 1989) with a strong Wolfe line search.

    An epoch is one iteration.  It finds a direction p from the last `history_size` steps and
    changes of the gradient, and takes a step a along it that satisfies
    ``f(w + a p) <= f(w) + 1e-4 a p.g`` and ``|g(w + a p).p| <= 0.9 |g(w).p|``, where f is the loss
    with penalties on all rows and g its gradient.  That takes one or a few passes over the data,
    compiled like any training.  `fit` ends when no element of the gradient exceeds `tolerance`, or
    when a step gains no more than rounding (10 eps of the network's dtype, relative to f).

    The line search is ``scipy.optimize.line_search``, so it needs SciPy: install the extra
    ``lbfgs``.  In float32 the last digits of the loss are noise, so `fit` ends sooner than in
    float64.  PyTorch's ``LBFGS(line_search_fn="strong_wolfe")`` reaches the same end by other
    steps: its line search interpolates differently, its default history is 100, and its `step`
    makes up to 20 iterations.

    Moving averages change once per iteration, by the statistics of the new weights, and dropout
    draws one mask per iteration.

    Parameters
    ----------
    history_size : int
        At most 1000.
    tolerance : float

    Raises
    ------
    ValueError, TypeError
        For settings out of range.
    ImportError
        From `fit`, if SciPy is not installed.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.LBFGS()
    LBFGS(history_size=10, tolerance=1e-07)
    """

    name = "lbfgs"
    history_size: int = setting(default=10, check=_history_size)
    tolerance: float = setting(default=1e-7, check=positive_float)

    @property
    def memory(self):
        """A ring of the steps s and the gradient's changes y; s = 0 marks an empty place."""
        return tuple(f"{letter}{slot}" for slot in range(self.history_size) for letter in "sy")

    def run(self, program, parameters, loss, *, epochs=1, access=None, pause=None, **how):
        """Run iterations; see :meth:`Optimizer.run`."""
        return self.search(Objective(program, parameters, loss, how), epochs, access, pause)

    @np.errstate(all="ignore")
    def search(self, objective: "Objective", epochs: int, access=None, pause=None) -> team.Outcome:
        """Run iterations on an objective, whose parameters have this optimizer's state."""
        try:
            with _calm():  # importing SciPy adds filters of warnings
                from scipy.optimize import line_search
        except ImportError as error:
            raise ImportError("LBFGS wants SciPy: pip install scipy") from error
        pairs = _Pairs(objective.parameters, self.history_size)
        sums, seconds = np.zeros((epochs, 2)), np.zeros(epochs)
        for done in range(epochs):
            let_interrupt()
            started = time.perf_counter()
            with nullcontext() if access is None else access.closed():
                try:
                    sums[done], finite, goes_on = self._iterate(objective, pairs, line_search)
                finally:
                    told = pause is not None and not pause()
            if not finite:
                return team.Outcome(sums, seconds, False, done, objective.clock)
            seconds[done] = time.perf_counter() - started
            ended = not goes_on
            if ended or told:
                return team.Outcome(sums, seconds, True, done + 1, objective.clock, ended=ended)
        return team.Outcome(sums, seconds, True, epochs, objective.clock)

    def _iterate(self, objective, pairs, line_search) -> tuple[np.ndarray, bool, bool]:
        """Make an iteration; return the sums, whether they were finite, and whether to go on."""
        x = objective.begin()
        try:
            value, gradient = objective.at(x)
            sums = objective.sums
            if not np.isfinite(value):
                return sums, False, False
            goes_on = np.abs(gradient).max() > self.tolerance and _move(
                objective, pairs, x, line_search
            )
        except BaseException:
            objective.go_back(x)
            raise
        finally:
            objective.program.updates = objective.number
        objective.program.updates += 1
        return sums, True, bool(goes_on)


_lock = threading.Lock()
_calming: list[warnings.catch_warnings] = []
_calm_threads = 0


@contextmanager
def _calm() -> Iterator[None]:
    """Ignore warnings of the line search: a failure shows in its result too.

    Python's own block, of which this is one for several threads, leaves other filters behind if
    threads enter and leave it in turn, as in :func:`fastnn.fit_many`.
    """
    global _calm_threads
    with _lock:
        if _calm_threads == 0:
            _calming.append(warnings.catch_warnings())
            _calming[0].__enter__()
            warnings.filterwarnings("ignore", "The line search |Rounding errors ", RuntimeWarning)
        _calm_threads += 1
    try:
        yield
    finally:
        with _lock:
            _calm_threads -= 1
            if _calm_threads == 0:
                _calming.pop().__exit__(None, None, None)


class Objective:
    """The loss with its penalties, and their gradient, as functions of one vector."""

    def __init__(self, program: Program, parameters: Sequence[Any], loss, how: dict[str, Any]):
        self.program, self.loss, self.how = program, loss, how
        self.parameters = [each for each in parameters if each.trained]
        self.tracked = [each.value for each in parameters if not each.trained]
        self.moved: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []
        self.known: tuple[np.ndarray, float, np.ndarray] | None = None
        self.single: single.Single | None = None
        size = sum(each.value.size for each in parameters)
        brief = 6 * size * how["n_rows"] < team.BRIEF and program.threads == 1
        # Whether a run is one call of compiled code, which nobody can stop.
        self.short = (
            brief and how.get("backend", "numba") == "numba" and threads.own_shared() is None
        )

    def begin(self) -> np.ndarray:
        """Begin an iteration: return the current parameters as one vector."""
        self.number = self.program.updates
        self.gradients = [each.state["gradient"].copy() for each in self.parameters]
        if self.program.random:
            self.known = None  # it is of another mask
        return self.place()

    def place(self) -> np.ndarray:
        """Return the current parameters as one vector."""
        return _flat([parameter.value for parameter in self.parameters])

    def go_to(self, x: np.ndarray) -> np.ndarray:
        """Set the parameters to `x`, and return `x` rounded to their dtype."""
        _scatter(x, [parameter.value for parameter in self.parameters])
        return self.place()

    def go_back(self, x: np.ndarray) -> None:
        """Leave everything as an interrupted iteration found it."""
        self.go_to(x)
        for each, gradient in zip(self.parameters, self.gradients, strict=True):
            each.state["gradient"][...] = gradient

    def at(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the value and the gradient at `x`, cached for the latest `x`."""
        x = self.go_to(x)
        if self.known is None or not np.array_equal(x, self.known[0]):
            self.program.updates = self.number
            before = [array.copy() for array in self.tracked]
            try:
                finite = self.compute()
                self.moved = [array.copy() for array in self.tracked]
            finally:
                for array, old in zip(self.tracked, before, strict=True):
                    array[...] = old
            value = np.inf
            if finite:
                value = self.loss(*map(float, self.sums))
            gradient = _flat([parameter.state["gradient"] for parameter in self.parameters])
            good = np.isfinite(value) and np.isfinite(gradient).all()
            self.known = x, value if good else np.inf, gradient
        return self.known[1], self.known[2]

    def compute(self) -> bool:
        """Set :attr:`sums` and the gradients at the parameters; return whether the loss is finite.

        That takes one run of the program.
        """
        program, how = self.program, self.how
        if not self.short:
            outcome = team.run(program, epochs=1, **how)
            self.sums, self.clock = outcome.sums[0], outcome.clock
            return outcome.finite
        if self.single is None:
            self.single = single.Single(program, how["n_rows"], [])
        clock = self.clock = self.single.clock
        program.refresh()
        clock[Clock.EPOCH], clock[Clock.UPDATE] = how.get("first_epoch", 0), program.updates
        finite = bool(single.run(self.single.frame))
        program.updates, self.sums = int(clock[Clock.UPDATE]), self.single.sums[0].copy()
        return finite

    def track(self) -> None:
        """Keep the statistics that the layers tracked at the latest `x`."""
        for array, new in zip(self.tracked, self.moved, strict=True):
            array[...] = new


class _Pairs:
    """The ring of steps and gradient changes, stored with the parameters."""

    def __init__(self, parameters: Sequence[Any], size: int):
        self.parameters, self.size = parameters, size
        self.ring = [(self._flat(f"s{slot}"), self._flat(f"y{slot}")) for slot in range(self.size)]

    def _flat(self, name: str) -> np.ndarray:
        return _flat([parameter.state[name] for parameter in self.parameters])

    def latest(self, number: int) -> list[Pair]:
        """Return the pairs from before this iteration, latest first."""
        slots = [(number - back) % self.size for back in range(1, self.size + 1)]
        return [self.ring[slot] for slot in slots if self.ring[slot][0].any()]

    def put(self, number: int, s: np.ndarray, y: np.ndarray) -> None:
        """Store an iteration's pair."""
        slot = number % self.size
        for letter, vector in (("s", s), ("y", y)):
            arrays = [parameter.state[f"{letter}{slot}"] for parameter in self.parameters]
            _scatter(vector, arrays)
        self.ring[slot] = self._flat(f"s{slot}"), self._flat(f"y{slot}")

    def clear(self) -> None:
        """Forget all pairs."""
        nothing = np.zeros_like(self.ring[0][0])
        for slot in range(self.size):
            self.put(slot, nothing, nothing)


def _move(objective: Objective, pairs: _Pairs, x: np.ndarray, line_search: Callable) -> bool:
    """Take a descent step from `x`; return whether it gained more than rounding."""
    number = objective.number
    value, gradient = objective.at(x)
    dtype = objective.parameters[0].value.dtype
    known = pairs.latest(number)
    for latest in [known, []] if known else [[]]:  # fall back to the gradient alone
        if known and not latest:
            pairs.clear()
        direction = -_hessian_inverse_times(gradient, latest)
        if not latest:
            direction *= min(1.0, 1.0 / np.abs(gradient).sum())
        with _calm():
            length = line_search(
                lambda place: objective.at(place)[0],
                lambda place: objective.at(place)[1],
                x,
                direction,
                gradient,
                value,
            )[0]
        if length is not None:
            there = objective.go_to(x + length * direction)
            reached, new_gradient = objective.at(there)
            objective.track()
            s, y = there - x, new_gradient - gradient
            if _dot(s, y) > 1e-10 * _dot(y, y):
                pairs.put(number, s, y)
            else:
                pairs.put(number, np.zeros_like(s), np.zeros_like(y))
            return value - reached > 10 * np.finfo(dtype).eps * abs(value)
    objective.go_to(x)
    return False


def _hessian_inverse_times(gradient: np.ndarray, latest: Sequence[Pair]) -> np.ndarray:
    """Return the inverse Hessian, estimated from the pairs (latest first), times the gradient.

    This is the two-loop recursion of Nocedal, "Updating Quasi-Newton Matrices with Limited
    Storage", 1980.
    """
    q = gradient.copy()
    shares = []
    for s, y in latest:
        let_interrupt()
        shares.append(_dot(s, q) / _dot(s, y))
        q -= shares[-1] * y
    if latest:
        s, y = latest[0]
        q *= _dot(s, y) / _dot(y, y)
    for (s, y), share in zip(reversed(latest), reversed(shares), strict=True):
        let_interrupt()
        q += (share - _dot(y, q) / _dot(s, y)) * s
    return q


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.einsum("i,i->", a, b))  # not BLAS: its bits depend on its number of threads


def _flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.reshape(-1) for array in arrays]).astype(np.float64)


def _scatter(vector: np.ndarray, arrays: Sequence[np.ndarray]) -> None:
    begin = 0
    for array in arrays:
        array[...] = vector[begin : begin + array.size].reshape(array.shape)
        begin += array.size
