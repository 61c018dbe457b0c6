"""A network of the table in `tests/networks.py`, its data, and how it is trained."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fastnn import LBFGS, History, Network, losses

EPOCHS = 4
AGREEMENT = {"float32": 2e-5, "float64": 1e-12}
"""How far compiled weights may be from the reference's after EPOCHS, in units of the largest."""


@dataclass(frozen=True)
class Case:
    """A network, its data, and how it is trained."""

    layers: Sequence[Any]
    outputs: int
    loss: Any = "mse"
    optimizer: Any = "sgd"
    inputs: int = 7
    rows: int = 67
    batch_size: int | None = 20
    """By default the last batch has 7 rows."""
    weighted: bool = False
    categories: int = 0
    """How many of the first columns hold categories, some of them unknown."""
    fit: Mapping[str, Any] = field(default_factory=dict)
    """What else :meth:`Network.fit` is given."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else :class:`Network` is given."""

    def network(self, **options: Any) -> Network:
        """Return the network, not built yet."""
        given = {"loss": self.loss, "optimizer": self.optimizer, "seed": 3}
        return Network(self.layers, **{**given, **self.options, **options})

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets, the same on every machine."""
        rng, loss = np.random.default_rng(0), losses.get(self.loss)
        x = rng.standard_normal((self.rows, self.inputs))
        x[:, : self.categories] = np.rint(2 * x[:, : self.categories])
        if loss.target == "class":
            return x, rng.integers(0, self.outputs, self.rows)
        shape = self.rows, loss.n_targets(self.outputs)
        y = {
            "real": lambda: x[:, :1] + 0.5 * rng.standard_normal(shape),
            "count": lambda: rng.integers(0, 5, shape),
            "positive": lambda: rng.gamma(2, 1, shape),
            "binary": lambda: rng.integers(0, 2, shape),
            "sign": lambda: rng.choice([-1, 1], shape),
        }[loss.target]()
        return x, y

    def train(self, network: Network, epochs: int = EPOCHS) -> History:
        """Fit the network to the data; skip the test where it needs what is not installed."""
        if isinstance(self.optimizer, LBFGS):
            pytest.importorskip("scipy")
        weight = np.linspace(0, 2, self.rows) if self.weighted else None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loss 'signed_error'", UserWarning)
            return network.fit(
                *self.data(), epochs=epochs, batch_size=self.batch_size, sample_weight=weight,
                **self.fit,
            )  # fmt: skip

    def results(self, network: Network, history: History) -> list[np.ndarray]:
        """Return all numbers that come out of a training, the weights first."""
        x, y = self.data()
        numbers = [values for _, values in sorted(history.history.items())]
        evaluated = np.atleast_1d(network.evaluate(x, y))
        return [*network.get_weights(), network.predict(x), np.array(numbers), evaluated]
