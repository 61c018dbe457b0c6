"""Training: how many threads, predictions, seeds, losses and weights of rows."""

import numpy as np
import pytest

import fastnn
from fastnn import L1, L1L2, L2, SGD, Dense, Network
from fastnn.engine import cores, team, threads
from fastnn.engine.clock import Shared
from fastnn.engine.program import aligned
from tests.networks import SHAPES

ROWS = 130


def _x(columns, rows=ROWS, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns), np.float32)


def _problem(inputs, outputs, loss, rows=ROWS):
    x = _x(inputs, rows)
    f = np.tanh(_x(outputs, rows, 1) + x[:, :1])
    if loss == "softmax_cross_entropy":
        return x, f.argmax(axis=1)
    return x, (f > 0).astype(np.float32) if loss == "logistic" else f


@pytest.fixture
def on_trial(monkeypatch):
    """Let every run find out how many threads are fastest; return the numbers it was asked for."""
    monkeypatch.setattr(cores, "FLOPS_PER_TRIED", 1)
    monkeypatch.setattr(cores, "FLOPS_PER_CERTAIN", float("inf"))
    monkeypatch.setattr(team, "_TRIAL_BATCHES", 3)
    monkeypatch.setattr(team, "WORTH_A_TRIAL", 1)
    asked, find = [], team._fastest

    def record(most, go_on, shared):
        asked.append(most)
        return find(most, go_on, shared)

    monkeypatch.setattr(team, "_fastest", record)
    return asked


@pytest.mark.parametrize("name", SHAPES)
def test_a_trial_of_numbers_of_threads_changes_no_bits(name, on_trial):
    case, found = SHAPES[name], []
    for n_threads in (1, 4):
        assert not on_trial
        network = case.network(n_threads=n_threads)
        results = case.results(network, case.train(network))
        found.append([array.tobytes() for array in results])
    assert found[0] == found[1]
    assert on_trial == ([] if case.batch_size == 1 else [4])


def test_a_trial_ends_with_the_fastest_number(on_trial, monkeypatch):
    used, run = [], threads.run_threads
    monkeypatch.setattr(team, "_fastest", lambda *_: 2)
    monkeypatch.setattr(
        threads, "run_threads", lambda job, n, *rest: used.append(n) or run(job, n, *rest)
    )
    network = Network([Dense(8, "relu"), Dense(1)], n_threads=4)
    network.fit(*_problem(4, 1, "mse"), batch_size=10)
    assert used == [2]


def test_the_fastest_is_that_of_the_best_stretches():
    taken, asked = {4: [40, 10], 2: [35, 20], 1: [30, 30]}, []

    def go_on(n_threads, batches):
        asked.append(n_threads)
        return taken[n_threads].pop(0)

    assert team._fastest(4, go_on, aligned((Shared.SIZE,), np.int64)) == 4
    assert asked == [4, 2, 1] * 2  # 30 is not clearly less than 35
    taken = {2: [10], 1: [20]}
    assert team._fastest(2, go_on, aligned((Shared.SIZE,), np.int64)) == 2
    taken = {2: [90, 10], 1: [20, 20]}  # all threads go first, and may have been disturbed
    assert team._fastest(2, go_on, aligned((Shared.SIZE,), np.int64)) == 2


def test_a_loss_that_is_not_finite_ends_a_trial(on_trial):
    with pytest.raises(FloatingPointError, match="epoch 0"):
        network = Network([Dense(8, "relu"), Dense(1)], optimizer=SGD(1e13), n_threads=2)
        network.fit(*_problem(4, 1, "mse"), batch_size=10)
    assert on_trial == [2] and np.isfinite(network.get_weights()[0]).all()


def test_predictions_do_not_depend_on_what_is_computed_together():
    network = Network([Dense(33, "tanh"), Dense(10, "softmax")], loss="softmax_cross_entropy")
    network.build(70)
    x = _x(70, 1001)
    whole = network.predict(x)
    for batch_size in (1, 7, 600, 5000):
        assert network.predict(x, batch_size=batch_size).tobytes() == whole.tobytes()
    network.n_threads = 3
    assert network.predict(x).tobytes() == whole.tobytes()
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-6)


