"""What all tests share."""

import pytest

from fastnn.engine import cores


@pytest.fixture(autouse=True)
def _threads_however_small_the_work(monkeypatch):
    """Let `n_threads` be what it says: the tests' networks are too small to earn threads."""
    monkeypatch.setattr(cores, "FLOPS_PER_THREAD", 1)
    monkeypatch.setattr(cores, "FLOPS_PER_TRIED", float("inf"))
