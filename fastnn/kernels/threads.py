"""The right to use Numba's threads, which one caller of fastnn has at a time."""

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
    """Numba's threads cannot be used from here at the moment."""


class Threads:
    """The right to use Numba's threads; as a context manager, it returns their number.

    OpenMP's threads do not survive a fork, so nobody uses them after one.  The work queue aborts
    the process if two threads enter it, so it is used only in processes without other Python
    threads.
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
