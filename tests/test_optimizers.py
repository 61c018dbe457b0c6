"""Optimizers in a network: clipping, full batches, line searches, and bad settings."""

import json
import platform

import numpy as np
import pytest

import fastnn
from fastnn import (
    GD,
    L2,
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Dense,
    NAdam,
    Network,
    RMSprop,
    Rprop,
    Schedule,
    optimizers,
)  # fmt: skip
from fastnn.kernels.jit import njit
from tests.networks import OPTIMIZERS, RATE

ROWS = 67
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def _data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 7))
    return x, np.tanh(x[:, :2] + x[:, 2:4] * x[:, 4:6])


def _network(optimizer, *, units=11, **options):
    layers = [Dense(units, "tanh", kernel_regularizer=L2(0.01)), Dense(2)]
    return Network(layers, optimizer=optimizer, **{"dtype": "float64", "seed": 3} | options)


def _bits(network):
    return [array.tobytes() for array in network.get_weights()]


@each_optimizer
def test_the_loss_falls(name):
    case = OPTIMIZERS[name]
    losses = case.train(case.network(dtype="float64")).history["loss"]
    assert losses[-1] < losses[0]


@each_optimizer
def test_settings_survive_json(name):
    stored = json.loads(json.dumps(OPTIMIZERS[name].optimizer.to_config()))
    assert repr(optimizers.get(stored)) == repr(OPTIMIZERS[name].optimizer)


def test_large_layers_are_updated_in_blocks_that_change_nothing():
    # 600 x 600 float64 gradients are used up in several blocks of rows, by each of the threads.
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((8, 600)), rng.standard_normal((8, 600))
    ends = []
    for n_threads, backend in ((1, "numba"), (3, "numba"), (1, "numpy")):
        network = Network(
            [Dense(600, kernel_regularizer=L2(0.1))], optimizer=NAdam(RATE, global_clipnorm=5.0),
            dtype="float64", n_threads=n_threads, backend=backend,
        )  # fmt: skip
        network.fit(x, y, epochs=3)
        ends.append(network.get_weights())
    assert ends[0][0].tobytes() == ends[1][0].tobytes()
    np.testing.assert_allclose(ends[0][0], ends[2][0], rtol=1e-9, atol=1e-12)


def _gradients(penalty=None):
    """Return the gradient of one full batch, penalties included, by a step of plain descent."""
    network = Network([Dense(2, kernel_regularizer=penalty)], optimizer=GD(1.0), dtype="float64")
    network.build(7)
    start = network.get_weights()
    network.fit(*_data())
    return [before - after for before, after in zip(start, network.get_weights(), strict=True)]


