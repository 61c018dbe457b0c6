"""Who may use Numba's threads: at most one caller of fastnn at a time."""

import os
import threading
from types import TracebackType

import numba

_lock = threading.Lock()
_forked = False


def _after_fork() -> None:
    global _lock, _forked
    _lock, _forked = threading.Lock(), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class NoThreadsError(Exception):
    """Numba's threads cannot be used from here now."""


class Threads:
    """The right to use Numba's threads; as a context manager it returns how many there are.

    OpenMP's threads do not survive a fork, and the work queue aborts the process when two threads
    enter it: after a fork nobody uses them, and the work queue is used only in a process that has
    no other Python thread.
    """

    def __enter__(self) -> int:
        if _forked or not _lock.acquire(blocking=False):
            raise NoThreadsError
        try:
            count: int = numba.get_num_threads()  # starts them, so the layer is known
            if numba.threading_layer() == "workqueue" and threading.active_count() > 1:
                raise NoThreadsError
        except BaseException:
            _lock.release()
            raise
        return count

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _lock.release()
