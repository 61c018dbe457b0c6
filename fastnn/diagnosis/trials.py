"""Short training runs of copies, compared with a constant prediction."""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.diagnosis.copies import arrays_of, copy_of, without_warnings
from fastnn.initializers import Zeros
from fastnn.inputs import checks
from fastnn.layers import Dense
from fastnn.network import Network


def evaluated(network: Network, x: np.ndarray, y: np.ndarray) -> float:
    """Return the loss above that of perfect predictions, without penalties."""
    loss = network.evaluate(x, y) - network.model.penalty()
    perfect = float(network.loss.reduced(len(y) * network.loss.of_perfect(y), len(y)))
    return max(loss - perfect, 0.0) if perfect else loss  # rounding may go below


def constant_loss(
    network: Network, y: np.ndarray, n_outputs: int, test: np.ndarray | None = None
) -> float:
    """Return the loss on `test` of the best constant prediction for `y`, above a perfect one's.

    Candidates are the mean, the median and other quantiles, or the class frequencies.
    """
    layers = [Dense(n_outputs, network.loss.activation, kernel_initializer=Zeros())]
    constant = Network(layers, loss=network.loss, n_threads=1, backend=network.backend)
    constant.build(1)

    def loss(values, targets):
        constant.set_weights([np.zeros((1, n_outputs)), np.resize(values, n_outputs)])
        return evaluated(constant, np.zeros((len(targets), 1)), targets)

    values = min(_constants(network.loss.target, y, n_outputs), key=lambda each: loss(each, y))
    return loss(values, y if test is None else test)


def _constants(kind: str, y: np.ndarray, n_outputs: int) -> list[np.ndarray]:
    zeros = np.zeros(n_outputs)
    if kind == "class":
        counts = np.bincount(y, minlength=n_outputs)
        with np.errstate(all="ignore"):
            logits = np.maximum(np.log(counts / len(y)), -20)
        return [zeros, logits, 2.0 * (counts == counts.max()) - 1]
    mean = y.mean(axis=0)
    if kind == "binary":
        inside = np.clip(mean, 1e-8, 1 - 1e-8)
        return [zeros, np.log(inside / (1 - inside))]
    quantiles = np.quantile(y, [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95], axis=0)
    logs = [np.log(mean)] if (mean > 0).all() else []
    return [zeros, mean, *quantiles, *logs]


@dataclass(frozen=True)
class Small:
    """What :func:`overfit_small` found; true if the network memorized the rows.

    Attributes
    ----------
    rows : int
    loss : float
        After training, above that of perfect predictions; infinite if it grew without bounds.
    constant : float
        The loss of the best constant prediction.
    tolerance : float
    """

    rows: int
    loss: float
    constant: float
    tolerance: float

    @property
    def share(self) -> float:
        """The loss divided by that of the constant prediction."""
        return remaining(self.loss, self.constant)

    def __bool__(self) -> bool:
        return self.share <= self.tolerance


def remaining(loss: float, constant: float) -> float:
    """Return a loss as a share of a constant prediction's.

    If losses are negative, as log-densities can be, return the ratio of a row's likelihoods
    instead.
    """
    if not math.isfinite(loss):
        return math.inf
    if constant > 0 and loss >= 0:
        return loss / constant
    return math.exp(min(loss - constant, 700.0))


@without_warnings
def overfit_small(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    rows: int = 10,
    updates: int = 2000,
    tolerance: float = 0.05,
    seed: int = 0,
) -> Small:
    """Say whether the network can memorize a few rows, as any working network can.

    It trains a copy, with the network's own optimizer, on all chosen rows at once.  A network that
    fails has wrong gradients, outputs that cannot reach the targets, dead or saturated units, or a
    learning rate that is far off.  One that succeeds may still have some wrong gradients; see
    :func:`check_gradients`.

    Parameters
    ----------
    network : Network
    X, y : array-like
        As for :meth:`Network.fit`.
    rows : int
        How many rows to choose at random.
    updates : int
        How many updates to make.
    tolerance : float
        The share of the best constant prediction's loss that may remain.
    seed : int
        Seeds the choice of rows.

    Returns
    -------
    Small
        True if the network can.

    Raises
    ------
    ValueError, TypeError
        For bad input.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> layers = [fastnn.Dense(16, "tanh"), fastnn.Dense(1)]
    >>> network = fastnn.Network(layers, optimizer=fastnn.Adam(0.01))
    >>> bool(fastnn.overfit_small(network, x, np.sin(3 * x)))
    True
    """
    x, targets = arrays_of(network, X, y)
    rows = min(checks.positive_int(rows, "rows"), len(x))
    updates = checks.positive_int(updates, "updates")
    tolerance = checks.positive_float(tolerance, "tolerance")
    rng = np.random.default_rng(checks.non_negative_int(seed, "seed"))
    chosen = np.sort(rng.choice(len(x), rows, replace=False))
    x, targets = x[chosen], targets[chosen]
    twin = copy_of(network, x.shape[1])
    loss = _trained(twin, x, targets, updates, rows)[0]
    constant = constant_loss(network, targets, twin.predict(x[:1]).shape[1])
    return Small(rows, loss, constant, tolerance)


