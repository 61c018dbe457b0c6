"""Executors of others behind one door: what each kind calls a job, an answer and a loss."""

import concurrent.futures
import copy
import importlib.util
import shutil
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastnn.engine import cores
from fastnn.inputs.extras import load
from fastnn.kernels.interrupts import interruptible
from fastnn.many.sending import Filed, Parcel, filed
from fastnn.many.training import Common, Member, plans_of, train
from fastnn.many.worker import Answer, Job, answer, in_dask

_PATIENCE = 5.0
"""Seconds to wait, once all is called off, for workers to end their step."""
_ATTEMPTS = 3
"""So many new pools are tried whose processes die at once."""
Share = Sequence[Member]


@dataclass
class Trained:
    """Networks of this process that were trained in place, and what each raised."""

    results: list[tuple[Member, Exception | None]]


@dataclass(frozen=True)
class Lost:
    """Stands for the answer of a worker that died, or that was never asked if nobody is blamed."""

    reason: BaseException
    blamed: bool = True


class BrokenError(Exception):
    """All workers are gone, and nobody says by whose fault."""


class Workers:
    """Base of the adapters.

    Attributes
    ----------
    slots : int
        How many shares are trained at a time.
    n_threads : int or None
        The threads of each; None lets the worker decide.
    pickler : str
        The module that pickles networks; with cloudpickle they may hold a notebook's functions.
    blames : bool
        Whether a share that is lost has certainly ended its worker.
    """

    n_threads: int | None = None
    pickler = "pickle"
    blames = False
    in_place = False
    """Whether it trains the caller's own networks, which are not sent."""

    def __init__(self, executor: Any, slots: int):
        self.executor, self.slots = executor, max(1, slots)

    def open(self, common: Common, make: Callable[[Share], Job]) -> None:
        """Put the data where workers find them; `make` returns the job of a share."""
        self.data: Any = Parcel(common)
        self.make = make

    def answers(self, shares: Sequence[Share]) -> Generator[tuple[int, Any], None, None]:
        """Send shares; yield pairs of a share's place and an Answer, Trained or Lost, as they come.

        Raises BrokenError if no worker is left.
        """
        raise NotImplementedError

    def renew(self) -> None:
        """Have workers again after a BrokenError, or raise it."""

    def close(self) -> None:
        """Call off what is in progress, and take the data away."""

    def late(self) -> Iterator[Any]:
        """Yield the answers of those who were called off, as far as there are any."""
        yield from ()


class _Futures(Workers):
    """Any executor with the `submit` of :mod:`concurrent.futures`.

    The data are in a file, which workers map.  A worker on another machine, which does not see
    it, is sent the data with each share.
    """

    folder: Path | None = None

    def open(self, common: Common, make: Callable[[Share], Job]) -> None:
        super().open(common, make)
        self.waiting: dict[Any, int] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="fastnn-"))
        self.file: Any = filed(self.data, self.folder / "data")

    def send(self, share: Share, data: Parcel | Filed) -> Any:
        folder = str(self.folder) if data is self.file else None
        return self.executor.submit(answer, replace(self.make(share), folder=folder), data)

    def answers(self, shares: Sequence[Share]) -> Generator[tuple[int, Any], None, None]:
        self.waiting = {}
        try:
            for place, share in enumerate(shares):
                with interruptible():  # a process that is forked here keeps the handlers of now
                    future = self.send(share, self.file)
                self.waiting[future] = place
            while self.waiting:
                with interruptible():
                    done, _ = concurrent.futures.wait(
                        self.waiting, return_when=concurrent.futures.FIRST_COMPLETED
                    )
                for future in done:
                    found, place = future.result(), self.waiting.pop(future)
                    if isinstance(found, Answer) and found.lacks_data:
                        self.waiting[self.send(shares[place], self.data)] = place
                    else:
                        yield place, found
        except concurrent.futures.BrokenExecutor as error:
            raise BrokenError(str(error)) from error

    def renew(self) -> None:
        raise BrokenError("it is broken, and nobody knows how to make another")

    def close(self) -> None:
        for future in self.waiting:
            future.cancel()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)  # by which workers know

    def late(self) -> Iterator[Any]:
        begun = [future for future in self.waiting if not future.cancelled()]
        for future in concurrent.futures.wait(begun, _PATIENCE).done:
            if future.exception() is None:
                yield future.result()


