"""Random cases keep every promise; and the checks that say so notice what breaks one."""

import contextlib
import faulthandler
import os
import signal
from collections import Counter

import numpy as np
import pytest

import fastnn
from fastnn.engine import single
from fastnn.inputs import checks
from fastnn.kernels import code_cache
from fastnn.kernels.public import Kernel
from fastnn.reference import TWINS
from fastnn.training import ownership, prediction
from tests.fuzz import batch
from tests.fuzz.__main__ import hunt
from tests.fuzz.cases import Case
from tests.fuzz.properties import check, properties

SECONDS = 3
HERE = os.getpid()
CASE = Case(
    layers="[Dense(5, 'relu'), Dense(1)]",
    optimizer="SGD(0.01, 0.9)",
    rows=16,
    columns=3,
    x_form="gaps",
    weights="random",
    fit={"epochs": 2, "batch_size": 10},
)


def test_random_cases_keep_every_promise():
    report = hunt(SECONDS, seed=0)
    assert not report.failure, report.failure
    counts = report.counts
    last = list(properties())[-1]
    assert counts[last] and counts["cases"] == counts[last] + counts["refused before a fit"]


def test_a_case_passes_and_everything_is_checked():
    counts = Counter()
    check(CASE, counts)
    assert {counts[name] for name in properties()} == {1}
    assert counts["numbers compared"] and counts["faults injected"] and counts["finished"]
    assert eval(repr(CASE)) == CASE


def _nudge(network):
    network.model.parameters[0][0].value[...] *= 1.001


def _fit(before=None, after=None, failed=None):
    """Return a fault of `fit`: what happens before it, after it, or when it fails."""

    def wrap(fit):
        def wrapped(network, X, y, **options):
            if before:
                before(network)
            try:
                history = fit(network, X, y, **options)
            except Exception as error:
                if failed:
                    failed(network, error)
                raise
            if after:
                after(network, X)
            return history

        return wrapped

    return fastnn.Network, "fit", wrap


def _not_a_number(network, X):
    network.model.parameters[0][0].value[0] = np.nan


def _write(network, X):
    X[0] = 7


def _other_bits_on_three_threads(network, X):
    if network.n_threads == 3:
        _nudge(network)


def _other_bits_with_gaps(network, X):
    if not np.asarray(X).flags.c_contiguous:
        _nudge(network)


def _other_bits_when_continued(network):
    if network.epochs_done == 1:
        _nudge(network)


def _other_bits_after_an_error_of_the_callers(network, error):
    if isinstance(error, LookupError):
        _nudge(network)


def _not_finite_after_a_change(network, error):
    if "the network was built with" in str(error):
        _not_a_number(network, None)


def _other_bits_after_an_error_of_ours(network, error):
    if isinstance(error, ValueError):
        _nudge(network)


def _other_bits_in_another_process(network):
    if os.getpid() != HERE:
        _nudge(network)


def _other_bits_together(fit_many):
    def wrapped(networks, *data, **options):
        fit_many(networks, *data, **options)
        _nudge(networks[0])

    return wrapped


def _forgets_an_update(evaluate):
    def wrapped(network, *arguments):
        try:
            return evaluate(network, *arguments)
        except KeyboardInterrupt:
            network.model.updates -= 1
            raise

    return wrapped


def _wrong(kernel):
    def wrapped(*arguments):
        kernel(*arguments)
        arguments[-1][...] *= 1.001

    return wrapped


def _forgetful(load):
    def wrapped(path):
        network = load(path)
        network.model.parameters[0][0].state["velocity"][...] = 0
        return network

    return wrapped


def _with_another_error(load):
    def wrapped(path):
        try:
            return load(path)
        except ValueError as error:
            raise KeyError(str(error)) from error

    return wrapped


def _alone(outputs):
    return lambda model, x, size=None: outputs(model, x, size) + np.float32(len(x) == 1)


def _weights(change):
    return (
        checks,
        "as_sample_weight",
        lambda check: lambda *arguments: change(check(*arguments)),
    )


def _silent(call):
    def wrapped(kernel, *arguments):
        with contextlib.suppress(TypeError, ValueError):
            call(kernel, *arguments)

    return wrapped


FAULTS = {
    "finite or an error": _fit(after=_not_a_number),
    "data is not changed": _fit(after=_write),
    "any number of threads": _fit(after=_other_bits_on_three_threads),
    "any form of the data": _fit(after=_other_bits_with_gaps),
    "compiled agrees with reference": (TWINS, "dense_forward", _wrong),
    "saved equals loaded": (fastnn, "load", _forgetful),
    "fit in pieces": _fit(before=_other_bits_when_continued),
    "a row alone": (prediction, "outputs", _alone),
    "factor of weights": _weights(lambda weight: np.maximum(weight, 1e-15)),
    "repeated rows": _weights(np.square),
    "among others": (fastnn, "fit_many", _other_bits_together),
    "an error in a callback": _fit(failed=_other_bits_after_an_error_of_the_callers),
    "a copy": (fastnn.Network, "__copy__", lambda copy: lambda network: network),
    "forged files": (fastnn, "load", _with_another_error),
    "interrupted": (fastnn.Network, "evaluate", _forgets_an_update),
    "bad input changes nothing": _fit(failed=_other_bits_after_an_error_of_ours),
    "a damaged cache": (code_cache, "_tell", lambda tell: lambda problem, consequence: None),
    "harmless changes": (ownership, "owned", lambda owned: lambda parameters, *rest: parameters),
    "wild changes": _fit(failed=_not_finite_after_a_change),
    "in another process": _fit(before=_other_bits_in_another_process),
    "short fits": (single, "train", lambda train: lambda *given: (train(*given)[0], 0.5)),
    "kernels doors": (Kernel, "__call__", _silent),
}
"""By property, a fault that breaks it: where it goes, and what it makes of what was there."""


@pytest.mark.parametrize("name", properties())
def test_a_fault_is_found(name, monkeypatch):
    owner, place, make = FAULTS[name]
    if isinstance(owner, dict):
        monkeypatch.setitem(owner, place, make(owner[place]))
    else:
        monkeypatch.setattr(owner, place, make(getattr(owner, place)))
    with pytest.raises(AssertionError) as found:
        check(CASE)
    assert found.value.__notes__ == [f"while checking: {name}"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_crash_is_a_failure_with_its_case(monkeypatch, tmp_path):
    def crash(case, counts):
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)

    monkeypatch.setattr(batch, "check", crash)
    report = batch.run(0, 3, 60, tmp_path, batch.apart)
    assert "the process died of SIGSEGV" in report.failure
    smallest = (tmp_path / "case.txt").read_text()
    assert smallest in report.failure and eval(smallest).rows == 3
