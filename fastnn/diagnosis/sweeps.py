"""Search for start, rate, batch size, optimizer, penalty, dropout and hidden sizes together."""

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import optimizers as families
from fastnn import regularizers
from fastnn.diagnosis.copies import (
    as_network,
    copy_of,
    parts_of,
    rate_of,
    with_rate,
    with_settings,
    without_warnings,
)
from fastnn.engine import cores
from fastnn.initializers import Normal
from fastnn.inputs import checks
from fastnn.inputs.extras import pyplot
from fastnn.layers import Dense, Dropout
from fastnn.network import Network
from fastnn.optimizers import Optimizer
from fastnn.regularizers import Regularizer

_SCALES = tuple(10.0**power for power in range(-6, 0))
"""1e-6 ... 1e-1, for starts and rates."""
_OWN = "own"
"""An axis that is not swept: what the network has."""


@dataclass(frozen=True)
class SweepRun:
    """One setting of a sweep.

    Attributes
    ----------
    loss : float
        On the held-out rows, without penalties: with folds, the mean of theirs.  Infinite if it
        grew without bounds.
    init_scale : float or None
        Standard deviation of the starting weights; None is the network's own start.
    learning_rate : float or None
        None is the optimizer's own: a schedule, or it has none.
    batch_size : int
    optimizer : str
    kernel_regularizer : Regularizer, None or "own"
        "own" here and below is the network's, where that was not swept.
    dropout : float or "own"
    hidden : tuple of int or "own"
    losses : tuple of float
        Those of the folds; one without.
    """

    loss: float
    init_scale: float | None
    learning_rate: float | None
    batch_size: int
    optimizer: str
    kernel_regularizer: Regularizer | str | None = _OWN
    dropout: float | str = _OWN
    hidden: tuple[int, ...] | str = _OWN
    losses: tuple[float, ...] = ()

    def __str__(self) -> str:
        told = [self.optimizer, f"learning rate {_told(self.learning_rate)}"]
        told += [f"batch size {self.batch_size}", f"init scale {_told(self.init_scale)}"]
        names = ("kernel_regularizer", "dropout", "hidden")
        pairs = ((name.replace("_", " "), getattr(self, name)) for name in names)
        told += [f"{name} {value}" for name, value in pairs if value != _OWN]
        return f"loss {self.loss:.5g}: {', '.join(told)}"


