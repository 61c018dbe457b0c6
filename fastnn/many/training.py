"""Train networks that were prepared, several at a time, on the threads of this process."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastnn.callbacks import Callback, CallbackList, History, Logs
from fastnn.engine import threads
from fastnn.inputs.columns import Names
from fastnn.network import Network
from fastnn.training import loop, planning
from fastnn.training.planning import Plan


class FitManyError(ExceptionGroup):
    """Some networks of :func:`fit_many` failed; all others finished training.

    Attributes
    ----------
    exceptions : tuple of Exception
        For each failed network, what its :meth:`Network.fit` would have raised, or a
        :class:`WorkerLostError`.
    positions : list of int
        Where the failed networks are in the list.
    histories : list of History
        The histories of all networks; those of failed ones end where they failed.
    """

    positions: list[int]
    histories: list[History]


class WorkerLostError(RuntimeError):
    """A network ended every worker that trained it; in a :class:`FitManyError`."""


@dataclass
class Common:
    """What all networks share: the checked data and arguments, and the rows of each split."""

    plan: Plan
    splits: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)


@dataclass(eq=False)
class Member:
    """One of the networks, and all that is its own."""

    number: int
    """Its place in the caller's list."""
    network: Network
    callbacks: list[Callback]
    names: Names
    split: int | None = None
    """Which of the splits is its own."""
    shared: bool = False
    """Whether other networks have its optimizer."""
    history: History = field(default_factory=History)

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"networks[{self.number}]"

    def size(self, width: int) -> int:
        """Return the approximate number of weights, for data with `width` columns."""
        weights = 0
        for layer in self.network.layers:
            weights, width = weights + width * layer.width(width), layer.width(width)
        return weights


Done = Callable[[Member, Exception | None], None]
"""Is told of a network that is done, and of what it raised."""


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


def plans_of(common: Common, members: Sequence[Member]) -> Iterator[Plan]:
    """Yield each network's own plan, or raise if it cannot follow the plan of all."""
    divided: dict[Any, Plan] = {}
    plan = common.plan
    for member in members:
        model = member.network.model
        if member.split is not None:
            train, test = map(plan.data.part, common.splits[member.split])
            own = planning.divided(model, replace(plan, data=train, validation=test))
        else:
            seed = model.seed if plan.held_out and plan.at_random else None
            if seed not in divided:
                divided[seed] = planning.divided(model, plan)
            own = divided[seed]
        own = replace(own, data=replace(own.data, names=member.names))
        yield planning.in_batches(model, own)


def train(
    members: Sequence[Member],
    plans: Sequence[Plan],
    n_threads: int,
    done: Done,
    watch: Callable[[], None] | None = None,
) -> None:
    """Train each network on one thread, `n_threads` at a time; :func:`plans_of` made the plans.

    ``done(member, error)`` is called after each, with what it raised, never twice at a time.
    `watch` is called some 20 times a second; if it raises, or on Ctrl-C, all end after their step,
    and the exception propagates.
    """
    for member in members:
        with member.network.model.writing("fit_many"):
            pass  # arrays that networks share are copied before any of them trains
    # The largest first: started last, it would finish alone while other threads idle.
    pairs = zip(members, plans, strict=True)
    waiting = deque(sorted(pairs, key=lambda pair: -pair[0].size(pair[1].data.x.shape[1])))
    one = threading.Lock()

    def job(thread: int) -> None:
        while True:
            try:
                member, plan = waiting.popleft()
            except IndexError:
                return
            failure = None
            try:
                model = member.network.model
                guard = [_Guard(member.network)] if member.shared else []
                hook = CallbackList([member.history, *member.callbacks, *guard])
                own = bool(member.callbacks)
                model.access.exclusively("fit_many", _train_one, member.network, plan, hook, own)
            except threads.StoppedError:
                return
            except Exception as error:
                error.add_note(f"in {member.name}")
                failure = error
            with one:
                done(member, failure)

    threads.run_apart(job, min(n_threads, len(members)), watch)


def _train_one(network: Network, plan: Plan, hook: Callback, watched: bool) -> None:
    loop.train(network.model, planning.begin(network.model, plan), hook, watched, network)
