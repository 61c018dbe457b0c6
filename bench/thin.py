"""Thin work, where calls and memory cost more than arithmetic: fastnn beside JAX, and two threads
beside one.

Each kind of work has a shape that is named and others that are drawn, so that no shape is tuned
for.  A repetition is a fit of one epoch, with what it costs before its first batch.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bench import tables
from bench.measure import REST, alternate, in_process
from bench.peers import PEERS
from bench.workloads import Work, problem

DRAWN = 3
"""Shapes drawn of each kind."""
NETWORKS = 60
"""Networks drawn to compare two threads with one."""
SLOWER = 1.03
"""How many times as long as one thread two may take, to within what measurements repeat."""
LONGER = 4
"""How many times as many rounds settle whether two threads are slower."""
_EPOCH_FLOPS = 1e8
_MOST_BATCHES = 800


def between(rng, low, high) -> int:
    """Draw an integer whose logarithm is uniform."""
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))


def online(rng) -> Work:
    return Work((between(rng, 50, 500), between(rng, 16, 128), 1), 1, "mae", "sgd", 1e-5, 4_000)


def classes(rng) -> Work:
    hidden = [between(rng, 16, 128)] * int(rng.integers(2))
    sizes = (between(rng, 100, 1000), *hidden, int(rng.integers(3, 30)))
    return Work(sizes, 1, "softmax", "sgd", 1e-4, 4_000)


def few_rows(rng) -> Work:
    hidden = [between(rng, 16, 128) for _ in range(2)]
    sizes = (between(rng, 20, 200), *hidden, 1)
    return Work(sizes, int(rng.integers(2, 9)), "mae", "adam", 1e-5, 4_000)


def linear(rng) -> Work:
    sizes = between(rng, 50, 1000), 1
    return Work(sizes, between(rng, 32, 256), "mse", "sgd", 1e-5, 20_000)


def wide(rng) -> Work:
    sizes = between(rng, 8, 32), between(rng, 256, 1024), 1
    return Work(sizes, between(rng, 32, 128), "mae", "sgd", 1e-5, 20_000)


def deep(rng) -> Work:
    width = between(rng, 128, 512)
    sizes = between(rng, 10, 200), width, width, width, 1
    return Work(sizes, between(rng, 128, 512), "mae", "adam", 1e-5, 10_000)


KINDS: dict[str, tuple[Work, Callable[..., Work]]] = {
    "batch of 1": (Work((200, 64, 1), 1, "mae", "sgd", 1e-5, 4_000), online),
    "batch of 1, classes": (Work((784, 10), 1, "softmax", "sgd", 1e-4, 4_000), classes),
    "batch of a few": (Work((100, 64, 64, 1), 4, "mae", "adam", 1e-5, 4_000), few_rows),
    "linear": (Work((500, 1), 100, "mse", "sgd", 1e-5, 20_000), linear),
    "one wide layer": (Work((13, 512, 1), 64, "mae", "sgd", 1e-5, 20_000), wide),
    "three layers": (Work((20, 256, 256, 256, 1), 256, "mae", "adam", 1e-5, 10_000), deep),
}


def works(drawn: int = DRAWN) -> list[tuple[str, Work]]:
    """Return the kinds' works, in whole batches, the named one of each kind first."""
    found = []
    for number, (kind, (named, draw)) in enumerate(KINDS.items()):
        rng = np.random.default_rng(number)
        for work in [named, *(draw(rng) for _ in range(drawn))]:
            found.append((kind, replace(work, rows=work.rows // work.batch * work.batch)))
    return found


def networks(count: int = NETWORKS) -> list[tuple[Work, str]]:
    """Return random works and their dtypes: any width, depth, batch, optimizer and length."""
    rng, found = np.random.default_rng(17), []
    for _ in range(count):
        loss = str(rng.choice(["mae", "mse", "softmax"]))
        hidden = [between(rng, 4, 512) for _ in range(rng.integers(4))]
        outputs = int(rng.integers(2, 30)) if loss == "softmax" else 1
        sizes = between(rng, 4, 1000), *hidden, outputs
        optimizer = str(rng.choice(["sgd", "adam"]))
        dtype = str(rng.choice(["float32", "float32", "float32", "float64"]))
        batch = between(rng, 1, 512)
        work = Work(sizes, batch, loss, optimizer, 1e-6, batch)
        batches = min(between(rng, 10, _MOST_BATCHES), max(10, int(_EPOCH_FLOPS / work.flops)))
        found.append((replace(work, rows=batch * batches), dtype))
    return found


def fits(trainer) -> Callable[[int], None]:
    """Return a contender that trains one epoch at a time."""

    def run(count):
        for _ in range(count):
            trainer.run(1)

    return run


def main(threads: int, rounds: int, shortest: float, drawn: int = 0, count: int = 0, peers=()):
    """Return :func:`sweep` of `count` networks, or, if that is 0, :func:`beside` the peers."""
    if count:
        return sweep(threads, rounds, shortest, count)
    return beside(threads, rounds, shortest, peers, drawn)


def beside(threads, rounds, shortest, peers, drawn):
    """Return an entry for each work, with the seconds per epoch of each contender."""
    rows = []
    for kind, work in works(drawn):
        data = problem(work)
        contenders = {name: fits(PEERS[name].make(data, threads)) for name in peers}
        times = alternate(contenders, rounds, shortest, REST)
        rows.append({"kind": kind, "label": work.label, "batches": work.rows // work.batch})
        rows[-1] |= {name: found["median"] for name, found in times.items()}
    return rows


def sweep(threads: int, rounds: int, shortest: float, count: int):
    """Return an entry for each random network, with the seconds per epoch on one thread and more.

    Both are measured in one process, which may use that many cores.  What is slower on more is
    measured again, longer: of 60 comparisons, chance alone shows some that are.
    """
    rows = []
    for work, dtype in networks(count):
        data = problem(work, dtype)
        contenders = {n: fits(PEERS["fastnn"].make(data, n)) for n in (1, threads)}
        label = f"{work.label}, {dtype}, {work.rows // work.batch} batches"
        for longer in (1, LONGER):
            times = alternate(contenders, longer * rounds, shortest)
            found = {"label": label, "one": times[1]["median"], "more": times[threads]["median"]}
            if found["more"] <= SLOWER * found["one"]:
                break
        rows.append(found)
    return rows


def cells(entry) -> list[list[str]]:
    """Return the header and a row for each work: microseconds of a batch, and ratios."""
    peers = [name for name in PEERS if name in entry["runs"][0]["rows"][0]]
    head = [f"{PEERS[name].name}, {run['threads']}" for run in entry["runs"] for name in peers]
    ratios = [f"others / fastnn, {run['threads']}" for run in entry["runs"]]
    found = [["work", *head, *ratios]]
    for rows in zip(*(run["rows"] for run in entry["runs"]), strict=True):
        times = [tables.digits(1e6 * row[name] / row["batches"]) for row in rows for name in peers]
        found.append([rows[0]["label"], *times, *(f"{lead(row):.2f}" for row in rows)])
    return found


def lead(row) -> float:
    """Return how many times as long as fastnn the fastest other contender takes."""
    others = [row[name] for name in PEERS if name in row and name != "fastnn"]
    return min(others, default=math.nan) / row["fastnn"]


def sweep_line(rows) -> str:
    """Return a sentence on more threads than one."""
    ratios = sorted(row["more"] / row["one"] for row in rows)
    slower = sum(ratio > SLOWER for ratio in ratios)
    worst = max(rows, key=lambda row: row["more"] / row["one"])
    return (
        f"Of {len(rows)} random networks, {slower} take more than {SLOWER} times as long if two "
        f"threads are asked for as on one, also in {LONGER} times as many rounds; the longest "
        f"{ratios[-1]:.2f} times ({worst['label']}), "
        f"the median {tables.digits(ratios[len(ratios) // 2])} times, the shortest "
        f"{ratios[0]:.2f} times."
    )


def block(entry) -> str:
    """Return the generated part of docs/thin.md."""
    about = f"Microseconds a batch, medians of {entry['rounds']} rounds, {entry['date']}, on"
    parts = [f"{about} {tables.machine_line(entry['machine'])}", tables.markdown(cells(entry))]
    if entry["sweep"]:
        parts.append(sweep_line(entry["sweep"]))
    return "\n\n".join(parts)


def run(threads: list[int], rounds: int, quick: bool) -> dict:
    """Return what all processes measure."""
    peers = [name for name in ("fastnn", "jax_scan") if PEERS[name].installed]
    given = {"rounds": rounds, "shortest": 0.02 if quick else 0.1}
    drawn, count = (1, 6) if quick else (DRAWN, NETWORKS)
    runs = []
    for number in threads:
        rows = in_process("bench.thin", number, peers=peers, drawn=drawn, **given)
        runs.append({"threads": number, "rows": rows})
    most = max(threads)
    swept = in_process("bench.thin", most, count=count, **given) if most > 1 else []
    return {"runs": runs, "sweep": swept}
