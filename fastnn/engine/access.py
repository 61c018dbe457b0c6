"""Which threads may use a model's arrays: one that changes them, and readers between updates."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from fastnn.kernels.interrupts import interruptible, let_interrupt, uninterrupted

_SLICE = 0.02
"""Seconds that a run gets between two pauses, so that readers cannot stop its progress."""
_POLL_SECONDS = 0.05
_OUTSIDE, _WAITING, _INSIDE = range(3)
_registry = threading.Lock()
P = ParamSpec("P")
T = TypeVar("T")
_all: "weakref.WeakSet[Access]" = weakref.WeakSet()


class Access:
    """Keeps apart the threads that use one model's arrays.

    A thread that changes them has the claim, for a whole fit if need be, and closes the arrays
    while they change.  Other threads read them while they are open; if they are closed by a run,
    they make it halt after a whole update.

    Ctrl-C must not leave anything closed or claimed: what is not :meth:`exclusively` belongs into a
    block of :class:`~fastnn.kernels.interrupts.uninterrupted`.

    Attributes
    ----------
    version : int
        Odd while a thread has the claim.  If it is the same even number before and after something
        was computed from the arrays, nobody changed them meanwhile.
    ending : bool
        Whether a run should end after the current epoch; see :meth:`end`.
    """

    def __init__(self) -> None:
        self.version = 0
        self.ending = False
        self._owner: int | None = None
        self._doing = ""
        self._begin()
        with _registry:
            _all.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._turn = threading.Condition(self._lock)
        self._open = True
        self._inside = self._arrived = self._left = 0
        self._halt: Callable[[], None] | None = None
        self._settle: Callable[[], None] | None = None
        self._closed_at = 0.0

    @property
    def mine(self) -> bool:
        """Whether this thread has the claim."""
        return self._owner == threading.get_ident()

    def check_free(self, what: str) -> None:
        """Raise RuntimeError if a thread has the claim."""
        if self._owner is None:
            return
        if self.mine:
            raise RuntimeError(
                f"{what} was called from a callback of this network's {self._doing}, which is "
                "still in progress: call it afterwards, or on a copy (copy.copy(network))"
            )
        raise RuntimeError(
            f"{what} was called during this network's {self._doing} in another thread: wait for "
            "that to end, set stop_training, or use a copy (copy.copy(network))"
        )

    def exclusively(
        self, what: str, function: Callable[P, T], *args: P.args, **given: P.kwargs
    ) -> T:
        """Return ``function(...)``, meanwhile the only thread that may change the arrays."""
        with uninterrupted():
            self._take(what)
            try:
                with interruptible():
                    return function(*args, **given)
            finally:
                self._give_back()

    def briefly(self, function: Callable[P, T], *args: P.args, **given: P.kwargs) -> T | None:
        """Return ``function(...)``, which changes the arrays, or None if anybody else uses them.

        Others wait for it, even to begin, so it must not take long.  Nor is Ctrl-C delayed, which
        would take as long as all else here; a lock that C code holds is safe.
        """
        with self._lock:
            if self._owner is not None or self._arrived != self._left:
                return None
            self.version += 1
            try:
                return function(*args, **given)
            finally:
                self.version += 1

    def _take(self, what: str) -> None:
        with self._turn:
            self.check_free(what)
            self._owner, self._doing = threading.get_ident(), what
            self.version += 1

    def _give_back(self) -> None:
        with self._turn:
            self._owner = None
            self.version += 1

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Claim the arrays, unless this thread has already, and close them."""
        taken = not self.mine
        if taken:
            self._take(what)
        try:
            with self.closed():
                yield
        finally:
            if taken:
                self._give_back()

    @contextmanager
    def closed(
        self, halt: Callable[[], None] | None = None, settle: Callable[[], None] | None = None
    ) -> Iterator[None]:
        """Keep readers out.  Those who are waiting go first.

        `halt` asks the block to end soon, after a whole update, and `settle` also waits until it
        changes nothing any more.
        """
        if not self._open:  # a callback within a run
            self._still()
            yield
            return
        try:
            with self._turn:
                waiting = self._arrived
                self._turn.wait_for(lambda: self._left >= waiting)
                self._open = False
                self._turn.wait_for(lambda: self._inside == 0)
                self._closed_at = time.monotonic()
                self._halt, self._settle = halt, settle
            yield
        finally:
            with self._turn:
                self._halt = self._settle = None
                self._open = True
                self._turn.notify_all()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the arrays as they are after a whole update; nobody changes them in the block."""
        visit = [_OUTSIDE]
        try:
            self._enter(visit)
            yield
        finally:
            self._leave(visit)

    def _enter(self, visit: list[int]) -> None:
        if self.mine:
            self._still()
            return
        with self._turn:
            self._arrived += 1
            visit[0] = _WAITING
            while not self._open:
                self._turn.wait(self._ask())
                let_interrupt()
            self._inside += 1
            visit[0] = _INSIDE

    def _leave(self, visit: list[int]) -> None:
        if visit[0] == _OUTSIDE:
            return
        with self._turn:
            self._inside -= visit[0] == _INSIDE
            self._left += 1
            self._turn.notify_all()

    def end(self) -> None:
        """Have a run end after the current epoch."""
        self.ending = True
        halt = self._halt
        if halt is not None:
            halt()

    def _ask(self) -> float:
        """Make the run halt if its time is over; return how long to wait."""
        left = self._closed_at + _SLICE - time.monotonic()
        if left > 0:
            return left
        if self._halt is not None:
            self._halt()
        return _POLL_SECONDS

    def _still(self) -> None:
        settle = self._settle
        if settle is not None:
            settle()


class _Fork:
    """Lets a process fork between updates only, so that its child has whole ones."""

    def __init__(self) -> None:
        self.visits: list[tuple[Access, list[int]]] = []

    def before(self) -> None:
        with _registry:
            busy = [access for access in _all if access.version % 2]
        visits = [(access, [_OUTSIDE]) for access in busy]
        for access, visit in visits:
            access._enter(visit)
        _registry.acquire()
        self.visits = visits

    def in_parent(self) -> None:
        visits, self.visits = self.visits, []
        _registry.release()
        for access, visit in visits:
            access._leave(visit)

    def in_child(self) -> None:
        """Forget the threads that the child does not have, and what they held."""
        self.visits = []
        for access in _all:
            access._begin()
            if not access.mine:
                access._owner = None
                access.version += access.version % 2
        _registry.release()


if hasattr(os, "register_at_fork"):
    _fork = _Fork()
    os.register_at_fork(
        before=_fork.before, after_in_parent=_fork.in_parent, after_in_child=_fork.in_child
    )
