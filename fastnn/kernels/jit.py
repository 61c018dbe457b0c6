"""How fastnn compiles and caches functions, decided in one place.

:func:`njit` and :func:`cfunc` make every compiled function, so only this module sets flags and the
cache policy:

* ``error_model="numpy"``: a division by zero gives inf or NaN instead of raising, because an
  exception cannot leave a compiled step.
* No fast-math by default.  ``REASSOCIATE`` lets the compiler reorder the additions of one sum so
  that it vectorizes.  No flag ever drops NaN or infinity.
* The cache is a directory named after a hash of the package's sources.  Numba does not notice
  changes in functions that a cached function calls, so any edit of a kernel starts a new directory.
  A directory that is not writable is only read.
"""

import contextlib
import functools
import hashlib
import linecache
import os
import re
import signal
import sys
import tempfile
import threading
from pathlib import Path

import numba

from fastnn.kernels.numba_internals import (
    CacheLocator,
    cache_class,
    compile_within,
    make_cfunc,
    set_cache,
)

REASSOCIATE = frozenset({"reassoc", "nsz", "contract"})
"""Fast-math flags for a loop that is one sum: reorder and contract freely, but keep NaN and inf."""


@functools.cache
def cache_directory() -> Path:
    """Return the directory of this version's compiled code.

    Its parent is ``$FASTNN_CACHE_DIR``, ``$XDG_CACHE_HOME/fastnn`` or ``~/.cache/fastnn``; without
    a home directory it is a temporary directory of this process.
    """
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for folder in ("kernels", "engine"):
        for source in sorted((package / folder).rglob("*.py")):
            digest.update(source.read_bytes())
    if "FASTNN_CACHE_DIR" in os.environ:
        parent = Path(os.environ["FASTNN_CACHE_DIR"])
    elif "XDG_CACHE_HOME" in os.environ:
        parent = Path(os.environ["XDG_CACHE_HOME"]) / "fastnn"
    elif os.path.expanduser("~") != "~":
        parent = Path("~/.cache/fastnn").expanduser()
    else:
        parent = Path(tempfile.mkdtemp(prefix="fastnn-"))  # private, so only for this process
    return parent / digest.hexdigest()[:16]


class _Locator(CacheLocator):
    """Points Numba to :func:`cache_directory` for all of our functions, generated ones too."""

    def __init__(self, function):
        self._function = function

    def ensure_cache_path(self):
        try:
            os.makedirs(self.get_cache_path(), exist_ok=True)
        except OSError:
            pass  # saving is impossible; loading may still work

    def get_cache_path(self):
        return str(cache_directory())

    def get_source_stamp(self):
        return 0  # the directory's name is the stamp

    def get_disambiguator(self):
        code = self._function.__code__
        return hashlib.sha256(repr((code.co_consts, code.co_names)).encode()).hexdigest()[:10]

    @classmethod
    def from_function(cls, py_func, py_file):
        return cls(py_func)


_Cache = cache_class(_Locator)


def njit(function=None, *, fastmath=frozenset(), parallel=False, cached=True, prepare=None):
    """Compile a kernel on its first call with each set of argument types.

    Parallel functions are not cached, since that has crashed for others.  Neither are closures over
    compiled functions, which Numba would never find again.  ``prepare(*arguments)``, with the
    arguments of that first call, prepares whatever the compiled code will call.  Ctrl-C waits for
    both.
    """
    if function is None:
        return functools.partial(
            njit, fastmath=fastmath, parallel=parallel, cached=cached, prepare=prepare
        )
    dispatcher = numba.njit(
        error_model="numpy",
        fastmath=set(fastmath),
        parallel=parallel,
        nogil=True,
    )(function)
    if numba.config.DISABLE_JIT:
        return dispatcher
    if cached and not parallel:
        set_cache(dispatcher, _Cache(function))

    @contextlib.contextmanager
    def block(*arguments):
        with uninterrupted():
            yield
            if prepare is not None:
                prepare(*arguments)

    compile_within(dispatcher, block)
    return dispatcher


def defined(code, space):
    """Return the function that generated code defines; `space` holds the names that it uses.

    Tracebacks, Numba's messages and ``inspect.getsource`` can show its source.
    """
    name = re.match(r"def (\w+)", code)[1]
    file = f"<generated-{name}-{hashlib.sha256(code.encode()).hexdigest()[:8]}>"
    linecache.cache[file] = len(code), None, code.splitlines(keepends=True), file
    exec(compile(code, file, "exec"), space)
    return space[name]


def inlined(function):
    """Make a helper that compiles as part of the kernels that call it."""
    return numba.njit(error_model="numpy", inline="always")(function)


def cfunc(signature, function, *, fastmath=frozenset(), cached=True):
    """Compile `function` now, for one signature, as code to call by address."""
    cache = _Cache(function) if cached else None
    compiled = make_cfunc(function, signature, cache, error_model="numpy", fastmath=set(fastmath))
    with uninterrupted():
        compiled.compile()
    return compiled


@contextlib.contextmanager
def uninterrupted():
    """Delay Ctrl-C until the end of the block, because the compiler does not survive it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler or signal.SIG_DFL)
        if pending:
            signal.raise_signal(signal.SIGINT)
