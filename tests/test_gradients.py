"""The gradient of every loss through every activation, against finite differences in float64.

One step of plain gradient descent over all rows gives the gradient, (start - end) / rate; the
differences are of `evaluate`, run by the other backend, in one random direction for each array of
parameters, or in every one.
"""

import functools
import warnings

import numba
import numpy as np
import pytest

from fastnn import L1, L1L2, L2, SGD, Dense, Lq, Network, activations, losses
from tests.configured import KINDS, defaults, made, other

INPUTS, HIDDEN, OUTPUTS, ROWS = 3, 5, 2, 8
STEP = 1e-5
NAMES = sorted({activation.name for activation in activations.TABLE.values()})
LOSSES = {loss.name: loss for loss in losses.TABLE.values()}
FLAT = ("signed_error", "softmax")
"""What has no gradient: the outputs of softmax always add up to 1."""
SETTINGS = [
    made(kind, **{name: other(kind, name)})
    for kind in KINDS
    if issubclass(kind, losses.Loss | activations.Activation)
    for name in defaults(kind)
    if name != "reduction" or kind is losses.Huber  # the same of all
] + [losses.Quantile([0.2, 0.7])]


@numba.njit
def _square(x):
    return x * x


@numba.njit
def _square_slope(x, y):
    return 2 * x


@numba.njit
def _shares(x, out):
    for i in range(x.shape[0]):
        total = 1.0
        for j in range(x.shape[1]):
            total += x[i, j] ** 2
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] / total


@numba.njit
def _shares_gradient(x, y, dy, dx):
    for i in range(x.shape[0]):
        total, mean = 1.0, 0.0
        for j in range(x.shape[1]):
            total += x[i, j] ** 2
            mean += dy[i, j] * y[i, j]
        for j in range(x.shape[1]):
            dx[i, j] = (dy[i, j] - 2 * x[i, j] * mean) / total


@numba.njit
def _quartic(prediction, target):
    total = 0.0
    for j in range(prediction.size):
        total += (prediction[j] - target[j]) ** 4
    return total


@numba.njit
def _quartic_gradient(prediction, target, d):
    for j in range(d.size):
        d[j] = 4 * (prediction[j] - target[j]) ** 3


@numba.njit
def _score(prediction, target):
    total = -prediction[target]
    for j in range(prediction.size):
        total += prediction[j] ** 2 / 2
    return total


@numba.njit
def _score_gradient(prediction, target, d):
    for j in range(d.size):
        d[j] = prediction[j] - (j == target)


CUSTOM = {
    "square": lambda: activations.Custom(_square, _square_slope),
    "shares": lambda: activations.Custom(_shares, _shares_gradient),
    "quartic": lambda: losses.Custom(_quartic, _quartic_gradient),
    "score": lambda: losses.Custom(_score, _score_gradient, target="class"),
}


@functools.cache
def _custom(name):
    """Return an entry of CUSTOM; it compiles, so not when the tests are collected."""
    return CUSTOM[name]()


def _last(loss):
    """Return the activations that a last layer may have under a loss."""
    if loss.activation is not None:
        return [loss.activation]
    return NAMES if loss.fused is None else ["linear", loss.fused]


CASES = [
    (loss.name, hidden, loss.activation or "linear") for loss in LOSSES.values() for hidden in NAMES
]
CASES += [
    (loss.name, NAMES[number % len(NAMES)], last)
    for loss in LOSSES.values()
    for number, last in enumerate(_last(loss))
    if last != "linear" and (loss.name, last) != FLAT
]


def _targets(loss, rng):
    if loss.target == "class":
        return rng.integers(0, OUTPUTS, ROWS)
    shape = ROWS, loss.n_targets(OUTPUTS)
    return {
        "real": rng.standard_normal(shape),
        "count": rng.poisson(2.0, shape),
        "positive": rng.gamma(2.0, 1.0, shape),
        "binary": rng.random(shape),
        "sign": rng.choice([-1, 1], shape),
    }[loss.target]


