"""Every name of Numba and llvmlite that Numba's documentation does not promise to keep.

No other file imports ``numba.core``, ``numba.np`` or ``llvmlite``, or touches an attribute of
theirs that begins with an underscore.  When a release of Numba breaks fastnn, mend it here;
``tests/test_numba_internals.py`` says which of the names have changed.
"""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import llvmlite.binding as llvm  # symbols that compiled code finds by name, the host's name
from llvmlite import ir  # LLVM's types, constants and instructions, for intrinsics
from numba.core import (
    caching,  # the cache on disk, which we keep in a directory of our own
    cgutils,  # for intrinsics: calls of LLVM's functions, globals, loops, tuples
    sigutils,  # a signature as the compiler takes it apart
)
from numba.core.ccallback import CFunc  # code to call by address, with our cache set in time
from numba.core.errors import NumbaError, TypingError  # a user's function that cannot be compiled
from numba.core.registry import cpu_target  # the processor that Numba compiles for
from numba.core.runtime import rtsys  # the runtime that loaded code is linked to

__all__ = [
    "CFunc",
    "CacheLocator",
    "NumbaError",
    "TypingError",
    "array_view",
    "cache_class",
    "cgutils",
    "compile_for",
    "compile_within",
    "fastmath_flags",
    "insert",
    "ir",
    "llvm",
    "make_cfunc",
    "processor",
    "set_cache",
    "threading_layer",
]

CacheLocator = caching._CacheLocator
"""What tells Numba where a function's compiled code lies; subclasses say where."""


def cache_class(locator: Any) -> type:
    """Return the class of a function's cache where a subclass of :data:`CacheLocator` says.

    What cannot be written is not stored, and what cannot be read is compiled.
    """

    class CacheImpl(caching.CompileResultCacheImpl):
        _locator_classes = [locator]

    class FunctionCache(caching.FunctionCache):
        _impl_class = CacheImpl

        def save_overload(self, sig, data):
            try:
                super().save_overload(sig, data)
            except OSError:
                pass

        def load_overload(self, sig, target_context):
            # Numba would first import and register everything that a compilation can need: a
            # third of the time to the first epoch, and of no use to code that is compiled already.
            rtsys.initialize(target_context)
            try:
                return self._load_overload(sig, target_context)
            except (OSError, EOFError):
                return None

    return FunctionCache


def set_cache(compiled: Any, cache: Any) -> None:
    """Give a dispatcher or CFunc a cache other than the one that ``cache=True`` makes."""
    compiled._cache = cache


def compile_within(dispatcher: Any, block: Callable[..., AbstractContextManager[None]]) -> None:
    """Have every compilation that a call begins run within ``block(*arguments of the call)``."""
    compile_for_args = dispatcher._compile_for_args

    def compile_in_block(*args, **kws):
        with block(*args):
            return compile_for_args(*args, **kws)

    dispatcher._compile_for_args = compile_in_block  # the call looks it up on the instance


def compile_for(dispatcher: Any, kinds: tuple[Any, ...]) -> None:
    """Compile a dispatcher for arguments of these types, as a call from compiled code does."""
    dispatcher.get_call_template(kinds, {})


def fastmath_flags(dispatcher: Any) -> set[str]:
    """Return the fast-math flags that a dispatcher was made with."""
    return dispatcher.targetoptions["fastmath"]


def make_cfunc(function: Callable, signature: Any, cache: Any, **options: Any) -> CFunc:
    """Return what ``numba.cfunc`` does, but uncompiled, and with `cache` unless it is None."""
    made = CFunc(function, sigutils.normalize_signature(signature), locals={}, options=options)
    if cache is not None:
        set_cache(made, cache)
    return made


def array_view(context, builder, kind, address, shape, strides):
    """Return, within an intrinsic, the array of type `kind` at an address."""
    array = context.make_array(kind)(context, builder)
    item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    context.populate_array(
        array,
        data=builder.inttoptr(address, array.data.type),
        shape=shape,
        strides=strides,
        itemsize=ir.Constant(ir.IntType(64), item),
        meminfo=None,  # the memory is not Numba's
    )
    return array._getvalue()


def insert(builder: ir.IRBuilder, instruction: ir.Instruction) -> None:
    """Append an instruction that llvmlite has no method for."""
    builder._insert(instruction)


def processor() -> tuple[str, list[str]]:
    """Return LLVM's name of the processor that Numba compiles for, and its features (+avx2 ...)."""
    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    return name, features.split(",")


def threading_layer() -> str:
    """Return the first threading layer that can be imported, in Numba's order, starting none."""
    for layer, module in (("tbb", "tbbpool"), ("omp", "omppool"), ("workqueue", "workqueue")):
        try:
            importlib.import_module(f"numba.np.ufunc.{module}")
        except ImportError:
            continue
        return layer
    return "none"
