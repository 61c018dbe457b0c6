"""How everything is timed: in a new, pinned process, in alternating rounds, reporting medians."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # the size of JAX's pool
)


def cores_allowed() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def pinned(threads: int) -> Iterator[dict[str, str]]:
    """Let processes that are started within use so many threads; give their environment variables.

    Libraries read the number of threads when they load, so it is set from outside: by environment
    variables for every library, and by the cores that the process may use.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        if allowed is not None:
            os.sched_setaffinity(0, sorted(allowed)[:threads])  # the child inherits this
        yield os.environ | {name: str(threads) for name in THREAD_VARIABLES}
    finally:
        if allowed is not None:
            os.sched_setaffinity(0, allowed)


def in_process(
    module: str, threads: int, environment: Mapping[str, str] | None = None, **arguments
):
    """Run ``module.main(threads=..., **arguments)`` in a new process, and return its result.

    `environment` adds variables.
    """
    command = [sys.executable, "-m", "bench.measure", module]
    request = json.dumps(arguments | {"threads": threads})
    with pinned(threads) as variables:
        done = subprocess.run(
            command,
            env=variables | (environment or {}),
            cwd=ROOT,
            input=request,
            stdout=subprocess.PIPE,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"{module} with {request} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


REST = 0.05
"""Seconds to wait until another library's background work is over: threads that look for work go to
sleep, and memory is returned, which cost whoever ran after JAX 13 ms."""


def alternate(
    contenders: Mapping[str, Callable[[int], object]],
    rounds: int,
    shortest: float = 0.1,
    rest: float = 0.0,
    least: int = 1,
) -> dict[str, dict[str, float]]:
    """Time contenders in turn; return {name: {"median", "q1", "q3"}} in seconds per repetition.

    Each is called with a number of repetitions, at least `least`, chosen so that a measurement
    lasts about `shortest` seconds or more.  Every round starts with another contender.  After a
    `rest`, an untimed repetition refills the caches.
    """
    repetitions = {}
    for name, run in contenders.items():
        count = 1
        run(1)
        while (elapsed := _seconds(run, count)) < shortest / 2:
            count = max(2 * count, int(count * shortest / max(elapsed, 1e-9) / 2))
        repetitions[name] = max(least, round(count * shortest / elapsed))
    samples = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            run, count = contenders[name], repetitions[name]
            time.sleep(rest)
            if count > 1:
                run(1)
            samples[name].append(_seconds(run, count) / count)
    return {name: quartiles(values) for name, values in samples.items()}


def _seconds(run: Callable[[int], object], count: int) -> float:
    started = time.perf_counter()
    run(count)
    return time.perf_counter() - started


def quartiles(values: list[float]) -> dict[str, float]:
    """Return the median and the quartiles, with linear interpolation."""

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    ordered = sorted(values)
    return {"median": at(0.5), "q1": at(0.25), "q3": at(0.75)}


def machine() -> dict[str, str | int]:
    """Describe the machine and the library versions of a measurement."""
    from llvmlite.binding import get_host_cpu_name

    from fastnn.kernels.gemm.tiles import TILE

    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        cpu = next((value.strip() for key, _, value in lines if key.strip() == "model name"), cpu)
    versions = {"python": platform.python_version()}
    for name in ("numpy", "numba", "llvmlite", "torch", "jax", "scikit-learn"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "cpu": f"{cpu} ({get_host_cpu_name()})",
        "simd": TILE.name,
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        **versions,
    }


def _answer() -> None:
    """Serve as the process that :func:`in_process` starts."""
    import importlib

    arguments = json.loads(sys.stdin.read())
    print(json.dumps(importlib.import_module(sys.argv[1]).main(**arguments)))


if __name__ == "__main__":
    _answer()
