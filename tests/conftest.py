"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def _threads_however_small_the_work(monkeypatch):
    """Let a given `n_threads` be what it says: the tests' networks are too small to earn threads.

    Where none is given one thread does so little work, and waits for no other that has no core.
    """
    from fastnn.engine import cores  # here: a test of Numba's names runs where fastnn cannot

    by_work = cores.threads_for

    def threads_for(flops, rows, most=None, worth=None):
        return by_work(flops, rows, most, 1 if most is not None and worth is None else worth)

    monkeypatch.setattr(cores, "threads_for", threads_for)
    monkeypatch.setattr(cores, "FLOPS_PER_TRIED", float("inf"))
