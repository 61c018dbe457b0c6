"""Training in another process: forked, spawned, or joblib's."""

import concurrent.futures
import contextlib
import copy
import functools
import importlib.util
import multiprocessing
import os
import pickle
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz.cases import Case
from tests.fuzz.running import stored, trained


def in_another_process(checked: Any) -> None:
    """A worker (fork, spawn, joblib's with read-only maps) trains a network on to the same bits."""
    case: Case = checked.case
    if checked.found.how != "finished":
        return
    network = checked.found.network
    before = stored(network)
    expected = _trained_on(case, copy.copy(network))
    kind = _SELDOM.get(case.seed % 10, "fork")
    if "polars" in (case.x_form, case.y_form) and kind == "fork":
        kind = "spawn"  # the threads of polars do not survive a fork, as its documentation says
    kind = kind if kind in _KINDS else "spawn"
    found = _KINDS[kind](case, network)
    assert found == expected, kind
    assert stored(network) == before
    checked.counts[f"(trained on by {kind})"] += 1


def _trained_on(case: Case, network: Any) -> tuple[str, str, bytes]:
    """Return what comes of another epoch."""
    found = trained(case, case.data(), 1, network)
    return found.how, str(found.error), stored(found.network)


def _mapped(case: Case, path: Path) -> tuple[str, str, bytes]:
    import joblib

    return _trained_on(case, joblib.load(path, mmap_mode="r"))


def _by_fork(case: Case, network: Any) -> Any:
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        with contextlib.suppress(BaseException), open(write, "wb") as pipe:
            pickle.dump(_trained_on(case, network), pipe)
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert said and not status, f"the child ended with {status}"
    return pickle.loads(said)


def _by_spawn(case: Case, network: Any) -> Any:
    return _asked(_spawned, _trained_on, case, network)


def _by_joblib(case: Case, network: Any) -> Any:
    import joblib

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        joblib.dump(network, path)
        return _asked(_lokys, _mapped, case, path)


def _asked(worker: Callable[[], Any], *task: Any) -> Any:
    """Return what a worker answers; the next one after its death is another."""
    try:
        return worker().submit(*task).result()
    except concurrent.futures.BrokenExecutor:
        worker.cache_clear()  # type: ignore[attr-defined]
        raise


@functools.cache
def _spawned() -> Any:
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(1, context, _end_with_the_parent)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@functools.cache
def _lokys() -> Any:
    from joblib.externals.loky import get_reusable_executor

    return get_reusable_executor(max_workers=1, timeout=100)


_SELDOM = {5: "spawn", 7: "joblib"}
"""What takes longer, by a digit of the case's seed."""
_KINDS: dict[str, Callable[[Case, Any], Any]] = {"spawn": _by_spawn}
"""Ways to have a network trained elsewhere, by name."""
if importlib.util.find_spec("joblib"):
    _KINDS["joblib"] = _by_joblib
if hasattr(os, "fork"):
    _KINDS["fork"] = _by_fork
