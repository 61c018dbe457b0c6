"""Threads, forks, pools, caches and Ctrl-C: each in a process of its own, with a time limit.

The processes read the cache of compiled code that the other tests use, except where the cache is
what is tested.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastnn.kernels.jit import cache_directory

ROOT = Path(__file__).parent.parent
LIMIT = 120

COMMON = """
import os, sys, signal, threading, time
import numpy as np
import fastnn
from fastnn import Dense, Network

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 20), np.float32)
Y = rng.standard_normal((300, 1), np.float32)

def trained(seed=0, epochs=3, n_threads=2):
    layers = [Dense(32, "relu"), Dense(1)]
    network = Network(layers, loss="mae", seed=seed, n_threads=n_threads)
    network.fit(X, Y, epochs=epochs, batch_size=50)
    return b"".join(array.tobytes() for array in network.get_weights())
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def _start(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", COMMON + code],
        cwd=ROOT,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process, limit=LIMIT):
    """Return what the process printed; fail if it fails or hangs."""
    try:
        printed, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, errors = process.communicate()
        pytest.fail(f"still running after {limit} s; it printed:\n{printed}\n{errors}")
    assert process.returncode == 0, f"exit {process.returncode}\n{printed}\n{errors}"
    return printed


def _run(code, **environment):
    return _end(_start(code, **environment))


def test_eight_threads_fit_at_once():
    printed = _run("""
expected = [trained(seed) for seed in range(8)]
results = [None] * 8

def job(seed):
    for _ in range(2):
        results[seed] = trained(seed)

threads = [threading.Thread(target=job, args=(seed,)) for seed in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(results == expected)
""")
    assert printed == "True\n"


@needs_fork
def test_a_fork_after_a_fit_can_fit():
    printed = _run("""
import warnings
expected = trained()
for _ in range(3):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if trained() == expected and trained(1, n_threads=None) else 1)
    print(os.waitpid(child, 0)[1])
print(trained() == expected)
""")
    assert printed == "0\n0\n0\nTrue\n"


@needs_fork
def test_a_fork_while_others_predict_can_predict():
    printed = _run("""
import warnings
network = Network([Dense(32, "relu"), Dense(1)], n_threads=2)
network.build(20)
expected = network.predict(X).tobytes(), network.predict(X[:1]).tobytes()
over = threading.Event()

def predict():
    while not over.is_set():
        network.predict(X)

thread = threading.Thread(target=predict)
thread.start()
for _ in range(3):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(60)
        found = network.predict(X).tobytes(), network.predict(X[:1]).tobytes()
        os._exit(0 if found == expected else 1)
    print(os.waitpid(child, 0)[1])
over.set()
thread.join()
""")
    assert printed == "0\n0\n0\n"


