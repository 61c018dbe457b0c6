"""Time from process start to the end of the first epoch, with cold and warm caches."""

import json
import os
import subprocess
import sys
import tempfile
import time

from bench.measure import ROOT, quartiles
from bench.workloads import WORKS

CHILD = """
import sys, time, json
started = float(sys.argv[1])
begun = time.time()
import fastnn
fastnn.Network, fastnn.Dense  # which loads what they need, Numba too
imported = time.time()
import numpy as np
sizes, batch, loss, optimizer = json.loads(sys.argv[2])
rng = np.random.default_rng(0)
X = rng.random((20 * batch, sizes[0]), np.float32)
y = np.arange(len(X)) % sizes[-1] if loss == "softmax" else X[:, :1].copy()
prepared = time.time()
layers = [fastnn.Dense(n, activation="relu") for n in sizes[1:-1]]
layers.append(fastnn.Dense(sizes[-1], activation="softmax" if loss == "softmax" else None))
loss = "softmax_cross_entropy" if loss == "softmax" else loss
fastnn.Network(layers, loss=loss, optimizer=optimizer).fit(X, y, batch_size=batch)
done = time.time()
print(json.dumps({"import": imported - begun, "first epoch": done - started}))
"""


def once(work, cache: str) -> dict[str, float]:
    """Run one process on 20 batches of the work, with compiled code in `cache`."""
    request = json.dumps([work.sizes, work.batch, work.loss, work.optimizer])
    # Allow bytecode, which an installed package has too.
    kept = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, repr(time.time()), request],
        env=kept | {"FASTNN_CACHE_DIR": cache},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def measure(runs: int, cold_runs: int) -> list[dict]:
    """Return a row per work: quartiles of import, warm and cold first epoch, in seconds."""
    rows = []
    for work in (WORKS[1], WORKS[3]):
        cold, warm = [], []
        for _ in range(cold_runs):
            with tempfile.TemporaryDirectory() as cache:
                cold.append(once(work, cache))
                warm += [once(work, cache) for _ in range(runs)]
        rows.append(
            {
                "work": work.name,
                "import": quartiles([run["import"] for run in warm]),
                "warm": quartiles([run["first epoch"] for run in warm]),
                "cold": quartiles([run["first epoch"] for run in cold]),
            }
        )
    return rows
