"""The tools that `diagnose` and its users run: units, oscillation, small data, rates, sweeps."""

import math
import sys

import numpy as np
import pytest

import fastnn
from fastnn import (
    GD,
    L2,
    SGD,
    Adam,
    CosineDecay,
    Dense,
    Dropout,
    Network,
    check_units,
    lr_range_test,
    overfit_small,
    sweep,
)  # fmt: skip
from fastnn.activations import LeakyReLU
from fastnn.diagnosis import RateRange, WatchUnits, check_oscillation
from fastnn.initializers import Constant, Normal
from fastnn.optimizers import Optimizer


def _data(rows=200, columns=6, seed=0):
    x = np.random.default_rng(seed).standard_normal((rows, columns))
    return x, np.tanh(x[:, :1] + x[:, 1:2])


def _network(**changes):
    return Network([Dense(16, "tanh"), Dense(1)], **({"optimizer": SGD(0.05)} | changes))


def test_the_outputs_of_layers():
    x, _ = _data(50)
    network = Network([Dense(5, "tanh"), Dense(4, "relu"), Dense(3, "softmax")])
    network.build(6)
    w1, b1, w2, b2 = network.get_weights()[:4]
    outputs = network.layer_outputs(x)
    assert [each.shape for each in outputs] == [(50, 5), (50, 4), (50, 3)]
    first = np.tanh(x @ w1 + b1)
    np.testing.assert_allclose(outputs[0], first, atol=1e-5)
    np.testing.assert_allclose(outputs[1], np.maximum(0, first @ w2 + b2), atol=1e-5)
    assert outputs[2].tobytes() == network.predict(x).tobytes()
    with pytest.raises(ValueError, match="layer_outputs wants a network with parameters"):
        Network([Dense(1)]).layer_outputs(x)


def test_units_are_counted():
    x, _ = _data()
    layers = [Dense(4, "relu"), Dense(3, "tanh"), Dense(2, "sigmoid"), Dense(2, "softmax")]
    network = Network(layers, loss="softmax_cross_entropy")
    network.build(6)
    weights = [np.zeros_like(each) for each in network.get_weights()]
    weights[0][0] = 1, -1, 0, 0
    weights[1][:] = 0, 0, -1, 1  # two units fire for some rows, one never, one always
    weights[3][:] = 10, -10, 0.5
    weights[5][:] = -4.7, 3
    network.set_weights(weights)
    relu, tanh, sigmoid = check_units(network, x)
    assert (relu.layer, relu.activation, relu.saturated, relu.dead) == (0, "relu", None, 0.25)
    assert tanh.saturated == pytest.approx(2 / 3) and tanh.dead is None
    assert sigmoid.saturated == 0.5


def test_units_of_a_leaky_relu_without_a_leak_may_be_dead():
    for slope, found in ((0.0, [1.0]), (0.1, [])):
        start = {"kernel_initializer": "zeros", "bias_initializer": Constant(-1.0)}
        network = Network([Dense(2, LeakyReLU(slope), **start), Dense(1)])
        assert [units.dead for units in check_units(network, np.eye(3))] == found


def test_a_last_layer_may_be_sure():
    network = Network(
        [Dense(1, "sigmoid", bias_initializer=Constant(-50.0))], loss="logistic", seed=0
    )
    assert check_units(network, np.eye(3)) == []
    assert not network.built


def test_units_are_watched():
    x, y = _data()
    network = Network([Dense(8, "relu"), Dense(1)], optimizer=SGD(5.0), loss="mae", dtype="float64")
    watch = WatchUnits(x)
    network.fit(x, y, epochs=4, callbacks=[watch])
    assert len(watch.history) == 5
    assert watch.history[0][0].dead < 0.5 < watch.history[-1][0].dead
    assert watch.history[-1] == check_units(network, x)


@pytest.mark.parametrize("seed", range(5))
def test_oscillation(seed):
    x, y = _data(seed=seed)
    kept = {}
    for rate in (0.005, 1.0):
        network = _network(optimizer=SGD(rate), loss="mae", seed=seed)
        kept[rate] = check_oscillation(network.fit(x, y, epochs=30))
    assert not kept[0.005], kept
    assert kept[1.0], kept


@pytest.mark.parametrize("losses", [[1.0] * 5, [[1.0] * 6], [1.0] * 6 + [math.nan], "abcdefgh"])
def test_oscillation_of_what_is_not_losses(losses):
    with pytest.raises(ValueError):
        check_oscillation(losses)