def test_another_seed_gives_another_start_and_another_order():
    layers, (x, y) = [Dense(3, "relu"), Dense(1)], _problem(4, 1, "mse")
    starts = []
    for seed in (0, 1):
        network = Network(layers, seed=seed)
        network.build(4)
        starts.append(network.get_weights())
    assert not np.array_equal(starts[0][0], starts[1][0])
    ends = []
    for seed, shuffle in ((0, True), (1, True), (0, False), (1, False)):
        network = Network(layers, seed=seed)
        network.build(4)
        network.set_weights(starts[0])
        network.fit(x, y, batch_size=10, shuffle=shuffle)
        ends.append(network.get_weights()[0].tobytes())
    assert ends[0] != ends[1] and ends[0] != ends[2] and ends[2] == ends[3]


def _network(optimizer="adam", **options):
    layers = [Dense(8, "tanh", kernel_regularizer=L2(0.05)), Dense(1)]
    return Network(layers, optimizer=optimizer, **options)


def test_a_saved_network_that_was_never_fitted_trains_like_a_new_one(tmp_path):
    x, y = _problem(4, 1, "mse")
    network = _network()
    network.build(4)
    network.save(tmp_path / "network")
    loaded = fastnn.load(tmp_path / "network")
    for each in (network, loaded):
        each.fit(x, y, epochs=2)
    for one, two in zip(network.get_weights(), loaded.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("loss", ["mse", "mae", "softmax_cross_entropy", "logistic"])
def test_evaluate_is_the_formula(loss):
    x, y = _problem(6, 3, loss)
    weight = np.random.default_rng(4).random(ROWS)
    layers = [
        Dense(5, "relu", kernel_regularizer=L1(0.1)),
        Dense(3, kernel_regularizer=L1L2(0.2, 0.3)),
    ]
    network = Network(layers, loss=loss, dtype="float64")
    network.build(6)
    w1, b1, w2, b2 = network.get_weights()
    f = np.maximum(x.astype(np.float64) @ w1 + b1, 0) @ w2 + b2
    losses = {
        "mse": lambda: ((f - y) ** 2).sum(1),
        "mae": lambda: np.abs(f - y).sum(1),
        "softmax_cross_entropy": lambda: np.log(np.exp(f).sum(1)) - f[np.arange(ROWS), y],
        "logistic": lambda: (np.log1p(np.exp(f)) - f * y).sum(1),
    }[loss]()
    penalty = 0.1 * np.abs(w1).sum() + 0.2 * np.abs(w2).sum() + 0.15 * (w2**2).sum()
    assert network.evaluate(x, y) == pytest.approx(losses.mean() + penalty, rel=1e-12)
    weighted = (losses * weight).sum() / weight.sum() + penalty
    assert network.evaluate(x, y, weight) == pytest.approx(weighted, rel=1e-12)
    np.testing.assert_allclose(network.predict(x), f, rtol=1e-12, atol=1e-12)


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows():
    x, y = _problem(3, 1, "mse")
    network = Network([Dense(1)], optimizer=SGD(1e-30), dtype="float64")
    history = network.fit(x, y, epochs=2, batch_size=32)  # 130 rows: the last batch has 2
    assert history.history["loss"] == pytest.approx([network.evaluate(x, y)] * 2, rel=1e-12)


def test_weight_two_is_the_row_twice_and_weight_zero_no_row():
    x, y = _problem(4, 2, "mse", 20)
    weight = np.ones(20)
    weight[3], weight[5:8] = 2, 0
    rows = np.sort(np.r_[np.delete(np.arange(20), slice(5, 8)), 3])
    networks = [Network([Dense(3, "tanh"), Dense(2)], dtype="float64") for _ in range(2)]
    networks[0].fit(x, y, epochs=3, batch_size=100, sample_weight=weight)
    networks[1].fit(x[rows], y[rows], epochs=3, batch_size=100)
    for one, two in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_training_learns():
    x, _ = _problem(2, 1, "mse", 2000)
    y = np.abs(x[:, :1]) + x[:, 1:] ** 2
    network = Network(
        [Dense(32, "relu"), Dense(32, "relu"), Dense(1)], loss="mae", optimizer="adam"
    )
    losses = network.fit(x, y, epochs=60, batch_size=20).history["loss"]
    assert losses[-1] < 0.1 * losses[0] and losses[-1] < 0.1