def _told(number: float | None) -> str:
    return _OWN if number is None else f"{number:g}"


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
        return "\n".join([*lines, *(f"  {run}" for run in self.runs[:5])])

    def plot(self) -> Any:
        """Draw a map of start and rate for every optimizer and batch size; return the figure.

        Each place has the best of its runs, which may differ in other settings.

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
    """Draw the best loss of runs, the best of which come first, for each start and rate."""
    rates = sorted({run.learning_rate for run in runs}, key=lambda rate: rate or 0.0)
    scales = sorted({run.init_scale for run in runs}, key=lambda scale: scale or 0.0)
    table = np.empty((len(scales), len(rates)))
    for run in reversed(runs):
        table[scales.index(run.init_scale), rates.index(run.learning_rate)] = run.loss
    ax.set_xticks(range(len(rates)), [_told(rate) for rate in rates], rotation=90)
    ax.grid(False)
    ax.set_yticks(range(len(scales)), [_told(scale) for scale in scales])
    return ax.imshow(table, origin="lower", aspect="auto", **limits)


@without_warnings
def sweep(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    init_scales: Sequence[float | None] = _SCALES,
    learning_rates: Sequence[float | None] = _SCALES,
    batch_sizes: Sequence[int] = (10, 50, 200),
    optimizers: Sequence[Any] | None = None,
    kernel_regularizers: Sequence[Any] | None = None,
    dropouts: Sequence[float] | None = None,
    hidden: Sequence[Any] | None = None,
    epochs: int = 10,
    validation_split: float | None = None,
    folds: int | None = None,
    n_jobs: int | None = None,
) -> Sweep:
    """Train copies with every combination of settings; rank them by their loss on other rows.

    The copies train concurrently, one per core.  All have the same seed and see the same rows in
    the same order.  Losses are compared without penalties.  Preprocessing learns from the rows that
    the copies train on.

    Parameters
    ----------
    network : Network
        The network to copy; it does not change.
    X, y : array-like
        As for :meth:`Network.fit`.
    init_scales : sequence of float or None
        Standard deviations of normal starting weights; None is the network's own start.
    learning_rates : sequence of float or None
        None is the optimizer's own.  Optimizers whose rate is a schedule, and Rprop and LBFGS,
        which have none, take part once, with their own.
    batch_sizes : sequence of int
        Ignored by optimizers for full batches, which take all rows.
    optimizers : sequence of str or Optimizer, optional
        Optimizers to compare, each at all rates; by default the network's own.
    kernel_regularizers : sequence of str, Regularizer or None, optional
        Penalties with their strengths, such as ``[None, L2(0.01), L2(0.1), L1(0.01)]``, for the
        layers that have none of their own; by default the network's.
    dropouts : sequence of float, optional
        Rates for all of the network's `Dropout` layers; 0 drops nothing.
    hidden : sequence of tuple of int, optional
        Units of the hidden `Dense` layers, a number for each: ``[(32, 16), (64, 32)]``.
    epochs : int
    validation_split : float in (0, 1), optional
        Share of the rows, chosen at random, to hold out and rank the runs by; by default 0.2.
    folds : int, optional
        Instead, cross-validation: hold out each of so many parts of the rows in turn.
    n_jobs : int, optional
        How many copies train at a time; by default as many as there are cores.

    Returns
    -------
    Sweep
        The runs in order; also has ``best`` and ``plot()``.

    Raises
    ------
    ValueError, TypeError
        For bad input, and settings that do not go together, such as LBFGS and a proximal penalty.

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
    targets = as_network(network).model.check_data(X, y, None).y
    epochs = checks.positive_int(epochs, "epochs")
    jobs = cores.usable() if n_jobs is None else checks.positive_int(n_jobs, "n_jobs")
    rows = _parts(len(targets), validation_split, folds, network)
    parts = parts_of(network, X, y, rows)
    kinds = _optimizers([network.optimizer] if optimizers is None else optimizers)
    sizes = [checks.positive_int(n, "batch_sizes") for n in _listed(batch_sizes, "batch_sizes")]
    scales = [_scale(scale) for scale in _listed(init_scales, "init_scales")]
    rates = [_rate(rate) for rate in _listed(learning_rates, "learning_rates")]
    others = [
        _swept(
            kernel_regularizers, "kernel_regularizers", _Penalties(network, parts[0][0].shape[1])
        ),
        _swept(dropouts, "dropouts", _Dropouts(network)),
        _swept(hidden, "hidden", _Hidden(network)),
    ]
    grids = []
    for kind in kinds:
        own_sizes = [len(parts[0][0])] if kind[1].full_batch else sizes
        own_rates = rates if rate_of(kind[1]) is not None else [None]
        grids.append(list(itertools.product([kind], own_sizes, scales, own_rates, *others)))

    def loss(twin: Network, part: tuple[np.ndarray, ...], size: int) -> float:
        try:
            twin.fit(*part[:2], epochs=epochs, batch_size=size)
            found = twin.evaluate(*part[2:]) - twin.model.penalty()
        except FloatingPointError:
            return math.inf
        return found if math.isfinite(found) else math.inf

    def run(setting: tuple[Any, ...]) -> SweepRun:
        (name, kind), size, scale, rate, penalty, dropout, units = setting
        changes: dict[str, Any] = {} if penalty == _OWN else {"kernel_regularizer": penalty}
        changes["optimizer"] = kind if rate is None else with_rate(kind, rate)
        layers = _with_units(network.layers, units)
        if scale is not None:
            layers = with_settings(layers, kernel_initializer=Normal(scale))
        if dropout != _OWN:
            layers = with_settings(layers, rate=dropout)
        twins = [copy_of(network, x.shape[1], layers=layers, **changes) for x, *_ in parts]
        # All rows of a full batch are those of its own fold.
        full = kind.full_batch
        losses = tuple(
            loss(twin, part, len(part[0]) if full else size)
            for twin, part in zip(twins, parts, strict=True)
        )
        mean = float(np.mean(losses))
        return SweepRun(mean, scale, rate, size, name, penalty, dropout, units, losses)

    # The first run of each grid compiles what is needed once, not in every thread.
    runs = [run(grid[0]) for grid in grids]
    with ThreadPoolExecutor(jobs) as pool:
        runs += pool.map(run, [setting for grid in grids for setting in grid[1:]])
    return Sweep(sorted(runs, key=lambda each: each.loss))