@pytest.mark.parametrize(
    ("network", "able"),
    [
        (Network([Dense(32, "tanh"), Dense(1)], optimizer=Adam(0.01)), True),
        (Network([Dense(32, "relu"), Dense(1)], loss="mae", optimizer=Adam(0.003)), True),
        (Network([Dense(32, "tanh"), Dense(1)], optimizer=SGD(1e-6)), False),
        (Network([Dense(32, "tanh"), Dense(1)], optimizer=SGD(1e6)), False),
        (Network([Dense(32, "tanh", kernel_initializer="zeros"), Dense(1)]), False),
        (Network([Dense(32, "tanh"), Dense(1, "relu")], optimizer=Adam(0.01)), False),
    ],
)
def test_a_few_rows_by_heart(network, able):
    x, y = _data()
    found = overfit_small(network, x, y - 0.5)
    assert bool(found) is able, found
    assert found.rows == 10
    assert not network.built


def test_classes_by_heart():
    x, _ = _data()
    y = np.random.default_rng(0).integers(0, 3, len(x))
    network = Network(
        [Dense(32, "relu"), Dense(3)], loss="softmax_cross_entropy", optimizer=Adam(0.01)
    )
    found = overfit_small(network, x, y, rows=20)
    assert found and found.share < 0.05
    assert 0.5 < found.constant <= math.log(3) + 1e-6


@pytest.mark.parametrize("loss", ["mse", "mae"])
@pytest.mark.parametrize("optimizer", [SGD(1e-6), Adam(100.0)])
def test_the_rate_that_is_suggested_learns(loss, optimizer):
    for seed in range(3):
        x, y = _data(400, seed=seed)
        network = _network(optimizer=optimizer, loss=loss, seed=seed)
        found = lr_range_test(network, x, y)
        assert (np.diff(found.rates) > 0).all() and len(found.rates) == len(found.losses)
        assert not network.built and network.optimizer == optimizer
        network.optimizer = type(optimizer)(found.suggestion)
        network.fit(x, y, epochs=40)
        constant = Network([Dense(1, kernel_initializer="zeros")], loss=loss)
        constant.build(6)
        assert network.evaluate(x, y) < 0.35 * constant.evaluate(x, y), found


def test_no_rate_is_suggested_where_none_learns():
    x, y = _data()
    layers = [Dense(4, "relu", bias_initializer=Constant(-100.0)), Dense(1, use_bias=False)]
    found = lr_range_test(Network(layers), x, y)
    assert math.isnan(found.suggestion)


def test_a_sweep_ranks_settings():
    x, y = _data()
    network = _network(loss="mae")
    network.fit(x, y)
    before = network.get_weights()
    found = sweep(
        network, x, y, init_scales=[None, 1e-6, 0.1], learning_rates=[1e-6, 0.05, 1e6],
        batch_sizes=[10, 50], optimizers=["sgd", "adam"], epochs=5,
    )  # fmt: skip
    losses = [run.loss for run in found.runs]
    assert len(found.runs) == 36 and losses == sorted(losses)
    assert found.best == found.runs[0] and found.best.learning_rate == 0.05
    assert {run.optimizer for run in found.runs} == {"sgd", "adam"}
    assert "the best" in repr(found) and "learning rate 0.05" in repr(found)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_sweep_does_not_depend_on_the_number_of_jobs():
    x, y = _data()
    settings = {"learning_rates": [0.01, 0.1], "batch_sizes": [10, 50], "epochs": 2}
    one, four = (sweep(_network(), x, y, n_jobs=jobs, **settings) for jobs in (1, 4))
    assert one == four


def test_a_sweep_agrees_with_fit():
    x, y = _data()
    settings = {"init_scales": [0.1], "learning_rates": [0.05], "batch_sizes": [20]}
    run = sweep(_network(seed=3), x, y, epochs=4, **settings).best
    order = np.random.default_rng(3).permutation(len(x))
    layers = [Dense(16, "tanh", kernel_initializer=Normal(0.1))]
    layers.append(Dense(1, kernel_initializer=Normal(0.1)))
    network = Network(layers, optimizer=SGD(0.05), seed=3)
    network.fit(x[order[40:]], y[order[40:]], epochs=4, batch_size=20)
    assert network.evaluate(x[order[:40]], y[order[:40]]) == run.loss


