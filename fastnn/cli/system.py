"""``warmup``, ``info`` and ``bench``: commands about the machine and the installation."""

import importlib
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fastnn
from fastnn.cli.report import duration
from fastnn.engine import cores
from fastnn.kernels.jit import cache_directory


def warmup() -> None:
    """Fill the cache of compiled code."""
    from fastnn.warmup import warmup as compile_all

    print(f"compiling into {cache_directory()} (may take a minute)", flush=True)
    started = time.perf_counter()
    compile_all()
    print(f"done in {duration(time.perf_counter() - started)}")


def info() -> None:
    """Print versions, processor, cores and cache."""
    from fastnn.kernels.gemm.tiles import BFLOAT16_PAIRS, TILE
    from fastnn.kernels.numba_internals import llvm

    rows = [("fastnn", fastnn.__version__), ("Python", platform.python_version())]
    for name in ("numpy", "numba", "llvmlite", "polars"):
        rows.append((name, _version(name)))
    rows += [
        ("processor", f"{_processor()} ({llvm.get_host_cpu_name()})"),
        ("instruction set", TILE.name),
        ("bfloat16", "AVX512-BF16" if BFLOAT16_PAIRS else "rounded, multiplied as float32"),
        ("cores allowed", f"{cores.available()} of {os.cpu_count()}"),
        ("threads", str(cores.usable())),
        ("cache", str(cache_directory())),
    ]
    for name, value in rows:
        print(f"{name:<16} {value}")


def bench(argv: list[str]) -> int:
    """Run the benchmarks, which are next to the package in a checkout of the sources."""
    checkout = Path(fastnn.__file__).resolve().parent.parent
    if not (checkout / "bench" / "report.py").is_file():
        raise FileNotFoundError(
            "bench runs from a checkout of fastnn's sources, and this package is not in one"
        )
    sys.path.insert(0, str(checkout))
    return importlib.import_module("bench.report").main(argv) or 0


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
