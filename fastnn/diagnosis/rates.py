"""Search for a learning rate."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.diagnosis.copies import arrays_of, copy_of, rate_of, with_rate, without_warnings
from fastnn.inputs import checks
from fastnn.inputs.extras import pyplot
from fastnn.network import Network

_LOOK_AT = 512
"""Rows on which to measure the loss."""


@dataclass(frozen=True)
class RateRange:
    """What :func:`lr_range_test` found.

    Attributes
    ----------
    rates, losses : arrays
        The rates, and the loss after training at each for a while, one rate after the other.  They
        end where the loss grew without bounds.
    suggestion : float
        The rate at which the loss fell fastest; NaN if it never fell.
    """

    rates: np.ndarray
    losses: np.ndarray
    suggestion: float

    def __repr__(self) -> str:
        span = f"{self.rates[0]:.2g} to {self.rates[-1]:.2g}"
        return f"RateRange(suggestion {self.suggestion:.2g}, {len(self.rates)} rates from {span})"

    def plot(self, ax: Any = None) -> Any:
        """Plot loss against rate, with the suggestion; return matplotlib's axes.

        Raises
        ------
        ImportError
            Without matplotlib, which the extra ``plot`` installs.
        """
        if ax is None:
            ax = pyplot().figure().add_subplot()
        ax.semilogx(self.rates, self.losses)
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        if math.isfinite(self.suggestion):
            ax.axvline(self.suggestion, linestyle="--", label=f"{self.suggestion:.2g}")
            ax.legend()
        return ax


@without_warnings
def lr_range_test(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    points: int = 50,
    updates: int = 5,
    batch_size: int = 32,
) -> RateRange:
    """Train a copy at rates that grow from `lowest` to `highest`, and suggest one.

    The copy makes a few updates at each rate in turn, carrying its weights along, and its loss on
    some rows is recorded.  The loss stays level while the rate is too low, then falls, and finally
    grows.  The suggestion is the rate at which it falls fastest.

    Parameters
    ----------
    network : Network
        Its optimizer's `learning_rate` must be a number.
    X, y : array-like
        As for :meth:`Network.fit`.
    lowest, highest : float
        The first and the last rate.
    points : int
        How many rates, at least 5.
    updates : int
        How many updates to make at each rate.
    batch_size : int
        Ignored by optimizers for full batches, which take all rows.

    Returns
    -------
    RateRange
        The rates, losses and suggestion; ``plot()`` draws them.

    Raises
    ------
    ValueError, TypeError
        For bad input.

    References
    ----------
    L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> network = fastnn.Network([fastnn.Dense(16, "tanh"), fastnn.Dense(1)])
    >>> found = fastnn.lr_range_test(network, x, np.sin(3 * x))
    >>> bool(0.001 < found.suggestion < 1)
    True
    """
    x, targets = arrays_of(network, X, y)
    lowest, highest = (
        checks.positive_float(lowest, "lowest"),
        checks.positive_float(highest, "highest"),
    )
    if highest <= lowest:
        raise ValueError(f"highest is {highest}, wanted more than lowest, {lowest}")
    points = checks.positive_int(points, "points")
    if points < 5:
        raise ValueError(f"points is {points}, wanted at least 5")
    batch_size = min(checks.positive_int(batch_size, "batch_size"), len(x))
    if rate_of(network.optimizer) is None:
        raise TypeError(
            f"network.optimizer is {network.optimizer}, wanted one whose learning_rate is a number"
        )
    twin = copy_of(network, x.shape[1])
    order = np.random.default_rng(network.seed).permutation(len(x))
    seen = np.sort(order[:_LOOK_AT])
    updates, epochs = checks.positive_int(updates, "updates"), 1
    if twin.optimizer.full_batch:
        batch_size, updates, epochs = len(x), 1, updates
    chunk = batch_size * updates
    losses, rates = [twin.evaluate(x[seen], targets[seen])], [lowest]
    for number, rate in enumerate(np.geomspace(lowest, highest, points)):
        rows = order.take(np.arange(number * chunk, (number + 1) * chunk), mode="wrap")
        twin.optimizer = with_rate(twin.optimizer, rate)
        try:
            twin.fit(x[rows], targets[rows], epochs=epochs, batch_size=batch_size, shuffle=False)
        except FloatingPointError:
            break
        loss = twin.evaluate(x[seen], targets[seen])
        if not math.isfinite(loss) or loss > losses[0] + 4 * (losses[0] - min(losses)) + abs(
            losses[0]
        ):
            break
        rates.append(float(rate))
        losses.append(loss)
    found = np.array(rates[1:]), np.array(losses[1:])
    return RateRange(*found, _suggestion(np.array(rates), np.array(losses)))


def _suggestion(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate in the middle of the steepest fall."""
    if len(losses) < 4:
        return math.nan
    smooth = np.convolve(np.pad(losses, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    lowest = int(smooth.argmin())
    if smooth[lowest] > losses[0] - 0.01 * abs(losses[0]):
        return math.nan
    falls = np.diff(smooth[: lowest + 1])
    return float(rates[int(falls.argmin()) + 1])