def test_a_sweep_over_penalties_dropout_and_hidden_sizes_by_cross_validation():
    x, y = _data()
    network = Network([Dense(4, "relu"), Dropout(0.5), Dense(1)], optimizer=SGD(0.05), seed=3)
    found = sweep(
        network, x, y, init_scales=[None], learning_rates=[0.05], batch_sizes=[20], epochs=2,
        kernel_regularizers=[None, L2(0.1), "l1"], dropouts=[0, 0.25], hidden=[(3,), 6], folds=3,
    )  # fmt: skip
    assert len(found.runs) == 12 and "kernel regularizer" in repr(found)
    assert {run.hidden for run in found.runs} == {(3,), (6,)}
    run = next(
        run for run in found.runs
        if (run.kernel_regularizer, run.dropout, run.hidden) == (L2(0.1), 0.25, (6,))
    )  # fmt: skip
    parts = np.array_split(np.random.default_rng(3).permutation(len(x)), 3)
    order, losses = np.concatenate(parts), []
    for held in parts:
        twin = Network([Dense(6, "relu"), Dropout(0.25), Dense(1)], optimizer=SGD(0.05), seed=3,
                       kernel_regularizer=L2(0.1))  # fmt: skip
        rows = order[~np.isin(order, held)]
        twin.fit(x[rows], y[rows], epochs=2, batch_size=20)
        losses.append(((twin.predict(x[held]) - y[held]) ** 2).mean())
    np.testing.assert_allclose(run.losses, losses, rtol=1e-5)
    assert run.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert network.layers[1].rate == 0.5 and network.layers[0].units == 4


def test_a_sweep_refuses_penalties_that_no_layer_would_take():
    layers = [Dense(1, kernel_regularizer=L2(0.1))]
    with pytest.raises(ValueError, match="wants a network with a layer that has no kernel_regul"):
        sweep(Network(layers), *_data(), kernel_regularizers=[None, L2(5.0)])


def test_a_sweep_does_not_show_preprocessing_the_rows_that_it_ranks_by():
    x, y = _data()
    codes = np.arange(len(x))[:, None] // 2
    network = Network([Dense(1)], preprocessing="target_mean", optimizer="adam", seed=3)
    settings = {"init_scales": [None], "learning_rates": [None], "batch_sizes": [20]}
    run = sweep(network, codes, y, epochs=2, folds=2, **settings).best
    losses, (a, b) = [], np.array_split(np.random.default_rng(3).permutation(len(x)), 2)
    for train, test in ((b, a), (a, b)):
        twin = network.clone()
        twin.fit(codes[train], y[train], epochs=2, batch_size=20)
        losses.append(twin.evaluate(codes[test], y[test]))
    np.testing.assert_allclose(run.losses, losses, rtol=1e-5)


def test_optimizers_for_full_batches_get_all_rows():
    x, y = _data()
    found = lr_range_test(_network(optimizer=GD(0.01)), x, y)
    plain = lr_range_test(_network(), x, y, updates=1, batch_size=len(x))
    assert found.losses.min() < 0.5 * found.losses[0]
    assert 0.001 < found.suggestion <= plain.suggestion
    settings = {"init_scales": [0.1], "learning_rates": [0.1], "batch_sizes": [10, 20]}
    swept = sweep(_network(), x, y, optimizers=["gd", "sgd"], epochs=1, **settings)
    assert sorted(run.batch_size for run in swept.runs if run.optimizer == "gd") == [160]
    assert sorted(run.batch_size for run in swept.runs if run.optimizer == "sgd") == [10, 20]


@pytest.mark.parametrize("optimizer", ["lbfgs", "rprop"])
def test_diagnosis_of_a_network_whose_optimizer_has_no_rate(optimizer):
    if optimizer == "lbfgs":
        pytest.importorskip("scipy")
    x, y = _data()
    network = _network(optimizer=optimizer)
    permuted = np.random.default_rng(1).permutation(y)
    assert fastnn.diagnose(network, x, permuted, epochs=20).findings
    with pytest.raises(TypeError, match="wanted one whose learning_rate is a number"):
        lr_range_test(network, x, y)
    found = sweep(
        network, x, y, optimizers=[optimizer, "gd", SGD(CosineDecay(0.1, 50))], epochs=3,
        init_scales=[0.1], learning_rates=[0.1, 0.2], batch_sizes=[20],
    )  # fmt: skip
    rates = [run.learning_rate for run in found.runs if run.optimizer == optimizer]
    assert rates == [None] and "learning rate own" in repr(found)
    assert len(found.runs) == 4


