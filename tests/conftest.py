"""What all tests share."""

import pytest

KERNEL_TESTS = "elementary strides edges kernel_gradients parity comparison guard_pages".split()
"""They compile every kernel for Python to call, and the last of them finds it all compiled."""


def pytest_collection_modifyitems(items):
    """Put the tests of kernels last.

    Workers begin with a stretch of the tests each (``--dist=worksteal``): while one compiles the
    kernels another compiles the steps of networks, and neither compiles what the other does.
    """
    places = {f"test_{name}": place for place, name in enumerate(KERNEL_TESTS)}
    items.sort(key=lambda item: places.get(item.path.stem, -1))


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
