"""`fit_many(executor=...)`: the bits of one machine, whoever trains and whatever happens to it."""

import concurrent.futures
import functools
import math
import multiprocessing
import os
import signal
import tempfile
import threading
import time

import numpy as np
import pytest

from fastnn import (
    SGD,
    Dense,
    EarlyStopping,
    FitManyError,
    Network,
    ReduceLROnPlateau,
    fit_many,
)
from fastnn.many import executors, sending, spreading, worker
from fastnn.many.training import Member, WorkerLostError
from tests import elsewhere
from tests.elsewhere import WEIGHT, Elsewhere, Recorder, X, Y, state

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
    # Of Python, where other threads run.  Ours are prepared, and forks start at once.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

FOLDS = [(np.delete(np.arange(90), np.s_[fold::3]), np.arange(fold, 90, 3)) for fold in range(3)]
MIXED = [[*map(float, row), "ab"[int(row[0] > 0)]] for row in X]
"""Rows of numbers and texts."""


def _prepared():
    pipeline = ["one_hot", "standardize"]
    return [Network([Dense(8, "relu"), Dense(1)], seed=s, preprocessing=pipeline) for s in (0, 1)]


@functools.cache
def _pool():
    return concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork"))


@pytest.fixture
def pool():
    """Return two processes."""
    return _pool()


@pytest.fixture(scope="module", autouse=True)
def _ended():
    yield
    if _pool.cache_info().currsize:
        _pool().shutdown()
        _pool.cache_clear()


@pytest.fixture(params=["processes", "threads"])
def executor(request):
    if request.param == "processes":
        yield _pool()
    else:
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            yield threads


@pytest.mark.parametrize(
    ("make", "x", "options"),
    [
        (elsewhere.networks, X, {"validation_split": 0.3, "sample_weight": WEIGHT}),
        (elsewhere.networks, X, {"validation_data": (X[:9], Y[:9]), "shuffle": False}),
        (elsewhere.networks, X[:, ::-1].astype(np.float64), {"splits": FOLDS * 2}),
        (_prepared, MIXED, {}),
    ],
)
def test_all_that_training_makes_is_that_of_a_local_call(executor, make, x, options):
    elsewhere.check_like_local(executor, make, x, Y, **options)


def test_networks_that_fail_are_told_of_as_in_a_local_call(executor):
    def make():
        rates = [0.01, 1e30, 0.02]
        return [Network([Dense(8, "relu"), Dense(1)], optimizer=SGD(rate)) for rate in rates]

    here, there, errors = make(), make(), []
    for networks, where in ((here, None), (there, executor)):
        with pytest.raises(FitManyError, match=r"1 of 3 networks failed: networks\[1\]") as caught:
            fit_many(networks, X, Y, epochs=4, executor=where)
        errors.append(caught.value)
    assert errors[0].positions == errors[1].positions == [1]
    mine, other = (error.exceptions[0] for error in errors)
    assert (type(mine), str(mine), mine.__notes__) == (type(other), str(other), other.__notes__)
    assert [h.history for h in errors[0].histories] == [h.history for h in errors[1].histories]
    assert list(map(state, here)) == list(map(state, there))


def test_callbacks_and_what_they_change_come_back(pool):
    def make():
        networks = [Network([Dense(8, "relu"), Dense(1)], seed=seed) for seed in range(4)]
        hooks = [[Recorder()], [Recorder("slow")], [EarlyStopping("loss", 1.0, 2)],
                 [ReduceLROnPlateau("loss", min_delta=1.0, patience=1)]]  # fmt: skip
        return networks, hooks

    (here, mine), (there, hooks) = make(), make()
    objects = [each.optimizer for each in there]
    expected = fit_many(here, X, Y, epochs=8, callbacks=mine)
    found = fit_many(there, X, Y, epochs=8, callbacks=hooks, executor=pool)
    assert [each.history for each in found] == [each.history for each in expected]
    assert list(map(state, there)) == list(map(state, here))
    assert hooks[0][0].losses == mine[0][0].losses
    assert hooks[0][0].network is there[0] and hooks[0][0].process != os.getpid()
    assert there[1].optimizer is objects[1] and objects[1].learning_rate == 0.5**8
    assert there[1].extra == {"epoch": 7}
    assert hooks[2][0].stopped_epoch == mine[2][0].stopped_epoch < 7
    assert there[2].stop_training and len(found[2].epoch) == len(expected[2].epoch)
    assert there[3].optimizer.learning_rate == here[3].optimizer.learning_rate < 0.01
    for mine_again, other in zip(here, there, strict=True):
        mine_again.fit(X, Y, epochs=2)
        other.fit(X, Y, epochs=2)
    assert list(map(state, there)) == list(map(state, here))


