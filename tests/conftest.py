"""What all tests share."""

import gc
import signal

import pytest

FIRST = (
    "parity promises bits strides guard_pages kernel_gradients elementary gemm processes fuzz "
    "numba_internals imports settings gradients diagnosis_gradients layers diagnosis"
).split()
"""These files first, each a worker's: parity compiles the kernels for Python, promises the steps of
networks.  What comes next needs no steps, and what comes then finds them in the cache."""
TOGETHER = {
    "tests/test_bits.py": "tests/test_promises.py",
    **dict.fromkeys(
        ["tests/test_diagnosis_gradients.py", "tests/test_layers.py"], "tests/test_gradients.py"
    ),
}
"""Files that one worker runs after others: with the networks that these trained, or the steps in
float64 that they compiled."""

COLLECTED = pytest.StashKey[list[str]]()
"""The names of all tests that a session has found, those not chosen too."""


def pytest_xdist_make_scheduler(config, log):
    """Give each worker whole files, and to one worker those that go together."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return Files(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Collect without looking for garbage: all that is made here stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before `-m` and `-k` choose
def pytest_collection_modifyitems(session, items):
    """Begin with the longest files and with those that compile what others need.

    Workers then seldom compile the same at the same time, nor wait for one at the end.
    """
    session.stash[COLLECTED] = [item.nodeid for item in items]
    for item in items:
        if item.nodeid.startswith("fastnn/kernels/"):  # each example compiles a kernel's door
            item.add_marker(pytest.mark.long)
    places = {f"test_{name}": place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C interrupt, which a shell may have told its background jobs to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _threads_however_small_the_work(monkeypatch):
    """Let a given `n_threads` be what it says: the tests' networks are too small to earn threads.

    Where none is given one thread does so little work, and waits for no other that has no core.
    """
    threads_however_small_the_work(monkeypatch.setattr)


def threads_however_small_the_work(set_attribute):
    """Do so for good, or as long as `set_attribute` says."""
    from fastnn.engine import cores  # here: a test of Numba's names runs where fastnn cannot

    by_work = cores.threads_for

    def threads_for(flops, rows, most=None, worth=None):
        return by_work(flops, rows, most, 1 if most is not None and worth is None else worth)

    set_attribute(cores, "threads_for", threads_for)
    set_attribute(cores, "FLOPS_PER_TRIED", float("inf"))
    set_attribute(cores, "FLOPS_TO_START", 0)
    set_attribute(cores, "LEAST_LIMIT", 16)  # threads, on however few cores
