"""`check_gradients` passes for all that is built in, and fails for what is wrong."""

import itertools
import math

import numpy as np
import pytest

from fastnn import (
    L1,
    L1L2,
    L2,
    SGD,
    Adam,
    BatchNormalization,
    Dense,
    Dropout,
    GroupL1,
    HierarchicalSoftmax,
    LayerNormalization,
    Network,
    ParametricActivation,
    PeriodicEmbedding,
    Scale,
    activations,
    check_gradients,
    losses,
)
from fastnn import Activation as ActivationLayer
from fastnn.kernels.jit import njit

ACTIVATIONS = sorted({activation.name for activation in activations.TABLE.values()})
LOSSES = {kind.name: kind() for kind in losses.TABLE.values()}
ROWS, INPUTS, OUTPUTS = 12, 4, 4
FLAT = {("signed_error", "softmax")}
"""What has no gradient: the outputs of softmax always add up to 1."""


def _data(kind="real", columns=OUTPUTS):
    rng = np.random.default_rng(0)
    x, shape = rng.standard_normal((ROWS, INPUTS)), (ROWS, columns)
    return x, {
        "class": rng.integers(0, columns, ROWS),
        "binary": rng.integers(0, 2, shape).astype(float),
        "sign": rng.choice([-1.0, 1.0], shape),
        "count": rng.poisson(2.0, shape).astype(float),
        "positive": rng.gamma(2.0, 1.0, shape),
        "real": rng.standard_normal(shape),
    }[kind]


def _last(loss, activation):
    if loss.activation is not None:
        return loss.activation
    return activation if loss.fused in (None, activation) else "linear"


# All pairs of a loss and a last activation that go together; hidden activations take turns.
PAIRS = {(name, _last(LOSSES[name], last)) for name in LOSSES for last in ACTIVATIONS}
CASES = [
    (loss, hidden, last)
    for (loss, last), hidden in zip(
        sorted(PAIRS - FLAT), itertools.cycle(ACTIVATIONS), strict=False
    )
]
CASES += [("mse", hidden, "linear") for hidden in ACTIVATIONS]


@pytest.mark.parametrize(("loss", "hidden", "last"), CASES)
def test_what_is_built_in_passes(loss, hidden, last):
    kind = LOSSES[loss].target
    x, y = _data(kind, OUTPUTS if kind == "class" else LOSSES[loss].n_targets(OUTPUTS))
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


@pytest.mark.parametrize(
    "layers",
    [
        [Dense(5), BatchNormalization(), ActivationLayer("tanh"), Dense(OUTPUTS)],
        [Dense(5), LayerNormalization(), ActivationLayer("tanh"), Dense(OUTPUTS)],
        [Scale(), Dense(5), ParametricActivation("tanh"), Dense(OUTPUTS)],
        [Dropout(0.2), Dense(5, "relu"), Dropout(0.5, "test"), Dense(OUTPUTS)],
        [Dense(5, "gelu", drop_connect=0.4), Dense(OUTPUTS)],
        [
            PeriodicEmbedding(4, 2, columns=[3, 1]),
            Dense(3, "tanh"),
            PeriodicEmbedding(3, 1),
            Dense(OUTPUTS),
        ],  # fmt: skip
        [
            Dense(5, "tanh", kernel_regularizer=GroupL1(0.1), kernel_constraint="max_norm"),
            Dense(OUTPUTS, kernel_regularizer=L1(0.1, "proximal")),
        ],
    ],
    ids=[
        "batch norm",
        "layer norm",
        "scale",
        "dropout",
        "drop connect",
        "periodic",
        "what follows",
    ],
)
def test_all_kinds_of_layers(layers):
    x, y = _data("real")
    assert check_gradients(Network(layers), x, y)


def _hidden(activation):
    """Return hidden layers of every kind, each with an activation."""
    return {
        "dense": [Dense(5, activation)],
        "batch norm": [Dense(5), BatchNormalization(), ActivationLayer(activation)],
        "dropout": [Dropout(0.2), Dense(5, activation), Dropout(0.5, "test")],
        "drop connect": [Dense(5, activation, drop_connect=0.4)],
    }


@pytest.mark.parametrize("kind", _hidden("relu"))
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_through_every_activation_and_every_kind_of_layer(loss, kind):
    # Every pair of the three: half of the activations here, the others for the next kind and loss.
    half = (list(LOSSES).index(loss) + list(_hidden("relu")).index(kind)) % 2
    target = LOSSES[loss].target
    columns = OUTPUTS if target == "class" else LOSSES[loss].n_targets(OUTPUTS)
    for activation in list(ACTIVATIONS)[half::2]:
        last = Dense(OUTPUTS, LOSSES[loss].activation)
        network = Network([*_hidden(activation)[kind], last], loss=loss)
        check = check_gradients(network, *_data(target, columns), parameters=8)
        assert check and check.checked >= 6, (activation, check)


@pytest.mark.parametrize("kind", _hidden("relu"))
def test_every_activation_below_hierarchical_softmax(kind):
    for activation in ACTIVATIONS:
        layers = [*_hidden(activation)[kind], HierarchicalSoftmax(OUTPUTS)]
        network = Network(layers, loss="softmax_cross_entropy")
        check = check_gradients(network, *_data("class"), parameters=8)
        assert check and check.checked >= 6, (activation, check)


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
def _cube(x):
    return x**3


@njit
def _cube_slope(x, y):
    return 3 * x**2


@njit
def _no_three(x, y):
    return x**2


@njit
def _shifted(x, y):
    return 3 * x**2 + 1e-3


@pytest.mark.parametrize(
    ("backward", "right"), [(_cube_slope, True), (_no_three, False), (_shifted, False)]
)
def test_an_activation_of_one_s_own(backward, right):
    x, y = _data("real")
    layers = [Dense(5, activations.Custom(_cube, backward)), Dense(6, "tanh"), Dense(OUTPUTS)]
    check = check_gradients(Network(layers), x, y)
    assert bool(check) is right, check
    assert right or check.worst.layer == 0
    assert ("WRONG" in repr(check)) is not right


@njit
def _quartic(prediction, target):
    return ((prediction - target) ** 4).sum()


@njit
def _quartic_gradient(prediction, target, d):
    d[:] = 4 * (prediction - target) ** 3


@njit
def _other_sign(prediction, target, d):
    d[:] = 4 * (target - prediction) ** 3


@njit
def _one_output_only(prediction, target, d):
    d[:] = 0
    d[0] = 4 * (prediction[0] - target[0]) ** 3


@pytest.mark.long
@pytest.mark.parametrize(
    ("backward", "right"),
    [(_quartic_gradient, True), (_other_sign, False), (_one_output_only, False)],
)
def test_a_loss_of_one_s_own(backward, right):
    x, y = _data("real")
    loss = losses.Custom(_quartic, backward)
    check = check_gradients(Network([Dense(5, "tanh"), Dense(OUTPUTS)], loss=loss), x, y)
    assert bool(check) is right, check
    assert math.isfinite(check.worst.gradient)


def test_the_worst_parameter_is_named():
    x, y = _data("real")
    layers = [Dense(5, "tanh"), Dense(6, activations.Custom(_cube, _no_three)), Dense(OUTPUTS)]
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