def test_what_cannot_travel_is_refused_or_told(pool):
    networks = [Network([Dense(1)], seed=seed) for seed in range(4)]
    hooks = [[], [lambda epoch, logs: None], [], []]
    with pytest.raises(TypeError, match=r"callbacks\[1\] cannot be sent to a worker: .*lambda"):
        fit_many(networks, X, Y, callbacks=hooks, executor=pool)
    lock = threading.Lock()
    networks[2].metrics = [lambda y, prediction: float(lock.locked())]
    with pytest.raises(TypeError, match=r"networks\[2\] cannot be sent to a worker: the metric"):
        fit_many(networks, X, Y, executor=pool)
    assert not any(each.built for each in networks)
    networks[2].metrics = []
    shared = networks[2].optimizer = networks[3].optimizer = SGD(0.01)
    hooks = [
        [Recorder("keep_lock")],
        [Recorder("fail")],
        [Recorder("slow")],
        [],
    ]
    with pytest.raises(FitManyError) as caught:
        fit_many(networks, X, Y, callbacks=hooks, executor=pool)
    assert caught.value.positions == [0, 1, 2]
    lock, odd, guarded = caught.value.exceptions
    assert str(lock).startswith("callbacks[0] cannot come back from a worker: cannot pickle")
    assert type(odd) is RuntimeError and str(odd) == "OddError: one"
    assert odd.__notes__ == ["in networks[1]"] and "in fail\n    raise OddError" in str(
        odd.__cause__
    )
    assert "several networks have it" in str(guarded) and shared.learning_rate == 0.01
    assert all(each.epochs_done for each in networks)


def test_a_lost_worker_costs_nothing_but_time(tmp_path):
    here, there = elsewhere.networks(), elsewhere.networks()
    fit_many(here, X, Y, epochs=3)
    hooks = [[] for _ in there]
    for place in (1, 4):  # the second in the pool that follows the first
        hooks[place] = [Recorder("die_once", tmp_path / f"{place}")]
    fork = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, fork) as executor:
        with pytest.warns(RuntimeWarning, match="a worker of executor died"):
            fit_many(there, X, Y, epochs=3, callbacks=hooks, executor=executor)
    assert list(map(state, there)) == list(map(state, here))


def test_a_network_that_ends_all_workers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here, there = elsewhere.networks(), elsewhere.networks()
    fit_many(here, X, Y)
    hooks = [[Recorder("die")] if number == 3 else [] for number in range(6)]
    fork = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, fork) as executor:
        with pytest.warns(RuntimeWarning), pytest.raises(FitManyError) as caught:
            fit_many(there, X, Y, callbacks=hooks, executor=executor)
    assert caught.value.positions == [3] and not there[3].built
    (error,) = caught.value.exceptions
    assert isinstance(error, WorkerLostError) and "each worker that trained it died" in str(error)
    del here[3], there[3]
    assert list(map(state, there)) == list(map(state, here))
    assert not list(tmp_path.iterdir())


def test_an_executor_that_breaks_and_cannot_be_made_anew_says_what_is_done():
    class Breaking(Elsewhere):
        def submit(self, *job):
            if len(self.sent) < 2:
                return super().submit(*job)
            future = concurrent.futures.Future()
            future.set_exception(concurrent.futures.BrokenExecutor("gone"))
            return future

    networks = elsewhere.networks()
    with pytest.raises(RuntimeError, match="executor lost its workers .*: [0-2] of 6 networks are"):
        fit_many(networks, X, Y, executor=Breaking())
    assert sum(each.built for each in networks) <= 2


