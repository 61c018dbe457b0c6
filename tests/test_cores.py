"""How many threads a network gets."""

import os

import pytest

from fastnn.engine import cores


@pytest.fixture(autouse=True)
def _threads_however_small_the_work():
    """Leave the rule as it is: it is what these tests are about."""


@pytest.fixture
def earned(monkeypatch):
    monkeypatch.setattr(cores, "FLOPS_PER_THREAD", 100)
    monkeypatch.setattr(cores, "available", lambda: 8)


@pytest.mark.parametrize(
    ("flops", "rows", "most", "threads"),
    [(99, 50, None, 1), (250, 50, None, 2), (1e9, 50, None, 8), (1e9, 3, None, 3)]
    + [(1e9, 50, 5, 5), (250, 50, 5, 2), (0, 1, 1, 1)],
)
def test_threads_are_earned_by_work_and_limited(earned, flops, rows, most, threads):
    assert cores.threads_for(flops, rows, most) == threads


def test_runs_at_the_same_time_divide_the_cores(earned):
    with cores.running():
        assert cores.threads_for(1e9, 50) == 4
        with cores.running():
            assert cores.threads_for(1e9, 50) == 2
        assert cores.threads_for(1e9, 50, most=3) == 3
    assert cores.threads_for(1e9, 50) == 8


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
    monkeypatch.setattr(cores, "_core_here", lambda: 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, to: asked.append(to), raising=False)
    spread = cores.Spread()
    for _ in range(4):  # the first stays, and so does the last, for which there is no other
        spread.settle()
    assert asked == [{5}, allowed, {1}, allowed]


def test_threads_stay_where_no_move_is_allowed(monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(cores, "_core_here", lambda: 3)
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
