"""Private memory of a process that trains from a file larger than it may keep in memory.

Private memory is ``RssAnon`` of /proc/self/status (Linux only).  It includes the interpreter and
compiled code, but not the file's pages in the system's cache.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.measure import ROOT

COLUMNS = 200
ROWS = 1_000_000
BLOCK = 10_000
LIMIT_MB = 200
"""The most private memory that training from a file may take."""

CHILD = """
import json, sys, threading

def private():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon"))

import numpy as np
import fastnn
fastnn.Network  # loads Numba and the kernels
imported = private()
path, rows, columns, batch = sys.argv[1], *map(int, sys.argv[2:])
X = np.memmap(path, np.float32, mode="r", shape=(rows, columns))
y = np.memmap(path, np.float32, mode="r", shape=(rows, 1))  # any numbers will do
most, done = [imported], threading.Event()

def look():
    while not done.wait(0.005):
        most.append(private())

watcher = threading.Thread(target=look)
watcher.start()
layers = [fastnn.Dense(64, "relu"), fastnn.Dense(1)]
network = fastnn.Network(layers, loss="mae", optimizer=fastnn.SGD(1e-3))
history = network.fit(X, y, batch_size=batch, validation_split=0.1)
network.predict(X[: rows // 10])
done.set()
watcher.join()
seconds = history.seconds[0]
print(json.dumps({"imported": imported, "most": max(most), "epoch": seconds, "looks": len(most)}))
"""


def write(path: Path, rows: int) -> None:
    """Fill a file with rows of noise, repeating one block."""
    block = np.random.default_rng(0).standard_normal((BLOCK, COLUMNS), np.float32)
    with open(path, "wb") as file:
        for first in range(0, rows, BLOCK):
            block[: rows - first].tofile(file)


def trained(path: Path, rows: int, batch: int = 50) -> dict[str, float]:
    """Train an epoch on a file of :func:`write` in a new process.

    Return {"imported", "most", "epoch"}: megabytes of private memory after the import and at most,
    and the seconds of the epoch.
    """
    arguments = [str(number) for number in (rows, COLUMNS, batch)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), *arguments],
        cwd=ROOT, env=os.environ.copy(), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def obstacle(rows: int = ROWS) -> str:
    """Return why this cannot be measured here, or an empty string."""
    if not Path("/proc/self/status").exists():
        return "the system does not report a process's private memory"
    wanted, free = 4 * rows * COLUMNS, shutil.disk_usage(tempfile.gettempdir()).free
    if free < 2 * wanted:
        return f"only {free / 2**20:,.0f} MB are free for a file of {wanted / 2**20:,.0f} MB"
    return ""


def main(threads: int, rows: int = ROWS) -> dict[str, float]:
    """Return what :func:`trained` returns for a temporary file, and its size in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.float32"
        write(path, rows)
        trained(path, min(rows, BLOCK))  # compile first: the compiler's memory is not training's
        return {"rows": rows, "file": path.stat().st_size / 2**20, **trained(path, rows)}
