"""How fastnn compiles and caches functions, decided in one place.

:func:`njit` and :func:`cfunc` make every compiled function, so only this module sets flags and the
cache policy:

* ``error_model="numpy"``: a division by zero gives inf or NaN instead of raising, because an
  exception cannot leave a compiled step.
* No fast-math by default.  ``REASSOCIATE`` lets the compiler reorder the additions of one sum so
  that it vectorizes.  No flag ever drops NaN or infinity.
* The cache is a directory named after a hash of the package's sources.  Numba does not notice
  changes in functions that a cached function calls, so any edit of a kernel starts a new directory.
  So do settings of Numba that change the compiled code.  What is damaged there is compiled again, a
  directory that is not writable is only read, and one that other users can write to is not used:
  see :mod:`fastnn.kernels.code_cache`.
"""

import atexit
import contextlib
import functools
import hashlib
import linecache
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numba

from fastnn.kernels.code_cache import CodeCache
from fastnn.kernels.interrupts import uninterrupted
from fastnn.kernels.numba_internals import compile_within, lacks, make_cfunc, set_cache

REASSOCIATE = frozenset({"reassoc", "nsz", "contract"})
"""Fast-math flags for a loop that is one sum: reorder and contract freely, but keep NaN and inf."""


_SETTINGS = (
    *("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "USING_SVML", "BOUNDSCHECK", "DEBUGINFO_DEFAULT"),
    *("EXTEND_VARIABLE_LIFETIMES", "ENABLE_PROFILING", "NRT_STATS", "DEBUG_NRT"),
    *("LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS"),
)
"""Settings of Numba, from variables such as NUMBA_OPT, with which it compiles other code."""


def _temporary() -> Path:
    """Return a directory that is private, and so only for this process."""
    try:
        parent = tempfile.mkdtemp(prefix="fastnn-")
    except OSError:  # nowhere can be written: nor can this, which the cache then says
        return Path(os.devnull) / "fastnn"
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    return Path(parent)


def settings():
    """Return the settings of Numba by which it would compile other code, by name."""
    return {name: getattr(numba.config, name, None) for name in _SETTINGS}


@functools.cache
def cache_directory() -> Path:
    """Return the directory of this version's compiled code.

    Its parent is ``$FASTNN_CACHE_DIR``, ``$XDG_CACHE_HOME/fastnn`` or ``~/.cache/fastnn``; without
    a home directory it is a temporary directory of this process.  Variables that are empty count as
    unset, and so does a relative ``$XDG_CACHE_HOME``, as its specification says.
    """
    package = Path(__file__).resolve().parent.parent
    given = list(settings().values())
    digest = hashlib.sha256(f"{numba.__version__} {sys.version} {given}".encode())
    for folder in ("kernels", "engine"):
        for source in sorted((package / folder).rglob("*.py")):
            digest.update(source.read_bytes())
    if own := os.environ.get("FASTNN_CACHE_DIR"):
        parent = Path(os.path.expanduser(own))
    elif os.path.isabs(users := os.environ.get("XDG_CACHE_HOME", "")):
        parent = Path(users) / "fastnn"
    elif os.path.expanduser("~") != "~":
        parent = Path("~/.cache/fastnn").expanduser()
    else:
        parent = _temporary()
    return parent.absolute() / digest.hexdigest()[:16]  # wherever the process goes from here


def _dispatcher(function, **options):
    """Do what ``numba.njit`` does, or say why it would do nothing."""
    if numba.config.DISABLE_JIT:
        raise RuntimeError(
            "NUMBA_DISABLE_JIT is set, and fastnn's kernels run only if they are compiled: unset it"
            ' (backend="numpy" lets a network compute as plain Python)'
        )
    return numba.njit(error_model="numpy", **options)(function)


def njit(function=None, *, fastmath=frozenset(), cached=True, prepare=None):
    """Compile a kernel on its first call with each set of argument types.

    Closures over compiled functions are not cached: Numba would never find them again.
    ``prepare(*arguments)``, with the arguments of that first call, prepares whatever the compiled
    code will call.  Ctrl-C waits for both: the compiler does not survive it.
    """
    if function is None:
        return functools.partial(njit, fastmath=fastmath, cached=cached, prepare=prepare)
    dispatcher = _dispatcher(function, fastmath=set(fastmath), nogil=True)
    if cached and function.__closure__ is None:
        set_cache(dispatcher, CodeCache(function, cache_directory))

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
    return _dispatcher(function, inline="always")


def cfunc(signature, function, *, fastmath=frozenset(), cached=True):
    """Compile `function` now, for one signature, as code to call by address."""
    cache = CodeCache(function, cache_directory) if cached else None
    compiled = make_cfunc(function, signature, cache, error_model="numpy", fastmath=set(fastmath))
    with uninterrupted():
        compiled.compile()
    return compiled


def is_lacking(signature, function):
    """Return whether the cache lacks what :func:`cfunc` would compile, and can store it."""
    cache = CodeCache(function, cache_directory)
    return lacks(cache, make_cfunc(function, signature, cache))