def _never(*arguments):
    os._exit(1)


def test_a_pool_whose_processes_do_not_live_is_one_clear_error():
    fork = multiprocessing.get_context("fork")
    networks = elsewhere.networks()
    with concurrent.futures.ProcessPoolExecutor(2, fork, _never) as executor:
        with pytest.raises(RuntimeError, match=r"executor lost its workers .*: 0 of 6 networks"):
            fit_many(networks, X, Y, executor=executor)
    assert not any(each.built for each in networks)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_stops_all_and_leaves_nothing(executor, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    networks = [Network([Dense(8, "relu"), Dense(1)], seed=seed) for seed in range(40)]
    hooks = [[Recorder("wait")] for _ in networks]
    seen = []

    def interrupt(position, network, history):
        seen.append(position)
        assert network.epochs_done == len(history.epoch) == 20
        if len(seen) == 3:
            signal.raise_signal(signal.SIGINT)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fit_many(networks, X, Y, epochs=20, executor=executor, callbacks=hooks, on_result=interrupt)
    assert time.monotonic() - started < 8  # all of it would take 16
    assert not list(tmp_path.iterdir())
    done = [number for number, each in enumerate(networks) if each.epochs_done == 20]
    assert set(seen) <= set(done) and len(done) < 30
    if executor is _pool():  # networks are replaced whole or not at all
        assert all(each.epochs_done in (0, 20) for each in networks)
    alone = Network([Dense(8, "relu"), Dense(1)], seed=done[0])
    alone.fit(X, Y, epochs=20)
    assert state(networks[done[0]]) == state(alone)
    assert executor.submit(int).result(timeout=10) == 0
    fit_many(networks, X, Y, executor=executor)


def test_a_worker_that_is_interrupted_alone_is_asked_again(pool, monkeypatch):
    answers = []

    class Interrupted(executors.Processes):
        def answers(self, shares):
            for place, found in super().answers(shares):
                if not answers:
                    found.results.clear()
                    found.stopped = True
                answers.append(found)
                yield place, found

    monkeypatch.setattr(executors, "Processes", Interrupted)
    here, there = elsewhere.networks(), elsewhere.networks()
    fit_many(here, X, Y)
    fit_many(there, X, Y, executor=pool)
    assert list(map(state, there)) == list(map(state, here)) and answers[0].stopped


def test_workers_that_would_compute_other_bits_are_refused(monkeypatch):
    theirs = dict(spreading.identity())
    monkeypatch.setattr(worker, "identity", lambda: theirs | {"instructions": "avx2"})
    networks = elsewhere.networks()
    with pytest.raises(RuntimeError, match="process .* would compute other bits: instructions is"):
        fit_many(networks, X, Y, executor=Elsewhere())
    assert not any(each.built for each in networks)


def test_data_are_sent_once(monkeypatch):
    x, y = np.tile(X, (500, 1)), np.tile(Y, (500, 1))
    here, there = elsewhere.networks()[:5], elsewhere.networks()[:5]
    fit_many(here, x, y)
    executor = Elsewhere()
    fit_many(there, x, y, executor=executor)
    assert list(map(state, there)) == list(map(state, here))
    assert sum(map(len, executor.sent)) < x.nbytes / 10
    # A worker on another machine sees no file of this one.
    monkeypatch.setattr(sending.Filed, "open", lambda self: open("/missing/fastnn"))
    fit_many(here, x, y)
    fit_many(there, x, y, executor=executor)
    assert list(map(state, there)) == list(map(state, here))
    assert max(map(len, executor.sent)) > x.nbytes


def test_results_and_lines_come_one_by_one(executor, capsys):
    networks = [Network([Dense(8, "relu"), Dense(1)], seed=seed) for seed in range(5)]
    seen = {}
    histories = fit_many(
        networks,
        X,
        Y,
        verbose=1,
        executor=executor,
        on_result=lambda *one: seen.update({one[0]: one}),
    )
    assert sorted(seen) == list(range(5))
    assert all(one[1] is networks[n] and one[2] is histories[n] for n, one in seen.items())
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == [f"networks[{n}]: {history}" for n, history in enumerate(histories)]

    def fail(position, network, history):
        raise KeyError(position)

    for where in (executor, None):
        with pytest.raises(FitManyError) as caught:
            fit_many(networks[:2], X, Y, executor=where, on_result=fail)
        assert caught.value.positions == [0, 1]
        assert caught.value.exceptions[1].__notes__ == ["in on_result of networks[1]"]


def test_a_network_that_somebody_changes_meanwhile_keeps_what_it_has():
    networks = [Network([Dense(1)], seed=seed) for seed in range(2)]

    class Meddler(Elsewhere):
        def submit(self, *arguments):
            networks[1].model.build(6) if not networks[1].built else None
            return super().submit(*arguments)

    with pytest.raises(FitManyError, match=r"networks\[1\]") as caught:
        fit_many(networks, X, Y, executor=Meddler())
    assert "was changed while a worker trained it" in str(caught.value.exceptions[0])
    assert networks[0].epochs_done == 1 and networks[1].epochs_done == 0


ended = concurrent.futures.ThreadPoolExecutor(1)
ended.shutdown()
BAD = [
    (TypeError, "executor is 3, wanted an executor", {"executor": 3}),
    (TypeError, "executor is 'loky', wanted", {"executor": "loky"}),
    (
        TypeError,
        "ThreadPoolExecutor'>, wanted",
        {"executor": concurrent.futures.ThreadPoolExecutor},
    ),
    (RuntimeError, "after shutdown", {"executor": ended}),
    (ValueError, "X has nan", {"X": X * np.nan, "executor": ended}),
    (TypeError, "on_result is 3, wanted a function", {"on_result": 3}),
    (ValueError, "networks is empty", {"networks": [], "executor": ended}),
]


@pytest.mark.parametrize(("error", "said", "changed"), BAD)
def test_bad_executors_change_nothing(error, said, changed):
    arguments = {"networks": elsewhere.networks(), "X": X, "y": Y} | changed
    with pytest.raises(error, match=said):
        fit_many(**arguments)
    assert not any(network.built for network in arguments["networks"])


def _inner(seed):
    network = Network([Dense(8, "relu"), Dense(1)], seed=seed)
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        fit_many([network], X, Y, executor=executor)
    return network


def test_a_worker_may_have_workers_of_its_own(pool):
    alone = Network([Dense(8, "relu"), Dense(1)], seed=3)
    alone.fit(X, Y)
    assert state(pool.submit(_inner, 3).result()) == state(alone)


@pytest.mark.parametrize(("n", "slots", "least"), [(1, 4, 1), (7, 2, 1), (500, 2, 1), (100, 3, 4)])
def test_shares_hold_each_network_once_and_end_small(n, slots, least):
    networks = [Network([Dense(1 + seed % 40), Dense(1)]) for seed in range(n)]
    members = [Member(number, each, [], None) for number, each in enumerate(networks)]
    shares = spreading.shares_of(members, 10, slots, least)
    flat = [member for share in shares for member in share]
    assert sorted(member.number for member in flat) == list(range(n))
    sizes = [member.size(10) for member in flat]
    assert sizes == sorted(sizes, reverse=True)
    assert all(len(share) >= least for share in shares[:-1])
    assert len(shares) <= 20 * slots + 10 and max(map(len, shares)) <= max(least, math.ceil(n / 8))


def _handler():
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_processes_that_begin_meanwhile_can_be_interrupted():
    fork = multiprocessing.get_context("fork")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with concurrent.futures.ProcessPoolExecutor(1, fork) as executor:
            fit_many(elsewhere.networks()[:1], X, Y, executor=executor)
            assert executor.submit(_handler).result()
    finally:
        signal.signal(signal.SIGINT, before)
