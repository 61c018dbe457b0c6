"""Share networks out among workers, take over what they send back, and try again what is lost."""

import warnings
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastnn.engine.identity import differences, identity
from fastnn.kernels.interrupts import interruptible, uninterrupted
from fastnn.many.executors import BrokenError, Lost, Trained, Workers
from fastnn.many.sending import packed, unpacked
from fastnn.many.training import Common, Done, Member, WorkerLostError
from fastnn.many.worker import Answer, Job, WorkerTracebackError, here
from fastnn.training import transfer

_PER_SLOT = 8
"""Into at least so many shares is the work of one slot divided, ..."""
_AT_ONCE = 2
"""... and the rest of the work into so many for each slot: the last shares are the smallest."""
_LOSSES = 3
"""So many lost workers are one network's fault."""
_RESTARTS = 10
"""So often is a share begun again that nobody is to blame for."""
_SMALL = 500
"""A network of no weights takes as long as one of so many."""


@dataclass(eq=False)
class _Share:
    members: list[Member]
    losses: int = 0
    restarts: int = 0


def shares_of(members: Sequence[Member], width: int, slots: int, least: int) -> list[list[Member]]:
    """Divide networks into shares, the largest first: in number at least `least`, but for the last.

    Shares become smaller towards the end, so that no slot waits long for the last ones.
    """
    costs = [(member.size(width) + _SMALL, member) for member in members]
    costs.sort(key=lambda pair: -pair[0])
    total = left = sum(cost for cost, _ in costs)
    found: list[list[Member]] = []
    goal, own = 0.0, 0
    for cost, member in costs:
        if not found or (own + cost / 2 > goal and len(found[-1]) >= least):
            goal, own = min(left / (_AT_ONCE * slots), total / (_PER_SLOT * slots)), 0
            found.append([])
        found[-1].append(member)
        own, left = own + cost, left - cost
    return found


def spread(workers: Workers, common: Common, members: Sequence[Member], report: Done) -> None:
    """Train networks on workers; `report` is told of each when it has its weights."""
    run = _Run(workers, common, members, report)
    with uninterrupted():  # what has come is taken over; Ctrl-C interrupts waiting and callers
        try:
            workers.open(common, run.job)
            run.all()
        except BaseException:
            workers.close()
            for found in workers.late():
                with suppress(RuntimeError, ValueError):  # what is raised already comes first
                    run.take(found)
            raise
        finally:
            workers.close()


