"""Successive halving: who is trained for how long, and that the rest is a plain fit."""

import concurrent.futures
import math

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Adam, Dense, FitManyError, Network, successive_halving
from fastnn.training import planning

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 6), np.float32)
Y = np.abs(X[:, :1] * X[:, 1:2])


def _networks(n=9, **options):
    rates = [10.0 ** -(1 + number % 5) for number in range(n)]
    make = {"loss": "mae", **options}
    return [
        Network([Dense(8, "relu"), Dense(1)], optimizer=SGD(rate), seed=number, **make)
        for number, rate in enumerate(rates)
    ]


def _bits(network):
    return b"".join(array.tobytes() for array in network.get_weights())


def test_rounds_keep_the_best_and_go_on_from_where_they_are():
    networks = _networks()
    found = successive_halving(networks, X, Y, epochs=18, validation_split=0.3, batch_size=16)
    assert [(rung.epochs, len(rung.positions)) for rung in found.rungs] == [(2, 9), (6, 3), (18, 1)]
    # The oracle: every network alone, on the rows that the first one holds out.
    first = _networks()[0].model
    plan = planning.divided(first, planning.make_plan(first, X, Y, validation_split=0.3))
    train, test = plan.data.rows, plan.validation.rows
    alone, left, done = _networks(), list(range(9)), 0
    for rung in found.rungs:
        losses = {}
        for number in left:
            options = {"batch_size": 16, "validation_data": (X[test], Y[test])}
            history = alone[number].fit(X[train], Y[train], epochs=rung.epochs - done, **options)
            losses[number] = history.history["val_loss"][-1]
        left, done = sorted(left, key=losses.get), rung.epochs
        assert rung.positions == left and rung.scores == [losses[number] for number in left]
        new = rung.epochs - (rung.epochs // 3 if rung.epochs > 2 else 0)
        assert all(len(history.epoch) == new for history in rung.histories)
        left = left[: math.ceil(len(left) / 3)]
    assert list(map(_bits, networks)) == list(map(_bits, alone))
    assert found.best is networks[found.ranking[0]] and found.best.epochs_done == 18
    assert found.ranking[:3] == [*found.rungs[2].positions, *found.rungs[1].positions[1:]]
    assert sorted(found.ranking) == list(range(9)) and found.score == found.rungs[-1].scores[0]
    assert "2 epochs of 9: best networks[" in repr(found) and not found.failures


def test_the_result_does_not_depend_on_who_trains():
    expected = successive_halving(_networks(), X, Y, epochs=9, n_threads=1)
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        for options in ({"n_threads": 2}, {"executor": executor}):
            found = successive_halving(_networks(), X, Y, epochs=9, **options)
            assert found.ranking == expected.ranking
            assert [rung.scores for rung in found.rungs] == [r.scores for r in expected.rungs]
            assert _bits(found.best) == _bits(expected.best)


def test_equal_networks_go_on_by_position_and_failed_ones_come_last(capsys):
    networks = [Network([Dense(1)], optimizer=SGD(1e30 if n == 1 else 0.01)) for n in range(6)]
    found = successive_halving(networks, X, Y, epochs=4, factor=2, verbose=1)
    assert [rung.positions for rung in found.rungs] == [[0, 2, 3, 4, 5, 1], [0, 2, 3], [0, 2]]
    assert found.ranking == [0, 2, 3, 4, 5, 1]
    assert list(found.failures) == [1] and math.isnan(found.rungs[0].scores[-1])
    lines = capsys.readouterr().out.splitlines()  # of all rounds, by the caller's places
    assert sorted(line[: len("networks[0]")] for line in lines[6:9]) == [
        f"networks[{number}]" for number in (0, 2, 3)
    ]
    with pytest.raises(FitManyError) as caught:
        successive_halving([Network([Dense(1)], optimizer=SGD(1e30))], X, Y, epochs=1)
    assert caught.value.positions == [0]


def test_a_metric_judges_and_larger_may_be_better():
    networks = _networks(4, metrics="r2")
    networks[1].loss = "mse"
    found = successive_halving(networks, X, Y, epochs=8, factor=2, monitor="val_r2", min_epochs=3)
    assert [rung.epochs for rung in found.rungs] == [4, 8]
    for rung in found.rungs:
        assert rung.scores == sorted(rung.scores, reverse=True)
    best = found.rungs[-1].histories[0].history["val_r2"][-1]
    assert found.score == best == max(found.rungs[-1].scores)


def test_penalties_do_not_count():
    layers = [Dense(8, "relu", kernel_regularizer=fastnn.L2(0.1)), Dense(1)]
    network = Network(layers, optimizer=Adam(0.01))
    found = successive_halving([network], X, Y, epochs=2, validation_data=(X, Y))
    error = np.mean((network.predict(X) - Y) ** 2)
    assert found.score == pytest.approx(error, rel=1e-5)
    assert found.rungs[0].histories[0].history["val_loss"][-1] > 1.05 * found.score


BAD = [
    (ValueError, "epochs is 0", {"epochs": 0}),
    (ValueError, "factor is 1, wanted at least 2", {"factor": 1}),
    (ValueError, "min_epochs is 9, wanted at most epochs, 8", {"min_epochs": 9}),
    (ValueError, "monitor is 'val_r2', but networks.0. has loss only", {"monitor": "val_r2"}),
    (ValueError, "mode", {"mode": "less"}),
    (ValueError, "both given", {"validation_data": (X, Y), "validation_split": 0.1}),
    (ValueError, "validation_split is 0", {"validation_split": 0.0}),
    (ValueError, "X has nan", {"X": X * np.nan}),
    (ValueError, "networks.1. has MSE.* do not compare: wanted a metric", {"networks": [
        Network([Dense(1)], loss="mae"), Network([Dense(1)])]}),
    (ValueError, "mode is 'auto'.*'f'", {"monitor": "val_f", "networks": _networks(2, metrics=[
        type("F", (), {"__name__": "f", "__call__": lambda *a: 0.0})()])}),
    (TypeError, "executor is 3", {"executor": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "said", "changed"), BAD)
def test_bad_input_changes_nothing(error, said, changed):
    arguments = {"networks": _networks(3), "X": X, "y": Y, "epochs": 8} | changed
    with pytest.raises(error, match=said):
        successive_halving(**arguments)
    assert not any(network.built for network in arguments["networks"])
