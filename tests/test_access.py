"""Threads that share a network: one changes it, the others read it between whole updates."""

import contextlib
import copy
import os
import pickle
import threading
import time
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Callback, Dense, Network, fit_many
from fastnn.engine.access import Access

X = np.random.default_rng(0).standard_normal((300, 20), np.float32)
Y = X[:, :1] - X[:, 1:2]
LIMIT = 60


def network(**options):
    options = {"loss": "mae", "n_threads": 2, "optimizer": SGD(1e-3)} | options
    made = Network([Dense(32, "relu"), Dense(1)], **options)
    made.build(20)
    return made


def bits(one):
    return b"".join(array.tobytes() for array in one.get_weights())


@contextlib.contextmanager
def fitting(one, *, x=X, callbacks=None, epochs=10**6):
    """Fit in another thread until the block ends, then check that nothing went wrong there."""
    started = one.model.updates
    errors = []

    def fit():
        try:
            one.fit(x, Y, epochs=epochs, batch_size=10, callbacks=callbacks)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=fit)
    thread.start()
    end = time.monotonic() + LIMIT
    while copy.copy(one).model.updates == started and thread.is_alive():
        assert time.monotonic() < end
    try:
        yield thread
    finally:
        while thread.is_alive():
            one.stop_training = True  # a fit that begins sets it back
            thread.join(0.05)
        assert not errors and one.model.updates > started


class Held(Callback):
    """Holds the fit in a callback until it is let go."""

    def __init__(self):
        self.here, self.go = threading.Event(), threading.Event()

    def on_epoch_end(self, epoch, logs):
        self.here.set()
        assert self.go.wait(LIMIT)


def test_a_second_change_is_refused_and_the_first_goes_on():
    one, alone, held = network(), network(), Held()
    with fitting(one, callbacks=[held], epochs=2):
        assert held.here.wait(LIMIT)
        weights = one.get_weights()
        for name, call in {
            "fit": lambda: one.fit(X, Y),
            "train_on_batch": lambda: one.train_on_batch(X, Y),
            "set_weights": lambda: one.set_weights(weights),
            "fit_many": lambda: fit_many([network(), one], X, Y),
        }.items():
            with pytest.raises(RuntimeError, match=f"^{name} was called during this network's fit"):
                call()
        with pytest.raises(RuntimeError, match="in another thread: wait for that to end"):
            one.partial_fit(X, Y)
        held.go.set()
        while one.epochs_done < 2:
            time.sleep(1e-3)
    alone.fit(X, Y, epochs=2, batch_size=10)
    assert bits(one) == bits(alone)
    one.fit(X, Y)  # it is free again


def test_a_fit_within_its_own_callback_is_refused():
    one, alone = network(backend="numpy"), network(backend="numpy")
    seen = []

    def again(epoch, logs):
        with pytest.raises(RuntimeError, match="fit was called from a callback of this network's"):
            one.fit(X, Y)
        assert one.predict(X).tobytes() == copy.copy(one).predict(X).tobytes()
        seen.append(one.evaluate(X, Y))

    one.fit(X, Y, epochs=2, batch_size=100, callbacks=[again])
    alone.fit(X, Y, epochs=2, batch_size=100)
    assert bits(one) == bits(alone) and len(seen) == 2
    one.fit(X, Y, batch_size=100, callbacks=[lambda epoch, logs: one.train_on_batch(X, Y)])
    alone.fit(X, Y, batch_size=100)
    alone.train_on_batch(X, Y)
    assert bits(one) == bits(alone) and one.model.updates == alone.model.updates


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_what_is_read_during_a_fit_is_the_state_after_a_whole_update(backend, tmp_path):
    one, alone = network(backend=backend), network(backend=backend)
    path = tmp_path / "network"

    def saved():
        one.save(path)
        return fastnn.load(path)

    readings = []
    with fitting(one):
        for read in (lambda: copy.copy(one), lambda: pickle.loads(pickle.dumps(one)), saved,
                     lambda: one.compact(), lambda: copy.deepcopy(one)):  # fmt: skip
            readings.append(read())
        predicted, outputs, score = one.predict(X), one.layer_outputs(X), one.evaluate(X, Y)
        assert np.isfinite(predicted).all() and np.isfinite(score) and len(outputs) == 2
        assert one.model.access.version % 2, "the fit ended too early"
    for reading in readings:  # as many updates in one thread give the same bits
        epochs, batches = divmod(reading.model.updates, 30)
        assert epochs == reading.epochs_done
        while alone.epochs_done < epochs:
            alone.fit(X, Y, epochs=epochs - alone.epochs_done, batch_size=10)
        whole = copy.copy(alone)
        _update(whole, batches)
        assert bits(whole) == bits(reading)


