"""How an epoch's time grows with the number of rows and of parameters."""

import math

from bench.measure import REST, alternate
from bench.peers import PEERS
from bench.workloads import Work, problem

COLUMNS = 20
DECADES = range(3, 8)
LONGEST = 2.0
"""Seconds per epoch beyond which another library skips the larger sizes."""
WHAT = {
    "rows": f"rows of {COLUMNS}-64-1, batch 50, MAE, SGD",
    "parameters": "parameters of n-n-1, batch 100, MAE, SGD, 2,000 rows",
}
NAMES = {
    "fastnn": "fastnn",
    "fastnn_shuffled": "fastnn, shuffled",
    "numpy": "NumPy",
    "torch": "PyTorch",
}


def works(kind: str, decades) -> list[tuple[int, Work]]:
    """Return (size, work) pairs for powers of ten of rows or, approximately, of parameters."""
    if kind == "rows":
        sizes = [10**decade for decade in decades]
        return [(n, Work((COLUMNS, 64, 1), 50, "mae", "sgd", 1e-3, n)) for n in sizes]
    widths = [round(math.sqrt(10**decade + 1) - 1) for decade in decades]  # n n + 2 n + 1
    return [((n + 1) ** 2, Work((n, n, 1), 100, "mae", "sgd", 1e-5, 2_000)) for n in widths]


def contenders(data, threads, names) -> dict:
    """Return {name: run} for the named contenders."""
    runs = {}
    for name in names:
        trainer = PEERS[name.removesuffix("_shuffled")].make(data, threads)
        if name == "fastnn_shuffled":
            trainer.shuffle = True
        runs[name] = trainer.run
    return runs


def main(threads: int, dtype: str, rounds: int, shortest: float, kind: str, decades: list[int]):
    """Return [{"size", "peers": {contender: {"median", "q1", "q3"}}}]."""
    names = [name for name in NAMES if name not in PEERS or PEERS[name].installed]
    rows = []
    for size, work in works(kind, decades):
        times = alternate(contenders(problem(work, dtype), threads, names), rounds, shortest, REST)
        rows.append({"size": size, "peers": times})
        names = [
            name
            for name in names
            if name.startswith("fastnn") or times[name]["median"] * 10 < LONGEST
        ]
    return rows