@pytest.mark.parametrize("penalty", [None, L2(0.5)], ids=["plain", "penalty"])
@pytest.mark.parametrize("limit", [0.1, 1e6])
def test_clipping_is_the_formula(limit, penalty):
    gradients = _gradients(penalty)
    norm = np.sqrt(sum((dw**2).sum() for dw in gradients))
    assert norm > 0.2
    expected = {
        "clipvalue": [np.clip(dw, -limit, limit) for dw in gradients],
        "global_clipnorm": [dw * min(1, limit / norm) for dw in gradients],
    }
    for how, steps in expected.items():
        optimizer = GD(1.0, **{how: limit})
        network = Network([Dense(2, kernel_regularizer=penalty)], optimizer=optimizer,
                          dtype="float64")  # fmt: skip
        network.build(7)
        start = network.get_weights()
        network.fit(*_data())
        for before, after, step in zip(start, network.get_weights(), steps, strict=True):
            np.testing.assert_allclose(before - after, step, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("decay_biases", [False, True])
def test_weights_decay_and_biases_if_told(decay_biases):
    x, y = np.zeros((4, 3)), np.full((4, 2), 5.0)  # no gradient of the weights
    optimizer = AdamW(0.1, 0.5, decay_biases=decay_biases)
    network = Network([Dense(2)], optimizer=optimizer, dtype="float64")
    network.build(3)
    start = [network.get_weights()[0], np.ones(2)]
    network.set_weights(start)
    network.fit(x, y)
    end = network.get_weights()
    np.testing.assert_allclose(end[0], 0.95 * start[0], rtol=1e-12)
    bias = 0.95 if decay_biases else 1.0
    np.testing.assert_allclose(end[1], bias + 0.1, rtol=1e-6)


def test_means_of_gradients_that_have_ended_do_not_become_subnormal():
    x, y = np.zeros((1000, 3), np.float32), np.ones((1000, 2), np.float32)
    x[0] = 1  # the only row with a gradient of the weights
    network = Network([Dense(2)], optimizer=Adam(0.01))
    network.fit(x, y, batch_size=1, shuffle=False)
    mean = network.model.parameters[0][0].state["m"]
    assert (mean == 0).all() == (platform.machine() in ("x86_64", "AMD64"))


def test_full_batch_optimizers_take_all_rows():
    x, y = _data()
    for optimizer in (GD(0.1), Rprop()):
        network = _network(optimizer)
        network.fit(x, y, epochs=3)
        assert network.model.updates == 3
        network.fit(x, y, batch_size=ROWS)
        message = f"batch_size is 10, but {type(optimizer).__name__} wants all 67 rows"
        with pytest.raises(ValueError, match=message):
            network.fit(x, y, batch_size=10)
    network = _network(SGD())
    network.fit(x, y)
    assert network.model.updates == 3  # batches of 32


def test_another_optimizer_starts_with_fresh_state():
    x, y = _data()
    network, fresh = _network(Adam(0.01)), _network(Adam(0.01, amsgrad=True))
    network.fit(x, y, epochs=2)
    fresh.build(7)
    fresh.set_weights(network.get_weights())
    fresh.model.epochs = network.model.epochs  # the order of the rows
    network.optimizer = Adam(0.01, amsgrad=True)
    for each in (network, fresh):
        each.fit(x, y, epochs=2)
    assert _bits(network) == _bits(fresh)


@njit
def _square_root_rate(initial, first, step, out):
    for k in range(out.size):
        out[k] = initial / (step + k - first + 1) ** 0.5


class SquareRoot(Schedule):
    def __init__(self, initial=0.1):
        self.initial = initial

    def calls(self, first=1):
        kernel = _square_root_rate, _square_root_rate.py_func
        return [(kernel, (self.initial, first))]


def test_a_schedule_of_ones_own():
    x, y = _data()
    schedule = SquareRoot()
    assert schedule(3) == 0.05
    network, by_hand = _network(SGD(schedule)), _network(SGD(0.1))
    network.fit(x, y, epochs=4, batch_size=ROWS)
    for t in range(4):
        by_hand.optimizer = SGD(schedule(t))
        by_hand.fit(x, y, batch_size=ROWS)
    assert _bits(network) == _bits(by_hand)


def test_lbfgs_reaches_the_least_squares_solution():
    pytest.importorskip("scipy")
    x, y = _data()
    network = Network([Dense(2)], optimizer="lbfgs", dtype="float64")
    history = network.fit(x, y, epochs=100)
    assert len(history.epoch) < 40  # it has seen that it is there
    design = np.column_stack([x, np.ones(ROWS)])
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(np.vstack(network.get_weights()), expected, atol=1e-7)
    assert history.history["loss"] == sorted(history.history["loss"], reverse=True)


def test_lbfgs_finds_the_minimum_that_scipys_finds():
    minimize = pytest.importorskip("scipy.optimize").minimize
    x, _ = _data()
    y, weight = x[:, :3].argmax(axis=1), np.linspace(1, 2, ROWS)
    layers = [Dense(3, kernel_regularizer=L2(0.1), bias_regularizer=L2(0.1))]
    options = {"loss": "softmax_cross_entropy", "dtype": "float64"}
    network = Network(layers, optimizer=LBFGS(5), **options)
    network.fit(x, y, epochs=100, sample_weight=weight)

    def value(flat):
        w, b = flat[:-3].reshape(7, 3), flat[-3:]
        logits = x @ w + b
        rows = np.log(np.exp(logits).sum(1)) - logits[np.arange(ROWS), y]
        return (weight * rows).sum() / weight.sum() + 0.05 * (flat**2).sum()

    theirs = minimize(value, np.zeros(24), method="BFGS")
    assert network.evaluate(x, y, weight) == pytest.approx(theirs.fun, rel=1e-9)
    ours = np.concatenate([array.ravel() for array in network.get_weights()])
    np.testing.assert_allclose(ours, theirs.x, atol=1e-4)  # their differences are rough


def test_lbfgs_in_float32_ends_where_the_loss_is_noise():
    pytest.importorskip("scipy")
    x, y = _data()
    network = Network([Dense(2)], optimizer=LBFGS(tolerance=1e-30))
    assert len(network.fit(x, y, epochs=1000).epoch) < 50
    exact = Network([Dense(2)], optimizer=LBFGS(), dtype="float64")
    exact.fit(x, y, epochs=1000)
    assert network.evaluate(x, y) == pytest.approx(exact.evaluate(x, y), rel=1e-5)


def test_lbfgs_without_scipy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    network = _network("lbfgs")
    with pytest.raises(ImportError, match="pip install scipy"):
        network.fit(*_data())


@pytest.mark.parametrize("runs", ["single", "team"])
def test_an_interrupted_line_search_leaves_the_last_step(runs, monkeypatch):
    pytest.importorskip("scipy")
    runs = getattr(fastnn.engine, runs)
    if runs is fastnn.engine.team:
        monkeypatch.setattr(runs, "BRIEF", 0)
    network, plain = _network(LBFGS()), _network(LBFGS())
    x, y = _data()
    for each in (network, plain):
        each.fit(x, y, epochs=3)
    count = iter(range(100))
    run = runs.run

    def interrupted(*given, **named):
        outcome = run(*given, **named)
        if next(count) == 1:  # the first was where it stands, this is the line search
            raise KeyboardInterrupt
        return outcome

    def states(network):
        parameters = network.model.all_parameters()
        return [array.tobytes() for each in parameters for array in each.state.values()]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "run", interrupted)
        network.fit(x, y, epochs=50)
    assert network.model.updates == 3
    assert _bits(network) == _bits(plain) and states(network) == states(plain)
    for each in (network, plain):
        each.fit(x, y, epochs=3)
    assert _bits(network) == _bits(plain)


