"""Train on a folder of Parquet files larger than memory: ``python -m bench.parquet``.

It prints the peak of private memory (``RssAnon``, without the pages of mapped files, which the
system takes back when it needs them), and fails if that is above the limit, or if a fit from files
differs by a bit from the one in memory, on one file of the folder.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import fastnn

INPUTS = 24
ROW_BYTES = 8 * (INPUTS + 1)
FILE_BYTES = 2**28
GROUP_ROWS = 2**17


def private():
    """Return the private memory of this process in bytes."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


class Peak:
    """The largest private memory while it is watched."""

    def __enter__(self):
        self.first = self.bytes = private()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.005):
            self.bytes = max(self.bytes, private())

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def write(folder, size):
    """Write files of random rows, `size` bytes in all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, left, number = np.random.default_rng(0), size, 0
    names = [f"x{n}" for n in range(INPUTS)]
    slopes = rng.normal(size=INPUTS)
    while left > 0:
        rows = max(1, min(left, FILE_BYTES) // ROW_BYTES)
        columns = [rng.normal(n, 1 + n, rows) for n in range(INPUTS)]
        y = sum(slope * np.tanh(column) for slope, column in zip(slopes, columns, strict=True))
        table = pa.table([*columns, y], [*names, "y"])
        how = {"row_group_size": GROUP_ROWS, "use_dictionary": False, "compression": "none"}
        pq.write_table(table, folder / f"part-{number:03}.parquet", **how)
        left, number = left - rows * ROW_BYTES, number + 1


def network():
    layers = [fastnn.Dense(64, "relu"), fastnn.Dense(64, "relu"), fastnn.Dense(1)]
    return fastnn.Network(layers, optimizer="adam", preprocessing="standardize")


def equal(path):
    """Return whether a file's rows give the same weights in memory and from files."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    here, there = network(), network()
    here.fit(table.drop_columns("y"), table["y"], epochs=2, batch_size=256)
    there.fit(path, "y", epochs=2, batch_size=256)
    pairs = zip(here.get_weights(), there.get_weights(), strict=True)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m bench.parquet", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="default: 4")
    parser.add_argument("--limit", type=int, default=500, help="megabytes (default: 500)")
    parser.add_argument("--folder", help="where to work (default: a temporary folder)")
    parser.add_argument("--only-write", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    size = int(arguments.gigabytes * 1e9)
    if arguments.only_write:
        write(Path(arguments.only_write), size)
        return 0
    work = Path(tempfile.mkdtemp(prefix="fastnn-bench-", dir=arguments.folder))
    try:
        return measured(work, size, arguments.limit)
    finally:
        shutil.rmtree(work)


def measured(work, size, limit):
    parts = work / "parts"
    parts.mkdir()
    # In a process of its own, whose memory does not count.
    options = ["--gigabytes", str(size / 1e9), "--only-write", str(parts)]
    subprocess.run([sys.executable, "-m", "bench.parquet", *options], check=True)
    files = sorted(parts.iterdir())
    total = sum(file.stat().st_size for file in files)
    print(f"{total / 1e9:.2f} GB of Parquet in {len(files)} files", flush=True)
    tempfile.tempdir = str(work)
    started, trained = time.perf_counter(), network()
    with Peak() as peak:
        trained.fit(parts, "y", batch_size=256, verbose=1)
        fit = time.perf_counter() - started
        trained.evaluate(parts, "y")
    print(f"reading, preparing and training on them took {fit:.0f} s")
    megabytes = peak.bytes / 1e6
    print(f"private memory: {peak.first / 1e6:.0f} MB before, {megabytes:.0f} MB at its peak")
    same = equal(files[-1])
    print(f"weights equal those of a fit in memory on {files[-1].name}: {same}")
    return 0 if same and megabytes < limit else 1


if __name__ == "__main__":
    sys.exit(main())
