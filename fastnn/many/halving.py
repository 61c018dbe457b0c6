"""Successive halving: train many networks a little, and only the best of them on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from fastnn.callbacks import History
from fastnn.callbacks.base import as_entry
from fastnn.inputs import checks
from fastnn.inputs.settings import among
from fastnn.many.checking import as_networks
from fastnn.many.fitting import fit_numbered
from fastnn.many.training import FitManyError
from fastnn.network import Network
from fastnn.training import planning

_LOSSES = "loss", "val_loss"


@dataclass(frozen=True)
class Rung:
    """One round of :func:`successive_halving`.

    Attributes
    ----------
    epochs : int
        How many epochs these networks have been trained for by the end of the round.
    positions : list of int
        The networks, by their places in the caller's list, the best first.
    scores : list of float
        Their scores, in that order; NaN if training failed.
    histories : list of History
        What this round's epochs were like, in that order.
    """

    epochs: int
    positions: list[int]
    scores: list[float]
    histories: list[History]


@dataclass(frozen=True, repr=False)
class Halving:
    """What :func:`successive_halving` found.

    Attributes
    ----------
    rungs : list of Rung
        The rounds.
    ranking : list of int
        All positions, the best first: those of the last round, then those who got less far.
    networks : list of Network
        The caller's list.
    failures : dict of int to Exception
        What networks raised that failed, by position.
    """

    rungs: list[Rung]
    ranking: list[int]
    networks: list[Network]
    failures: dict[int, Exception]

    @property
    def best(self) -> Network:
        """The first of the ranking, trained for all epochs."""
        return self.networks[self.ranking[0]]

    @property
    def score(self) -> float:
        """The score of the best network."""
        return self.rungs[-1].scores[0]

    def __repr__(self) -> str:
        lines = [f"Halving of {len(self.networks)} networks:"]
        for rung in self.rungs:
            count, first = len(rung.positions), rung.positions[0]
            lines.append(
                f"  {rung.epochs} epochs of {count}: best networks[{first}], {rung.scores[0]:.5g}"
            )
        return "\n".join(lines)


def successive_halving(
    networks: Sequence[Network],
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    min_epochs: int = 1,
    factor: int = 3,
    monitor: str = "val_loss",
    mode: str = "auto",
    batch_size: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    validation_data: Sequence[Any] | None = None,
    validation_split: float | None = None,
    sample_weight: ArrayLike | None = None,
    class_weight: Any = None,
    verbose: int = 0,
    n_threads: int | None = None,
    executor: Any = None,
) -> Halving:
    """Find the best of many networks: train all a little, and the best ever longer.

    Round r of R trains the best ``ceil(n / factor**r)`` of n networks on, until they have had
    ``epochs // factor**(R - 1 - r)`` epochs.  They go on from where they are, so the winner is, bit
    for bit, what it would be without the others.  Of equal scores the earlier network is the
    better; networks that fail are the last.  So the result depends on the arguments alone, not on
    threads or workers.

    Parameters
    ----------
    networks : sequence of Network
        Candidates, as for :func:`fit_many`, which trains them: the losers too, as far as they get.
    X, y, batch_size, shuffle, drop_last, sample_weight, class_weight, verbose, n_threads, executor
        As for :func:`fit_many`.
    epochs : int
        How many epochs the last round ends with.
    min_epochs : int
        How many the first has at least.  With more there are fewer rounds.
    factor : int
        Of so many networks one goes on, for so many times the epochs; at least 2.
    monitor : str
        What the last epoch of a round is judged by: "val_loss", "loss", or a metric that all
        networks have, with or without ``val_``.  A loss counts without penalties, which networks
        may differ in; those whose losses differ need a metric.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better.  "auto" knows for losses and built-in metrics.
    validation_data : (X, y) or (X, y, sample_weight), optional
        Rows to judge by.
    validation_split : float in (0, 1), optional
        Instead, the share of the rows to hold out, by default 0.2: the same for all networks, drawn
        by the seed of the first.

    Returns
    -------
    Halving
        Has ``best``, ``ranking``, ``rungs`` and ``failures``.

    Raises
    ------
    ValueError, TypeError
        For bad input, before anything changes.
    FitManyError
        If all networks of a round failed.

    Notes
    -----
    scikit-learn's ``HalvingRandomSearchCV`` has the same rounds, but starts each over.  Here rounds
    cost what is new in them.

    Source: K. Jamieson and A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
    Optimization", AISTATS 2016.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> def network(rate):
    ...     layers = [fastnn.Dense(8, "tanh"), fastnn.Dense(1)]
    ...     return fastnn.Network(layers, optimizer=fastnn.SGD(rate))
    >>> candidates = [network(10.0**power) for power in range(-8, 1)]
    >>> found = fastnn.successive_halving(candidates, x, x**2, epochs=90)
    >>> [(rung.epochs, len(rung.positions)) for rung in found.rungs]
    [(10, 9), (30, 3), (90, 1)]
    >>> found.best.optimizer.learning_rate in (0.1, 1.0), found.best.epochs_done
    (True, 90)
    """
    found = as_networks(networks)
    epochs = checks.positive_int(epochs, "epochs")
    min_epochs = checks.positive_int(min_epochs, "min_epochs")
    factor = checks.positive_int(factor, "factor")
    if factor < 2:
        raise ValueError(f"factor is {factor}, wanted at least 2")
    if min_epochs > epochs:
        raise ValueError(f"min_epochs is {min_epochs}, wanted at most epochs, {epochs}")
    better = _direction(
        found, as_entry(monitor, "monitor"), among("auto", "min", "max")(mode, "mode")
    )
    splits = None
    if validation_data is None:
        share = checks.fraction(
            0.2 if validation_split is None else validation_split, "validation_split"
        )
        model = found[0].model
        plan = planning.divided(model, planning.make_plan(model, X, y, validation_split=share))
        if plan.validation is None:
            raise ValueError("validation_split is 0, wanted rows to judge networks by")
        splits = plan.data.rows, plan.validation.rows
    elif validation_split is not None:
        raise ValueError("validation_data and validation_split were both given")
    how: dict[str, Any] = {
        "batch_size": batch_size,
        "shuffle": shuffle,
        "drop_last": drop_last,
        "validation_data": validation_data,
        "sample_weight": sample_weight,
        "class_weight": class_weight,
        "verbose": verbose,
        "n_threads": n_threads,
        "executor": executor,
    }
    going, done = list(range(len(found))), 0
    rungs: list[Rung] = []
    failures: dict[int, Exception] = {}
    ranking: list[int] = []
    for total, count in _rounds(len(found), epochs, min_epochs, factor):
        going = going[:count]
        going.sort()
        chosen = [found[number] for number in going]
        own = None if splits is None else [splits] * len(going)
        failed: dict[int, Exception] = {}
        try:
            histories = fit_numbered(
                chosen, X, y, numbers=going, epochs=total - done, splits=own, **how
            )
        except FitManyError as error:
            histories = error.histories
            failed = dict(zip(error.positions, error.exceptions, strict=True))
            if len(failed) == len(going):
                raise
        failures |= failed
        scores = {
            number: math.nan if number in failed else _score(found[number], history, monitor)
            for number, history in zip(going, histories, strict=True)
        }
        by_number = dict(zip(going, histories, strict=True))
        going.sort(key=lambda number: _rank(better * scores[number]))  # stable: ties by position
        rungs.append(Rung(total, going, [scores[n] for n in going], [by_number[n] for n in going]))
        ranking = [*going, *(number for number in ranking if number not in scores)]
        going, done = [number for number in going if number not in failed], total
    return Halving(rungs, ranking, found, failures)


def _rank(score: float) -> tuple[bool, float]:
    return math.isnan(score), score


def _rounds(n: int, epochs: int, min_epochs: int, factor: int) -> list[tuple[int, int]]:
    """Return for each round how many epochs it ends with, and how many networks it has."""
    rounds = 1
    while factor**rounds <= n and epochs // factor**rounds >= min_epochs:
        rounds += 1
    return [
        (epochs // factor ** (rounds - 1 - each), -(-n // factor**each)) for each in range(rounds)
    ]


def _direction(networks: list[Network], monitor: str, mode: str) -> int:
    """Return 1 if smaller scores are better, else -1; raise if scores cannot be compared."""
    for number, network in enumerate(networks):
        known = {"loss": False} | {each.name: each.maximize for each in network.metrics}
        name = monitor.removeprefix("val_")
        if name not in known:
            raise ValueError(
                f"monitor is {monitor!r}, but networks[{number}] has {', '.join(known)} only"
            )
        if monitor in _LOSSES and network.loss != networks[0].loss:
            raise ValueError(
                f"monitor is {monitor!r}, but networks[{number}] has {network.loss} and networks[0]"
                f" {networks[0].loss}, which do not compare: wanted a metric"
            )
    if mode != "auto":
        return 1 if mode == "min" else -1
    if known[name] is None:
        raise ValueError(
            f"mode is 'auto', but whether more or less of {name!r} is better is not known: wanted "
            "'min' or 'max'"
        )
    return -1 if known[name] else 1


def _score(network: Network, history: History, monitor: str) -> float:
    value = history.history[monitor][-1]
    return value - network.model.penalty() if monitor in _LOSSES else value
