"""What all tests share."""

import pytest

LONGEST = "parity promises processes diagnosis_gradients bits diagnosis fuzz".split()
"""These files first: parity compiles the kernels for Python, promises the steps of networks."""


COLLECTED = pytest.StashKey[list[str]]()
"""The names of all tests that a session has found, those not chosen too."""


@pytest.hookimpl(tryfirst=True)  # before `-m` and `-k` choose
def pytest_collection_modifyitems(session, items):
    """Begin with the longest files, each of which one worker runs (``--dist=loadfile``).

    Workers then seldom compile the same at the same time, nor wait for one at the end.
    """
    session.stash[COLLECTED] = [item.nodeid for item in items]
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


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
    monkeypatch.setattr(cores, "FLOPS_TO_START", 0)
    monkeypatch.setattr(cores, "LEAST_LIMIT", 16)  # threads, on however few cores
