"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def _threads_however_small_the_work(monkeypatch):
    """Let `n_threads` be what it says: the tests' networks are too small to earn threads."""
    monkeypatch.setattr("fastnn.engine.cores.FLOPS_PER_THREAD", 1)
    monkeypatch.setattr("fastnn.engine.cores.FLOPS_PER_TRIED", float("inf"))
