"""One network on two processes beside two threads of one: what the exchange of gradients costs.

``mpiexec -n 2 python -m bench.ranks`` alternates fits in one run: both ranks train the network
together, or rank 0 trains it alone on as many threads, while the other sleeps.
"""

import json
import sys
import time

import numpy as np

import fastnn

WORKS = {
    "784-512-256-10": (784, (512, 256), 10, 512),
    "200-64-1": (200, (64,), 1, 100),
    "3072-1024-512-10": (3072, (1024, 512), 10, 512),
}
"""Inputs, hidden layers, outputs and batch size."""
BATCHES = 40


class Timed(fastnn.callbacks.Callback):
    """Keeps the seconds of epochs."""

    def __init__(self):
        self.seconds: list[float] = []

    def on_epoch_end(self, epoch, logs):
        self.seconds.append(logs["seconds"])


def network(work: str, n_threads: int):
    """Return the work's network, and its rows."""
    inputs, hidden, outputs, batch_size = WORKS[work]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCHES * batch_size, inputs), np.float32)
    layers = [fastnn.Dense(units, "relu") for units in hidden]
    if outputs > 1:
        y = rng.integers(0, outputs, len(x))
        layers.append(fastnn.Dense(outputs, "softmax"))
        loss = "softmax_cross_entropy"
    else:
        y, loss = x[:, :1], "mse"
        layers.append(fastnn.Dense(1))
    how = {"loss": loss, "optimizer": fastnn.SGD(0.01), "n_threads": n_threads}
    return fastnn.Network(layers, **how), x, y, batch_size


def main(work: str, rounds: int, epochs: int) -> dict[str, float]:
    """Return the median seconds per epoch of each way to train, on rank 0."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    size, times = world.size, {}
    ways = {"threads": (None, None)}
    for shards in sorted({size, 16}):
        ways[f"threads, {shards} shards"] = shards, None
        ways[f"ranks, {shards} shards"] = shards, world
    made = {
        name: network(work, size if communicator is None else 1)
        for name, (_, communicator) in ways.items()
    }
    for turn in range(rounds + 1):
        for name, (shards, communicator) in ways.items():
            model, x, y, batch_size = made[name]
            timed = Timed()
            if communicator is not None or world.rank == 0:
                how = {"shards": shards, "communicator": communicator}
                model.fit(x, y, batch_size=batch_size, epochs=epochs, callbacks=timed, **how)
            request = world.Ibarrier()
            while not request.Test():
                time.sleep(0.001)
            if turn:
                times.setdefault(name, []).extend(timed.seconds)
    return {name: float(np.median(seconds)) for name, seconds in times.items() if seconds}


if __name__ == "__main__":
    name, rounds, epochs = sys.argv[1], *map(int, sys.argv[2:])
    found = main(name, rounds, epochs)
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(found))
