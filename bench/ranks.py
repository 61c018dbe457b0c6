"""One network on several processes: measured on two, modelled for up to 1,024.

Two ranks alternate fits in one run: both train the network together, or rank 0 trains it alone on
as many threads, while the other sleeps.  The model adds the exchange of gradients to what a rank
takes for its rows; see :func:`step`.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from typing import NamedTuple

from bench import tables
from bench.measure import ROOT, quartiles

BATCHES = 20
SHARDS = 16
ALONE = 2**16
"""Bytes from which a sum travels alone (:mod:`fastnn.engine.shards`)."""
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Rows of a rank whose time is measured."""
COUNTS = tuple(2**k for k in range(11))
MACHINE = 64
"""The most cores of one machine in the tables."""


class Work(NamedTuple):
    """A network to train: its widths, and the rows of a batch."""

    widths: tuple[int, ...]
    batch_size: int

    @property
    def name(self) -> str:
        return "-".join(map(str, self.widths))


WORKS = (Work((200, 64, 1), 100), Work((784, 512, 256, 10), 512), Work((3072, 1024, 512, 10), 512))


class Network(NamedTuple):
    """Stated figures of a network between machines."""

    latency: float
    """Seconds from one process to the other."""
    bandwidth: float
    """Bytes per second each way."""


NETWORKS = {
    "Ethernet, 10 Gb/s": Network(30e-6, 1.1e9),
    "Ethernet, 100 Gb/s": Network(10e-6, 11e9),
    "InfiniBand, 200 Gb/s": Network(2e-6, 23e9),
}


def sums(work: Work) -> tuple[list[int], int]:
    """Return the bytes of the sums that travel alone, and of all others together."""
    pairs = zip(work.widths, work.widths[1:], strict=False)
    arrays = [4 * size for m, n in pairs for size in (m * n, n)]
    return [each for each in arrays if each >= ALONE], sum(e for e in arrays if e < ALONE)


def exchange(work: Work, ranks: int, network: Network, adding: float) -> float:
    """Return the seconds that a step's exchanges take, if nothing else happens meanwhile.

    A sum of M bytes takes ``log2(R) * (latency + M / bandwidth + M / adding)`` by recursive
    doubling.  Large sums over more than two ranks take ``2 * log2(R) * latency + (1 - 1 / R) * M *
    (2 / bandwidth + 1 / adding)`` by recursive halving and doubling.  The loss has 24 bytes.
    """
    if ranks == 1:
        return 0.0
    rounds = ranks.bit_length() - 1
    large, rest = sums(work)
    seconds = 0.0
    for size in (24, rest, *large):
        if size >= ALONE and ranks > 2:
            share = (1 - 1 / ranks) * size
            seconds += 2 * rounds * network.latency
            seconds += share * (2 / network.bandwidth + 1 / adding)
        else:
            each = network.latency + size / network.bandwidth + size / adding
            seconds += rounds * each
    return seconds


