"""Estimators in the workers of joblib, Dask and Ray: the same bits, and threads within limits."""

import contextlib

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6")

import joblib
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_predict

from fastnn.engine import cores
from fastnn.sklearn import MLPClassifier

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]

X, Y = load_iris(return_X_y=True)
CLASSIFIER = MLPClassifier(8, max_iter=20, random_state=0)


def _threads(_):
    """Return how many threads a large fit would take here."""
    return cores.threads_for(1e12, 10_000, None)


@contextlib.contextmanager
def _loky():
    with joblib.parallel_config("loky", n_jobs=2):
        yield


@contextlib.contextmanager
def _dask():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as one,
        distributed.Client(one),
        joblib.parallel_config("dask"),
    ):
        yield


@contextlib.contextmanager
def _ray():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        register_ray()
        with joblib.parallel_config("ray", n_jobs=2):
            yield
    finally:
        ray.shutdown()


@pytest.mark.parametrize("workers", [_loky, _dask, _ray])
def test_the_same_bits_and_no_more_threads_than_cores(workers):
    expected = cross_val_predict(CLASSIFIER, X, Y, cv=4, method="predict_proba")
    search = GridSearchCV(CLASSIFIER, {"alpha": [0.01, 0.1]}, cv=2)
    alone = clone(search).fit(X, Y)
    with workers():
        found = cross_val_predict(CLASSIFIER, X, Y, cv=4, method="predict_proba")
        among = clone(search).fit(X, Y)
        used = joblib.Parallel()(joblib.delayed(_threads)(task) for task in range(2))
    assert found.tobytes() == expected.tobytes()
    for mine, other in zip(among.best_estimator_.coefs_, alone.best_estimator_.coefs_, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert sum(used) <= max(2, cores.available())


def test_a_fit_that_joblib_sends_elsewhere_goes_on_here():
    (there,) = joblib.Parallel(n_jobs=2)([joblib.delayed(CLASSIFIER.fit)(X, Y)])
    here = clone(CLASSIFIER).fit(X, Y)
    for each in (there, here):
        each.set_params(warm_start=True).fit(X, Y)
    assert there.predict_proba(X).tobytes() == here.predict_proba(X).tobytes()
