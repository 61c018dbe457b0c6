"""The contenders. Each file has ``make(problem, threads)``, which returns a trainer.

A trainer's ``run(epochs)`` trains on and returns when the work is done; its ``weights()`` gives
W, b, W, b ... with W of shape (n_in, n_out); ``predictor(problem, threads)`` returns a function
from rows to outputs, arrays of NumPy both, for the weights at the problem's start. A peer need not
compute the loss's value, only the update; what fastnn reports beside that, it computes within the
time that is measured.
"""

import importlib
import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A contender: its name in tables, its file, the package it needs, what to say about it."""

    name: str
    module: str
    package: str
    function: str = "make"
    note: str = ""

    @property
    def installed(self) -> bool:
        return all(importlib.util.find_spec(name) for name in self.package.split())

    def make(self, problem, threads):
        module = importlib.import_module(f"bench.peers.{self.module}")
        return getattr(module, self.function)(problem, threads)

    def trained(self, work):
        """Return the work that this peer really does, where it cannot do the one asked for."""
        module = importlib.import_module(f"bench.peers.{self.module}")
        return module.trained(work) if hasattr(module, "trained") else work


PEERS = {
    "fastnn": Peer("fastnn", "fastnn_peer", "fastnn"),
    "numpy": Peer("NumPy", "numpy_path", "numpy", note="hand-written, outputs preallocated"),
    "sklearn": Peer(
        "scikit-learn", "sklearn_peer", "sklearn", note="squared error where the row says MAE"
    ),
    "torch": Peer("PyTorch", "torch_peer", "torch", note="eager, fed slices of a tensor"),
    "jax_step": Peer("JAX step", "jax_peer", "jax", "make_step", "jitted step, one call per batch"),
    "jax_scan": Peer("JAX scan", "jax_peer", "jax", "make_scan", "jitted lax.scan over an epoch"),
}