def _listed(values: Any, name: str) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or not len(values):
        raise TypeError(f"{name} is {values!r}, wanted a sequence of at least one value")
    return list(values)


def _swept(values: Any, name: str, check: Any) -> list[Any]:
    """Return the checked values of an axis, or only that it is not swept."""
    return [_OWN] if values is None else [check(each, name) for each in _listed(values, name)]


def _scale(scale: Any) -> float | None:
    return None if scale is None else checks.non_negative_float(scale, "init_scales")


def _rate(rate: Any) -> float | None:
    return None if rate is None else checks.positive_float(rate, "learning_rates")


class _Penalties:
    """The check of a penalty for all layers that have none of their own."""

    def __init__(self, network: Network, n_inputs: int):
        self.any = False
        for layer in network.layers:
            free = getattr(layer, "kernel_regularizer", None) is None
            self.any |= free and "kernel" in layer.shapes(n_inputs)
            n_inputs = layer.width(n_inputs)

    def __call__(self, penalty: Any, name: str) -> Regularizer | None:
        if not self.any:
            raise ValueError(
                f"{name} wants a network with a layer that has no kernel_regularizer of its own"
            )
        return regularizers.get(penalty, name)


class _Dropouts:
    """The check of a rate for all `Dropout` layers."""

    def __init__(self, network: Network):
        self.any = any(isinstance(layer, Dropout) for layer in network.layers)

    def __call__(self, rate: Any, name: str) -> float:
        if not self.any:
            raise ValueError(f"{name} wants a network with Dropout layers, whose rates it sets")
        return checks.fraction(rate, name)


class _Hidden:
    """The check of the numbers of units of all hidden `Dense` layers."""

    def __init__(self, network: Network):
        self.count = sum(isinstance(layer, Dense) for layer in network.layers[:-1])

    def __call__(self, units: Any, name: str) -> tuple[int, ...]:
        given = units if isinstance(units, Sequence | np.ndarray) else (units,)
        if isinstance(units, str) or len(given) != self.count:
            raise ValueError(
                f"{name} has {units!r}, wanted {self.count} numbers of units, one for each Dense "
                "layer before the last"
            )
        return tuple(checks.positive_int(each, name) for each in given)


def _with_units(layers: list[Any], units: tuple[int, ...] | str) -> list[Any]:
    """Return copies of the layers, with other units in the hidden `Dense` ones."""
    changed = with_settings(layers)
    if isinstance(units, tuple):
        hidden = (layer for layer in changed[:-1] if isinstance(layer, Dense))
        for layer, count in zip(hidden, units, strict=True):
            layer.units = count
    return changed


def _parts(
    n: int, share: float | None, folds: int | None, network: Network
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows to train on and the rows to rank by, once or for each fold."""
    order = np.random.default_rng(network.seed).permutation(n)
    if folds is not None:
        if share is not None:
            raise ValueError("folds and validation_split were both given, wanted one of them")
        count = checks.positive_int(folds, "folds")
        if not 2 <= count <= n:
            raise ValueError(f"folds is {count}, wanted at least 2 and at most the {n} rows")
        held = np.array_split(order, count)
        return [(order[~np.isin(order, test)], test) for test in held]
    share = checks.fraction(0.2 if share is None else share, "validation_split")
    rows = int(n * share)
    if not rows:
        raise ValueError(f"validation_split {share} of {n} rows leaves none to rank by")
    return [(order[rows:], order[:rows])]


def _optimizers(given: Any) -> list[tuple[str, Optimizer]]:
    """Return the optimizers with distinct names."""
    found = [families.get(each) for each in _listed(given, "optimizers")]
    names = [type(each).__name__.lower() for each in found]
    if len(set(names)) < len(names):
        names = [repr(each) for each in found]
    if len(set(names)) < len(names):
        raise ValueError(f"optimizers has {names}, wanted no duplicates")
    return list(zip(names, found, strict=True))