def _update(one, batches):
    """Make the first updates of the next epoch."""
    if batches:
        order = np.empty(len(X), np.int64)
        fastnn.reference.TWINS["batch_rows"](one.seed, one.epochs_done, len(X), 1, 0, order)
        for first in range(0, 10 * batches, 10):
            rows = order[first : first + 10]
            one.train_on_batch(X[rows], Y[rows])


def test_predictions_during_a_fit_are_never_torn():
    one = Network([Dense(1, "relu"), Dense(1)], loss="mae", n_threads=2, optimizer=SGD(1e-7))
    one.build(20)  # with equal inputs, whole updates leave all rows of W the same
    one.set_weights([np.ones((20, 1)), [1.0], [[1.0]], [1.0]])
    levels = set()
    with fitting(one, x=np.ones_like(X)):
        for _ in range(5):
            w = one.get_weights()[0]
            assert (w == w[0]).all() and w[0] < 1
            levels.add(one.predict(np.eye(20)).tobytes())
            assert len(set(one.predict(np.eye(20))[:, 0].tolist())) == 1
    assert len(levels) > 1


def test_stop_training_from_another_thread_ends_a_fit_after_its_epoch():
    one = network()
    with fitting(one) as thread:
        while one.epochs_done == 0:
            copy.copy(one)  # which makes the fit count its epochs
        one.stop_training = True
        thread.join(LIMIT)
        assert not thread.is_alive()
    assert one.model.updates == 30 * one.epochs_done
    alone = network()
    alone.fit(X, Y, epochs=one.epochs_done, batch_size=10)
    assert bits(one) == bits(alone)


def test_a_callback_may_wait_for_a_thread_that_reads():
    one, found = network(backend="numpy"), []

    def ask(epoch, logs):
        thread = threading.Thread(target=lambda: found.append(one.predict(X[:2])))
        thread.start()
        thread.join(LIMIT)
        assert not thread.is_alive() and found[-1].tobytes() == one.predict(X[:2]).tobytes()

    one.fit(X, Y, epochs=2, callbacks=[ask])
    assert len(found) == 2


def test_progress_may_read_what_is_changing():
    one = network()

    class Look(Callback):
        seen: list = []  # noqa: RUF012

        def on_progress(self, epoch, rows_done, rows_total, loss):
            self.seen.append((self.network.model.updates, bits(self.network)))
            assert bits(self.network) == self.seen[-1][1]
            self.network.stop_training = True

    with_big = np.repeat(X, 300, axis=0), np.repeat(Y, 300, axis=0)
    look = Look()
    one.fit(*with_big, epochs=3, batch_size=10, callbacks=[look])
    alone = network()
    alone.fit(*with_big, epochs=one.epochs_done, batch_size=10)
    assert bits(one) == bits(alone)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_during_a_fit_has_whole_updates_and_a_free_network():
    one = network(backend="numpy")
    with fitting(one), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                one.model.access.check_free("fit")
                one.predict(X)
                updates = one.model.updates
                one.fit(X, Y, batch_size=10)
                os._exit(0 if one.model.updates == updates + 30 else 1)
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_nobody_gets_in_while_it_is_closed_and_nobody_starves():
    access, inside = Access(), []
    halt = threading.Event()

    def read():
        with access.reading():
            inside.append("reader")

    reader = threading.Thread(target=read)

    def write():
        with access.closed(halt.set):
            reader.start()
            assert halt.wait(LIMIT)
            inside.append("writer")
        with access.closed():
            reader.join(LIMIT)  # it went first
            inside.append("writer again")

    access.exclusively("fit", write)
    assert inside == ["writer", "reader", "writer again"] and access.version == 2
    with pytest.raises(RuntimeError, match="predict was called from a callback"):
        access.exclusively("fit", access.check_free, "predict")
