"""Factors of the learning rate and of the weight decay, for each parameter of a layer."""

import numpy as np
import pytest

from fastnn import (
    L1,
    L1L2,
    SGD,
    Adam,
    AdamW,
    CosineDecay,
    Dense,
    GroupL1,
    HierarchicalSoftmax,
    LayerNormalization,
    MaxNorm,
    Network,
    NonNeg,
    ParametricActivation,
    Scale,
    UnitNorm,
    WarmUp,
    optimizers,
)

X = np.random.default_rng(0).standard_normal((6, 3))
Y = np.sin(X[:, :2])
RATED = [kind for kind in optimizers.TABLE.values() if "learning_rate" in kind().settings()]


def _layers(scale=1.0, kernel=1.0, bias=1.0, norm=1.0, share=1.0):
    how = {"kernel_learning_rate_factor": kernel, "bias_learning_rate_factor": bias}
    return [
        Scale(learning_rate_factor=scale),
        Dense(4, kernel_initializer="lecun_normal", **how),
        LayerNormalization(learning_rate_factor=norm),
        ParametricActivation("tanh", learning_rate_factor=share),
        Dense(2, **how),
    ]


FACTORS = {"scale": 6.0, "kernel": 0.5, "bias": 0.1, "norm": 0.0, "share": 0.25}
IN_ORDER = [6.0, 0.5, 0.1, 0.0, 0.0, 0.25, 0.5, 0.1]


def _changes(layers, optimizer, y=Y, **options):
    """Return what the first update adds to each parameter."""
    network = Network(layers, optimizer=optimizer, dtype="float64", **options)
    network.build(3)
    before = network.get_weights()
    network.fit(X, y, batch_size=6)
    return [after - old for after, old in zip(network.get_weights(), before, strict=True)]


def _assert_scaled(changed, usual, factors):
    assert len(changed) == len(usual) == len(factors)
    for new, old, factor in zip(changed, usual, factors, strict=True):
        assert np.abs(old).max() > 0
        np.testing.assert_allclose(new, factor * old, rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("rate", [0.01, WarmUp(CosineDecay(0.02, 9), 4, 0.01)])
@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 0.01}])
@pytest.mark.parametrize("kind", RATED)
def test_a_step_is_as_long_as_the_factor_says(kind, clip, rate):
    optimizer = kind(rate, **clip)
    changed, usual = (_changes(_layers(**own), optimizer, backend="numpy") for own in (FACTORS, {}))
    _assert_scaled(changed, usual, IN_ORDER)


