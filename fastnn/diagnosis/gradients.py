"""Check gradients against finite differences, for the user's own network, loss and data."""

import copy
import functools
import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.diagnosis.copies import arrays_of, copy_of, without_warnings
from fastnn.engine import team
from fastnn.engine.program import Program
from fastnn.inputs import checks
from fastnn.layers import penalties
from fastnn.network import Network
from fastnn.optimizers import SGD
from fastnn.regularizers import L2
from fastnn.training import loop, planning
from fastnn.training.model import ROW_FLOPS

_STEPS = (1e-5, 1e-6, 1e-7)
"""Steps to try in turn: a kink within one of them may lie outside the next."""
_STILL = 1e-300
"""A learning rate that moves nothing: a fit with it only computes the training loss."""


@dataclass(frozen=True)
class Slope:
    """The gradient in one parameter, from the network and from differences.

    Attributes
    ----------
    layer : int
    array : str
        "kernel" or "bias".
    index : tuple of int
    gradient, difference : float
        From the backward pass, and from ``(f(w + e) - f(w - e)) / 2e``.
    error : float
        Their difference relative to the larger of the two, or to a hundredth of the largest
        gradient of all if both are smaller than that.
    """

    layer: int
    array: str
    index: tuple[int, ...]
    gradient: float
    difference: float
    error: float

    def __str__(self) -> str:
        place = ", ".join(map(str, self.index))
        return (
            f"layer {self.layer}, {self.array}[{place}]: gradient {self.gradient:.6g}, "
            f"difference {self.difference:.6g}, relative error {self.error:.2g}"
        )


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """What :func:`check_gradients` found; true if the gradients are right.

    Attributes
    ----------
    worst : Slope or None
        The parameter with the largest error; None if all were skipped.
    checked, skipped : int
        How many parameters were compared, and how many skipped because the loss has a kink there.
    tolerance : float
    """

    worst: Slope | None
    checked: int
    skipped: int
    tolerance: float

    def __bool__(self) -> bool:
        return self.worst is not None and self.worst.error <= self.tolerance

    def __repr__(self) -> str:
        verdict = "right" if self else "WRONG" if self.checked else "unknown"
        kinks = f", {self.skipped} skipped at kinks" if self.skipped else ""
        worst = f"; worst: {self.worst}" if self.worst else ""
        return f"GradientCheck({verdict}: {self.checked} parameters compared{kinks}{worst})"


