"""Seconds per epoch of every contender on one work, after checking that all do the same work."""

import sys
from dataclasses import replace

from bench.measure import REST, alternate
from bench.peers import PEERS
from bench.workloads import WORKS, disagreement, problem

AGREE = {"float32": 2e-3, "float64": 1e-10}
"""How far apart weights may be after an epoch.  In float32, rounding alone gives 1e-6, and one row
whose ReLU rounding flips gives 3e-4.  A learning rate that is off by 1 % gives 1e-2."""
AGREE_SKLEARN_ADAM = 2e-2
"""scikit-learn's Adam adds epsilon elsewhere, which shows in any dtype."""


def check(name, trainer, data, expected) -> dict:
    """Return how far the weights after an epoch are from `expected`; complain if too far."""
    work = data.work
    found = disagreement(trainer.weights(), expected, data.start)
    limit = AGREE[str(data.dtype)]
    if name == "sklearn" and work.optimizer == "adam":
        limit = AGREE_SKLEARN_ADAM
    if not found < limit:
        print(
            f"DISAGREEMENT: {PEERS[name].name} on {work.label}, {data.dtype}: weights differ from "
            f"NumPy's by {found:.1e} of the way trained, allowed {limit:.0e}; "
            "its time is for different work",
            file=sys.stderr,
        )
    return {"disagreement": found, "agrees": found < limit}


def main(
    work: str,
    threads: int,
    dtype: str,
    rounds: int,
    peers: list[str],
    shortest: float,
    least: int,
):
    """Return {peer: {"median", "q1", "q3", "disagreement", "agrees"}} for the named work.

    A measurement has at least `least` epochs, which share the cost of a fit's checks and
    preparation.
    """
    row = next(w for w in WORKS if w.name == work)
    data = problem(row, dtype)
    expected = {}
    trainers, found = {}, {}
    for name in peers:
        trained = PEERS[name].trained(row)
        if trained not in expected:
            reference = PEERS["numpy"].make(replace(data, work=trained), threads)
            reference.run(1)
            expected[trained] = reference.weights()
        trainers[name] = PEERS[name].make(data, threads)
        trainers[name].run(1)
        found[name] = check(name, trainers[name], data, expected[trained])
    times = alternate(
        {name: trainer.run for name, trainer in trainers.items()},
        rounds,
        shortest,
        rest=REST,
        least=least,
    )
    return {name: times[name] | found[name] for name in peers}
