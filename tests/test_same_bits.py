"""The same bits for any number of threads and any layout, beyond the weights of a fit."""

import signal

import numpy as np
import pytest

import fastnn
from fastnn import Adam, Dense, Network
from fastnn.engine import cores, program
from fastnn.layers import dense
from fastnn.metrics import log_loss, mean_absolute_error, mean_squared_error, r2
from fastnn.preprocessing import BinnedTarget, Chain
from fastnn.training import loop

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1000, 3))
Y = np.sin(X[:, :1])
WEIGHT = RNG.random(1000)


def _network(n_threads, **settings):
    layers = [Dense(8, "relu"), Dense(1)]
    return Network(layers, optimizer=Adam(0.01), seed=1, n_threads=n_threads, **settings)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_is_one_sum_for_any_number_of_threads(dtype):
    found = set()
    for n_threads in (1, 2, 3, 5):
        network = _network(n_threads, dtype=dtype)
        given = X, Y, WEIGHT
        history = network.fit(X[:64], Y[:64], validation_data=given).history
        found.add((network.evaluate(X, Y), network.evaluate(*given), *history["val_loss"]))
    assert len(found) == 1


def test_a_loss_that_overflows_is_not_a_number():
    network = _network(2)
    network.build(3)
    assert np.isnan(network.evaluate(X, np.full((1000, 1), 3e38)))


def test_metrics_and_bins_do_not_depend_on_the_layout():
    y, prediction = RNG.random((2, 300, 7))
    for metric in (mean_absolute_error, mean_squared_error, r2, log_loss):
        forms = [(y, prediction), (np.asfortranarray(y), np.asfortranarray(prediction))]
        assert len({metric(*form) for form in forms} | {metric(forms[1][0], prediction)}) == 1
    bins = BinnedTarget(7).fit(y[:, 0])
    p = prediction / prediction.sum(axis=1, keepdims=True)
    assert np.array_equal(bins.mean(p), bins.mean(np.asfortranarray(p)))
    assert np.array_equal(bins.median(p), bins.median(np.asfortranarray(p)))


class _Layout:
    """Another library's step, which sees how its rows lie."""

    def fit(self, X, y=None):
        assert X.flags.c_contiguous
        return self

    def transform(self, X):
        return X


def test_other_libraries_get_rows_of_one_layout():
    Chain([_Layout()]).fit(np.asfortranarray(X)).transform(np.asfortranarray(X))


def test_long_steps_are_cut_and_give_the_same_bits(monkeypatch):
    def bits(n_threads, optimizer):
        network = _network(n_threads)
        network.optimizer = optimizer
        network.fit(X, Y, batch_size=600, epochs=2)
        return [each.tobytes() for each in network.get_weights()]

    plain, momentum = fastnn.SGD(0.01), Adam(0.01)
    expected = bits(1, momentum)
    for place, name in ((dense, "_LONG_ROWS"), (dense, "_LONG_FLOPS"), (program, "_LEAST_ROWS")):
        monkeypatch.setattr(place, name, 7)
    for place in (dense, program):
        monkeypatch.setattr(place, "LONG", 1000)
    assert all(bits(n_threads, momentum) == expected for n_threads in (1, 2, 3))
    assert bits(1, plain) == bits(2, plain)


def test_numbers_that_are_too_large_are_bounded_or_refused(monkeypatch):
    huge = 10**30
    network = _network(huge)
    assert network.n_threads == huge
    network.fit(X, Y, batch_size=huge)
    assert network.predict(X, batch_size=huge).shape == (1000, 1)
    for layers, n_inputs in (([Dense(huge)], 3), ([Dense(1)], huge)):
        with pytest.raises(ValueError, match=r"layers\[0\], Dense, with .* is too large"):
            Network(layers).build(n_inputs)
    with pytest.raises(ValueError, match="history_size is .*, wanted at most 1000"):
        fastnn.LBFGS(history_size=huge)
    assert BinnedTarget(huge).fit(Y).n_bins_ <= 1000
    monkeypatch.setattr(cores, "LEAST_LIMIT", 1)
    assert cores.threads_for(1e15, 10**6, huge) <= cores.usable()


def test_epochs_without_end_run_in_pieces(monkeypatch):
    monkeypatch.setattr(loop, "_TOGETHER", 2)
    parts, whole = _network(1), _network(1)
    history = parts.fit(X[:64], Y[:64], epochs=5).history["loss"]
    monkeypatch.undo()
    assert whole.fit(X[:64], Y[:64], epochs=5).history["loss"] == history
    assert [a.tobytes() for a in parts.get_weights()] == [a.tobytes() for a in whole.get_weights()]

    def end(number, frame):
        raise TimeoutError

    network = _network(1)
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(TimeoutError):
            network.fit(X[:64], Y[:64], epochs=10**30)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert network.epochs_done > 0
