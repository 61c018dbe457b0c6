"""Greedy layer-wise autoencoders start a network."""

import numpy as np
import pytest

import fastnn
from fastnn import Activation, Dense, Dropout, Network, pretrain


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
