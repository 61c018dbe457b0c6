"""`fit_many`: one call for many networks, on the threads of this process or on workers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numpy.typing import ArrayLike

from fastnn.callbacks import History
from fastnn.callbacks.progress import as_verbose
from fastnn.engine import cores
from fastnn.inputs import checks
from fastnn.many.checking import as_callbacks, as_networks, as_splits
from fastnn.many.training import Common, FitManyError, Member, plans_of, train
from fastnn.network import Network
from fastnn.training import planning

OnResult = Callable[[int, Network, History], Any]


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
    executor: Any = None,
    on_result: OnResult | None = None,
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
        that other fits occupy.  With `executor`, how many in each of its workers; None is what the
        worker may use.  The networks' own `n_threads` are ignored.
    executor : concurrent.futures.Executor, distributed.Client, joblib.Parallel or ray, optional
        Who trains instead of this process; docs/guides/clusters.md has the kinds.  Data are sent
        once, a memory map as its path.  Each network comes back whole, with all that a later fit
        depends on.  Callbacks run on the workers, and come back too.  Networks of a worker that
        dies are trained again.
    on_result : function of (position, network, history), optional
        Called when a network that did not fail has its weights, once at a time.  What it raises
        counts as that network's failure.

    Returns
    -------
    list of History
        In the order of `networks`.

    Raises
    ------
    ValueError, TypeError
        For bad input, such as the same network twice or callbacks that cannot be pickled for
        `executor`, before anything changes.
    RuntimeError
        If a worker would compute other bits (another version, another processor), or if no worker
        is left.
    FitManyError
        If networks failed because a loss was not finite, a callback raised, or they ended each
        worker that trained them.  It is raised after all others are done, and holds all histories.
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
    return fit_numbered(
        networks,
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
        splits=splits,
        callbacks=callbacks,
        verbose=verbose,
        n_threads=n_threads,
        executor=executor,
        on_result=on_result,
    )


def fit_numbered(
    networks: Sequence[Network],
    X: ArrayLike,
    y: ArrayLike,
    *,
    numbers: Sequence[int] | None = None,
    splits: Any = None,
    callbacks: Any = None,
    verbose: Any = 0,
    n_threads: Any = None,
    executor: Any = None,
    on_result: Any = None,
    **how: Any,
) -> list[History]:
    """Do what :func:`fit_many` does; `numbers` are what failures and lines call the networks."""
    found = as_networks(networks)
    hooks = as_callbacks(callbacks, len(found))
    verbose = as_verbose(verbose, 1)
    if n_threads is not None:
        n_threads = checks.positive_int(n_threads, "n_threads")
    if on_result is not None and not callable(on_result):
        raise TypeError(
            f"on_result is {on_result!r}, wanted a function of (position, network, history)"
        )
    # What float32 can hold, float64 can too: checking for one network covers all.
    models = [network.model for network in found]
    strictest = min(models, key=lambda each: each.input_dtype.itemsize + each.dtype.itemsize)
    if splits is not None and (
        how.get("validation_data") is not None or how.get("validation_split")
    ):
        raise ValueError("splits and rows for validation were both given, wanted one of them")
    plan = planning.make_plan(strictest, X, y, **how)
    n_inputs = plan.data.x.shape[1]
    for number, network in enumerate(found):
        if network.model.n_features not in (None, n_inputs):
            raise ValueError(
                f"X has {n_inputs} columns, but networks[{number}] was built for "
                f"{network.model.n_features} inputs"
            )
    kinds = {(model.input_dtype, model.policy): model for model in models}
    for model in kinds.values():
        planning.warn_of_lost_digits(model, plan.data, X, y, stacklevel=3)
    common, members = Common(plan), []
    parts = as_splits(splits, len(found), len(plan.data))
    places: dict[tuple[int, int], int] = {}  # folds that many networks share are sent once
    for number, network in enumerate(found):
        names = network.model.names.agreed(X, y, owner=f"networks[{number}]")
        place = number if numbers is None else numbers[number]
        members.append(Member(place, network, hooks[number], names))
        if parts:
            own = parts[number]
            split = places.setdefault((id(own[0]), id(own[1])), len(places))
            if split == len(common.splits):
                common.splits.append((own[0], own[1]))
            members[-1].split = split
    given = [id(model.given_optimizer) for model in models]
    for member, optimizer in zip(members, given, strict=True):
        member.shared = given.count(optimizer) > 1
    report = _Report(bool(verbose), on_result)
    if executor is None:
        plans = list(plans_of(common, members))
        train(members, plans, n_threads or cores.unused(), report)
    else:
        from fastnn.many import executors, spreading  # most programs never need them

        workers = executors.adapted(executor, n_threads)
        for _ in plans_of(common, members):
            pass  # a plan that a network cannot follow raises now, before anything changes
        spreading.spread(workers, common, members, report)
    histories = [member.history for member in members]
    if report.failures:
        positions = sorted(report.failures)
        failed = FitManyError(
            f"{len(positions)} of {len(found)} networks failed: networks{positions}",
            [report.failures[number] for number in positions],
        )
        failed.positions, failed.histories = positions, histories
        raise failed
    return histories


class _Report:
    """Is told of each network that is done: keeps failures, prints, and calls the caller."""

    def __init__(self, verbose: bool, on_result: OnResult | None):
        self.verbose, self.on_result = verbose, on_result
        self.failures: dict[int, Exception] = {}

    def __call__(self, member: Member, error: Exception | None) -> None:
        if self.verbose:
            print(f"{member.name}: {member.history}\n", end="", flush=True)
        try:
            if error is None and self.on_result is not None:
                self.on_result(member.number, member.network, member.history)
        except Exception as own:
            own.add_note(f"in on_result of {member.name}")
            error = own
        if error is not None:
            self.failures[member.number] = error
