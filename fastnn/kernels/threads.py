"""How many threads the caller allows, and the right to use Numba's, which one caller has at a time.

FASTNN_NUM_THREADS says how many.  Without it, what limits others limits fastnn too: threadpoolctl,
or else OMP_NUM_THREADS and NUMBA_NUM_THREADS.
"""

import functools
import os
import re
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numba

_lock = threading.Lock()
_forked = False


def _after_fork() -> None:
    global _lock, _forked
    _lock, _forked = threading.Lock(), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def chosen() -> int | None:
    """Return FASTNN_NUM_THREADS, or None; raise ValueError if it is no number of threads."""
    given = os.environ.get("FASTNN_NUM_THREADS")
    if given is None:
        return None
    number = _number(given)
    if number is None:
        raise ValueError(
            f"the environment variable FASTNN_NUM_THREADS is {given!r}, "
            "wanted a whole number of at least 1"
        )
    return number


def limit() -> int | None:
    """Return the limit that the caller set for other libraries' threads, or None.

    Values that OpenMP and Numba would not take are ignored, as OpenMP does.
    """
    return _reported() or _least_of_others()


def _least_of_others() -> int | None:
    openmp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # a list is by depth of nesting
    given = _number(openmp), _number(os.environ.get("NUMBA_NUM_THREADS", ""))
    return min(filter(None, given), default=None)


def _number(text: str) -> int | None:
    """Return a number of threads, or None if the text is none."""
    found = re.fullmatch(r"\s*0*([1-9][0-9]{0,8})\s*", text)
    return int(found[1]) if found else None


def _reported() -> int | None:
    """Return the fewest threads that threadpoolctl, once imported, reports of any library."""
    module = sys.modules.get("threadpoolctl")
    if module is None:
        return None
    pools = _pools(module.ThreadpoolController, len(sys.modules)).info()
    return min(
        (pool["num_threads"] for pool in pools if (pool["num_threads"] or 0) > 0), default=None
    )


@functools.lru_cache(maxsize=1)
def _pools(controller: Callable, _modules: int) -> Any:
    """Return a controller of the libraries loaded: others only come with other modules."""
    return controller()


_chosen_at_first = functools.cache(chosen)
_least_at_first = functools.cache(_least_of_others)


class NoThreadsError(Exception):
    """Numba's threads cannot be used from here at the moment."""


class Threads:
    """The right to use Numba's threads; as a context manager, it returns their number.

    OpenMP's threads do not survive a fork, so nobody uses them after one.  The work queue aborts
    the process if two threads enter it, so it is used only in processes without other Python
    threads.

    Environment variables are read once, as Numba reads its own: each takes a microsecond, and
    kernels are called often.
    """

    def __enter__(self) -> int:
        most = _chosen_at_first() or _reported() or _least_at_first()
        if most == 1:
            raise NoThreadsError
        if _forked or not _lock.acquire(blocking=False):
            raise NoThreadsError
        try:
            count: int = numba.get_num_threads()  # starts them, so the layer is known
            if numba.threading_layer() == "workqueue" and threading.active_count() > 1:
                raise NoThreadsError
        except BaseException:
            _lock.release()
            raise
        return count if most is None else min(count, most)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _lock.release()
