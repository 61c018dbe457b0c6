"""Dask, Ray, joblib and loky train networks, lose workers and are interrupted."""

import contextlib
import signal

import pytest

from fastnn import Dense, FitManyError, Network, fit_many
from fastnn.many.training import WorkerLostError
from tests import elsewhere
from tests.elsewhere import WEIGHT, Recorder, X, Y, state


@contextlib.contextmanager
def _dask():
    distributed = pytest.importorskip("distributed")
    import dask

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
        assert not client.futures  # nothing is left there


@contextlib.contextmanager
def _ray():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _joblib():
    joblib = pytest.importorskip("joblib")
    yield joblib.Parallel(2, return_as="generator_unordered")


@contextlib.contextmanager
def _loky():
    pytest.importorskip("joblib")
    from joblib.externals import loky

    yield loky.get_reusable_executor(2)


@pytest.mark.long
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("workers", [_dask, _ray, _joblib, _loky])
def test_others_executors_lose_workers_and_stop(workers, tmp_path, monkeypatch):
    with workers() as executor:
        options = {"validation_split": 0.3, "sample_weight": WEIGHT}
        elsewhere.check_like_local(executor, elsewhere.networks, X, Y, **options)
        here, there = elsewhere.networks(), elsewhere.networks()
        fit_many(here, X, Y, epochs=3)
        hooks = [[] for _ in there]
        hooks[1] = [Recorder("die_once", tmp_path / "died")]
        hooks[2] = [lambda epoch, logs: None] if workers is not _loky else []  # by cloudpickle
        fit_many(there, X, Y, epochs=3, callbacks=hooks, executor=executor)
        assert list(map(state, there)) == list(map(state, here))
        if workers in (_dask, _joblib):  # Ray takes seconds to start a process
            there = elsewhere.networks()
            hooks = [[Recorder("die")] if number == 3 else [] for number in range(6)]
            with pytest.raises(FitManyError) as caught:
                fit_many(there, X, Y, epochs=3, callbacks=hooks, executor=executor)
            assert caught.value.positions == [3]
            assert isinstance(caught.value.exceptions[0], WorkerLostError)
            assert list(map(state, [*there[:3], *there[4:]])) == list(
                map(state, [*here[:3], *here[4:]])
            )
        if workers is _loky:
            executor = type(executor).get_reusable_executor(2)[0]  # in place of the broken one
        networks = [Network([Dense(8, "relu"), Dense(1)], seed=seed) for seed in range(40)]
        hooks = [[Recorder("wait")] for _ in networks]

        def interrupt(position, network, history):
            signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            fit_many(
                networks, X, Y, epochs=25, executor=executor, callbacks=hooks, on_result=interrupt
            )
        assert {each.epochs_done for each in networks} == {0, 25}
        assert sum(each.built for each in networks) < 30


@pytest.mark.long
def test_joblib_has_to_return_results_as_they_come():
    joblib = pytest.importorskip("joblib")
    with pytest.raises(ValueError, match="return_as='list', wanted 'generator_unordered'"):
        fit_many(elsewhere.networks(), X, Y, executor=joblib.Parallel(2))
