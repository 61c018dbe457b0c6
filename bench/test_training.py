"""An epoch of each work, fastnn beside its peers: ``pytest -n 0 bench/test_training.py``.

Threads are those of this process: set OMP_NUM_THREADS and the like, and the cores, from outside.
``python -m fastnn bench`` does that by itself, in turns, and is what the README's numbers are from.
"""

import pytest

from bench.measure import cores_allowed
from bench.peers import PEERS
from bench.workloads import WORKS, problem


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_epoch(benchmark, work, name):
    pytest.importorskip(PEERS[name].package)
    benchmark.group = work.label
    trainer = PEERS[name].make(problem(work), cores_allowed())
    benchmark.pedantic(trainer.run, (1,), rounds=5, warmup_rounds=1)
