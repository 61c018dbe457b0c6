"""What a call costs: single updates and short fits, beside the same work within a long fit."""

from dataclasses import replace

from bench import tables
from bench.measure import alternate
from bench.peers import PEERS
from bench.workloads import Work, problem

WORKS = (
    Work((10, 20, 1), 32, "mse", "sgd", 1e-3, 6_400),
    Work((10, 20, 1), 32, "mse", "adam", 1e-4, 6_400),
    Work((200, 64, 1), 1, "mae", "sgd", 1e-5, 400),
    Work((100, 64, 64, 1), 4, "mae", "adam", 1e-5, 800),
    Work((200, 64, 64, 1), 50, "mae", "sgd", 1e-4, 5_000),
    Work((784, 128, 10), 32, "softmax", "sgd", 1e-3, 1_600),
)
FEW = 100
"""Rows of a short fit."""
EPOCHS = 50


def updates(network, data):
    """Return a contender that makes the updates of an epoch one by one."""
    size = data.work.batch
    pieces = [slice(first, first + size) for first in range(0, data.work.rows, size)]
    batches = [(data.X[piece], data.y[piece]) for piece in pieces]

    def run(count):
        for _ in range(count):
            for X, y in batches:
                network.train_on_batch(X, y)

    return run


def fits(network, data, epochs):
    """Return a contender that fits some rows, some epochs at a time."""

    def run(count):
        for _ in range(count):
            network.fit(data.X, data.y, epochs=epochs)

    return run


def evaluations(network, data):
    """Return a contender that evaluates some rows."""

    def run(count):
        for _ in range(count):
            network.evaluate(data.X, data.y)

    return run


def main(threads: int, dtype: str, rounds: int, shortest: float, peers: list[str]) -> list[dict]:
    """Return an entry for each network: the medians of each kind of call, in seconds."""
    rows = []
    for work in WORKS:
        data = problem(work, dtype)
        few = problem(replace(work, rows=FEW), dtype)
        ours = [PEERS["fastnn"].make(data, threads) for _ in range(5)]
        contenders = {"updates of an epoch": ours[0].run}
        contenders["train_on_batch"] = updates(ours[1].network, data)
        contenders |= {name: PEERS[name].make(data, threads).run for name in peers}
        contenders["epoch"] = fits(ours[2].network, few, EPOCHS)
        contenders["fit"] = fits(ours[3].network, few, 1)
        contenders["evaluate"] = evaluations(ours[4].network, few)
        times = alternate(contenders, rounds, shortest)
        batches = work.rows // work.batch
        row = {"label": work.label, "threads": threads}
        for name, found in times.items():
            parts = {"epoch": EPOCHS, "fit": 1, "evaluate": 1}.get(name, batches)
            row[name] = found["median"] / parts
        rows.append(row)
    return rows


def cells(entry) -> list[list[str]]:
    """Return the table's cells, the names of the columns first."""
    peers = [name for name in PEERS if name in entry["rows"][0]]
    head = ["network", "update", "`train_on_batch`", *(f"{PEERS[n].name}" for n in peers)]
    table = [[*head, "epoch of 100 rows", "`fit` of it", "`evaluate`"]]
    for row in entry["rows"]:
        names = "updates of an epoch", "train_on_batch", *peers, "epoch", "fit", "evaluate"
        table.append([row["label"], *(f"{1e6 * row[name]:.1f}" for name in names)])
    return table


def block(entry) -> str:
    """Return the generated part of docs/decisions.md."""
    where = tables.machine_line(entry["machine"])
    about = f"Microseconds on one thread, medians of {entry['rounds']} rounds, {entry['date']}, on"
    return f"{about} {where}\n\n{tables.markdown(cells(entry))}"