@needs_fork
def test_a_fork_during_a_fit_can_fit():
    printed = _run("""
import warnings
expected = trained()
thread = threading.Thread(target=trained, kwargs={"epochs": 500})
thread.start()
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if trained() == expected else 1)
print(os.waitpid(child, 0)[1])
thread.join()
""")
    assert printed == "0\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes(method, tmp_path):
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("the system has no fork")
    script = tmp_path / "pool_job.py"
    script.write_text(f"""{COMMON}
if __name__ == "__main__":
    import multiprocessing, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    expected = [trained(seed) for seed in range(6)]
    with multiprocessing.get_context("{method}").Pool(3) as pool:
        print(pool.map(trained, range(6)) == expected)
""")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert _end(process) == "True\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a whole console on Windows")
@pytest.mark.parametrize("watched", [False, True])
def test_ctrl_c_ends_a_fit_at_a_step(watched):
    process = _start(f"""
signal.signal(signal.SIGINT, signal.default_int_handler)
layers = [Dense(256, "relu"), Dense(256, "relu"), Dense(1)]
network = Network(layers, n_threads=2, optimizer="adam")
x = rng.standard_normal((20000, 20), np.float32)
y = x[:, :1]
network.fit(x[:100], y[:100])
steps = network.model.updates
calls = [lambda epoch, logs: None] if {watched} else None
timer = threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT))
timer.start()
started = time.perf_counter()
try:
    network.fit(x, y, epochs=100000, batch_size=50, shuffle=False, callbacks=calls)
except KeyboardInterrupt:
    print("interrupted", time.perf_counter() - started < 3)
timer.join()
finite = all(np.isfinite(array).all() for array in network.get_weights())
print(finite, network.model.updates > steps)
print(threading.active_count())

# The weights are those after a whole number of steps: as many steps elsewhere give the same.
epochs, rest = divmod(network.model.updates - steps, len(x) // 50)
print(network.epochs_done == 1 + epochs)
twin = Network(layers, n_threads=1, optimizer="adam")
twin.fit(x[:100], y[:100])
if epochs:
    twin.fit(x, y, epochs=epochs, batch_size=50, shuffle=False)
if rest:
    twin.fit(x[: rest * 50], y[: rest * 50], batch_size=50, shuffle=False)
pairs = zip(network.get_weights(), twin.get_weights())
print(all(one.tobytes() == two.tobytes() for one, two in pairs))
print(np.isfinite(network.fit(x, y).history["loss"]).all())
""")
    lines = _end(process).splitlines()
    assert lines == ["interrupted True", "True True", "1", "True", "True", "True"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a whole console on Windows")
@pytest.mark.parametrize("options", ["", ", validation_split=0.1, validation_shuffle=False"])
def test_ctrl_c_ends_many_fits_at_a_step(options):
    process = _start(f"""
signal.signal(signal.SIGINT, signal.default_int_handler)
def network(seed):
    layers = [Dense(64, "relu"), Dense(64, "relu"), Dense(1)]
    return Network(layers, seed=seed, n_threads=1, optimizer="adam")
x = rng.standard_normal((20000, 20), np.float32)
y = x[:, :1]
kept = x[:18000] if "split" in "{options}" else x
network(0).fit(x[:200], y[:200]{options})
networks = [network(seed) for seed in range(4)]
timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
timer.start()
started = time.perf_counter()
try:
    fastnn.fit_many(
        networks, x, y, epochs=100000, batch_size=50, shuffle=False, n_threads=2{options}
    )
except KeyboardInterrupt:
    print("interrupted", time.perf_counter() - started < 3)
timer.join()
print(threading.active_count(), [network.model.updates > 0 for network in networks])

# The weights are those after a whole number of steps: as many steps elsewhere give the same.
for seed in range(2):
    epochs, rest = divmod(networks[seed].model.updates, len(kept) // 50)
    twin = network(seed)
    if epochs:
        twin.fit(kept, y[: len(kept)], epochs=epochs, batch_size=50, shuffle=False)
    if rest:
        twin.fit(x[: rest * 50], y[: rest * 50], batch_size=50, shuffle=False)
    pairs = zip(networks[seed].get_weights(), twin.get_weights())
    print(all(one.tobytes() == two.tobytes() for one, two in pairs))
print(len(fastnn.fit_many(networks, x, y)))
""")
    lines = _end(process).splitlines()
    assert lines == ["interrupted True", "1 [True, True, False, False]", "True", "True", "4"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a whole console on Windows")
def test_ctrl_c_while_the_code_is_compiled(tmp_path):
    printed = _run(
        """
from fastnn import kernels
signal.signal(signal.SIGINT, signal.default_int_handler)
a, out = np.ones((9, 9), np.float32), np.empty((9, 9), np.float32)

def interrupted(seconds, call):
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        call()
        timer.join()
    except KeyboardInterrupt:
        return True

print(interrupted(1, lambda: kernels.matmul_nn(a, a, out)))
print(interrupted(0.5, trained))
kernels.matmul_nn(a, a, out)
print((out == 9).all(), trained() == trained(n_threads=1))
""",
        FASTNN_CACHE_DIR=tmp_path,
    )
    assert printed == "True\nTrue\nTrue True\n"


@needs_fork
@pytest.mark.long
def test_large_kernels_in_eight_threads_and_in_a_fork():
    printed = _run(
        """
import warnings
from fastnn import kernels
x = rng.standard_normal((3000, 300), np.float32)
expected = np.maximum(x, 0)
results = [None] * 8

def job(number):
    out = np.empty_like(x)
    for _ in range(10):
        out[...] = np.nan
        kernels.relu_forward(x, 0.0, out)
    results[number] = np.array_equal(out, expected)

job(0)
threads = [threading.Thread(target=job, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(results == [True] * 8)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    child = os.fork()
if child == 0:
    signal.alarm(60)
    job(1)
    os._exit(0 if results[1] else 1)
print(os.waitpid(child, 0)[1])
""",
        NUMBA_NUM_THREADS=2,
    )
    assert printed == "True\n0\n"


def _listing(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)


@pytest.mark.long
def test_processes_start_together_on_a_cold_cache_and_leave_it_whole(tmp_path):
    code = """
results = []
threads = [threading.Thread(target=lambda: results.append(trained())) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
import zlib
print(len(results), len(set(results)), zlib.crc32(results[0]))
"""
    processes = [_start(code, FASTNN_CACHE_DIR=tmp_path) for _ in range(2)]
    printed = {_end(process) for process in processes}
    assert len(printed) == 1 and printed.pop().startswith("2 1 ")
    before = _listing(tmp_path)
    assert before and not [name for name, *_ in before if "tmp" in name]
    counted = """
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    trained()
print(len(recorder.buffer))
"""
    assert _run(counted, FASTNN_CACHE_DIR=tmp_path) == "0\n"
    assert _listing(tmp_path) == before


@pytest.mark.long
def test_a_warm_cache_that_cannot_be_written(tmp_path):
    # To the superuser no directory is read-only, so the process itself refuses to write there.
    _run("trained()")
    warm = cache_directory()  # to which other tests may be writing
    shutil.copytree(warm, tmp_path / warm.name, ignore=shutil.ignore_patterns("*tmp*"))
    before = _listing(tmp_path)
    printed = _run(
        """
import builtins, errno, io
from fastnn.kernels.jit import cache_directory
open_file, make = builtins.open, os.mkdir

def refuse(path):
    if str(path).startswith(str(cache_directory().parent)):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

def open_to_read(path, mode="r", *rest, **named):
    if set(mode) & set("wax+"):
        refuse(path)
    return open_file(path, mode, *rest, **named)

def no_directory(path, *rest, **named):
    refuse(path)
    make(path, *rest, **named)

builtins.open = io.open = open_to_read
os.mkdir = no_directory
trained()
# A penalty of another kind of layer: something that is not in the cache yet.
def step(x, out):
    out[...] = x
from fastnn.kernels.jit import njit
y = np.empty(3)
njit(step)(np.ones(3), y)
print(y)
""",
        FASTNN_CACHE_DIR=str(tmp_path),
    )
    assert printed == "[1. 1. 1.]\n"
    assert _listing(tmp_path) == before


BUILDS = {
    "AVX2": ("haswell", "+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2"),
    "generic": ("x86-64", "+sse2"),
}


@pytest.mark.skipif(
    not (sys.platform == "linux" and os.uname().machine == "x86_64"), reason="a build for x86"
)
@pytest.mark.long
@pytest.mark.parametrize("name", BUILDS)
def test_the_build_for_another_processor_where_no_cache_can_be_made(name, tmp_path):
    cpu, features = BUILDS[name]
    (tmp_path / "file").write_text("in the way")
    printed = _run(
        """
from fastnn.kernels.gemm.tiles import TILE
from tests.cases import BY_NAME, assert_agree, copied, shapes
print(TILE.name)
for name in ("matmul_nn", "dense_forward"):
    case = BY_NAME[name]
    for shape in shapes(case.dimensions):
        made = case.make(rng, np.float32, *shape)
        compiled, reference = copied(made), copied(made)
        case.compiled(*compiled.values())
        case.reference(*reference.values())
        assert_agree(case, shape, compiled["out"], reference["out"])
print(trained(n_threads=1) == trained(n_threads=2))
network = Network([Dense(32, "relu"), Dense(1)], loss="mae", backend="numpy")
network.fit(X, Y, epochs=3, batch_size=50)
expected = b"".join(array.tobytes() for array in network.get_weights())
expected, actual = (np.frombuffer(buffer, np.float32) for buffer in (expected, trained()))
print(np.abs(actual - expected).max() < 1e-5)
""",
        FASTNN_CACHE_DIR=tmp_path / "file" / "below",
        NUMBA_CPU_NAME=cpu,
        NUMBA_CPU_FEATURES=features,
    )
    assert printed == f"{name}\nTrue\nTrue\n"