@pytest.mark.parametrize("optimizer", ["lbfgs", GD(1e300)], ids=["lbfgs", "gd"])
def test_a_loss_that_is_not_finite_ends_the_fit(optimizer):
    pytest.importorskip("scipy")
    x, y = _data()
    network = Network([Dense(2)], optimizer=optimizer, dtype="float64")
    network.build(7)
    network.set_weights([np.full((7, 2), 1e200), np.zeros(2)])
    start = _bits(network)
    with pytest.raises(FloatingPointError, match="not finite in epoch 0"):
        network.fit(x, y, epochs=3)
    assert _bits(network) == start


BAD = [
    (lambda: SGD(clipvalue=0), ValueError, "clipvalue is 0, wanted a finite number above 0"),
    (lambda: SGD(clipvalue=1, global_clipnorm=1), ValueError, "clipvalue and global_clipnorm were"),
    (lambda: Adam(global_clipnorm="1"), TypeError, "global_clipnorm is '1'"),
    (lambda: Adam(amsgrad=1), TypeError, "amsgrad is 1"),
    (lambda: AdamW(weight_decay=-1), ValueError, "weight_decay is -1"),
    (lambda: AdamW(weight_decay="0"), TypeError, "weight_decay is '0'"),
    (lambda: AdamW(weight_decay={"name": "Cosine"}), ValueError, "weight_decay.* is 'Cosine'"),
    (lambda: Adagrad(initial_accumulator_value=-1), ValueError, "initial_accumulator_value is -1"),
    (lambda: Adadelta(rho=1), ValueError, "rho is 1"),
    (lambda: RMSprop(momentum=1), ValueError, "momentum is 1"),
    (lambda: RMSprop(epsilon=0), ValueError, "epsilon is 0"),
    (lambda: NAdam(momentum_decay=-1), ValueError, "momentum_decay is -1"),
    (lambda: Rprop(initial_step=0), ValueError, "initial_step is 0"),
    (lambda: Rprop(etas=(1.2, 0.5)), ValueError, "wanted one below 1 and one above 1"),
    (lambda: Rprop(etas=0.5), TypeError, "etas is 0.5, wanted two numbers"),
    (lambda: Rprop(step_sizes=(1, 0.1)), ValueError, "wanted the smallest first"),
    (lambda: Rprop(step_sizes=(0, 1)), ValueError, r"step_sizes\[0\] is 0"),
    (lambda: LBFGS(history_size=0), ValueError, "history_size is 0"),
    (lambda: LBFGS(tolerance=0), ValueError, "tolerance is 0"),
    (lambda: _network(Adam), TypeError, r"optimizer is the class Adam, wanted an object: Adam\(\)"),
    (lambda: _network(0.1), TypeError, "lbfgs'\\) or an object of Optimizer, got float"),
    (lambda: SGD("cosine"), TypeError, "learning_rate is 'cosine'"),
    (lambda: SGD({"name": "Cosine"}), ValueError, "is 'Cosine', wanted one of 'Inv"),
]


@pytest.mark.parametrize(("make", "kind", "message"), BAD)
def test_bad_settings(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