def _trained(
    network: Network, x: np.ndarray, y: np.ndarray, updates: int, batch_size: int
) -> tuple[float, list[float]]:
    """Train for about `updates` updates; return the final loss and the loss of every epoch."""
    rows = len(x) if network.optimizer.full_batch else batch_size
    epochs = max(1, round(updates / math.ceil(len(x) / rows)))
    try:
        history = network.fit(x, y, epochs=epochs, batch_size=rows)
    except FloatingPointError:
        return math.inf, []
    loss = evaluated(network, x, y)
    return (loss if math.isfinite(loss) else math.inf), history.history["loss"]


@dataclass
class Trial:
    """A training run and its outcome."""

    share: float
    """The loss on held-out rows, as a share of a constant prediction's."""
    losses: list[float]
    network: Network


CONSTANT = 0.95
"""A training that leaves more than this share of a constant prediction's loss is no better."""
_MOST_NUMBERS = 4_000_000
"""Most numbers in the inputs.  Rows cost little, and with too few any training overfits."""
_FEWEST_ROWS, _FEWEST_HELD_OUT = 2000, 40
_MOST_UPDATES, _FEWEST_UPDATES = 5000, 200
_OPERATIONS = 4e10
"""Operations of one trial: about a second."""


@dataclass
class Study:
    """A network, its data and how to train it, for trials that change one thing."""

    network: Network
    x: np.ndarray
    y: np.ndarray
    batch_size: int
    epochs: int | None
    seed: int
    start: Network = field(init=False)
    """A copy with the starting weights."""
    updates: int = field(init=False)
    """Updates of a trial: those of the fit in question, or as many as time allows."""
    train: np.ndarray = field(init=False)
    test: np.ndarray = field(init=False)
    base: Trial = field(init=False)
    """The training without changes."""

    def __post_init__(self) -> None:
        trained = self.network.epochs_done > 0
        self.start = copy_of(self.network, self.x.shape[1], start=trained)
        rng = np.random.default_rng(self.seed)
        rows = rng.permutation(len(self.x))[: max(_FEWEST_ROWS, _MOST_NUMBERS // self.x.shape[1])]
        held_out = len(rows) // 4 if len(rows) >= _FEWEST_HELD_OUT else 0
        self.test, self.train = np.sort(rows[:held_out]), np.sort(rows[held_out:])
        if not held_out:
            self.test = self.train
        self.batch_size = min(self.batch_size, len(self.x))
        self.updates = self.affordable(self.planned(self.batch_size), self.batch_size)
        self.n_outputs = self.start.predict(self.x[:1]).shape[1]

    def planned(self, batch_size: int) -> int:
        """Return how many updates the fit in question would make with batches of this size."""
        epochs = self.epochs or math.ceil(1000 / math.ceil(len(self.x) / self.batch_size))
        return epochs * math.ceil(len(self.x) / batch_size)

    def affordable(self, updates: int, batch_size: int) -> int:
        """Return how many of `updates` updates a trial can afford."""
        weights = sum(array.size for array in self.start.get_weights())
        most = int(_OPERATIONS / (6 * weights * min(batch_size, len(self.train))))
        return min(updates, max(_FEWEST_UPDATES, min(_MOST_UPDATES, most)))

    def run(self) -> None:
        """Train without changes."""
        self.base = self.trial(self.copy())

    def copy(self, **changes: Any) -> Network:
        """Return a copy of the network with the starting weights and with changes."""
        return copy_of(self.start, self.x.shape[1], **changes)

    def trial(
        self,
        network: Network,
        *,
        x: np.ndarray | None = None,
        y: np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> Trial:
        """Train a copy on other inputs, targets or batches."""
        x, y = self.x if x is None else x, self.y if y is None else y
        updates = self.updates
        if batch_size is not None:
            # The same part of the fit as in the trial to compare with.
            part = self.updates / self.planned(self.batch_size)
            updates = self.affordable(round(part * self.planned(batch_size)), batch_size)
        size = min(batch_size or self.batch_size, len(self.train))
        loss, losses = _trained(network, x[self.train], y[self.train], updates, size)
        if not math.isfinite(loss):
            return Trial(math.inf, losses, network)
        loss = evaluated(network, x[self.test], y[self.test])
        constant = self.constant if y is self.y else self._constant(y)
        return Trial(remaining(loss, constant), losses, network)

    @functools.cached_property
    def constant(self) -> float:
        """The loss of a constant prediction on the held-out rows."""
        return self._constant(self.y)

    def _constant(self, y: np.ndarray) -> float:
        return constant_loss(self.network, y[self.train], self.n_outputs, y[self.test])

    def share_seen(self) -> float:
        """Return the unchanged training's loss on its own rows, as a share of a constant's."""
        if math.isinf(self.base.share):
            return math.inf
        x, y = self.x[self.train], self.y[self.train]
        constant = constant_loss(self.network, y, self.n_outputs)
        return remaining(evaluated(self.base.network, x, y), constant)

    def helps(self, trial: Trial, enough: float = 0.6) -> bool:
        """Whether a change made the difference to a failing training.

        For one that is no better than a constant, a smaller improvement is enough.
        """
        if self.base.share >= CONSTANT:
            enough = 0.8
        return trial.share < enough * self.base.share and trial.share < CONSTANT
