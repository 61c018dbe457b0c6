"""All uses of Numba and llvmlite that Numba's documentation does not promise to support.

No other file imports ``numba.core``, ``numba.np`` or ``llvmlite``, or touches their attributes that
begin with an underscore.  If a Numba release breaks fastnn, fix it here;
``tests/test_numba_internals.py`` says which names have changed.
"""

import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import llvmlite.binding as llvm  # symbols that compiled code finds by name, the host's name
from llvmlite import ir  # LLVM's types, constants and instructions, for intrinsics
from numba.core import (
    caching,  # what Numba asks of a cache on disk
    cgutils,  # for intrinsics: calls of LLVM's functions, copies, globals, loops
    sigutils,  # a signature as the compiler takes it apart
)
from numba.core.ccallback import CFunc  # code to call by address, with our cache set in time
from numba.core.compiler import CompileResult  # compiled code, and how to store it
from numba.core.errors import NumbaError, TypingError  # a user's function that cannot be compiled
from numba.core.registry import cpu_target  # the processor that Numba compiles for
from numba.core.runtime import rtsys  # the runtime that loaded code is linked to
from numba.core.serialize import dumps  # pickle, for what compiled code consists of

__all__ = [
    "CFunc",
    "NoCache",
    "NumbaError",
    "TypingError",
    "array_view",
    "c_function",
    "cgutils",
    "compile_for",
    "compile_options",
    "compile_within",
    "dumps",
    "fastmath_flags",
    "insert",
    "ir",
    "lacks",
    "llvm",
    "make_cfunc",
    "packed",
    "processor",
    "set_cache",
    "target",
    "unpacked",
]

NoCache = caching.NullCache
"""Base of the cache on disk: what Numba asks of a cache, doing nothing."""


def packed(compiled: Any) -> bytes | None:
    """Return compiled code as bytes, or None if it holds addresses of this process."""
    if compiled.library.has_dynamic_globals:
        return None
    return dumps(compiled._reduce())


def unpacked(content: bytes, target_context: Any) -> Any:
    """Return the compiled code that :func:`packed` made bytes of, ready to run."""
    # Numba would first import and register everything that compiling may need.  That takes a third
    # of the time to the first epoch, and compiled code does not need it.
    rtsys.initialize(target_context)
    return CompileResult._rebuild(target_context, *pickle.loads(content))


def target(target_context: Any) -> tuple[str, str, str]:
    """Return LLVM's names of the system, the processor and its features (+avx2,...)."""
    return target_context.codegen().magic_tuple()


def set_cache(compiled: Any, cache: Any) -> None:
    """Give a dispatcher or CFunc a cache other than that of ``cache=True``."""
    compiled._cache = cache


def compile_within(dispatcher: Any, block: Callable[..., AbstractContextManager[None]]) -> None:
    """Run every compilation that a call starts within ``block(*arguments of the call)``."""
    compile_for_args = dispatcher._compile_for_args

    def compile_in_block(*args, **kws):
        with block(*args):
            return compile_for_args(*args, **kws)

    dispatcher._compile_for_args = compile_in_block  # the call looks it up on the instance


def compile_for(dispatcher: Any, kinds: tuple[Any, ...]) -> None:
    """Compile a dispatcher for arguments of these types, like a call from compiled code."""
    dispatcher.get_call_template(kinds, {})


def c_function(context, module, dispatcher, kinds, tail):
    """Return a C function that calls a dispatcher, compiled for arguments of these types.

    It takes two int64 numbers, the first arguments, and the address of a tuple of the others, whose
    LLVM type is `tail`.  This is for use within intrinsics.
    """
    dispatcher.compile(kinds)
    compiled = dispatcher.overloads[kinds]
    context.add_linking_libs([compiled.library])
    number = ir.IntType(64)
    kind = ir.FunctionType(ir.VoidType(), [number, number, tail.as_pointer()])
    function = ir.Function(module, kind, f"{compiled.fndesc.mangled_name}_called")
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    first, second, place = function.args
    others = cgutils.unpack_tuple(builder, builder.load(place), len(kinds) - 2)
    context.call_conv.call_function(
        builder,
        context.declare_function(module, compiled.fndesc),
        compiled.signature.return_type,
        kinds,
        [first, second, *others],
    )
    builder.ret_void()
    return function


def fastmath_flags(dispatcher: Any) -> set[str]:
    """Return the fast-math flags that a dispatcher was made with."""
    return dispatcher.targetoptions["fastmath"]


def compile_options(dispatcher: Any) -> tuple[Any, ...]:
    """Return what a dispatcher was made with, besides its function."""
    return *dispatcher.targetoptions.items(), *dispatcher.locals.items()


def make_cfunc(function: Callable, signature: Any, cache: Any, **options: Any) -> CFunc:
    """Do what ``numba.cfunc`` does, but without compiling, and with `cache` if it is not None."""
    made = CFunc(function, sigutils.normalize_signature(signature), locals={}, options=options)
    if cache is not None:
        set_cache(made, cache)
    return made


def lacks(cache: Any, made: CFunc) -> bool:
    """Return whether `cache` lacks the code of :func:`make_cfunc`'s result, and can store it."""
    signature = made._sig  # type: ignore[attr-defined]
    found: bool = cache.lacks(signature, cpu_target.target_context)
    return found


def array_view(context, builder, kind, address, shape, strides):
    """Return an array of type `kind` at an address; for use within intrinsics."""
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
    """Append an instruction for which llvmlite has no method."""
    builder._insert(instruction)


def processor() -> tuple[str, list[str]]:
    """Return LLVM's name and features (+avx2 ...) of the processor that Numba compiles for."""
    _, name, features = target(cpu_target.target_context)
    return name, features.split(",")
