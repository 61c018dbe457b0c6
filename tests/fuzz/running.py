"""How a case is run, and what came of it."""

import contextlib
import dataclasses
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn.engine import cores
from fastnn.engine import program as programs
from tests.fuzz.cases import Case
from tests.guard import GuardedRegion

REFUSED = ValueError, TypeError
"""What bad input raises, and nothing else; a fit that diverges raises FloatingPointError."""


@contextlib.contextmanager
def threads_however_small_the_work() -> Iterator[None]:
    """Let a given `n_threads` be what it says; see tests/conftest.py."""
    names = "threads_for", "FLOPS_PER_TRIED", "FLOPS_TO_START", "LEAST_LIMIT"
    before = {name: getattr(cores, name) for name in names}
    by_work = cores.threads_for
    cores.threads_for = lambda flops, rows, most=None, worth=None: by_work(
        flops, rows, most, 1 if most is not None and worth is None else worth
    )
    cores.FLOPS_PER_TRIED, cores.FLOPS_TO_START, cores.LEAST_LIMIT = float("inf"), 0, 16
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(cores, name, value)


@contextlib.contextmanager
def warnings_are_errors() -> Iterator[None]:
    """Let no warning pass but those that fastnn promises."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "loss 'signed_error'", UserWarning)
        warnings.filterwarnings("ignore", ".* moves them by up to", UserWarning)
        yield


def _guarded(shape: Any, dtype: Any) -> np.ndarray:
    """Return zeros whose last byte touches a page that nobody may touch."""
    zeros = np.zeros(shape, dtype)
    return GuardedRegion(max(zeros.nbytes, 1)).place(zeros, "last") if zeros.nbytes else zeros


@contextlib.contextmanager
def guarded_buffers() -> Iterator[None]:
    """Put the buffers and parameters that fastnn makes at guard pages."""
    plain = programs.aligned
    users = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("fastnn.") and getattr(module, "aligned", None) is plain
    ]
    for module in users:
        module.aligned = _guarded
    try:
        yield
    finally:
        for module in users:
            module.aligned = plain


@dataclasses.dataclass
class Trained:
    """What came of a fit."""

    network: fastnn.Network
    history: dict[str, list[float]]
    error: Exception | None = None

    @property
    def how(self) -> str:
        """How it ended."""
        if self.error is None:
            return "finished"
        return "diverged" if isinstance(self.error, FloatingPointError) else "refused"


def trained(case: Case, data: Any, epochs: int | None = None, network: Any = None, **options):
    """Fit a network, or a new one; errors that a fit may raise are part of what comes of it."""
    network = network or case.network(**options)
    x, y, weight = data
    how = {**case.fit, **({} if epochs is None else {"epochs": epochs})}
    try:
        history = network.fit(x, y, sample_weight=weight, **how).history
    except (*REFUSED, FloatingPointError) as error:
        if isinstance(error, FloatingPointError) and "not finite" not in str(error):
            raise  # NumPy's
        return Trained(network, {}, error)
    return Trained(network, {name: history[name] for name in history if name != "seconds"})


def stored(network: fastnn.Network) -> bytes:
    """Return all that is kept of a network, as `save` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        network.save(path)
        return path.read_bytes()


def reloaded(network: fastnn.Network) -> fastnn.Network:
    """Return the network, written to a file and read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        network.save(path)
        return fastnn.load(path)


def outcome(found: Trained, x: Any) -> list[bytes]:
    """Return all numbers of a fit, as bytes."""
    if found.how == "refused":
        return [str(found.error).encode()]
    numbers = [*found.network.get_weights(), found.network.predict(x)]
    numbers += [np.array(values) for _, values in sorted(found.history.items())]
    return [array.tobytes() for array in numbers]
