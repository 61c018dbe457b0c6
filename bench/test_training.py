"""An epoch of each work, fastnn beside its peers: ``pytest bench/test_training.py``.

Threads are those of this process: set OMP_NUM_THREADS and the like, and the cores, from outside.
``python -m fastnn bench`` does that by itself, in alternating rounds; the README's numbers are its.
"""

import pytest

from bench.measure import cores_allowed
from bench.peers import PEERS
from bench.workloads import WORKS, problem

SHORT = WORKS[:2]


@pytest.mark.parametrize("peer", PEERS, indirect=True)
@pytest.mark.parametrize(
    "work",
    [*SHORT, *(pytest.param(work, marks=pytest.mark.all) for work in WORKS[len(SHORT) :])],
    ids=lambda work: work.name,
)
def test_epoch(benchmark, work, peer):
    benchmark.group = work.label
    benchmark.name = peer.name
    trainer = peer.make(problem(work), cores_allowed())
    benchmark.pedantic(trainer.run, (1,), rounds=5, warmup_rounds=1)
