"""Search for a learning rate, or for start, rate, batch size and optimizer together."""

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import optimizers as families
from fastnn.diagnosis.copies import (
    arrays_of,
    copy_of,
    rate_of,
    with_rate,
    with_settings,
    without_warnings,
)
from fastnn.engine import cores
from fastnn.initializers import Normal
from fastnn.inputs import checks
from fastnn.inputs.extras import pyplot
from fastnn.network import Network
from fastnn.optimizers import Optimizer

_SCALES = tuple(10.0**power for power in range(-6, 0))
"""1e-6 ... 1e-1, for starts and rates."""
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


@dataclass(frozen=True)
class SweepRun:
    """One setting of a sweep.

    Attributes
    ----------
    loss : float
        On the held-out rows; infinite if it grew without bounds.
    init_scale : float or None
        Standard deviation of the starting weights; None is the network's own start.
    learning_rate : float
    batch_size : int
    optimizer : str
    """

    loss: float
    init_scale: float | None
    learning_rate: float
    batch_size: int
    optimizer: str


@dataclass(frozen=True, repr=False)
class Sweep:
    """What :func:`sweep` found.

    Attributes
    ----------
    runs : list of SweepRun
        All runs, the best first.
    """

    runs: list[SweepRun]

    @property
    def best(self) -> SweepRun:
        """The run with the lowest loss."""
        return self.runs[0]

    def __repr__(self) -> str:
        lines = [f"Sweep of {len(self.runs)} settings, the best:"]
        for run in self.runs[:5]:
            start = "own" if run.init_scale is None else f"{run.init_scale:g}"
            lines.append(
                f"  loss {run.loss:.5g}: {run.optimizer}, learning rate {run.learning_rate:g}, "
                f"batch size {run.batch_size}, init scale {start}"
            )
        return "\n".join(lines)

    def plot(self) -> Any:
        """Draw a map of start and rate for every optimizer and batch size; return the figure.

        Raises
        ------
        ImportError
            Without matplotlib, which the extra ``plot`` installs.
        """
        kinds = sorted({run.optimizer for run in self.runs})
        sizes = sorted({run.batch_size for run in self.runs})
        inches = 3 * len(sizes) + 1, 3 * len(kinds)
        figure = pyplot().figure(figsize=inches, layout="constrained")
        axes = figure.subplots(len(kinds), len(sizes), squeeze=False)
        finite = [run.loss for run in self.runs if math.isfinite(run.loss)] or [0.0]
        limits = {"vmin": min(finite), "vmax": float(np.median(finite))}
        for ax, (kind, size) in zip(axes.flat, itertools.product(kinds, sizes), strict=True):
            runs = [run for run in self.runs if (run.optimizer, run.batch_size) == (kind, size)]
            if not runs:  # an optimizer for full batches
                ax.set_axis_off()
                continue
            image = _map(ax, runs, limits)
            ax.set_title(f"{kind}, batch size {size}")
        figure.supxlabel("learning rate")
        figure.supylabel("init scale")
        figure.colorbar(image, ax=axes, label="loss", extend="max")
        return figure


def _map(ax: Any, runs: list[SweepRun], limits: dict[str, float]) -> Any:
    """Draw the losses of runs that differ in start and rate only."""
    rates = sorted({run.learning_rate for run in runs})
    scales = sorted({run.init_scale for run in runs}, key=lambda scale: scale or 0.0)
    table = np.empty((len(scales), len(rates)))
    for run in runs:
        table[scales.index(run.init_scale), rates.index(run.learning_rate)] = run.loss
    ax.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates], rotation=90)
    ax.grid(False)
    names = ["own" if scale is None else f"{scale:g}" for scale in scales]
    ax.set_yticks(range(len(scales)), names)
    return ax.imshow(table, origin="lower", aspect="auto", **limits)


