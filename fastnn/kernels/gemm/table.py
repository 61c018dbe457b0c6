"""The compiled products: :func:`loops.gemm` once for each dtype, called by address.

Compiled code finds the address in a table that the linker knows by name, so cached code works in
any process.  An empty entry calls back into Python, which compiles and fills it.  (If that fails,
the error is printed as "ignored" and the call raises RuntimeError: look at the first.)
"""

import ctypes

import numpy as np
from numba import from_dtype, types
from numba.extending import intrinsic

from fastnn.kernels.gemm import loops
from fastnn.kernels.gemm.structures import DIMS, MATRIX, Epilogue, epilogue_type
from fastnn.kernels.jit import cfunc, is_lacking
from fastnn.kernels.numba_internals import CFunc, cgutils, ir, llvm

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_NUMBERS = [from_dtype(dtype) for dtype in _DTYPES]
_table = (ctypes.c_void_p * len(_DTYPES))()
_compiled: list[CFunc] = []


def _arguments(number):
    """Return the Numba types of the arguments of gemm, for a dtype."""
    return DIMS, MATRIX, MATRIX, MATRIX, epilogue_type(number), types.int64


def compile_gemm(dtype: np.dtype) -> None:
    """Compile the products of a dtype, or load them, before anyone waits for them."""
    place = _DTYPES.index(np.dtype(dtype))
    if not _table[place]:
        _compiled.append(cfunc(types.void(*_arguments(_NUMBERS[place])), loops.gemm))
        _table[place] = _compiled[-1].address


def gemm_is_lacking(dtype: np.dtype) -> bool:
    """Return whether :func:`compile_gemm` has to compile, and can store, the products."""
    place = _DTYPES.index(np.dtype(dtype))
    signature = types.void(*_arguments(_NUMBERS[place]))
    return not _table[place] and is_lacking(signature, loops.gemm)


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _fill(place):
    compile_gemm(_DTYPES[place])


llvm.add_symbol("fastnn_gemm_table", ctypes.addressof(_table))
llvm.add_symbol("fastnn_gemm_fill", ctypes.cast(_fill, ctypes.c_void_p).value)


@intrinsic
def gemm(_, dims, a, b, c, epilogue, prefetch_distance):
    """Call :func:`loops.gemm` of the dtype of the epilogue's numbers."""
    number = epilogue.types[Epilogue._fields.index("slope")]
    place = ir.Constant(ir.IntType(64), _NUMBERS.index(number))

    def codegen(context, builder, signature, args):
        module = builder.module
        pointer = ir.IntType(8).as_pointer()
        table = cgutils.add_global_variable(module, pointer, "fastnn_gemm_table")
        entry = builder.gep(table, [place])
        empty = builder.icmp_unsigned("==", builder.load(entry), ir.Constant(pointer, None))
        with builder.if_then(empty, likely=False):
            kind = ir.FunctionType(ir.VoidType(), [place.type])
            builder.call(cgutils.get_or_insert_function(module, kind, "fastnn_gemm_fill"), [place])
            empty = builder.icmp_unsigned("==", builder.load(entry), ir.Constant(pointer, None))
            with builder.if_then(empty, likely=False):
                problem = ("the matrix product could not be compiled",)
                context.call_conv.return_user_exc(builder, RuntimeError, problem)
        kind = ir.FunctionType(pointer, [arg.type for arg in args])
        function = builder.bitcast(builder.load(entry), kind.as_pointer())
        builder.call(function, args)
        return context.get_dummy_value()

    return types.void(*_arguments(number)), codegen
