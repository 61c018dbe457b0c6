"""Time what a network may have besides dense layers, in fastnn and in a jitted JAX scan.

An :class:`Extra` is added to two of the works of :mod:`bench.workloads`.  Unless it uses random
numbers, both must end with the same weights.  Different generators draw different masks and give
different weights; then the loss in prediction must have fallen as far.
"""

import sys
from dataclasses import dataclass
from importlib import import_module

from bench.measure import REST, alternate
from bench.training import AGREE
from bench.workloads import WORKS, disagreement, problem

AGREE_EXTRA = {"float32": 5e-2, "float64": AGREE["float64"]}
"""Normalized outputs are around 0, and adaptive steps amplify small gradients.  Rounding in float32
therefore flips more ReLUs: up to 2e-2 was seen.  The same runs in float64 differ by 6e-14."""
AGREE_IN_LOSS = 0.1
"""How far apart two losses may be, as a share of the decrease from the starting loss."""


@dataclass(frozen=True)
class Extra:
    """A change to a network of dense ReLU layers, or to its training."""

    name: str
    dropout: float = 0.0
    batch_norm: bool = False
    penalty: str = ""
    """"l1" or "l2", on all weights."""
    max_norm: float = 0.0
    optimizer: str = "sgd"

    def rate(self, work):
        """Return the learning rate: the work's for plain steps, a small one for adaptive ones."""
        return work.learning_rate if self.optimizer in PLAIN else 1e-4

    def start(self, dense):
        """Return the starting weights in fastnn's order, given W, b, W, b ..."""
        if not self.batch_norm:
            return dense
        weights = []
        for w, b in zip(dense[:-2:2], dense[1:-2:2], strict=True):
            # A bias before a normalization has no effect, so W has none.
            weights += [w, b + 1, b, b.copy(), b + 1]
        return [*weights, *dense[-2:]]


ROWS = (WORKS[1], WORKS[3])
PLAIN = ("sgd", "momentum", "nesterov")
STRENGTH = 1e-4
"""Strength of a penalty."""
EPSILON = 1e-5
"""Epsilon of adaptive optimizers; a smaller one would turn the rounding of a 0 sum into steps."""
EXTRAS = (
    Extra("dropout 0.5", dropout=0.5),
    Extra("batch norm", batch_norm=True),
    Extra("both", dropout=0.5, batch_norm=True),
    Extra("L1", penalty="l1"),
    Extra("L2", penalty="l2"),
    Extra("max-norm 1", max_norm=1.0),
    *(
        Extra(name, optimizer=name)
        for name in (
            "momentum",
            "nesterov",
            "adagrad",
            "adadelta",
            "rmsprop",
            "adam",
            "adamw",
            "amsgrad",
            "nadam",
        )  # fmt: skip
    ),
)
PEERS = {"fastnn": "fastnn_extras", "jax_scan": "jax_extras"}


def compare(extra, trainers, data) -> dict:
    """Return how far each contender is from JAX, and whether that is close enough."""
    start, expected = extra.start(data.start), trainers["jax_scan"].weights()
    loss = trainers["fastnn"].loss
    limit = AGREE_IN_LOSS if extra.dropout else AGREE_EXTRA[str(data.dtype)]
    found = {}
    for name, trainer in trainers.items():
        weights = trainer.weights()
        if extra.dropout:
            end = loss(expected)
            apart = abs(loss(weights) - end) / abs(loss(start) - end)
        else:
            apart = disagreement(weights, expected, start)
        found[name] = {"disagreement": apart, "agrees": apart < limit}
        if not apart < limit:
            what = f"{data.work.label}, {extra.name}, {data.dtype}"
            print(f"DISAGREEMENT: {name} on {what}: {apart:.1e}, allowed {limit:.0e}",
                  file=sys.stderr)  # fmt: skip
    return found


def main(work: str, extra: str, threads: int, dtype: str, rounds: int, shortest: float):
    """Return {peer: {"median", "q1", "q3", "disagreement", "agrees"}}."""
    data = problem(next(each for each in ROWS if each.name == work), dtype)
    added = next(each for each in EXTRAS if each.name == extra)
    trainers = {
        name: import_module(f"bench.peers.{module}").make(data, added, threads)
        for name, module in PEERS.items()
    }
    for trainer in trainers.values():
        trainer.run(1)
    found = compare(added, trainers, data)
    times = alternate(
        {name: trainer.run for name, trainer in trainers.items()},
        rounds,
        shortest,
        rest=REST,
    )
    return {name: times[name] | found[name] for name in trainers}