def test_pictures(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    x, y = _data()
    found = lr_range_test(_network(), x, y)
    axes = found.plot()
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), found.losses)
    settings = {"init_scales": [None, 0.1], "learning_rates": [1e-3, 0.1, 1e6], "epochs": 1}
    swept = sweep(_network(), x, y, batch_sizes=[10, 50], **settings)
    maps = [ax for ax in swept.plot().axes if ax.images]
    assert len(maps) == 2 and maps[0].images[0].get_array().shape == (2, 3)
    settings["optimizers"] = ["gd", "sgd"]
    full = sweep(_network(), x, y, batch_sizes=[10], **settings)
    assert len([ax for ax in full.plot().axes if ax.images]) == 2
    pyplot.close("all")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for result in (RateRange(found.rates, found.losses, 0.1), swept):
        with pytest.raises(ImportError, match="plot\\(\\) wants matplotlib: pip install"):
            result.plot()


class _NoRate(Optimizer):
    learning_rate = None

    def update(self):
        return "sgd_update", (0.1,)


@pytest.mark.parametrize(
    ("function", "change", "error", "message"),
    [
        ("overfit_small", {"network": 3}, TypeError, "network is 3"),
        ("overfit_small", {"rows": 0}, ValueError, "rows is 0"),
        ("overfit_small", {"updates": 1.5}, TypeError, "updates is 1.5"),
        ("overfit_small", {"tolerance": 0}, ValueError, "tolerance is 0"),
        ("overfit_small", {"y": np.ones(7)}, ValueError, "y has 7 rows"),
        ("check_units", {"network": None}, TypeError, "network is None"),
        ("lr_range_test", {"network": "net"}, TypeError, "network is 'net'"),
        ("lr_range_test", {"lowest": 1.0, "highest": 0.5}, ValueError, "highest is 0.5"),
        ("lr_range_test", {"points": 4}, ValueError, "points is 4"),
        ("lr_range_test", {"updates": 0}, ValueError, "updates is 0"),
        ("lr_range_test", {"network": _network(optimizer=_NoRate())}, TypeError, "learning_rate"),
        ("sweep", {"learning_rates": []}, TypeError, "learning_rates is"),
        ("sweep", {"learning_rates": [0.1, -1]}, ValueError, "learning_rates is -1"),
        ("sweep", {"init_scales": [-1.0]}, ValueError, "init_scales is -1.0"),
        ("sweep", {"batch_sizes": 10}, TypeError, "batch_sizes is 10"),
        ("sweep", {"batch_sizes": [0]}, ValueError, "batch_sizes is 0"),
        ("sweep", {"optimizers": ["sdg"]}, ValueError, "did you mean 'sgd'"),
        ("sweep", {"optimizers": ["sgd", "sgd"]}, ValueError, "wanted no duplicates"),
        ("sweep", {"dropouts": [0.5]}, ValueError, "dropouts wants a network with Dropout layers"),
        ("sweep", {"hidden": [(3, 4)]}, ValueError, "hidden has .3, 4., wanted 1 numbers of units"),
        ("sweep", {"hidden": [0]}, ValueError, "hidden is 0"),
        ("sweep", {"kernel_regularizers": ["l3"]}, ValueError, "kernel_regularizers is 'l3'"),
        ("sweep", {"folds": 1}, ValueError, "folds is 1, wanted at least 2"),
        ("sweep", {"folds": 2, "validation_split": 0.2}, ValueError, "were both given"),
        ("sweep", {"epochs": 0}, ValueError, "epochs is 0"),
        ("sweep", {"n_jobs": 0}, ValueError, "n_jobs is 0"),
        ("sweep", {"validation_split": 0.001}, ValueError, "leaves none to rank by"),
        ("diagnose", {"network": 3}, TypeError, "network is 3"),
        ("diagnose", {"epochs": 0}, ValueError, "epochs is 0"),
        ("diagnose", {"batch_size": 0}, ValueError, "batch_size is 0"),
        ("diagnose", {"seed": -1}, ValueError, "seed is -1"),
        ("diagnose", {"X": np.full((200, 6), np.nan)}, ValueError, "X has nan"),
        ("diagnose", {"y": np.ones((200, 2))}, ValueError, "y has shape"),
    ],
)
def test_bad_input(function, change, error, message):
    x, y = _data()
    given = {"network": _network(), "X": x, "y": y} | change
    if function == "check_units":
        del given["y"]
    with pytest.raises(error, match=message):
        getattr(fastnn, function)(**given)