class _Run:
    def __init__(self, workers: Workers, common: Common, members: Sequence[Member], report: Done):
        self.workers, self.report = workers, report
        self.members = {member.number: member for member in members}
        self.left = dict(self.members)
        """The networks that are not done."""
        self.sent = (
            {} if workers.in_place else {each.number: _sent(each, workers) for each in members}
        )
        self.versions = {each.number: each.network.model.access.version for each in members}
        width = common.plan.data.x.shape[1]
        least = workers.n_threads or 1
        shares = shares_of(members, width, workers.slots, least)
        self.queue = [_Share(share) for share in shares]
        self.identity = identity()

    def job(self, share: Sequence[Member]) -> Job:
        """Return a share as it is sent."""
        sent = [self.sent[member.number] for member in share]
        return Job(sent, self.workers.pickler, self.workers.n_threads, self.identity, here())

    def all(self) -> None:
        """Train until every network is done, or has failed."""
        while self.queue:
            certain = self.workers.blames
            batch = [each for each in self.queue if certain or each.losses < _LOSSES - 1]
            batch = batch or self.queue[:1]  # one that may have ended workers is tried alone
            self.queue = [each for each in self.queue if each not in batch]
            self.some(batch)

    def some(self, batch: list[_Share]) -> None:
        """Train these shares; queue what is lost."""
        open_ = dict(enumerate(batch))
        try:
            with closing(self.workers.answers([each.members for each in batch])) as answers:
                for place, found in answers:
                    share = open_.pop(place)
                    if isinstance(found, Lost):
                        self.lost(share, _LOSSES - 1 if found.blamed else 0, found.reason)
                    else:
                        self.take(found)
                        self.again(share)
        except BrokenError as error:
            left = [*open_.values()]
            self.renew(error)
            # Executors begin jobs in order, so these may have been in progress.
            begun, others = left[: self.workers.slots], left[self.workers.slots :]
            self.queue = others + self.queue
            for share in begun:
                self.lost(share, 1, error)

    def renew(self, error: BrokenError) -> None:
        """Go on with new workers."""
        try:
            self.workers.renew()
        except BrokenError as final:
            done = len(self.members) - len(self.left)
            raise RuntimeError(
                f"executor lost its workers ({final}): {done} of {len(self.members)} networks are "
                "trained, the others are as they were"
            ) from error
        warnings.warn(
            "a worker of executor died, and so the whole pool; its networks are trained again in "
            "a new one.  A ProcessPoolExecutor stays broken: make another for later calls",
            RuntimeWarning,
            stacklevel=7,
        )

    def again(self, share: _Share) -> None:
        """Queue what a worker that was stopped has left of a share."""
        rest = [member for member in share.members if member.number in self.left]
        if rest:
            share.members = rest
            self.lost(share, 0, KeyboardInterrupt("its worker was interrupted"))

    def lost(self, share: _Share, losses: int, reason: BaseException) -> None:
        """Queue a share that is lost, divided once that has happened often; or give it up."""
        share.losses += losses
        share.restarts += 1
        if share.restarts > _RESTARTS:
            raise RuntimeError(f"executor lost the same networks {_RESTARTS} times: {reason}")
        if share.losses < _LOSSES - 1:
            self.queue.append(share)
        elif len(share.members) > 1 or share.losses < _LOSSES:
            self.queue += [_Share([member], _LOSSES - 1) for member in share.members]
        else:
            (member,) = share.members
            error = WorkerLostError(f"each worker that trained it died: {reason}")
            error.__cause__ = reason
            error.add_note(f"in {member.name}")
            self.done(member, error)

    def take(self, found: Answer | Trained) -> None:
        """Take over what has come."""
        if isinstance(found, Trained):
            for member, error in found.results:
                self.done(member, error)
            return
        if found.identity is not None:
            raise RuntimeError(
                f"{found.place} would compute other bits: {differences(found.identity, 'it')}"
            )
        if found.other_file:
            raise ValueError(
                f"X, y or sample_weight is a memory map, but {found.place} finds "
                f"{found.other_file}: wanted a path that all workers share, or np.array(X) to "
                "send the numbers"
            )
        for number, content in found.results:
            member = self.members[number]
            self.done(member, self.take_over(member, content))

    def take_over(self, member: Member, content: bytes) -> Exception | None:
        """Give a network what a worker has made of it; return what it or this raised."""
        network = member.network
        try:
            made, history, error, told, states = unpacked(content, network=network)
            if network.model.access.version != self.versions[member.number]:
                raise RuntimeError(
                    "the network was changed while a worker trained it, and keeps what it has"
                )
            transfer.take_over(network.model, made, "fit_many")
        except Exception as problem:
            problem.add_note(f"in {member.name}")
            return problem
        vars(member.history).update(history)
        if error is not None:
            error.__cause__ = WorkerTracebackError(told)
        for callback, state in zip(member.callbacks, states or [], strict=False):
            vars(callback).update(state or {}, network=network)
        return error

    def done(self, member: Member, error: Exception | None) -> None:
        del self.left[member.number]
        with interruptible():
            self.report(member, error)


def _sent(member: Member, workers: Workers) -> bytes:
    """Return a network as it is sent, or raise TypeError before anything is."""
    pack = partial(packed, module=workers.pickler)
    try:
        return pack(member)
    except Exception as error:
        what = "networks" if _fails(pack, member.network) else "callbacks"
        raise TypeError(f"{what}[{member.number}] cannot be sent to a worker: {error}") from error


def _fails(pack: Any, value: Any) -> bool:
    try:
        pack(value)
    except Exception:
        return True
    return False
