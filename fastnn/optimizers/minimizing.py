"""Minimize any function of an array with the optimizers of networks."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import optimizers
from fastnn.engine import team
from fastnn.engine.arguments import FlatPart
from fastnn.engine.program import Program, aligned, aligned_copy
from fastnn.inputs import checks
from fastnn.inputs.arrays import as_array, as_numbers
from fastnn.layers.base import Parameter
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.lbfgs import LBFGS, Objective
from fastnn.optimizers.updater import Updater

_STEP = np.finfo(np.float64).eps ** (1 / 3)
"""Relative step of central differences: it balances their error with rounding."""


@dataclass(frozen=True, repr=False)
class Minimum:
    """What :func:`minimize` found.

    Attributes
    ----------
    x : array
        Where it ended, in the shape of `b0`.
    value : float
        ``f(x)``.
    path : array, (steps + 1, *shape of b0)
        `b0`, and where each update led.
    values : array, (steps + 1,)
        `f` along the path.
    gradients : array, (steps + 1, *shape of b0)
        The gradient along the path.
    evaluations : int
        How often `f` was called.
    """

    path: np.ndarray
    values: np.ndarray
    gradients: np.ndarray
    evaluations: int

    @property
    def x(self) -> Any:
        return self.path[-1]

    @property
    def value(self) -> float:
        return float(self.values[-1])

    def __repr__(self) -> str:
        steps = len(self.path) - 1
        return f"Minimum(value={self.value:.6g} after {steps} updates, x={self.x})"


def minimize(
    f: Callable[[Any], Any],
    b0: ArrayLike,
    optimizer: Any = "sgd",
    *,
    steps: int = 100,
    tolerance: float | None = None,
) -> Minimum:
    """Minimize a function of an array by an optimizer's own updates; return the path they take.

    Gradient descent, ``SGD(rate)``, makes ``b = b - rate * gradient(b)``; the other optimizers
    update `b` as they update a network's weights, with the same kernels, all in float64.

    Parameters
    ----------
    f : callable
        ``f(b)`` returns a number, or a number and its gradient, an array of the shape of `b`.
        Without a gradient, which a float32 number needs, central differences estimate it,
        ``(f(b + e) - f(b - e)) / 2e`` in each element, to about 1e-10 of f's scale.
    b0 : array-like or float
        Where to start.
    optimizer : str or Optimizer
        :class:`LBFGS` makes an iteration with a line search in each step.
    steps : int
        How many updates to make.
    tolerance : float, optional
        End before an update if no element of the gradient is larger.  LBFGS also ends by its own.

    Returns
    -------
    Minimum
        With `x`, `value`, `path`, `values` and `gradients`.

    Raises
    ------
    TypeError, ValueError
        If `f` returns something else, or for bad settings.
    FloatingPointError
        If a value or a gradient is not finite, as where the rate is too high.

    Notes
    -----
    SciPy's `minimize` calls `f` as often as its own methods want and ends where they do; this is
    for watching what an optimizer does.  :class:`AdamW` decays `b` as a network's weights.

    Source: A. Cauchy, "Méthode générale pour la résolution des systèmes d'équations simultanées",
    1847.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> found = fastnn.minimize(lambda b: (b - 3) ** 2, 0.0, fastnn.SGD(0.25), steps=4)
    >>> found.path.round(6)
    array([0.    , 1.5   , 2.25  , 2.625 , 2.8125])
    >>> rosenbrock = lambda b: (1 - b[0]) ** 2 + 100 * (b[1] - b[0] ** 2) ** 2
    >>> fastnn.minimize(rosenbrock, [-1.2, 1.0], "lbfgs").x.round(4)
    array([1., 1.])
    """
    if not callable(f):
        raise TypeError(f"f is {f!r}, wanted a function of an array")
    made = optimizers.get(optimizer)
    steps = checks.positive_int(steps, "steps")
    if tolerance is not None:
        tolerance = checks.non_negative_float(tolerance, "tolerance")
    start = _numbers(b0, "b0").astype(np.float64)
    if not start.size or not np.isfinite(start).all():
        raise ValueError(f"b0 is {b0!r}, wanted finite numbers, at least one")
    function = _Function(f, start.shape)
    with np.errstate(all="ignore"):
        return _moved(made, function, start, steps, tolerance)


def _moved(
    optimizer: Optimizer,
    function: "_Function",
    start: np.ndarray,
    steps: int,
    tolerance: float | None,
) -> Minimum:
    """Make the updates; see :func:`minimize`."""
    flat = start.reshape(-1)
    mover: _Searcher | _Updates
    if isinstance(optimizer, LBFGS):
        mover = _Searcher(optimizer, function, flat)
    else:
        mover = _Updates(optimizer, flat)
    path, values, gradients = [mover.place()], [], []
    for step in range(steps + 1):
        value, gradient = function(path[-1])
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            what = "value" if not np.isfinite(value) else "gradient"
            hint = ": a smaller learning rate may help" if step else ""
            raise FloatingPointError(
                f"the {what} of f is not finite after {step} updates, at "
                f"{path[-1].reshape(start.shape).tolist()}{hint}"
            )
        values.append(value)
        gradients.append(gradient)
        done = tolerance is not None and np.abs(gradient).max() <= tolerance
        if step == steps or done or not mover.go_on(gradient):
            break
        path.append(mover.place())
    shape = (-1, *start.shape)
    return Minimum(
        np.array(path).reshape(shape),
        np.array(values),
        np.array(gradients).reshape(shape),
        function.evaluations,
    )


def _numbers(given: Any, name: str) -> np.ndarray:
    """Return a number or an array of numbers as an array."""
    if isinstance(given, Real) or getattr(given, "ndim", None) == 0:  # also PyTorch's and JAX's
        given = as_array(given, name)
    return as_numbers(given, name)


class _Function:
    """The caller's function, of a vector; it knows the latest place."""

    def __init__(self, f: Callable[[Any], Any], shape: tuple[int, ...]):
        self.f, self.shape, self.evaluations = f, shape, 0
        self.callers: Any = np.geterr()
        self.latest: tuple[np.ndarray, float, np.ndarray] | None = None

    def __call__(self, b: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the value and the gradient."""
        if self.latest is None or not np.array_equal(self.latest[0], b):
            value, gradient = self._call(b)
            if gradient is None:
                gradient = self._differences(b)
            self.latest = b.copy(), value, gradient
        return self.latest[1:]

    def _call(self, b: np.ndarray) -> tuple[float, np.ndarray | None]:
        self.evaluations += 1
        with np.errstate(**self.callers):
            found = self.f(b.reshape(self.shape).copy()[()])
        value, gradient = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
        number = _numbers(value, "the value of f")
        if number.size != 1:
            raise ValueError(f"f returned an array of shape {number.shape}, wanted a number")
        if gradient is None and number.dtype == np.float32:
            raise TypeError(
                f"f returned {value!r}, which is too coarse to estimate a gradient from: wanted "
                "float64, or the gradient too"
            )
        if gradient is not None:
            slopes = _numbers(gradient, "the gradient of f")
            if slopes.shape != self.shape:
                raise ValueError(
                    f"f returned a gradient of shape {slopes.shape}, wanted {self.shape}"
                )
            gradient = slopes.astype(np.float64).reshape(-1)
        return float(number.reshape(-1)[0]), gradient

    def _differences(self, b: np.ndarray) -> np.ndarray:
        gradient = np.empty_like(b)
        for place in range(b.size):
            ends, values = [], []
            for sign in (1, -1):
                moved = b.copy()
                moved[place] += sign * _STEP * max(1.0, abs(b[place]))
                ends.append(moved[place])
                values.append(self._call(moved)[0])
            with np.errstate(all="ignore"):
                gradient[place] = (values[0] - values[1]) / (ends[0] - ends[1])
        return gradient


class _Updates:
    """An optimizer's updates of one vector, as a program."""

    def __init__(self, optimizer: Optimizer, start: np.ndarray):
        self._parameter = Parameter("kernel", aligned_copy(start))
        self._parameter.keep_state(optimizer)
        self._gradient = aligned(start.shape, start.dtype)
        program = self._program = Program(start.dtype, 1, 1)
        program.add_check()
        program.begin("update")
        updater = Updater(program, optimizer, [self._parameter.value])
        calls = self._parameter.update(FlatPart(self._gradient), updater)
        program.add_group(calls, start.size)

    def place(self) -> np.ndarray:
        return self._parameter.value.copy()

    def go_on(self, gradient: np.ndarray) -> bool:
        """Make an update with this gradient; return whether it was made."""
        self._gradient[...] = gradient
        team.run(self._program, n_rows=1)
        return True


class _Searcher:
    """L-BFGS's iterations on one vector."""

    def __init__(self, optimizer: LBFGS, function: _Function, start: np.ndarray):
        parameter = Parameter("kernel", aligned_copy(start))
        parameter.keep_state(optimizer)
        self._optimizer, self._objective = optimizer, _OfFunction(parameter, function)

    def place(self) -> np.ndarray:
        return self._objective.place()

    def go_on(self, gradient: np.ndarray) -> bool:
        """Make an iteration; return whether it moved."""
        before = self.place()
        self._optimizer.search(self._objective, 1)
        return not np.array_equal(before, self.place())


class _OfFunction(Objective):
    """A function as L-BFGS's objective."""

    def __init__(self, parameter: Parameter, function: _Function):
        program = Program(np.float64, 1, 1)
        super().__init__(program, [parameter], lambda total, weight: total, {"n_rows": 1})
        self._function = function

    def compute(self) -> bool:
        value, gradient = self._function(self.place())
        self.parameters[0].state["gradient"][...] = gradient
        self.sums, self.clock = np.array([value, 1.0]), self.program.clocks[0]
        return bool(np.isfinite(value))
