"""How many threads the caller allows, and the right to have help, which one caller has at a time.

FASTNN_NUM_THREADS says how many.  Without it, what limits others limits fastnn too: threadpoolctl,
or else OMP_NUM_THREADS and NUMBA_NUM_THREADS.
"""

import functools
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numba

from fastnn.kernels.helpers import Helpers

_lock = threading.Lock()
_helpers: Helpers | None = None
"""This process's helpers, once there are any."""
_helped = 0.0
"""The seconds of calls since the last that mostly waited for helpers."""
_rested = 0.0
"""Until when calls do without them."""


def _after_fork() -> None:
    global _lock, _helpers
    _lock, _helpers = threading.Lock(), None


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


_STALL = 0.001
"""Seconds after which a call that mostly waited for helpers has found the cores busy."""
_REST = 0.05
"""Seconds for which calls then do without, if it took longer than all calls with help before it:
the system pauses helpers for some milliseconds at a time."""


def with_helpers(call: Callable[..., bool], arguments: tuple[Any, ...]) -> bool:
    """Call ``call(helpers' pool, most threads, *arguments)``, or return False.

    The call returns whether it mostly waited for helpers.  One caller at a time has them, and
    others do their work alone.  A fork ends the helpers of the child, which starts its own.

    Environment variables are read once, as Numba reads its own: each takes a microsecond, and
    kernels are called often.
    """
    global _helpers, _helped, _rested
    most = _chosen_at_first() or _reported() or _least_at_first()
    cores: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    count, begun = min(cores, most or cores), time.perf_counter()
    if count == 1 or begun < _rested or not _lock.acquire(blocking=False):
        return False
    try:
        if _helpers is None:
            _helpers = Helpers(cores)
        _helpers.keep_off()
        waited, ended = call(_helpers.pool, count, *arguments), time.perf_counter()
        if not waited or ended - begun < _STALL:
            _helped += ended - begun
        else:
            if _helped < ended - begun:
                _rested = ended + _REST
            _helped = 0.0
    finally:
        _lock.release()
    return True
