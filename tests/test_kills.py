"""A sample of what ``python -m tests.kills`` does for as long as one likes."""

import os
import signal
import time

import numpy as np
import pytest

import fastnn
from fastnn.engine import team, threads
from fastnn.engine.clock import Shared
from fastnn.kernels.interrupts import interruptible, let_interrupt, uninterrupted
from fastnn.training.loop import lowered
from fastnn.training.planning import adapt, begin, make_plan
from tests import kills, trajectories

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
BUT_LBFGS = [job for job in kills.JOBS if job is not kills.lbfgs]
"""Which compiles for a while, and needs SciPy."""


@pytest.mark.parametrize("job", BUT_LBFGS, ids=lambda job: job.__name__)
def test_interrupted(job, tmp_path):
    assert kills.interrupt(np.random.default_rng(0), [job], 6, tmp_path)


def test_a_killed_fit_goes_on_from_its_checkpoint(tmp_path):
    assert kills.kill_fits(np.random.default_rng(0), 6, tmp_path)


def test_a_killed_save_leaves_the_old_file_or_the_new_one(tmp_path):
    assert kills.kill_saves(np.random.default_rng(0), 6, tmp_path) == 6


def _handled(number, handler, job):
    """Run a job while a signal has this handler; return the exception that it raised, if any."""
    before = signal.signal(number, handler)
    try:
        job()
        return None
    except BaseException as error:
        return error
    finally:
        assert signal.getsignal(number) is handler
        signal.signal(number, before)


def _raise(number, frame):
    raise TimeoutError(number)


def test_another_signals_handler_may_raise_during_a_fit():
    network = trajectories.fresh()
    network.fit(trajectories.X, trajectories.Y, **trajectories.OPTIONS)

    def job():
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        network.fit(trajectories.X, trajectories.Y, epochs=10**7, **trajectories.OPTIONS)

    assert isinstance(_handled(signal.SIGALRM, _raise, job), TimeoutError)
    batches = trajectories.ROWS // trajectories.BATCH
    assert network.epochs_done == network.model.updates // batches > 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_when_a_delayed_signal_is_handled(number):
    steps = []

    def handler(number, frame):
        steps.append("handled")
        if len(steps) > 6:
            raise TimeoutError

    def job():
        with uninterrupted(), uninterrupted():
            for _ in range(2):
                signal.raise_signal(number)
            steps.append("delayed")
            let_interrupt()
            steps.append("let")
            with interruptible():
                signal.raise_signal(number)
                steps.append("at once")
            signal.raise_signal(number)
            steps.append("end")
        steps.append("after")

    assert isinstance(_handled(number, handler, job), TimeoutError)
    assert steps == ["delayed", "handled", "let", "handled", "at once", "end", "handled"]


def test_a_batch_is_left_before_its_end():
    """What a thread does up to the check of the loss can be skipped; there, it is not counted."""
    network, stopped = trajectories.fresh(n_threads=1), []
    plan = begin(
        network.model,
        adapt(network.model, make_plan(network.model, trajectories.X, trajectories.Y)),
    )
    program, outputs = lowered(network.model, plan)
    before = trajectories.state(network)

    def job(_):
        os.kill(os.getpid(), signal.SIGINT)
        while not threads.own_shared()[Shared.STOP]:
            time.sleep(1e-3)
        try:
            team.run(program, n_rows=trajectories.ROWS)
        except threads.StoppedError:
            stopped.append(program.updates)

    error = _handled(signal.SIGINT, signal.default_int_handler, lambda: threads.run_apart(job, 1))
    assert isinstance(error, KeyboardInterrupt) and stopped == [0]
    assert not any(array.any() for array in outputs)
    assert trajectories.state(network) == before


def test_ctrl_c_just_after_the_rename(tmp_path, monkeypatch):
    old, new = trajectories.trained_pair()
    path, rename = tmp_path / "saved", os.replace
    old.save(path)

    def replace(source, target):
        rename(source, target)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", replace)
    error = _handled(signal.SIGINT, signal.default_int_handler, lambda: new.save(path))
    assert isinstance(error, KeyboardInterrupt)
    assert trajectories.state(fastnn.load(path)) == trajectories.state(new)
    assert os.listdir(tmp_path) == ["saved"]
