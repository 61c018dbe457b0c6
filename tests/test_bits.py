"""The numbers that come out of training, as they were recorded: no change may move a bit of them.

Bits hold for one instruction set and one version of what computes.  Where these are among the
recorded environments the bits must be the same; everywhere the sums must agree to rounding.

``python -m tests.test_bits`` records all networks anew, and with names after it those alone.
"""

import hashlib
import json
import sys
from importlib import metadata
from pathlib import Path

import numba
import numpy as np
import pytest
from llvmlite import binding as llvm

from fastnn.engine import cores
from tests.network_case import AGREEMENT
from tests.networks import NETWORKS, trained

RECORD = Path(__file__).parent / "data" / "bits.json"


def _environment() -> dict[str, str]:
    """Return what the bits depend on."""
    versions = {name: metadata.version(name) for name in ("numba", "llvmlite", "numpy")}
    host = llvm.get_host_cpu_name()  # by which NumPy and its BLAS choose their code
    features = numba.config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()
    has = ",".join(sorted(each for each in features.split(",") if each.startswith("+")))
    return {
        **versions,
        "host": host,
        "compiled for": numba.config.CPU_NAME or host,
        "features": hashlib.sha256(has.encode()).hexdigest()[:16],
    }


def _run(name: str, dtype: str, n_threads: int) -> tuple[str, list[list[float]]]:
    """Return the hash of all results, and the sums of each: of its values, and of their sizes."""
    digest = hashlib.sha256()
    sums = []
    for array in trained(name, dtype, n_threads)[2]:
        digest.update(array.tobytes())
        exact = array.astype(np.float64)
        sums.append([float(exact.sum()), float(np.abs(exact).sum()), array.size])
    return digest.hexdigest()[:32], sums


def _read() -> dict:
    return json.loads(RECORD.read_text()) if RECORD.exists() else {"environments": [], "runs": {}}


def _write(record: dict) -> None:
    """Write a line for each run."""
    lines = [
        f'"{title}": ' + json.dumps(record["runs"][title], separators=(",", ":"))
        for title in sorted(record["runs"])
    ]
    environments = ",\n".join(map(json.dumps, record["environments"]))
    body = ",\n".join(lines)
    RECORD.write_text(f'{{"environments": [\n{environments}\n],\n"runs": {{\n{body}\n}}}}\n')


def _record(names: list[str]) -> None:
    """Record networks in this environment; the hashes of other ones stay as they are."""
    cores.FLOPS_PER_THREAD, cores.FLOPS_PER_TRIED = 1, float("inf")  # as in conftest.py
    cores.FLOPS_TO_START = 0
    record, here = _read(), _environment()
    if here not in record["environments"]:
        record["environments"].append(here)
    number = str(record["environments"].index(here))
    for name in names:
        for dtype in AGREEMENT:
            (bits, sums), (again, _) = (_run(name, dtype, n_threads) for n_threads in (1, 2))
            if bits != again:
                raise SystemExit(f"{name}, {dtype}: other bits on two threads")
            run = record["runs"].setdefault(f"{name}, {dtype}", {"sha256": {}})
            run["sums"] = run["sums"] if "sums" in run and number != "0" else sums
            run["sha256"][number] = bits
    _write(record)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_numbers_are_those_that_were_recorded(name, dtype):
    record, here = _read(), _environment()
    run = record["runs"][f"{name}, {dtype}"]
    for n_threads in (1, 2):
        bits, sums = _run(name, dtype, n_threads)
        for found, wanted in zip(sums, run["sums"], strict=True):
            assert found[2] == wanted[2]
            assert np.abs(np.subtract(found, wanted)).max() <= AGREEMENT[dtype] * max(wanted[1:])
        if here in record["environments"]:
            number = str(record["environments"].index(here))
            # A network that was added elsewhere has no bits of here yet.
            assert bits == run["sha256"].get(number, bits), f"on {n_threads} threads"


def test_every_network_is_recorded_and_no_other():
    assert {*_read()["runs"]} == {f"{name}, {dtype}" for name in NETWORKS for dtype in AGREEMENT}


if __name__ == "__main__":
    _record(sys.argv[1:] or list(NETWORKS))
