"""The gradient of every loss through every activation, against finite differences in float64.

One step of plain gradient descent over all rows gives the gradient, (start - end) / rate; the
differences are of `evaluate`, run by the other backend.
"""

import numpy as np
import pytest

from fastnn import L1, L1L2, L2, SGD, Dense, Lq, Network, activations, losses

INPUTS, HIDDEN, OUTPUTS, ROWS = 3, 5, 2, 8
STEP = 1e-5
NAMES = sorted({activation.name for activation in activations.TABLE.values()})
LOSSES = {loss.name: loss for loss in losses.TABLE.values()}


def _last(loss):
    """Return the activations that a last layer may have under a loss."""
    return NAMES if loss.fused is None else ["linear", loss.fused]


CASES = [(loss.name, hidden, "linear") for loss in LOSSES.values() for hidden in NAMES]
CASES += [
    (loss.name, NAMES[number % len(NAMES)], last)
    for loss in LOSSES.values()
    for number, last in enumerate(_last(loss))
    if last != "linear"
]


def _targets(loss, rng):
    if LOSSES[loss].target == "class":
        return rng.integers(0, OUTPUTS, ROWS)
    if LOSSES[loss].target == "binary":
        return rng.random((ROWS, OUTPUTS))
    return rng.standard_normal((ROWS, OUTPUTS))


def _gradient(layers, loss, x, y, weight, backend):
    """Return the weights before one step, and the gradient that it took."""
    network = Network(layers, loss=loss, optimizer=SGD(1.0), dtype="float64", backend=backend)
    network.build(INPUTS)
    rng = np.random.default_rng(1)
    start = [rng.standard_normal(array.shape) for array in network.get_weights()]
    network.set_weights(start)
    network.fit(x, y, batch_size=ROWS, sample_weight=weight)
    end = network.get_weights()
    return start, [before - after for before, after in zip(start, end, strict=True)]


def _differences(layers, loss, x, y, weight, start, backend):
    network = Network(layers, loss=loss, dtype="float64", backend=backend)
    network.build(INPUTS)

    def value(number, place, step):
        moved = [array.copy() for array in start]
        moved[number][place] += step
        network.set_weights(moved)
        return network.evaluate(x, y, weight)

    gradients = []
    for number, array in enumerate(start):
        gradient = np.empty_like(array)
        for place in np.ndindex(array.shape):
            ends = [value(number, place, step) for step in (STEP, -STEP)]
            gradient[place] = (ends[0] - ends[1]) / (2 * STEP)
        gradients.append(gradient)
    return gradients


def _check(layers, loss, backends=("numba", "numpy"), weighted=False):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((ROWS, INPUTS)), _targets(loss, rng)
    weight = rng.random(ROWS) if weighted else None
    start, gradient = _gradient(layers, loss, x, y, weight, backends[0])
    expected = _differences(layers, loss, x, y, weight, start, backends[1])
    for actual, wanted in zip(gradient, expected, strict=True):
        assert np.abs(wanted).max() > 1e-5
        assert np.abs(actual - wanted).max() < 1e-6 * np.abs(wanted).max()


@pytest.mark.parametrize(("loss", "hidden", "last"), CASES)
def test_gradient(loss, hidden, last):
    _check([Dense(HIDDEN, hidden), Dense(OUTPUTS, last)], loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_of_the_reference(loss):
    _check([Dense(HIDDEN, "tanh"), Dense(OUTPUTS)], loss, ("numpy", "numba"))


def test_gradient_with_weights_penalties_and_layers_of_one_unit():
    layers = [
        Dense(HIDDEN, "relu", kernel_regularizer=L1L2(0.1, 0.2), bias_regularizer=L2(0.3)),
        Dense(1, "tanh", use_bias=False, kernel_regularizer=L1(0.1)),
        Dense(2, kernel_regularizer=Lq(0.2, 1.4), bias_regularizer=Lq(0.1, 0.6)),
        Dense(OUTPUTS, "sigmoid", kernel_regularizer=L2(0.4)),
    ]
    _check(layers, "mae", weighted=True)
    _check([*layers[:3], Dense(OUTPUTS, "softmax")], "softmax_cross_entropy", weighted=True)
