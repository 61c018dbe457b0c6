"""Atomic operations on int64 arrays, what a thread does while it waits for another, and a clock."""

import ctypes
import os

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.numba_internals import cgutils, ir, llvm


def _element(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def atomic_add(_, array, index, value):
    """Add to an int64 element, in one order for all threads; return its old value."""

    def codegen(context, builder, signature, args):
        place = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", place, args[2], "acq_rel")

    return types.int64(array, types.int64, types.int64), codegen


@intrinsic
def atomic_swap(_, array, index, value):
    """Write an int64 element, in one order for all threads; return its old value."""

    def codegen(context, builder, signature, args):
        place = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("xchg", place, args[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), codegen


@intrinsic
def atomic_replace(_, array, index, old, new):
    """Write an int64 element if it still is `old`; return whether it was."""

    def codegen(context, builder, signature, args):
        place = _element(context, builder, signature.args[0], args[0], args[1])
        found = builder.cmpxchg(place, args[2], args[3], "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(array, *[types.int64] * 3), codegen


@intrinsic
def atomic_load(_, array, index):
    """Read an int64 element; later reads see everything written before it was stored."""

    def codegen(context, builder, signature, args):
        place = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, types.int64), codegen


@intrinsic
def atomic_store(_, array, index, value):
    """Write an int64 element; a thread that loads it sees everything written before."""

    def codegen(context, builder, signature, args):
        place = _element(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


@intrinsic
def pause(_):
    """Tell the processor that this is a spin loop, if it has an instruction for that."""

    def codegen(context, builder, signature, args):
        if llvm.get_process_triple().startswith(("x86_64", "i686")):
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), codegen


@ctypes.CFUNCTYPE(ctypes.c_int)
def _no_yield():
    return 0


def _yield_address():
    library = ctypes.windll.kernel32 if os.name == "nt" else ctypes.CDLL(None)
    function = getattr(library, "SwitchToThread" if os.name == "nt" else "sched_yield", _no_yield)
    return ctypes.cast(function, ctypes.c_void_p).value


llvm.add_symbol("fastnn_yield", _yield_address())


@intrinsic
def give_way(_):
    """Yield this core to another thread."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "fastnn_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def ticks(_):
    """Return the processor's cycle counter (0 if there is none)."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(64), [])
        name = "llvm.readcyclecounter"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])

    return types.int64(), codegen
