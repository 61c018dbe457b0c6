"""Greedy layer-wise autoencoders start a network, and so does the spread of the rows."""

import numpy as np
import pytest

import fastnn
from fastnn import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Network,
    ParametricActivation,
    PeriodicEmbedding,
    Scale,
    pretrain,
)
from fastnn.initializers import Constant


def rows(n=200, width=8):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, width)) + 3.0


def deep(**settings):
    layers = [Dense(6, "tanh"), Dropout(0.2), Dense(4, "relu", use_bias=False), Dense(1)]
    return Network(layers, **settings)


def test_hidden_layers_move_and_the_last_stays():
    network, untouched = deep(), deep()
    untouched.build(8)
    histories = pretrain(network, rows(), epochs=5)
    moved = [
        not np.array_equal(new, old)
        for new, old in zip(network.get_weights(), untouched.get_weights(), strict=True)
    ]
    assert moved == [True, True, True, False, False]
    assert len(histories) == 2
    assert all(h.history["loss"][-1] < h.history["loss"][0] for h in histories)


def test_first_layer_is_that_of_an_autoencoder_made_by_hand():
    x = rows()
    network = deep(seed=3)
    pretrain(network, x, noise=0.4, epochs=3, batch_size=20, optimizer=fastnn.SGD(0.01))
    coder = Network([Dropout(0.4), Dense(6, "tanh"), Dense(8)], optimizer=fastnn.SGD(0.01), seed=3)
    coder.fit(x, x, epochs=3, batch_size=20)
    for got, wanted in zip(network.get_weights()[:2], coder.get_weights()[:2], strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_an_optimizer_may_want_all_rows():
    (history, *_) = pretrain(deep(), rows(), epochs=5, optimizer="rprop")
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_preprocessing_is_fitted_once_and_applied():
    x = rows()
    network, plain = deep(preprocessing="standardize"), deep()
    pretrain(network, x, epochs=2)
    scaled = fastnn.preprocessing.Standardize().fit(x).transform(x)
    pretrain(plain, scaled, epochs=2)
    for got, wanted in zip(network.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)
    network.fit(x, x[:, :1], epochs=1)


@pytest.mark.parametrize(
    ("layers", "settings", "error", "message"),
    [
        ([Dense(1)], {}, ValueError, "no hidden layer"),
        ([Dense(2), Activation("tanh"), Dense(1)], {}, ValueError, r"layers\[1\]"),
        ([Dense(2), Dense(1)], {"noise": 1.0}, ValueError, "noise"),
        ([Dense(2), Dense(1)], {"epochs": 0}, ValueError, "epochs"),
    ],
)
def test_bad_input_changes_nothing(layers, settings, error, message):
    network = Network(layers)
    with pytest.raises(error, match=message):
        pretrain(network, rows(), **settings)
    assert not network.built


def test_a_network_that_trains_is_not_pretrained_and_a_shared_chain_stays_unfitted():
    chain = fastnn.preprocessing.Chain(["standardize"])
    one, other = deep(), deep()
    one.preprocessing = other.preprocessing = chain
    pretrain(one, rows(), epochs=1)
    assert one.preprocessing.fitted and not other.preprocessing.fitted
    with pytest.raises(RuntimeError, match="pretrain was called from a callback"):
        one.fit(rows(), rows()[:, :1], callbacks=[lambda epoch, logs: pretrain(one, rows())])


@pytest.mark.parametrize("settings", [{}, {"seed": 1, "preprocessing": "standardize"}])
def test_data_give_each_unit_its_scale_and_its_zero(settings):
    x = rows()
    layers = [
        PeriodicEmbedding(columns=[0]), Scale(), Dense(6), ParametricActivation("tanh"),
        BatchNormalization(), Dropout(0.5), Dense(4, use_bias=False, drop_connect=0.5),
        Activation("relu"), Dense(3),
    ]  # fmt: skip
    network, plain = Network(layers, **settings), Network(layers, **settings)
    fastnn.initialize_from_data(network, x)
    plain.build(8)
    outputs = network.layer_outputs(x)
    for number in (2, 6, 8):
        np.testing.assert_allclose(outputs[number].std(axis=0), 1, rtol=1e-4)
        kernel, *bias = (each.value for each in network.model.parameters[number])
        old = plain.model.parameters[number][0].value
        np.testing.assert_allclose(kernel / kernel[0], old / old[0], rtol=1e-3)
        for unit in outputs[number].T if bias else ():
            assert unit.min() < 0 < unit.max()
    for number in (0, 1, 3, 4):
        pairs = zip(*(each.model.parameters[number] for each in (network, plain)), strict=True)
        for one, two in pairs:
            assert one.value.tobytes() == two.value.tobytes()


def test_zeros_lie_at_different_points_between_rows():
    x = np.array([[100.0], [101.0]])
    network = Network([Dense(50, kernel_initializer=Constant(-3.0))])
    fastnn.initialize_from_data(network, x)
    w, b = network.get_weights()
    assert w.tolist() == [[-2.0] * 50]
    zeros = -b / w[0]
    assert zeros.min() >= 100 and zeros.max() <= 101 and np.ptp(zeros) > 0.5
    again = Network([Dense(50, kernel_initializer=Constant(-3.0))], n_threads=2)
    fastnn.initialize_from_data(again, x)
    assert again.get_weights()[1].tobytes() == b.tobytes()
    again.reset(seed=1)
    fastnn.initialize_from_data(again, x)
    assert again.get_weights()[1].tobytes() != b.tobytes()


def test_units_that_are_the_same_for_all_rows_keep_their_weights():
    network = Network([Dense(2, "relu"), Dense(1, kernel_initializer="zeros")])
    network.build(3)
    before = network.get_weights()
    fastnn.initialize_from_data(network, np.full((7, 3), 0.1))
    after = network.get_weights()
    for number in (0, 2, 3):
        assert after[number].tobytes() == before[number].tobytes()
    np.testing.assert_allclose(after[1], -0.1 * before[0].sum(axis=0), rtol=1e-5)


@pytest.mark.parametrize("scale", [3e38, 1e-42])
def test_data_that_give_no_finite_weights_change_nothing(scale):
    network = deep()
    network.build(8)
    before = network.get_weights()
    with pytest.raises(FloatingPointError, match=r"layers\[0\], Dense\(6, .* standardize it"):
        fastnn.initialize_from_data(network, scale * np.sign(rows() - 3))
    for one, two in zip(network.get_weights(), before, strict=True):
        assert one.tobytes() == two.tobytes()