@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(CosineDecay(0.01, 9)), Adam(0.01)])
def test_compiled(optimizer):
    changed, usual = (_changes(_layers(**own), optimizer) for own in (FACTORS, {}))
    _assert_scaled(changed, usual, IN_ORDER)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_weights_shared_by_columns(n_threads):
    # Batches of few rows for the many inputs of one layer.
    x, y = np.tile(X, (1, 40)), np.tile(Y, (1, 32))
    ends = []
    for factor, rate in ((0.5, 0.02), (1.0, 0.01)):
        layer = Dense(64, kernel_learning_rate_factor=factor, bias_learning_rate_factor=factor)
        network = Network([layer], optimizer=SGD(rate), n_threads=n_threads)
        network.fit(x, y, batch_size=6, epochs=2)
        ends.append(network.get_weights())
    for one, two in zip(*ends, strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("factors", [(0.5, 0.5), (0.5, 0.1)])
def test_a_tree_of_classes(factors):
    trees = [
        HierarchicalSoftmax(4, kernel_learning_rate_factor=w, bias_learning_rate_factor=b)
        for w, b in (factors, (1, 1))
    ]
    options = {"loss": "softmax_cross_entropy", "backend": "numpy"}
    changed, usual = (_changes([tree], SGD(0.1), [0, 1, 2, 3, 1, 2], **options) for tree in trees)
    _assert_scaled(changed, usual, factors)


def test_penalties_after_the_update_follow_the_parameter_s_own_rate():
    layer = Dense(2, kernel_regularizer=L1(0.1, "proximal"), kernel_learning_rate_factor=0)
    kernel, bias = _changes([layer], SGD(0.1), backend="numpy")
    assert not kernel.any() and bias.all()


@pytest.mark.parametrize("decay", [0.2, CosineDecay(0.2, 9)])
def test_decay(decay):
    rate = 0.1
    layers = [
        Scale(learning_rate_factor=6, weight_decay_factor=0.5),
        Dense(4, kernel_weight_decay_factor=3, kernel_learning_rate_factor=0.5),
        ParametricActivation("tanh"),
        Dense(2, bias_weight_decay_factor=2, bias_initializer="uniform"),
    ]
    for decay_biases in (False, True):
        network = Network(layers, dtype="float64", backend="numpy")
        network.optimizer = AdamW(rate, decay, decay_biases=decay_biases)
        network.build(3)
        before = network.get_weights()
        network.fit(X, network.predict(X), batch_size=6)  # without a gradient
        # scale, W, b, share, W, b; the learning rate of a parameter is in its decay, once.
        wanted = [6 * 0.5, 0.5 * 3, decay_biases, decay_biases, 1, 2]
        for old, new, factor in zip(before, network.get_weights(), wanted, strict=True):
            np.testing.assert_allclose(new, old * (1 - rate * 0.2 * factor), atol=1e-8)


def test_a_factor_can_change_between_fits():
    network = Network(_layers(), optimizer=SGD(0.1), backend="numpy")
    network.fit(X, Y)
    network.layers[1].kernel_learning_rate_factor = 0
    before = network.get_weights()
    network.fit(X, Y)
    moved = [(a != b).any() for a, b in zip(before, network.get_weights(), strict=True)]
    assert moved == [True, False, True, True, True, True, True, True]


def test_what_is_refused():
    for name in ("rprop", "lbfgs"):
        with pytest.raises(ValueError, match=r"no learning rate, got layers\[0\]\.learning_rate"):
            Network(_layers(scale=6), optimizer=name)
        Network(_layers(), optimizer=name)
    with pytest.raises(ValueError, match="kernel_learning_rate_factor is -1"):
        Dense(2, kernel_learning_rate_factor=-1)
    with pytest.raises(ValueError, match="weight_decay_factor is -1"):
        Scale(weight_decay_factor=-1)


def test_only_what_is_unusual_is_shown():
    assert repr(Scale()) == "Scale()"
    shown = "LayerNormalization(center=True, scale=True, learning_rate_factor=0.1)"
    assert repr(LayerNormalization(learning_rate_factor=0.1)) == shown


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(
    "how",
    [
        {"kernel_constraint": MaxNorm(0.1, include_bias=True)},
        {"kernel_constraint": UnitNorm()},
        {"kernel_constraint": NonNeg(), "bias_constraint": NonNeg()},
        {"kernel_regularizer": L1(0.1, "shrink"), "bias_regularizer": L1(0.1, "shrink")},
        {"kernel_regularizer": GroupL1(0.1), "bias_regularizer": L1L2(0.1, 0.1, "proximal")},
    ],
    ids=str,
)
def test_what_does_not_learn_stays_and_all_else_is_bounded(how, backend):
    how = how | {"bias_initializer": {"name": "constant", "value": -0.5}}
    for frozen in ("kernel", "bias"):
        layer = Dense(4, "tanh", **how, **{f"{frozen}_learning_rate_factor": 0})
        network = Network([layer, Dense(2)], optimizer="adam", backend=backend)
        network.build(3)
        before = dict(zip(("kernel", "bias"), network.get_weights(), strict=False))
        network.fit(X, Y, epochs=2, batch_size=4)
        after = dict(zip(("kernel", "bias"), network.get_weights(), strict=False))
        assert [name for name in before if (before[name] == after[name]).all()] == [frozen]
        if isinstance(how.get("kernel_constraint"), MaxNorm) and frozen == "bias":
            assert np.linalg.norm(after["kernel"], axis=0).max() <= 0.1 * (1 + 1e-6)
        layer.set_params(**{f"{frozen}_learning_rate_factor": 1.0})
        network.fit(X, Y, batch_size=4)
        assert (network.get_weights()[frozen == "bias"] != after[frozen]).any()
