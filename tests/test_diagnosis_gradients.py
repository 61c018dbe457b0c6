"""`check_gradients` passes for all that is built in, and fails for what is wrong."""

import itertools
import math

import numpy as np
import pytest

from fastnn import L1L2, L2, SGD, Adam, Dense, Network, activations, check_gradients, losses
from fastnn.activations import Activation
from fastnn.kernels.jit import njit
from fastnn.losses import Loss

ACTIVATIONS = sorted({activation.name for activation in activations.TABLE.values()})
LOSSES = {loss.name: loss for loss in losses.TABLE.values()}
ROWS, INPUTS, OUTPUTS = 12, 4, 3


def _data(kind, seed=0, outputs=OUTPUTS):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, INPUTS))
    if kind == "class":
        return x, rng.integers(0, outputs, ROWS)
    if kind == "binary":
        return x, rng.integers(0, 2, (ROWS, outputs)).astype(float)
    return x, rng.standard_normal((ROWS, outputs))


def _last(loss, activation):
    return activation if loss.fused in (None, activation) else "linear"


# All pairs of a loss and a last activation that go together; hidden activations take turns.
PAIRS = sorted({(name, _last(LOSSES[name], last)) for name in LOSSES for last in ACTIVATIONS})
CASES = [
    (loss, hidden, last)
    for (loss, last), hidden in zip(PAIRS, itertools.cycle(ACTIVATIONS), strict=False)
]
CASES += [("mse", hidden, "linear") for hidden in ACTIVATIONS]


@pytest.mark.parametrize(("loss", "hidden", "last"), CASES)
def test_what_is_built_in_passes(loss, hidden, last):
    x, y = _data(LOSSES[loss].target)
    network = Network([Dense(5, hidden), Dense(OUTPUTS, last)], loss=loss)
    check = check_gradients(network, x, y, parameters=20)
    assert check, check
    assert check.checked >= 12
    assert check.worst.error < 1e-6
    assert not network.built


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, momentum=0.9), Adam(0.1)])
def test_penalties_and_the_optimizer_s_own_way(optimizer):
    layers = [
        Dense(5, "tanh", kernel_regularizer=L1L2(0.1, 0.2), bias_regularizer=L2(0.3)),
        Dense(1, "relu", use_bias=False),
        Dense(OUTPUTS, kernel_regularizer="l2"),
    ]
    network = Network(layers, optimizer=optimizer)
    x, y = _data("real")
    network.fit(x, y, epochs=3)
    before = network.get_weights()
    assert check_gradients(network, x, y)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert network.optimizer == optimizer


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_scales_do_not_matter(scale):
    x, y = _data("real")
    network = Network([Dense(5, "tanh"), Dense(OUTPUTS)], loss="mae")
    assert check_gradients(network, scale * x, y / scale)


def test_kinks_are_skipped():
    # Where the inputs are 0 the ReLU units with a bias of 0 are at their kink.
    x, y = _data("real")
    layers = [Dense(5, "relu"), Dense(OUTPUTS)]
    check = check_gradients(Network(layers, loss="mse"), np.vstack([x, 0 * x]), np.vstack([y, y]))
    assert check.skipped == 5
    assert check, check


def test_nothing_to_compare_is_not_a_pass():
    network = Network([Dense(1, "relu", use_bias=False, kernel_initializer="zeros")])
    check = check_gradients(network, np.array([[1.0]]), np.array([[1.0]]))
    assert not check
    assert (check.checked, check.skipped) == (0, 1)
    assert "unknown" in repr(check)


@njit
def _cube_forward(x, out):
    for k in range(x.size):
        out.flat[k] = x.flat[k] ** 3


@njit
def _cube_backward(x, y, dy, dx):
    for k in range(x.size):
        dx.flat[k] = 3 * x.flat[k] ** 2 * dy.flat[k]


@njit
def _no_three(x, y, dy, dx):
    for k in range(x.size):
        dx.flat[k] = x.flat[k] ** 2 * dy.flat[k]


@njit
def _wrong_near_zero(x, y, dy, dx):
    for k in range(x.size):
        dx.flat[k] = 3 * x.flat[k] ** 2 * dy.flat[k] + 1e-3 * dy.flat[k]


def _cube(backward):
    return Activation("cube", None, (_cube_forward, _cube_forward), (backward, backward))


@pytest.mark.parametrize(
    ("backward", "right"), [(_cube_backward, True), (_no_three, False), (_wrong_near_zero, False)]
)
def test_an_activation_of_one_s_own(backward, right):
    x, y = _data("real")
    layers = [Dense(5, _cube(backward)), Dense(6, "tanh"), Dense(OUTPUTS)]
    check = check_gradients(Network(layers), x, y)
    assert bool(check) is right, check
    assert right or check.worst.layer == 0
    assert ("WRONG" in repr(check)) is not right


@njit
def _quartic_forward(prediction, target, row_loss):
    for i in range(prediction.shape[0]):
        row_loss[i] = 0
        for j in range(prediction.shape[1]):
            row_loss[i] += (prediction[i, j] - target[i, j]) ** 4


@njit
def _quartic_backward(prediction, target, row_scale, d):
    for i in range(prediction.shape[0]):
        for j in range(prediction.shape[1]):
            d[i, j] = 4 * row_scale[i] * (prediction[i, j] - target[i, j]) ** 3


@njit
def _other_sign(prediction, target, row_scale, d):
    for i in range(prediction.shape[0]):
        for j in range(prediction.shape[1]):
            d[i, j] = 4 * row_scale[i] * (target[i, j] - prediction[i, j]) ** 3


@njit
def _one_output_only(prediction, target, row_scale, d):
    for i in range(prediction.shape[0]):
        d[i] = 0
        d[i, 0] = 4 * row_scale[i] * (prediction[i, 0] - target[i, 0]) ** 3


@pytest.mark.parametrize(
    ("backward", "right"),
    [(_quartic_backward, True), (_other_sign, False), (_one_output_only, False)],
)
def test_a_loss_of_one_s_own(backward, right):
    x, y = _data("real")
    loss = Loss("quartic", (_quartic_forward, _quartic_forward), (backward, backward), "real")
    check = check_gradients(Network([Dense(5, "tanh"), Dense(OUTPUTS)], loss=loss), x, y)
    assert bool(check) is right, check
    assert math.isfinite(check.worst.gradient)


def test_the_worst_parameter_is_named():
    x, y = _data("real")
    layers = [Dense(5, "tanh"), Dense(6, _cube(_no_three)), Dense(OUTPUTS)]
    check = check_gradients(Network(layers), x, y)
    worst = check.worst
    assert worst.layer in (0, 1) and worst.array in ("kernel", "bias")
    place = ", ".join(map(str, worst.index))
    assert f"layer {worst.layer}, {worst.array}[{place}]" in repr(check)
    assert worst.gradient != pytest.approx(worst.difference, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": "mse"}, TypeError, "network is 'mse'"),
        ({"X": np.ones((2, 2, 2))}, ValueError, "X has shape"),
        ({"y": np.ones(ROWS)}, ValueError, "y has shape"),
        ({"parameters": 0}, ValueError, "parameters is 0"),
        ({"rows": 0}, ValueError, "rows is 0"),
        ({"tolerance": -1.0}, ValueError, "tolerance is -1.0"),
        ({"seed": -1}, ValueError, "seed is -1"),
    ],
)
def test_bad_input(change, error, message):
    x, y = _data("real")
    given = {"network": Network([Dense(OUTPUTS)]), "X": x, "y": y} | change
    with pytest.raises(error, match=message):
        check_gradients(**given)