def sent(work: Work, ranks: int) -> int:
    """Return the bytes that a rank sends for a step."""
    rounds = ranks.bit_length() - 1
    large, rest = sums(work)
    halved = [2 * size * (ranks - 1) // ranks if ranks > 2 else size * rounds for size in large]
    return rounds * (24 + rest) + sum(halved)


def step(entry, work: Work, ranks: int, batch_size: int, network: Network) -> float:
    """Return the seconds of a step on so many ranks of one thread each, according to the model.

    That is what a rank takes for its share of the rows, measured on one core, and the exchange.
    """
    rows = -(-batch_size // ranks)
    measured = dict(entry["works"][work.name]["alone"])
    if rows > ROWS[-1]:  # by then each row costs the same
        last, before = measured[ROWS[-1]], measured[ROWS[-2]]
        alone = last + (rows - ROWS[-1]) * (last - before) / (ROWS[-1] - ROWS[-2])
    else:
        alone = min(seconds for size, seconds in measured.items() if size >= rows)
    return alone + exchange(work, ranks, network, entry["adding"])


def mpiexec() -> str | None:
    """Return where mpiexec is, or None."""
    return shutil.which("mpiexec", path=sysconfig.get_path("scripts")) or shutil.which("mpiexec")


def run(threads: list[int], rounds: int, quick: bool) -> dict:
    """Return what two ranks measure."""
    path = mpiexec()
    if path is None:
        raise SystemExit("mpiexec is not installed: pip install mpi4py mpich")
    command = [path, "-n", "2", sys.executable, "-m", "bench.ranks", str(2 if quick else rounds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _made(work: Work, rows: int, n_threads: int):
    """Return a network, and rows to train it on."""
    import numpy as np

    import fastnn

    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, work.widths[0]), np.float32)
    layers = [fastnn.Dense(units, "relu") for units in work.widths[1:-1]]
    how = {"optimizer": fastnn.SGD(0.01), "n_threads": n_threads}
    if work.widths[-1] > 1:
        y, how["loss"] = rng.integers(0, work.widths[-1], rows), "softmax_cross_entropy"
        layers.append(fastnn.Dense(work.widths[-1], "softmax"))
    else:
        y = x[:, :1]
        layers.append(fastnn.Dense(1))
    return fastnn.Network(layers, **how), x, y


def _epochs(made, count: int, **how) -> list[float]:
    """Return the seconds of so many epochs, after one that is not timed."""
    network, x, y = made
    seconds: list[float] = []
    network.fit(x, y, epochs=count + 1, callbacks=lambda _, logs: seconds.append(logs["seconds"]),
                **how)  # fmt: skip
    return seconds[1:]


def _together(world, rounds: int, work: Work) -> dict[str, dict[str, float]]:
    """Return the quartiles of the seconds of a step of each way to train."""
    ways = {
        "two threads": (None, None),
        "two threads, 16 shards": (SHARDS, None),
        "two ranks, 16 shards": (SHARDS, world),
        "two ranks, 2 shards": (2, world),
    }
    made = {
        name: _made(work, BATCHES * work.batch_size, 2 if communicator is None else 1)
        for name, (_, communicator) in ways.items()
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, (shards, communicator) in ways.items():
            if communicator is not None or world.rank == 0:
                how = {"shards": shards, "communicator": communicator}
                found = _epochs(made[name], 2, batch_size=work.batch_size, **how)
                times[name] += found if turn else []
            request = world.Ibarrier()
            while not request.Test():
                time.sleep(0.001)
    return {
        name: quartiles([each / BATCHES for each in seconds]) if seconds else {}
        for name, seconds in times.items()
    }


def _alone(work: Work, rounds: int) -> list[tuple[int, float]]:
    """Return the seconds of a step with so many rows, on one thread."""
    found = []
    for rows in ROWS:
        made = _made(work, BATCHES * rows, 1)
        seconds = [
            each for _ in range(rounds) for each in _epochs(made, 2, batch_size=rows, shards=1)
        ]
        found.append((rows, quartiles(seconds)["median"] / BATCHES))
    return found


def _messages(world) -> dict[str, float]:
    """Return the latency and the bandwidth between two ranks, and how fast one adds, in bytes/s."""
    import numpy as np

    times = {}
    for size in (1, 2**19):
        own, other = np.zeros(size, np.float32), np.empty(size, np.float32)
        taken = []
        for _ in range(100):
            world.Barrier()
            begun = time.perf_counter()
            requests = [world.Irecv(other, 1 - world.rank), world.Isend(own, 1 - world.rank)]
            while not all([request.Test() for request in requests]):
                pass
            taken.append(time.perf_counter() - begun)
        times[size] = quartiles(taken)["median"]
    taken = []
    for _ in range(100):
        begun = time.perf_counter()
        np.add(own, other, out=own)
        taken.append(time.perf_counter() - begun)
    size = own.nbytes
    adding = size / quartiles(taken)["median"]
    return {"latency": times[1], "bandwidth": size / (times[2**19] - times[1]), "adding": adding}


def main(rounds: int) -> dict:
    """Return what rank 0 of two finds."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    found = {**_messages(world), "works": {}}
    for work in WORKS:
        own = {"measured": _together(world, rounds, work)}
        if world.rank == 0:
            own["alone"] = _alone(work, max(1, rounds // 3))
        request = world.Ibarrier()
        while not request.Test():
            time.sleep(0.001)
        found["works"][work.name] = own
    return found if world.rank == 0 else {}


def measured_cells(entry) -> list[list[str]]:
    """Return a table of what two ranks measured: milliseconds of a step."""
    names = list(entry["works"][WORKS[0].name]["measured"])
    head = ["network", "batch", *names, "ranks / threads", "bytes sent", "model"]
    found = [head]
    here = Network(entry["latency"], entry["bandwidth"])
    for work in WORKS:
        times = entry["works"][work.name]["measured"]
        seconds = {name: time["median"] for name, time in times.items()}
        speed = seconds["two threads"] / seconds["two ranks, 16 shards"]
        model = step(entry, work, 2, work.batch_size, here)
        cells = [tables.digits(1e3 * each) for each in seconds.values()]
        ends = f"{speed:.2f}", f"{sent(work, 2):,}", tables.digits(1e3 * model)
        found.append([work.name, str(work.batch_size), *cells, *ends])
    return found


def model_cells(entry, work: Work, batch_size: int) -> list[list[str]]:
    """Return a table of speedups over one rank, by the number of ranks and the network."""
    here = {"one machine": Network(entry["latency"], entry["bandwidth"])}
    found = [["ranks", "rows each", *here, *NETWORKS]]
    for ranks in COUNTS:
        if ranks > batch_size:
            break
        cells = []
        for name, network in (here | NETWORKS).items():
            speed = step(entry, work, 1, batch_size, network)
            speed /= step(entry, work, ranks, batch_size, network)
            fits = name not in here or ranks <= MACHINE
            cells.append(tables.digits(speed) if fits else "-")
        found.append([str(ranks), str(-(-batch_size // ranks)), *cells])
    return found


def block(entry) -> str:
    """Return the generated part of docs/scaling.md."""
    about = (
        f"Medians of {entry['rounds']} rounds, {entry['date']}, on "
        f"{tables.machine_line(entry['machine'])} Between two processes of it, a message takes "
        f"{1e6 * entry['latency']:.1f} us and {entry['bandwidth'] / 1e9:.1f} GB/s; one core adds "
        f"{entry['adding'] / 1e9:.0f} GB/s."
    )
    parts = [about, "Two ranks of one thread beside one process of two threads, milliseconds per "
             "step:", tables.markdown(measured_cells(entry))]  # fmt: skip
    for work, rows in ((WORKS[1], 512), (WORKS[1], 8192), (WORKS[2], 8192), (WORKS[0], 1024)):
        about = f"{work.name}, batches of {rows:,} rows, speedup over one rank by the model:"
        parts += [about, tables.markdown(model_cells(entry, work, rows))]
    return "\n\n".join(parts)


if __name__ == "__main__":
    result = main(int(sys.argv[1]))
    if result:
        print(json.dumps(result))
