"""Train many networks on the same data: an ensemble of seeds, or a grid of settings."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.callbacks import Callback, CallbackList, History, Logs
from fastnn.callbacks.progress import as_verbose
from fastnn.engine import cores, threads
from fastnn.inputs import checks
from fastnn.network import Network
from fastnn.training import attributes, loop, planning
from fastnn.training.planning import Plan


class FitManyError(ExceptionGroup):
    """Some networks of :func:`fit_many` failed; all others finished training.

    Attributes
    ----------
    exceptions : tuple of Exception
        For each failed network, what its :meth:`Network.fit` would have raised.
    positions : list of int
        Where the failed networks are in the list.
    histories : list of History
        The histories of all networks; those of failed ones end where they failed.
    """

    positions: list[int]
    histories: list[History]


class _Report(Callback):
    """Prints a line when its network is done."""

    def __init__(self, label: str, history: History):
        self.label, self.history = label, history

    def on_train_end(self, logs: Logs) -> None:
        print(f"{self.label}: {self.history}\n", end="", flush=True)


class _Guard(Callback):
    """Raises if a callback changes an optimizer that other networks train with at the same time."""

    def __init__(self, network: Network):
        self.optimizer = network.model.given_optimizer
        self.before = self.optimizer.changes_

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.optimizer.changes_ != self.before:
            raise ValueError(
                f"{self.optimizer} was changed during fit_many, and several networks have it: "
                "wanted an optimizer of its own for each network whose callbacks change it"
            )


def fit_many(
    networks: Sequence[Network],
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int = 1,
    batch_size: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    validation_data: Sequence[Any] | None = None,
    validation_split: float = 0.0,
    validation_shuffle: bool = True,
    sample_weight: ArrayLike | None = None,
    class_weight: Any = None,
    splits: Iterable[tuple[ArrayLike, ArrayLike]] | None = None,
    callbacks: Sequence[Iterable[Any]] | None = None,
    verbose: int = 0,
    n_threads: int | None = None,
) -> list[History]:
    """Train many networks on the same data, each as its own :meth:`Network.fit` would.

    The networks may differ in seed, hidden layers, loss, optimizer and dtype.  One thread trains
    each network, and several networks train at a time, the largest first.  Each gets the weights,
    bit for bit, of fitting it alone.  The data are checked once, and only labels are copied;
    if rows are held out at random, all targets are, once for each seed.

    Parameters
    ----------
    networks : sequence of Network
        All need the same number of outputs, and losses for the same kind of target.
    X, y, epochs, batch_size, shuffle, drop_last, validation_data, validation_split, \
    validation_shuffle, sample_weight, class_weight
        As in :meth:`Network.fit`, the same for all networks.  Those of other seeds hold out other
        rows.
    splits : sequence of (train, test), optional
        For each network the positions of the rows to train on, and of those to evaluate after each
        epoch, such as scikit-learn's ``KFold(5).split(X)``.  X is not copied.
    callbacks : sequence of lists, optional
        A list of callbacks for each network, called from the thread that trains it.  They must not
        change an optimizer that several networks have.
    verbose : {0, 1} or bool
        Print nothing, or a line when a network is done.
    n_threads : int or None
        How many networks to train at a time; None is the cores this process may use, less those
        that other fits occupy.  The networks' own `n_threads` are ignored.

    Returns
    -------
    list of History
        In the order of `networks`.

    Raises
    ------
    ValueError, TypeError
        For bad input, such as the same network twice, before anything changes.
    FitManyError
        If networks failed because a loss was not finite or a callback raised.  It is raised after
        all others are done, and holds all histories.
    KeyboardInterrupt
        On Ctrl-C, once each network in training has finished its step.  Networks that were done
        keep their weights, and those still waiting are not trained.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> def network(seed, rate):
    ...     layers = [fastnn.Dense(8, "tanh"), fastnn.Dense(1)]
    ...     return fastnn.Network(layers, optimizer=fastnn.SGD(rate), seed=seed)
    >>> ensemble = [network(seed, 0.1) for seed in range(4)]
    >>> histories = fastnn.fit_many(ensemble, x, x**2, epochs=100)
    >>> mean = np.mean([member.predict(x) for member in ensemble], axis=0)
    >>> bool(np.abs(mean - x**2).mean() < 0.1)
    True

    One network with too large a learning rate does not stop the others:

    >>> try:
    ...     histories = fastnn.fit_many([network(0, rate) for rate in (0.1, 1e30)], x, x**2)
    ... except fastnn.FitManyError as error:
    ...     histories = error.histories
    ...     print(error.positions, type(error.exceptions[0]).__name__)
    [1] FloatingPointError
    """
    found = _as_networks(networks)
    hooks = _as_callbacks(callbacks, len(found))
    verbose = as_verbose(verbose, 1)
    if n_threads is not None:
        n_threads = checks.positive_int(n_threads, "n_threads")
    # What float32 can hold, float64 can too: checking for one network covers all.
    models = [network.model for network in found]
    strictest = min(models, key=lambda each: each.input_dtype.itemsize + each.dtype.itemsize)
    if splits is not None and (validation_data is not None or validation_split):
        raise ValueError("splits and rows for validation were both given, wanted one of them")
    plan = planning.make_plan(
        strictest,
        X,
        y,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        validation_data=validation_data,
        validation_split=validation_split,
        validation_shuffle=validation_shuffle,
        sample_weight=sample_weight,
        class_weight=class_weight,
    )
    n_inputs = plan.data.x.shape[1]
    for number, network in enumerate(found):
        if network.model.n_features not in (None, n_inputs):
            raise ValueError(
                f"X has {n_inputs} columns, but networks[{number}] was built for "
                f"{network.model.n_features} inputs"
            )
    kinds = {(model.input_dtype, model.policy): model for model in models}
    for model in kinds.values():
        planning.warn_of_lost_digits(model, plan.data, X, y, stacklevel=2)
    parts = _as_splits(splits, len(found), len(plan.data))
    plans, divided = [], {}
    for number, network in enumerate(found):
        names = network.model.names.agreed(X, y, owner=f"networks[{number}]")
        if parts:
            train, test = map(plan.data.part, parts[number])
            own = planning.divided(network.model, replace(plan, data=train, validation=test))
        else:
            seed = network.seed if plan.held_out and plan.at_random else None
            if seed not in divided:
                divided[seed] = planning.divided(network.model, plan)
            own = divided[seed]
        own = replace(own, data=replace(own.data, names=names))
        plans.append(planning.in_batches(network.model, own))
    for network in found:
        with network.model.writing("fit_many"):
            pass  # arrays that networks share are copied before any of them trains
    return _train(found, plans, hooks, bool(verbose), n_threads or cores.unused())


def _train(
    networks: list[Network],
    plans: list[Plan],
    hooks: list[list[Callback]],
    verbose: bool,
    n_threads: int,
) -> list[History]:
    histories = [History() for _ in networks]
    failures: dict[int, Exception] = {}
    # The largest first: started last, it would finish alone while other threads idle.
    sizes = [
        _size(network, plan.data.x.shape[1]) for network, plan in zip(networks, plans, strict=True)
    ]
    given = [id(network.model.given_optimizer) for network in networks]
    shared = {number for number, each in enumerate(given) if given.count(each) > 1}
    waiting = deque(sorted(range(len(networks)), key=lambda number: -sizes[number]))

    def job(thread: int) -> None:
        while True:
            try:
                number = waiting.popleft()
            except IndexError:
                return
            own = hooks[number]
            report = [_Report(f"networks[{number}]", histories[number])] if verbose else []
            try:
                network = networks[number]
                guard = [_Guard(network)] if number in shared else []
                hook = CallbackList([histories[number], *own, *guard, *report])
                train = network.model.access.exclusively
                train("fit_many", _train_one, network, plans[number], hook, bool(own))
            except threads.StoppedError:
                return
            except Exception as error:
                error.add_note(f"in networks[{number}]")
                failures[number] = error

    threads.run_apart(job, min(n_threads, len(networks)))
    if failures:
        positions = sorted(failures)
        error = FitManyError(
            f"{len(positions)} of {len(networks)} networks failed: networks{positions}",
            [failures[number] for number in positions],
        )
        error.positions, error.histories = positions, histories
        raise error
    return histories


def _train_one(network: Network, plan: Plan, hook: Callback, watched: bool) -> None:
    loop.train(network.model, planning.begin(network.model, plan), hook, watched, network)


def _size(network: Network, width: int) -> int:
    """Return the approximate number of weights."""
    weights = 0
    for layer in network.layers:
        weights, width = weights + width * layer.width(width), layer.width(width)
    return weights


def _as_networks(networks: Any) -> list[Network]:
    """Return `networks` as a list, checked to fit one plan."""
    if isinstance(networks, Network) or not isinstance(networks, Iterable):
        raise TypeError(f"networks must be a sequence of Network, got {type(networks).__name__}")
    found = list(networks)
    if not found:
        raise ValueError("networks is empty, wanted at least one Network")
    for number, network in enumerate(found):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{number}] must be a Network, got {type(network).__name__}")
    _check_distinct([(network, f"networks[{number}]") for number, network in enumerate(found)])
    for network in found:
        network.model.access.check_free("fit_many")
        attributes.settle(network.model)
    wants = [f"{n.loss.target} targets and {n.model.n_outputs} outputs" for n in found]
    for number, want in enumerate(wants):
        if want != wants[0]:
            raise ValueError(
                f"networks[{number}] wants {want}, but networks[0] {wants[0]}: they cannot share y"
            )
    return found


def _as_splits(splits: Any, n: int, n_rows: int) -> list[list[np.ndarray]]:
    """Return the rows to train on and to evaluate of each of `n` networks; none if none given."""
    if splits is None:
        return []
    found = []
    for number, split in enumerate(splits):
        name = f"splits[{number}]"
        if not isinstance(split, tuple | list) or len(split) != 2:
            raise TypeError(f"{name} is {split!r}, wanted a pair of arrays of positions")
        found.append([_as_positions(rows, name, n_rows) for rows in split])
    if len(found) != n:
        raise ValueError(f"splits has {len(found)} pairs, wanted one for each of {n} networks")
    return found


def _as_positions(rows: Any, name: str, n_rows: int) -> np.ndarray:
    array = np.asarray(rows)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has {array.dtype} of shape {array.shape}, wanted positions of rows, (n,)"
        )
    if not len(array) or array.min() < 0 or array.max() >= n_rows:
        had = f"{array.min()} to {array.max()}" if len(array) else "no rows"
        raise ValueError(f"{name} has {had}, wanted positions from 0 to {n_rows - 1}")
    return array


def _as_callbacks(callbacks: Any, n: int) -> list[list[Callback]]:
    """Return the callbacks of each of `n` networks."""
    if callbacks is None:
        return [[] for _ in range(n)]
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        kind = type(callbacks).__name__
        raise TypeError(f"callbacks must be a list with a list for each network, got {kind}")
    found = []
    for number, own in enumerate(callbacks):
        if isinstance(own, Callback) or not isinstance(own, Iterable):
            kind = type(own).__name__
            raise TypeError(f"callbacks[{number}] must be a list of callbacks, got {kind}")
        found.append(CallbackList(own).callbacks)
    if len(found) != n:
        raise ValueError(f"callbacks has {len(found)} lists, wanted one for each of {n} networks")
    _check_distinct(  # a callback belongs to one network; functions got a wrapper each
        [(hook, f"callbacks[{number}]") for number, own in enumerate(found) for hook in own]
    )
    return found


def _check_distinct(named: list[tuple[Any, str]]) -> None:
    """Refuse an object that appears under two names."""
    names: dict[int, str] = {}
    for value, name in named:
        first = names.setdefault(id(value), name)
        if first != name:
            raise ValueError(
                f"{name} has the same {type(value).__name__} as {first}, wanted another object"
            )