@without_warnings
def check_gradients(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    parameters: int = 100,
    rows: int = 32,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradients that training uses with central differences of its loss.

    The gradient of f in a parameter w is compared with ``(f(w + e) - f(w - e)) / 2e``.  It comes
    from the compiled kernels themselves: a float64 copy of the network makes one step of gradient
    descent over the rows, and ``(before - after) / rate`` is the gradient, penalties included.  The
    network itself does not change.

    Parameters at which the loss has a kink (a ReLU unit or an absolute error at 0) are skipped:
    there the slopes on the two sides differ however small e becomes.

    Parameters
    ----------
    network : Network
        Built or not.
    X, y : array-like
        As for :meth:`Network.fit`.
    parameters : int
        About how many to compare, chosen at random from all arrays; at least 4 of each.
    rows : int
        How many rows to use, evenly spaced.
    tolerance : float
        The largest relative error to attribute to rounding.
    seed : int
        Seeds the choice of parameters.

    Returns
    -------
    GradientCheck
        True if all are right; names the worst.

    Raises
    ------
    ValueError, TypeError
        For bad input.
    FloatingPointError
        If the loss is not finite.

    References
    ----------
    C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, section 5.3.3.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> network = fastnn.Network([fastnn.Dense(3, "tanh"), fastnn.Dense(1)])
    >>> bool(fastnn.check_gradients(network, x, x**2))
    True
    """
    x, targets = arrays_of(network, X, y)
    parameters = checks.positive_int(parameters, "parameters")
    tolerance = checks.positive_float(tolerance, "tolerance")
    rng = np.random.default_rng(checks.non_negative_int(seed, "seed"))
    places = np.linspace(0, len(x) - 1, min(len(x), checks.positive_int(rows, "rows"))).astype(int)
    probe = _Probe(network, x[places], targets[places])
    gradients = probe.gradients()
    scale = max((float(np.abs(gradients[n]).max()) for n in probe.trained), default=0.0)
    quota = max(4, parameters // len(probe.trained))
    slopes, skipped = [], 0
    for number in probe.trained:
        gradient = gradients[number]
        chosen = rng.choice(gradient.size, min(quota, gradient.size), replace=False)
        for flat in sorted(chosen):
            index = tuple(int(i) for i in np.unravel_index(flat, gradient.shape))
            found = _compare(probe, number, index, float(gradient[index]), scale, tolerance)
            if found is None:
                skipped += 1
            else:
                slopes.append(found)
    worst = max(slopes, key=lambda slope: slope.error, default=None)
    return GradientCheck(worst, len(slopes), skipped, tolerance)


def _drop_what_is_in_no_gradient(network: Network) -> None:
    """Remove a network's constraints, and the penalties that act on the weights themselves."""
    for each in network.model.all_parameters():
        if penalties.acts_on_weights(*each.own):
            each.own = None, None
    for name in ("kernel_regularizer", "bias_regularizer"):
        if penalties.acts_on_weights(getattr(network, name), None):
            setattr(network, name, None)
        for layer in network.layers:
            if penalties.acts_on_weights(getattr(layer, name, None), None):
                setattr(layer, name, L2(0))  # None would let the network's apply
    for name in ("kernel_constraint", "bias_constraint"):
        for layer in network.layers:
            if hasattr(layer, name):
                setattr(layer, name, None)


class _Probe:
    """The training loss and its gradient, in float64, as functions of the weights."""

    def __init__(self, network: Network, x: np.ndarray, y: np.ndarray):
        self.network = copy.copy(copy_of(network, x.shape[1], dtype="float64"))
        _drop_what_is_in_no_gradient(self.network)
        self.x, self.y = x, y
        self.weights = self.network.get_weights()
        layers = self.network.model.parameters
        self.names = [(n, each.name) for n, layer in enumerate(layers) for each in layer]
        every = self.network.model.all_parameters()
        self.trained = [number for number, each in enumerate(every) if each.trained]
        # Use the path by which the gradient reaches the network's own optimizer: inside the matrix
        # product, or as an array (the first step with momentum is a plain one).
        self.momentum = 0.0 if self.network.optimizer.plain_descent else 0.5

    def _step(self, rate: float) -> list[np.ndarray]:
        """Return the weights after one step from where they are, wherever it leads."""
        for each in self.network.model.all_parameters():
            each.state = {}
        self._run(self._program(rate), self.weights)
        return self.network.get_weights()

    def _program(self, rate: float) -> Program:
        """Return a program that makes one step with all rows."""
        model = self.network.model
        model.optimizer = SGD(rate, self.momentum)
        plan = planning.make_plan(model, self.x, self.y, batch_size=len(self.x), shuffle=False)
        program, _ = loop.lowered(model, plan)
        program.brief = len(self.x) * (3 * model.flops() + ROW_FLOPS) < team.BRIEF
        return program

    @functools.cached_property
    def _still(self) -> Program:
        """A program that computes the training loss and moves nothing, lowered once for all."""
        return self._program(_STILL)

    def _run(self, program: Program, weights: list[np.ndarray]) -> team.Outcome:
        """Run a program at these weights."""
        model = self.network.model
        model.set_weights(weights)
        program.updates = 0  # what depends on the update's number is then the same every time
        outcome = team.run(program, n_rows=len(self.x), backend=model.backend)
        if not outcome.finite:
            raise FloatingPointError("the loss is not finite near the weights")
        return outcome

    def _loss(self, weights: list[np.ndarray]) -> float:
        """Return the training loss at these weights."""
        sums = self._run(self._still, weights).sums[0]
        return float(self.network.loss.reduced(*sums)) + self.network.model.penalty()

    @functools.cached_property
    def here(self) -> float:
        """The loss with the weights as they are."""
        return self._loss(self.weights)

    def loss(self, number: int, index: tuple[int, ...], step: float) -> float:
        """Return the loss with one parameter moved by `step`."""
        moved = list(self.weights)
        moved[number] = moved[number].copy()
        moved[number][index] += step
        return self._loss(moved)

    def gradients(self) -> list[np.ndarray]:
        """Return the gradients of all arrays."""

        def by(rate: float) -> list[np.ndarray]:
            pairs = zip(self.weights, self._step(rate), strict=True)
            return [(before - end) / rate for before, end in pairs]

        gradients = by(1.0)
        largest = max(float(np.abs(each).max()) for each in gradients)
        size = max(float(np.abs(each).max()) for each in self.weights)
        if not largest or not size:
            return gradients
        # A step as long as the weights loses the fewest digits; a power of two adds no rounding.
        return by(2.0 ** round(math.log2(size / largest)))


def _compare(
    probe: _Probe, number: int, index: tuple[int, ...], gradient: float, scale: float, tol: float
) -> Slope | None:
    """Return the comparison for one parameter, or None at a kink."""
    here = probe.here
    size = max(1.0, abs(float(probe.weights[number][index])))
    best, gaps = None, [math.inf]
    for step in (each * size for each in _STEPS):
        right = (probe.loss(number, index, step) - here) / step
        left = (here - probe.loss(number, index, -step)) / step
        difference = (right + left) / 2
        rounding = 16 * sys.float_info.epsilon * abs(here) / step
        least = max(abs(gradient), abs(difference), scale / 100, sys.float_info.min)
        error = max(0.0, abs(gradient - difference) - rounding) / least
        if best is None or error < best.error:
            layer, name = probe.names[number]
            best = Slope(layer, name, index, gradient, difference, error)
        if error <= tol:
            return best
        gaps.append(max(0.0, abs(right - left) - rounding))
    # Where the loss is smooth, the gap shrinks with the step; at a kink it does not.
    at_kink = gaps[-1] > tol * least and gaps[-1] > 0.5 * gaps[-2]
    return None if at_kink else best


def has_own_kernels(network: Network) -> bool:
    """Whether the loss or an activation is the user's own."""
    kernels: list[Any] = [network.loss.forward, network.loss.backward]
    for layer in network.layers:
        kernels += [layer.activation.forward, layer.activation.backward]
    return not all(isinstance(kernel, str) for kernel in kernels)
