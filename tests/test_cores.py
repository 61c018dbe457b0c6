"""How many threads a network gets."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
from fastnn.engine import cores
from fastnn.kernels import threads


@pytest.fixture(autouse=True)
def _threads_however_small_the_work():
    """Leave the rule as it is: it is what these tests are about."""


@pytest.fixture
def earned(monkeypatch):
    monkeypatch.setattr(cores, "FLOPS_PER_THREAD", 100)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)  # which other tests import
    monkeypatch.setattr(cores, "available", lambda: 8)
    monkeypatch.setattr(cores, "_allowed", lambda: 8)


@pytest.mark.parametrize(
    ("flops", "rows", "most", "threads"),
    [(99, 50, None, 1), (250, 50, None, 2), (1e9, 50, None, 8), (1e9, 3, None, 3)]
    + [(1e9, 50, 5, 5), (250, 50, 5, 2), (0, 1, 1, 1)],
)
def test_threads_are_earned_by_work_and_limited(earned, flops, rows, most, threads):
    assert cores.threads_for(flops, rows, most) == threads


@pytest.mark.parametrize(("start", "asked"), [(480, [2]), (481, [])])
def test_a_run_must_be_worth_starting_threads(earned, monkeypatch, start, asked):
    found, by_work = [], cores.threads_for
    monkeypatch.setattr(cores, "FLOPS_TO_START", start)
    monkeypatch.setattr(cores, "threads_for", lambda *how: found.append(by_work(*how)) or 1)
    x = np.ones((20, 4), np.float32)
    fastnn.Network([fastnn.Dense(1)]).fit(x, x[:, :1], batch_size=10)
    assert found[:1] == asked


def test_runs_at_the_same_time_divide_the_cores(earned):
    with cores.running():
        assert cores.threads_for(1e9, 50) == 4
        with cores.running():
            assert cores.threads_for(1e9, 50) == 2
        assert cores.threads_for(1e9, 50, most=3) == 3
    assert cores.threads_for(1e9, 50) == 8


@pytest.fixture
def variables(monkeypatch):
    """Return what sets environment variables; none of those that matter is set before."""
    for name in ("FASTNN_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr(cores, "available", lambda: 8)
    monkeypatch.setattr(cores, "_allowed", lambda: 8)
    return lambda text: [monkeypatch.setenv(*each.split("=")) for each in text.split()]


def report(monkeypatch, *counts):
    """Let threadpoolctl report libraries with these numbers of threads."""
    found = [{"num_threads": count} for count in counts]
    module = SimpleNamespace(ThreadpoolController=lambda: SimpleNamespace(info=lambda: found))
    monkeypatch.setitem(sys.modules, "threadpoolctl", module)


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("", 8),
        ("OMP_NUM_THREADS=1", 1),
        ("OMP_NUM_THREADS=3 NUMBA_NUM_THREADS=5", 3),
        ("OMP_NUM_THREADS=5 NUMBA_NUM_THREADS=3", 3),
        ("OMP_NUM_THREADS=4,2", 4),
        ("OMP_NUM_THREADS=16", 8),
        ("OMP_NUM_THREADS=0 NUMBA_NUM_THREADS=abc", 8),
        ("OMP_NUM_THREADS= NUMBA_NUM_THREADS=-1", 8),
        ("OMP_NUM_THREADS=1 FASTNN_NUM_THREADS=3", 3),
        ("FASTNN_NUM_THREADS=12", 12),
    ],
)
def test_environment_variables(variables, text, usable):
    variables(text)
    assert cores.usable() == usable
    assert cores.threads_for(1e12, 50) == usable
    assert cores.threads_for(1e12, 50, most=5) == 5
    with cores.running():
        assert cores.unused() == max(1, usable // 2)


def test_threadpoolctl_comes_before_variables_of_other_libraries(variables, monkeypatch):
    variables("OMP_NUM_THREADS=4")
    report(monkeypatch, 2, None, 3, -1)  # some libraries cannot say
    assert cores.usable() == 2
    report(monkeypatch, 6)
    assert cores.usable() == 6
    report(monkeypatch)
    assert cores.usable() == 4
    variables("FASTNN_NUM_THREADS=5")
    report(monkeypatch, 2)
    assert cores.usable() == 5


def test_limits_of_threadpoolctl_itself(variables, monkeypatch):
    monkeypatch.undo()
    control = pytest.importorskip("threadpoolctl")
    if not control.threadpool_info():
        pytest.skip("no library that threadpoolctl knows")
    before = cores.usable()
    with control.threadpool_limits(1):
        assert cores.usable() == 1
    assert cores.usable() == before


@pytest.mark.parametrize("text", ["0", "abc", "", "-2", "1.5", "4,2"])
def test_a_bad_number_of_threads_is_refused_before_anything_changes(variables, text):
    variables(f"FASTNN_NUM_THREADS={text}")
    network = fastnn.Network([fastnn.Dense(1)])
    with pytest.raises(ValueError, match=f"FASTNN_NUM_THREADS is {text!r}, wanted a whole"):
        network.fit([[1.0]], [[1.0]])
    assert not network.built


def test_kernels_called_from_python_keep_to_the_limits(variables, monkeypatch):
    for name, function in [("chosen", threads.chosen), ("least", threads._least_of_others)]:
        monkeypatch.setattr(threads, f"_{name}_at_first", function)
    monkeypatch.setattr(threads.numba.config, "NUMBA_NUM_THREADS", 8)
    monkeypatch.setattr(threads, "_helpers", SimpleNamespace(pool=None, keep_off=lambda: None))
    counts = []

    def call(_, count):
        counts.append(count)
        return False

    assert threads.with_helpers(call, ())
    variables("OMP_NUM_THREADS=3")
    assert threads.with_helpers(call, ())
    report(monkeypatch, 2)
    assert threads.with_helpers(call, ())
    variables("FASTNN_NUM_THREADS=1")
    assert not threads.with_helpers(call, ())
    assert counts == [8, 3, 2]


def test_calls_do_without_helpers_for_a_while_where_waiting_takes_longer(variables, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(threads.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(threads.numba.config, "NUMBA_NUM_THREADS", 8)
    monkeypatch.setattr(threads, "_helpers", SimpleNamespace(pool=None, keep_off=lambda: None))
    monkeypatch.setattr(threads, "_rested", 0.0)
    monkeypatch.setattr(threads, "_helped", 0.0)

    def call(pool, most, seconds, waited):
        now[0] += seconds
        return waited

    assert threads.with_helpers(call, (0.003, False))
    assert threads.with_helpers(call, (0.0001, True))  # no time to speak of
    assert threads.with_helpers(call, (0.003, True))  # took back no more than was gained
    assert threads.with_helpers(call, (0.001, False))
    assert threads.with_helpers(call, (0.003, True))
    assert not threads.with_helpers(call, (0.001, False))
    now[0] += 0.1
    assert threads.with_helpers(call, (0.001, False))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_is_respected():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores.available() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_threads_on_one_core_are_spread_over_those_allowed(monkeypatch):
    allowed, asked = {1, 3, 5}, []
    monkeypatch.setattr(cores, "core_here", lambda: 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, to: asked.append(to), raising=False)
    spread = cores.Spread()
    for _ in range(4):  # the first stays, and so does the last, for which there is no other
        spread.settle()
    assert asked == [{5}, allowed, {1}, allowed]


def test_threads_stay_where_no_move_is_allowed(monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(cores, "core_here", lambda: 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 4}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", forbidden, raising=False)
    spread = cores.Spread()
    spread.settle()
    spread.settle()


@pytest.mark.parametrize(
    ("quota", "wanted"),
    [("max 100000", float("inf")), ("150000 100000", 1.5), ("junk", float("inf"))],
)
def test_quota_of_the_control_group(tmp_path, monkeypatch, quota, wanted):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(cores, "_CGROUP", tmp_path)
    assert cores._quota() == wanted
