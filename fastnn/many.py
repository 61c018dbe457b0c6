"""Training many networks on the same data: seeds, a grid of settings, an ensemble."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import ArrayLike

from fastnn.callbacks import Callback, CallbackList, History, Logs
from fastnn.engine import cores, team
from fastnn.inputs import checks
from fastnn.network import Network
from fastnn.training import fitting
from fastnn.training.fitting import Plan


class FitManyError(ExceptionGroup):
    """Some of the networks of :func:`fit_many` failed, and all others were trained to their end.

    Attributes
    ----------
    exceptions : tuple of Exception
        What :meth:`Network.fit` would have raised, for each network that failed.
    positions : list of int
        The places of those networks in the list.
    histories : list of History
        Those of all networks; where one failed, of the epochs before.
    """

    positions: list[int]
    histories: list[History]


class _Report(Callback):
    """Prints a line when the network is done."""

    def __init__(self, label: str, history: History):
        self.label, self.history = label, history

    def on_train_end(self, logs: Logs) -> None:
        print(f"{self.label}: {self.history}\n", end="", flush=True)


def fit_many(
    networks: Sequence[Network],
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int = 1,
    batch_size: int | None = None,
    shuffle: bool = True,
    validation_data: Sequence[Any] | None = None,
    validation_split: float = 0.0,
    sample_weight: ArrayLike | None = None,
    class_weight: Any = None,
    callbacks: Sequence[Iterable[Any]] | None = None,
    verbose: int = 0,
    n_threads: int | None = None,
) -> list[History]:
    """Train each of many networks on the same data, as its own :meth:`Network.fit` would.

    The networks may differ in seed, hidden layers, loss, optimizer and dtype.  Each is trained by
    one thread, as many at a time as there are threads, the largest first; the weights are those,
    bit for bit, of a fit of each network alone.  The data are checked once, and nobody copies them.

    Parameters
    ----------
    networks : sequence of Network
        All with the same number of outputs and with losses of the same kind of target.
    X, y, epochs, batch_size, shuffle, validation_data, validation_split, sample_weight, \
    class_weight
        As :meth:`Network.fit` takes them, the same for all networks.
    callbacks : sequence of lists, optional
        For each network its callbacks, which are called from the thread that trains it.
    verbose : {0, 1}
        Nothing, or a line for each network when it is done.
    n_threads : int or None
        How many networks to train at a time; None is the cores that this process may use, less
        those in use by other fits.  The networks' own `n_threads` do not count here.

    Returns
    -------
    list of History
        In the order of `networks`.

    Raises
    ------
    ValueError, TypeError
        For bad input, before anything is changed, and where a network is in the list twice.
    FitManyError
        If networks failed, because a loss was not finite or a callback raised an exception; not
        before all others are done.  The exception holds all histories.
    KeyboardInterrupt
        On Ctrl-C, when each network in training has ended the step in progress.  Those that were
        done stay as they are, and those whose turn had not come are not trained.

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

    A learning rate that is too large costs no other network its training:

    >>> try:
    ...     histories = fastnn.fit_many([network(0, rate) for rate in (0.1, 1e30)], x, x**2)
    ... except fastnn.FitManyError as error:
    ...     histories = error.histories
    ...     print(error.positions, type(error.exceptions[0]).__name__)
    [1] FloatingPointError
    """
    found = _as_networks(networks)
    hooks = _as_callbacks(callbacks, len(found))
    if checks.non_negative_int(verbose, "verbose") > 1:
        raise ValueError(f"verbose is {verbose!r}, wanted 0 or 1")
    if n_threads is not None:
        n_threads = checks.positive_int(n_threads, "n_threads")
    # What float32 can hold, float64 can: one network's door stands for all.
    strictest = min(found, key=lambda network: network.dtype.itemsize)
    plan = fitting.make_plan(
        strictest.model,
        X,
        y,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        validation_data=validation_data,
        validation_split=validation_split,
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
    plans = [fitting.adapt(network.model, plan) for network in found]
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
    # The largest first: one that came last would be trained alone.
    sizes = [
        _size(network, plan.data.x.shape[1]) for network, plan in zip(networks, plans, strict=True)
    ]
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
                plan = fitting.begin(network.model, plans[number])
                hook = CallbackList([histories[number], *own, *report])
                fitting.train(network.model, plan, hook, bool(own), network)
            except team.StoppedError:
                return
            except Exception as error:
                error.add_note(f"in networks[{number}]")
                failures[number] = error

    team.run_apart(job, min(n_threads, len(networks)))
    if failures:
        positions = sorted(failures)
        error = FitManyError(
            f"{len(positions)} of {len(networks)} networks failed: networks{positions}",
            [failures[number] for number in positions],
        )
        error.positions, error.histories = positions, histories
        raise error
    return histories


def _size(network: Network, width: int) -> int:
    """Return about how many weights a network has."""
    weights = 0
    for layer in network.layers:
        weights, width = weights + width * layer.width(width), layer.width(width)
    return weights


def _as_networks(networks: Any) -> list[Network]:
    """Return `networks` as a list that one plan can serve."""
    if isinstance(networks, Network) or not isinstance(networks, Iterable):
        raise TypeError(f"networks must be a sequence of Network, got {type(networks).__name__}")
    found = list(networks)
    if not found:
        raise ValueError("networks is empty, wanted at least one Network")
    for number, network in enumerate(found):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{number}] must be a Network, got {type(network).__name__}")
    _check_distinct([(network, f"networks[{number}]") for number, network in enumerate(found)])
    wants = [f"{n.loss.target} targets and {n.model.n_outputs} outputs" for n in found]
    for number, want in enumerate(wants):
        if want != wants[0]:
            raise ValueError(
                f"networks[{number}] wants {want}, but networks[0] {wants[0]}: they cannot share y"
            )
    return found


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
    _check_distinct(  # a callback knows one network; functions were wrapped, each by itself
        [(hook, f"callbacks[{number}]") for number, own in enumerate(found) for hook in own]
    )
    return found


def _check_distinct(named: list[tuple[Any, str]]) -> None:
    """Refuse an object that has two names."""
    names: dict[int, str] = {}
    for value, name in named:
        first = names.setdefault(id(value), name)
        if first != name:
            raise ValueError(
                f"{name} has the same {type(value).__name__} as {first}, wanted another object"
            )
