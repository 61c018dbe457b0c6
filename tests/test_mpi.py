"""Fits over processes that mpiexec starts."""

import os
import pickle
import signal
import time

import numpy as np
import pytest

from tests import kills_of_ranks, mpi

pytestmark = mpi.needed


@pytest.mark.parametrize("size", [2, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 4))])
def test_processes_and_threads_make_the_same_bits(tmp_path, size):
    alone = {name: mpi.fit(name) for name in mpi.NAMES}  # which also compiles
    command = mpi.job("fits", tmp_path, [1, 2])
    status, text = mpi.finish(mpi.start([command] * size), 300)
    assert status == 0, text
    for rank in range(size):
        assert pickle.loads((tmp_path / f"{rank} of {size}").read_bytes()) == [alone, alone]


@pytest.mark.long
@pytest.mark.parametrize(
    "settings, environment, name",
    [
        ({"version": "0.0"}, {}, "fastnn is"),
        ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, "instructions is"),
        ({"dtype": "float64"}, {}, "dtype is"),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_ranks_that_differ_are_refused(tmp_path, settings, environment, name):
    other = mpi.job("differ", tmp_path, settings, **environment)
    status, text = mpi.finish(mpi.start([mpi.job("differ", tmp_path, {}), other]), 60)
    assert status
    errors = [line for line in text.splitlines() if name in line]
    assert len(errors) == 2, text
    assert all(line.startswith(("ValueError: ", "fastnn.engine.exchange.R")) for line in errors)


@pytest.mark.long
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_all(tmp_path):
    ranks = mpi.start([mpi.job("forever", tmp_path)] * 2)
    files = [tmp_path / f"rank {rank}" for rank in range(2)]
    until = time.monotonic() + 60
    while not all(file.exists() for file in files):
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(ranks.pid, signal.SIGINT)
    status, _ = mpi.finish(ranks, 5)
    assert status


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc")
@pytest.mark.parametrize("way", kills_of_ranks.WAYS)
def test_a_killed_rank_ends_all_and_the_fit_goes_on(tmp_path, way):
    """A sample of what ``python -m tests.kills_of_ranks`` does for as long as one likes."""
    kills = kills_of_ranks.kill_all(np.random.default_rng(3), tmp_path, 1, way)
    assert kills[0].newer and all(each.early for each in kills)