def _gradient(layers, loss, x, y, weight, backend):
    """Return the weights before one step, and the gradient that it took."""
    rate = 2.0**-20  # a longer step would lead some losses to infinity; a power of 2 is exact
    network = Network(layers, loss=loss, optimizer=SGD(rate), dtype="float64", backend=backend)
    network.build(INPUTS)
    rng = np.random.default_rng(1)
    start = [rng.standard_normal(array.shape) for array in network.get_weights()]
    network.set_weights(start)
    network.fit(x, y, batch_size=ROWS, sample_weight=weight)
    end = network.get_weights()
    return start, [(before - after) / rate for before, after in zip(start, end, strict=True)]


def _slopes(layers, loss, x, y, weight, start, number, directions, backend):
    """Return the slopes of the loss where one array of parameters moves in each direction."""
    network = Network(layers, loss=loss, dtype="float64", backend=backend)
    network.build(INPUTS)
    slopes = []
    for direction in directions:
        ends = []
        for step in (STEP, -STEP):
            moved = start[number] + step * direction
            network.set_weights([*start[:number], moved, *start[number + 1 :]])
            ends.append(network.evaluate(x, y, weight))
        slopes.append((ends[0] - ends[1]) / (2 * STEP))
    return np.array(slopes)


def _check(layers, loss, backends=("numba", "numpy"), weighted=False, every=False):
    rng, loss = np.random.default_rng(2), losses.get(loss)
    x, y = rng.standard_normal((ROWS, INPUTS)), _targets(loss, rng)
    weight = rng.random(ROWS) if weighted else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loss 'signed_error'", UserWarning)
        start, gradient = _gradient(layers, loss, x, y, weight, backends[0])
    for number, actual in enumerate(gradient):
        size = actual.size
        directions = np.eye(size) if every else rng.choice([-1.0, 1.0], (1, size))
        moves = [direction.reshape(actual.shape) for direction in directions]
        wanted = _slopes(layers, loss, x, y, weight, start, number, moves, backends[1])
        assert np.abs(actual).max() > 1e-5
        assert np.abs(directions @ actual.ravel() - wanted).max() < 1e-6 * np.abs(actual).max()


@pytest.mark.parametrize(("loss", "hidden", "last"), CASES)
def test_gradient(loss, hidden, last):
    _check([Dense(HIDDEN, hidden), Dense(OUTPUTS, last)], loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_derivative_of_the_reference(loss):
    layers = [Dense(HIDDEN, "tanh"), Dense(OUTPUTS, LOSSES[loss].activation)]
    _check(layers, loss, ("numpy", "numba"), every=True)


@pytest.mark.parametrize("backends", [("numba", "numpy"), ("numpy", "numba")])
@pytest.mark.parametrize("given", [*SETTINGS, *CUSTOM], ids=repr)
def test_gradient_with_settings_and_of_users_functions(given, backends):
    given = _custom(given) if isinstance(given, str) else given
    is_loss = isinstance(given, losses.Loss)
    last = given.activation if is_loss else None
    layers = [Dense(HIDDEN, "tanh" if is_loss else given), Dense(OUTPUTS, last)]
    _check(layers, given if is_loss else "mse", backends)


def test_gradient_with_weights_penalties_and_layers_of_one_unit():
    layers = [
        Dense(HIDDEN, "relu", kernel_regularizer=L1L2(0.1, 0.2), bias_regularizer=L2(0.3)),
        Dense(1, "tanh", use_bias=False, kernel_regularizer=L1(0.1)),
        Dense(2, kernel_regularizer=Lq(0.2, 1.4), bias_regularizer=Lq(0.1, 0.6)),
        Dense(OUTPUTS, "sigmoid", kernel_regularizer=L2(0.4)),
    ]
    _check(layers, "mae", weighted=True, every=True)
    _check([*layers[:3], Dense(OUTPUTS, "softmax")], "softmax_cross_entropy", weighted=True)