@without_warnings
def sweep(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    init_scales: Sequence[float | None] = _SCALES,
    learning_rates: Sequence[float] = _SCALES,
    batch_sizes: Sequence[int] = (10, 50, 200),
    optimizers: Sequence[Any] | None = None,
    epochs: int = 10,
    validation_split: float = 0.2,
    n_jobs: int | None = None,
) -> Sweep:
    """Train copies with every combination of start, rate, batch size and optimizer; rank them.

    The copies train concurrently, one per core.  All have the same seed and see the same rows in
    the same order.

    Parameters
    ----------
    network : Network
        The network to copy; it does not change.
    X, y : array-like
        As for :meth:`Network.fit`.
    init_scales : sequence of float or None
        Standard deviations of normal starting weights; None is the network's own start.
    learning_rates : sequence of float
    batch_sizes : sequence of int
        Ignored by optimizers for full batches, which take all rows.
    optimizers : sequence of str or Optimizer, optional
        Optimizers to compare, each at all rates; by default the network's own.
    epochs : int
    validation_split : float in (0, 1)
        Share of the rows, chosen at random, to hold out and rank the runs by.
    n_jobs : int, optional
        How many copies train at a time; by default as many as there are cores.

    Returns
    -------
    Sweep
        The runs in order; also has ``best`` and ``plot()``.

    Raises
    ------
    ValueError, TypeError
        For bad input.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> network = fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1)], loss="mae")
    >>> found = fastnn.sweep(
    ...     network, x, 2 * x, init_scales=[1e-6, 0.1], learning_rates=[1e-6, 0.1], batch_sizes=[10]
    ... )
    >>> found.best.learning_rate
    0.1
    """
    x, targets = arrays_of(network, X, y)
    epochs = checks.positive_int(epochs, "epochs")
    jobs = cores.usable() if n_jobs is None else checks.positive_int(n_jobs, "n_jobs")
    train, test = _held_out(len(x), checks.fraction(validation_split, "validation_split"), network)
    kinds = _optimizers([network.optimizer] if optimizers is None else optimizers)
    sizes = [checks.positive_int(n, "batch_sizes") for n in _listed(batch_sizes, "batch_sizes")]
    axes = [
        [_scale(scale) for scale in _listed(init_scales, "init_scales")],
        [
            checks.positive_float(rate, "learning_rates")
            for rate in _listed(learning_rates, "learning_rates")
        ],
    ]
    grids = [
        list(itertools.product([kind], [len(train)] if kind[1].full_batch else sizes, *axes))
        for kind in kinds
    ]

    def run(setting):
        (name, kind), size, scale, rate = setting
        layers = network.layers
        if scale is not None:
            layers = with_settings(layers, kernel_initializer=Normal(scale))
        twin = copy_of(network, x.shape[1], layers=layers, optimizer=with_rate(kind, rate))
        try:
            twin.fit(x[train], targets[train], epochs=epochs, batch_size=size)
            loss = twin.evaluate(x[test], targets[test])
        except FloatingPointError:
            loss = math.inf
        return SweepRun(loss if math.isfinite(loss) else math.inf, scale, rate, size, name)

    # The first run of each grid compiles what is needed once, not in every thread.
    runs = [run(grid[0]) for grid in grids]
    with ThreadPoolExecutor(jobs) as pool:
        runs += pool.map(run, [setting for grid in grids for setting in grid[1:]])
    return Sweep(sorted(runs, key=lambda each: each.loss))


def _listed(values: Any, name: str) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or not len(values):
        raise TypeError(f"{name} is {values!r}, wanted a sequence of at least one value")
    return list(values)


def _scale(scale: Any) -> float | None:
    return None if scale is None else checks.non_negative_float(scale, "init_scales")


def _held_out(n: int, share: float, network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and the rows to rank by."""
    count = int(n * share)
    if not count:
        raise ValueError(f"validation_split {share} of {n} rows leaves none to rank by")
    order = np.random.default_rng(network.seed).permutation(n)
    return order[count:], order[:count]


def _optimizers(given: Any) -> list[tuple[str, Optimizer]]:
    """Return the optimizers with distinct names."""
    found = [families.get(each) for each in _listed(given, "optimizers")]
    for each in found:
        if rate_of(each) is None:
            raise TypeError(f"optimizers has {each}, wanted ones whose learning_rate is a number")
    names = [type(each).__name__.lower() for each in found]
    if len(set(names)) < len(names):
        names = [repr(each) for each in found]
    if len(set(names)) < len(names):
        raise ValueError(f"optimizers has {names}, wanted no duplicates")
    return list(zip(names, found, strict=True))