class _Threads(_Futures):
    """Threads of this process, which train the caller's own networks, as without an executor."""

    in_place = True

    def open(self, common: Common, make: Callable[[Share], Job]) -> None:
        self.common, self.data, self.file = common, None, None
        self.over = threading.Event()
        self.waiting = {}

    def send(self, share: Share, data: Any) -> Any:
        return self.executor.submit(self._train, share)

    def _train(self, share: Share) -> Trained:
        trained = Trained([])

        def watch() -> None:
            if self.over.is_set():
                raise KeyboardInterrupt

        def done(member: Member, error: Exception | None) -> None:
            trained.results.append((member, error))

        with suppress(KeyboardInterrupt):
            watch()
            train(share, list(plans_of(self.common, share)), self.n_threads or 1, done, watch)
        return trained

    def close(self) -> None:
        self.over.set()
        super().close()


class Processes(_Futures):
    """Processes that share this machine's cores.  A pool that broke is made anew, like it.

    One process that dies ends a pool of the standard library for good, and all others with it:
    nothing is left to go on with, and training here could end this process too.
    """

    own: Any = None

    def __init__(self, executor: Any, slots: int):
        super().__init__(executor, slots)
        self.n_threads = max(1, cores.usable() // self.slots)

    def renew(self) -> None:
        def ask() -> None:
            broken, self.executor = self.executor, _another(self.executor)
            if self.own is not None:
                self.own.shutdown()
            if not _is_loky(broken):  # whose pool is everybody's
                self.own = self.executor
            with interruptible():
                self.executor.submit(int).result()

        _until_answered(ask, concurrent.futures.BrokenExecutor)

    def close(self) -> None:
        super().close()
        if self.own is not None:
            self.own.shutdown(wait=False)


def _until_answered(ask: Callable[[], None], broken: type[Exception]) -> None:
    """Ask workers until they answer, or raise BrokenError."""
    for attempt in range(_ATTEMPTS):
        try:
            ask()
            return
        except broken as error:
            if attempt == _ATTEMPTS - 1:
                raise BrokenError(f"they die before they do anything: {error}") from error


def _another(executor: Any) -> Any:
    """Return a new pool like one that broke; there are no public names for its settings."""
    if _is_loky(executor):
        package = type(executor).__module__.rpartition(".")[0]
        return sys.modules[package].get_reusable_executor(max_workers=_workers_of(executor))
    names = "max_workers", "mp_context", "initializer", "initargs", "max_tasks_per_child"
    given = {name: getattr(executor, f"_{name}", None) for name in names}
    known = {name: value for name, value in given.items() if value is not None}
    return concurrent.futures.ProcessPoolExecutor(**known)


def _is_loky(executor: Any) -> bool:
    return ".loky." in f".{type(executor).__module__}."


def _workers_of(executor: Any) -> int:
    return getattr(executor, "_max_workers", None) or cores.usable()


class _Dask(Workers):
    """A `distributed.Client`: Dask itself sends the shares of a lost worker to others.

    What it gives up, after `allowed-failures`, may only have waited on the workers that died.
    """

    n_threads = 1  # a worker runs as many tasks as it may use threads
    futures: Sequence[Any] = ()
    scattered: Any = None

    def open(self, common: Common, make: Callable[[Share], Job]) -> None:
        super().open(common, make)
        self._scatter()

    def _scatter(self) -> None:
        with interruptible():
            self.executor.wait_for_workers(1)
            self.scattered = self.executor.scatter(self.data, broadcast=True, hash=False)

    def answers(self, shares: Sequence[Share]) -> Generator[tuple[int, Any], None, None]:
        distributed = load("distributed", "executor", "distributed")
        if self.scattered.status != "finished":  # all workers that held the data died
            self._scatter()
        self.futures = [
            self.executor.submit(
                answer, replace(self.make(share), watch=in_dask), self.scattered, pure=False
            )
            for share in shares
        ]
        places = {future.key: place for place, future in enumerate(self.futures)}
        coming = iter(distributed.as_completed(self.futures, raise_errors=False))
        while places:
            with interruptible():
                future = next(coming)
            place = places.pop(future.key)
            try:
                with interruptible():
                    found = future.result()
            except distributed.KilledWorker as error:
                found = Lost(error.with_traceback(None))  # whose frames hold futures
            except distributed.CancelledError as error:  # as are those whose data are lost
                if self.executor.status != "running":
                    raise RuntimeError(f"executor is {self.executor.status}") from error
                found = Lost(error.with_traceback(None), blamed=False)
            future.release()
            yield place, found

    def close(self) -> None:
        with suppress(Exception):  # such as a scheduler that is gone
            self.executor.cancel([*self.futures, self.scattered])


class _Ray(Workers):
    """Ray, by its module, once `ray.init` was called: it retries the tasks of a lost worker."""

    blames = True
    n_threads = 1  # a task has one CPU
    refs: Sequence[Any] = ()

    def open(self, common: Common, make: Callable[[Share], Job]) -> None:
        super().open(common, make)
        self.put = self.executor.put(self.data)
        self.task = self.executor.remote(answer).options(max_retries=1)

    def answers(self, shares: Sequence[Share]) -> Generator[tuple[int, Any], None, None]:
        ray = self.executor
        self.refs = [self.task.remote(self.make(share), self.put) for share in shares]
        places = {ref: place for place, ref in enumerate(self.refs)}
        while self.refs:
            with interruptible():
                (ref,), self.refs = ray.wait(self.refs)
            try:
                found = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except ray.exceptions.RayError as error:
                found = Lost(error)
            yield places[ref], found

    def close(self) -> None:
        for ref in self.refs:
            self.executor.cancel(ref)

    def late(self) -> Iterator[Any]:
        ray = self.executor
        done = ray.wait(self.refs, num_returns=len(self.refs), timeout=_PATIENCE)[0]
        for ref in done if self.refs else []:
            with suppress(ray.exceptions.RayError):
                yield ray.get(ref)


class _Joblib(Workers):
    """A `joblib.Parallel` that returns a generator: it shares out arrays by files of its own."""

    def answers(self, shares: Sequence[Share]) -> Generator[tuple[int, Any], None, None]:
        delayed, left = sys.modules["joblib"].delayed(_numbered), set(range(len(shares)))
        # What comes late of a call that failed reaches the object that was called.
        self.coming = copy.copy(self.executor)(
            delayed(place, self.make(share), self.data) for place, share in enumerate(shares)
        )
        while left:
            try:
                with interruptible():
                    place, found = next(self.coming)
            except Exception as error:  # joblib may raise errors of its own when a worker dies
                raise BrokenError(f"{type(error).__name__}: {error}") from error
            left.remove(place)
            yield place, found

    def renew(self) -> None:
        """Wait until joblib has replaced the pool: a call before that would fail in its place."""
        delayed = sys.modules["joblib"].delayed(int)

        def ask() -> None:
            with interruptible():
                list(copy.copy(self.executor)(delayed() for _ in range(self.slots)))

        _until_answered(ask, Exception)

    def close(self) -> None:
        if (coming := getattr(self, "coming", None)) is not None:
            # Closed, it would warn.
            with suppress(KeyboardInterrupt, StopIteration):
                coming.throw(KeyboardInterrupt())


def _numbered(place: int, job: Job, data: Parcel) -> tuple[int, Answer]:
    return place, answer(job, data)


def adapted(executor: Any, n_threads: int | None) -> Workers:
    """Return the adapter of an executor, or raise TypeError or ValueError."""
    found = _adapter(executor)
    if n_threads is not None:
        found.n_threads = n_threads
    if found.pickler == "cloudpickle" and importlib.util.find_spec("cloudpickle") is None:
        found.pickler = "pickle"
    return found


def _adapter(executor: Any) -> Workers:
    module = type(executor).__module__.partition(".")[0]
    if isinstance(executor, types.ModuleType) and executor.__name__ == "ray":
        if not executor.is_initialized():
            raise ValueError("executor is ray, which is not initialized: call ray.init() first")
        found: Workers = _Ray(executor, int(executor.cluster_resources().get("CPU", 1)))
        found.pickler = "cloudpickle"
        return found
    if module == "joblib" and hasattr(executor, "return_generator"):
        if executor.return_as != "generator_unordered":
            raise ValueError(
                f"executor is a joblib.Parallel with return_as={executor.return_as!r}, wanted "
                "'generator_unordered', so that results come as they are ready"
            )
        joblib = sys.modules["joblib"]
        found = _Joblib(executor, joblib.effective_n_jobs(executor.n_jobs))
        found.pickler = "cloudpickle"
        return found
    if hasattr(executor, "scatter") and hasattr(executor, "submit"):
        if getattr(executor, "asynchronous", False):
            raise ValueError("executor is an asynchronous client, wanted one that waits")
        found = _Dask(executor, sum(executor.nthreads().values()))
        found.pickler = "cloudpickle"
        return found
    if isinstance(executor, concurrent.futures.ThreadPoolExecutor):
        return _Threads(executor, _workers_of(executor))
    if _is_loky(executor) or isinstance(executor, concurrent.futures.ProcessPoolExecutor):
        return Processes(executor, _workers_of(executor))
    if callable(getattr(executor, "submit", None)) and not isinstance(executor, type):
        return _Futures(executor, _workers_of(executor))
    raise TypeError(
        f"executor is {executor!r}, wanted an executor of concurrent.futures, a "
        "distributed.Client, a joblib.Parallel(return_as='generator_unordered'), or the module ray"
    )
