"""Memory: a file larger than memory is only looked at, and an epoch allocates nothing."""

import ctypes
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from bench import memory
from fastnn import L1L2, Adam, Dense, Network
from fastnn.engine import team, threads
from fastnn.training.lowering import Data, Order, training

EPOCHS = 100
ROWS = 2000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_training_from_a_file_keeps_none_of_it():
    found = memory.main(threads=1, rows=200_000)
    assert found["file"] > 150 and found["looks"] > 20
    assert found["most"] < memory.LIMIT_MB
    assert found["most"] - found["imported"] < 25  # a tenth of the file would be 15 more


NETWORKS = {
    "sgd": lambda: Network([Dense(64, "relu"), Dense(1)], loss="mae"),
    "adam": lambda: Network(
        [Dense(33, "tanh", kernel_regularizer=L1L2(0.01, 0.01)), Dense(5), Dense(1, "sigmoid")],
        optimizer=Adam(),
        dtype="float64",
    ),
    "classes": lambda: Network([Dense(40, "relu"), Dense(3)], loss="softmax_cross_entropy"),
}


def _program(name, n_threads):
    network = NETWORKS[name]()
    x = np.random.default_rng(0).standard_normal((ROWS, 20), np.float32)
    y = np.arange(ROWS) % 3 if name == "classes" else x[:, :1].copy()
    network.build(20)
    network.model.keep_state()
    data, order = Data(x, y, np.ones(ROWS)), Order(True, 0)
    program, _ = training(network.model, network.optimizer, data, order, 50, n_threads)
    team.run(program, n_rows=ROWS)  # compiled, and Python has seen all it has to
    return program


each_program = pytest.mark.parametrize(
    ("name", "n_threads"), [("sgd", 1), ("sgd", 2), ("adam", 1), ("adam", 2), ("classes", 2)]
)


@each_program
def test_compiled_code_allocates_nothing_in_an_epoch(name, n_threads):
    program = _program(name, n_threads)
    enabled = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        counts = []
        for epochs in (1, EPOCHS):
            before = rtsys.get_allocation_stats()
            team.run(program, n_rows=ROWS, epochs=epochs)
            after = rtsys.get_allocation_stats()
            counts.append((after.alloc - before.alloc, after.mi_alloc - before.mi_alloc))
    finally:
        if not enabled:
            _nrt_python.memsys_disable_stats()
    assert counts[0] == counts[1] and counts[0][1] > 0  # a run's, for the arrays it is given


@each_program
def test_python_allocates_nothing_in_an_epoch(name, n_threads):
    program = _program(name, n_threads)
    most = []
    tracemalloc.start()
    for epochs in (1, EPOCHS):
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        team.run(program, n_rows=ROWS, epochs=epochs)
        most.append(tracemalloc.get_traced_memory()[1] - start)
    tracemalloc.stop()
    # Each epoch has two sums and a time stamp in the outcome.
    assert most[1] - most[0] < 10 * 8 * EPOCHS


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks".split()
    ] + [("keepcost", ctypes.c_size_t)]


def _heap():
    """Return a function that tells how many bytes are in use in the C library's heap."""
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if mallinfo is None:
        pytest.skip("the C library does not tell")
    mallinfo.restype = _Mallinfo2

    def used():
        info = mallinfo()
        return info.uordblks + info.hblkhd

    return used


def test_the_heap_stays_as_it_is_while_epochs_run(monkeypatch):
    monkeypatch.setattr(threads, "_POLL_SECONDS", 0.002)
    used, program = _heap(), _program("sgd", 1)
    seen = np.zeros((10_000, 2), np.int64)
    looks = 0

    def watch(epochs, rows, sums):
        nonlocal looks
        seen[looks] = epochs, used()
        looks += 1

    team.run(program, n_rows=ROWS, epochs=10 * EPOCHS, watch=watch)
    epochs, bytes_used = seen[1:looks].T  # at the first look the thread is still starting
    assert looks >= 3 and epochs[-1] - epochs[0] >= EPOCHS
    # A number kept an epoch would be four times as much.  In between others may need some.
    assert bytes_used[-1] - bytes_used[0] < 2000


def test_a_watched_fit_does_not_grow():
    network = NETWORKS["sgd"]()
    x = np.random.default_rng(0).standard_normal((500, 20), np.float32)
    traced = []

    def look(epoch, logs):
        traced.append(tracemalloc.get_traced_memory()[0])

    network.fit(x, x[:, :1], callbacks=[look], validation_split=0.2)
    tracemalloc.start()
    network.fit(x, x[:, :1], epochs=EPOCHS, callbacks=[look], validation_split=0.2)
    tracemalloc.stop()
    assert traced[-1] - traced[10] < 500 * EPOCHS  # the history and this list: some numbers each
