"""The one place that decides how anything in fastnn is compiled and cached.

Every compiled function is made by :func:`njit` or :func:`cfunc`, so the flags and the cache
policy stand here and nowhere else:

* ``error_model="numpy"``: a division by zero gives inf or NaN instead of raising, because an
  exception inside a compiled step could not be delivered.
* No fast-math by default.  ``REASSOCIATE`` lets the compiler reorder the additions of one sum so
  that it vectorizes; no flag ever drops NaN or infinity.
* The cache lies in a directory of its own, named after a hash of the package's sources: Numba
  does not notice when a function that a cached function calls has changed, so any edit of a
  kernel starts a fresh directory.  A directory that cannot be written is read, and not written.
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
"""Fast-math flags for a loop that is one sum: order and contraction free, NaN and inf kept."""


@functools.cache
def cache_directory() -> Path:
    """Return the directory of this version's compiled code.

    ``FASTNN_CACHE_DIR`` names the parent; else it is ``$XDG_CACHE_HOME/fastnn`` or
    ``~/.cache/fastnn``, and a temporary one of this process where there is no home.
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
        parent = Path(tempfile.mkdtemp(prefix="fastnn-"))  # nobody else's, so for this process
    return parent / digest.hexdigest()[:16]


class _Locator(CacheLocator):
    """Point Numba at :func:`cache_directory` for every function of ours, generated ones too."""

    def __init__(self, function):
        self._function = function

    def ensure_cache_path(self):
        try:
            os.makedirs(self.get_cache_path(), exist_ok=True)
        except OSError:
            pass  # nothing can be stored; loading may still work

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

    Parallel functions are not cached (doing so has crashed for others), nor are closures over
    compiled functions (Numba would never find them again).  ``prepare(*arguments)``, with those of
    that first call, makes ready what the compiled code will call.  Ctrl-C waits for both.
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

    Its lines are kept where tracebacks, Numba's messages and ``inspect.getsource`` look for them.
    """
    name = re.match(r"def (\w+)", code)[1]
    file = f"<generated-{name}-{hashlib.sha256(code.encode()).hexdigest()[:8]}>"
    linecache.cache[file] = len(code), None, code.splitlines(keepends=True), file
    exec(compile(code, file, "exec"), space)
    return space[name]


def inlined(function):
    """Make a helper whose loops become part of the kernel that calls it (one compilation)."""
    return numba.njit(error_model="numpy", inline="always")(function)


def cfunc(signature, function, *, fastmath=frozenset(), cached=True):
    """Compile `function` now, for one signature, as code that can be called by address."""
    cache = _Cache(function) if cached else None
    compiled = make_cfunc(function, signature, cache, error_model="numpy", fastmath=set(fastmath))
    with uninterrupted():
        compiled.compile()
    return compiled


@contextlib.contextmanager
def uninterrupted():
    """Let Ctrl-C wait for the end of the block: the compiler does not survive it."""
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
