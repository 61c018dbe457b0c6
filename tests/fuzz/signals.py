"""Ctrl-C at a random moment: what was done is whole, and what follows goes on from it."""

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn.engine import team
from fastnn.training.loop import lowered
from fastnn.training.planning import adapt, begin, make_plan
from tests.fuzz.running import stored, trained
from tests.kills import Moment


def interrupted(self: Any) -> None:
    """After Ctrl-C at any moment the weights are those of the updates counted, and work goes on."""
    if self.found.how != "finished" or threading.current_thread() is not threading.main_thread():
        return
    rng = np.random.default_rng(self.case.seed)
    network, other = (self.case.network(n_threads=2) for _ in range(2))
    calls = _calls(lambda: trained(self.case, self.data, network=other))
    cut = _interrupt(rng, lambda: trained(self.case, self.data, network=network), calls)
    network.n_threads = 1  # as the others have, with which it is compared
    if cut:
        _check_counted(self, network)
    else:
        assert stored(network) == stored(self.found.network)
    _check_uses(self, rng)


def _calls(job: Callable[[], Any]) -> int:
    """Run a job; return how often it calls or returns where Python looks for signals."""
    count, before = 0, sys.getprofile()

    def profile(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        count += event in ("call", "c_return")

    sys.setprofile(profile)
    try:
        job()
    finally:
        sys.setprofile(before)
    return count


def _interrupt(rng: np.random.Generator, job: Callable[[], Any], calls: int) -> bool:
    """Run a job, interrupted at one of its calls or first milliseconds; return whether it was."""
    if rng.random() < 0.5:
        return Moment(call=int(rng.integers(1, calls))).interrupt(job)
    return Moment(seconds=float(rng.uniform(1e-5, 0.05))).interrupt(job)


def _check_counted(self: Any, network: fastnn.Network) -> None:
    """Compare with a network trained for so many updates, and let both go on."""
    case, model = self.case, network.model
    epochs = self.found.network.epochs_done  # L-BFGS may have ended it early
    if model.updates:
        twin = case.network(n_threads=1)
        done = network.epochs_done
        if done:
            trained(case, self.data, done, twin)
        _few_more(self, twin, model.updates - twin.model.updates)
        assert (twin.epochs_done, twin.model.updates) == (done, model.updates)
        assert stored(network) == stored(twin), f"after {done} epochs, {model.updates} updates"
        found = self.found.network
        if model.updates != done * (found.model.updates // found.epochs_done):
            for each in (network, twin):  # a part of an epoch is not continued
                trained(case, self.data, 1, each)
            assert stored(network) == stored(twin), "it goes on differently"
            return
    if left := epochs - network.epochs_done:
        trained(case, self.data, left, network)
    assert stored(network) == stored(self.found.network), "an uninterrupted fit ends differently"


def _few_more(self: Any, network: fastnn.Network, updates: int) -> None:
    """Make the first updates of the next epoch."""
    if not updates:
        return
    x, y, weight = self.data
    model = network.model
    plan = make_plan(model, x, y, sample_weight=weight, **{**self.case.fit, "epochs": 1})
    plan = begin(model, adapt(model, plan))
    program, _ = lowered(model, plan)
    team.run(program, n_rows=plan.n_rows, first_epoch=model.epochs, updates=updates)
    model.updates = program.updates


def _check_uses(self: Any, rng: np.random.Generator) -> None:
    """Interrupt what only reads the network: it then does what it did."""
    network, (x, y, weight) = self.found.network, self.data
    before = stored(network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        path.write_bytes(before)
        jobs: list[Callable[[], Any]] = [
            lambda: network.predict(x),
            lambda: network.evaluate(x, y, weight),
            lambda: network.save(path),
        ]
        for job in jobs:
            expected = np.asarray(job()).tobytes()
            Moment(call=int(rng.integers(1, 1 + _calls(job)))).interrupt(job)
            assert np.asarray(job()).tobytes() == expected
            assert stored(network) == before
        assert [each.name for each in Path(folder).iterdir()] == ["network"], "files are left"
        assert path.read_bytes() == before
