"""What runs on a worker: train a share of the networks, and send back what became of each."""

import multiprocessing
import os
import shutil
import socket
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastnn.callbacks import FunctionCallback
from fastnn.engine import cores
from fastnn.engine.identity import identity
from fastnn.many.sending import Filed, OtherFileError, Parcel, packed, unpacked
from fastnn.many.training import Common, Member, plans_of, train
from fastnn.training import transfer


class WorkerTracebackError(Exception):
    """The cause of an exception that a worker raised: where it did."""


class _UnwantedError(BaseException):
    """Ends a share that nobody waits for."""


def here() -> str:
    """Return how messages call this process as a worker."""
    return f"the worker on {socket.gethostname()}, process {os.getpid()}"


@dataclass(frozen=True)
class Job:
    """A share of the networks, as it is sent."""

    members: list[bytes]
    pickler: str
    """The module that pickles what comes back."""
    n_threads: int | None
    identity: Mapping[str, str]
    caller: str
    """The process that sent it."""
    folder: str | None = None
    """Exists while the caller wants results, if that is on this machine."""
    watch: Callable[[], bool] | None = None
    """Returns whether the caller wants results; None if it is always asked otherwise."""


@dataclass
class Answer:
    """What became of a share, as it is sent back."""

    place: str
    results: list[tuple[int, bytes]] = field(default_factory=list)
    """The places of networks, and what became of each."""
    identity: Mapping[str, str] | None = None
    """That of a worker that would compute other bits, and has computed none."""
    other_file: str = ""
    """The file that the worker does not see as the caller does."""
    lacks_data: bool = False
    stopped: bool = False
    """Whether some networks were not trained."""


def answer(job: Job, data: Parcel | Filed) -> Answer:
    """Train a share of the networks."""
    found = Answer(here())
    if identity() != job.identity:
        found.identity = identity()
        return found
    try:
        common: Common = data.open()
    except OtherFileError as error:
        found.other_file = str(error)
        return found
    except FileNotFoundError:  # the caller's own file is on another machine, or gone
        found.lacks_data = True
        return found
    try:
        _train(job, common, found)
    except _UnwantedError:
        found.stopped = True
    except KeyboardInterrupt:
        if job.caller == here():  # whose Ctrl-C it is
            raise
        found.stopped = True
    return found


def _train(job: Job, common: Common, found: Answer) -> None:
    members = [unpacked(each) for each in job.members]
    before = {
        member.number: transfer.settings_of(member.network.model)
        for member in members
        if member.callbacks
    }

    def done(member: Member, error: Exception | None) -> None:
        made = transfer.made(member.network.model, before.get(member.number))
        if member.shared:  # others train with it as it was
            made["changed"].pop("optimizer", None)
        found.results.append((member.number, _returned(member, made, error, job.pickler)))

    def watch() -> None:
        if not wanted(job):
            raise _UnwantedError

    watch()
    plans = list(plans_of(common, members))
    train(members, plans, job.n_threads or cores.unused(), done, watch)


def wanted(job: Job) -> bool:
    """Return whether the caller still wants results."""
    if job.watch is not None:
        return job.watch()
    if job.folder is None:
        return True
    caller = multiprocessing.parent_process()
    with suppress(ValueError):  # loky's processes do not know
        if caller is not None and not caller.is_alive():  # it was killed, and cannot tidy up
            shutil.rmtree(job.folder, ignore_errors=True)
    return os.path.isdir(job.folder)


def _returned(member: Member, made: dict[str, Any], error: Exception | None, module: str) -> bytes:
    """Return the pickle of what became of a network."""
    history = vars(member.history)
    told = None if error is None else "".join(traceback.format_exception(error))
    travels = None if error is None else _that_travels(error, module)
    states = [
        None if isinstance(each, FunctionCallback) else _state(each) for each in member.callbacks
    ]
    result = made, history, travels, told
    try:
        return packed((*result, states), module, network=member.network)
    except Exception as problem:  # what a callback made cannot be pickled
        if error is None:
            name = f"callbacks[{member.number}]"
            travels = TypeError(f"{name} cannot come back from a worker: {problem}")
            travels.add_note(f"in {member.name}")
        made = made | {"changed": {}}
        return packed((made, history, travels, told, None), module)


def _state(callback: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(callback).items() if name != "network"}


def _that_travels(error: Exception, module: str) -> Exception:
    """Return an exception that can be pickled and unpickled."""
    try:
        unpacked(packed(error, module))
        return error
    except Exception:  # it may want other arguments than it keeps, or hold anything
        twin = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", []):
            twin.add_note(note)
        return twin


def in_dask() -> bool:
    """Return whether the result of the Dask task in this thread is wanted."""
    from distributed import get_worker

    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is not None and task.state == "executing"
