"""Many networks on the same data: ``fastnn.fit_many`` against three ways to do it in JAX."""

import importlib.util
from dataclasses import replace

import numpy as np

import fastnn
from bench.measure import REST, alternate
from bench.peers import PEERS
from bench.peers.fastnn_peer import FastnnTrainer
from bench.training import AGREE
from bench.workloads import Work, disagreement, problem, starting_weights

NETWORKS = 64
WORK = Work((200, 64, 1), 50, "mae", "sgd", 1e-3, 20_000)
NAMES = {
    "fastnn": "fastnn",
    "jax_vmap_scan": "JAX vmap of scan",
    "jax_scan_vmap": "JAX scan of vmap",
    "jax_one_by_one": "JAX one by one",
}


class FastnnMany:
    def __init__(self, data, starts, threads):
        trainers = [FastnnTrainer(replace(data, start=start), threads) for start in starts]
        self.data, self.threads = data, threads
        self.networks = [trainer.network for trainer in trainers]

    def run(self, epochs):
        options = {"batch_size": WORK.batch, "shuffle": False, "n_threads": self.threads}
        fastnn.fit_many(self.networks, self.data.X, self.data.y, epochs=epochs, **options)

    def weights(self):
        return [network.get_weights() for network in self.networks]


def trained(data, start, threads):
    """Return the weights after one epoch in NumPy from `start`."""
    trainer = PEERS["numpy"].make(replace(data, start=start), threads)
    trainer.run(1)
    return trainer.weights()


def main(threads: int, dtype: str, rounds: int, shortest: float):
    """Return {contender: {"median", "q1", "q3", "disagreement", "agrees"}}, seconds per epoch."""
    data = problem(WORK, dtype)
    rngs = [np.random.default_rng(seed) for seed in range(NETWORKS)]
    starts = [starting_weights(WORK, rng, dtype) for rng in rngs]
    trainers = {"fastnn": FastnnMany(data, starts, threads)}
    if importlib.util.find_spec("jax"):
        from bench.peers import jax_many

        trainers["jax_vmap_scan"] = jax_many.VmapOfScan(data, starts)
        trainers["jax_scan_vmap"] = jax_many.ScanOfVmap(data, starts)
        trainers["jax_one_by_one"] = jax_many.OneByOne(data, starts)
    expected = [trained(data, start, threads) for start in starts]
    found = {}
    for name, trainer in trainers.items():
        trainer.run(1)
        far = max(map(disagreement, trainer.weights(), expected, starts))
        found[name] = {"disagreement": far, "agrees": far < AGREE[dtype]}
    runs = {name: trainer.run for name, trainer in trainers.items()}
    # At least 10 times as long as for one network, so that a call has several epochs here too.
    times = alternate(runs, rounds, 10 * shortest, rest=REST)
    return {name: times[name] | found[name] for name in trainers}
