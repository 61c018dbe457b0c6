"""The compiled products: a function for each type of their operands, called by address.

Compiled code finds the address in a table that the linker knows by name, so cached code works in
any process.  An empty entry calls back into Python, which compiles and fills it.  (If that fails,
the error is printed as "ignored" and the call raises RuntimeError: look at the first.)
"""

import ctypes

import numpy as np
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.bfloat16 import gemm_bfloat16
from fastnn.kernels.gemm import loops
from fastnn.kernels.gemm.structures import DIMS, MATRIX, epilogue_type
from fastnn.kernels.jit import cfunc
from fastnn.kernels.numba_internals import CFunc, cgutils, ir, llvm

BFLOAT16 = np.uint32(0)
"""Stands for an operand of bfloat16 numbers, where a number's type says which product is wanted."""
_PRODUCTS = {
    "float32": (types.float32, types.float32, loops.gemm),
    "float64": (types.float64, types.float64, loops.gemm),
    "bfloat16": (types.uint32, types.float32, gemm_bfloat16),
}
"""By the operands' name: what stands for them, the type of C, and the function."""
_NAMES, _OPERANDS = list(_PRODUCTS), [operand for operand, _, _ in _PRODUCTS.values()]
_table = (ctypes.c_void_p * len(_PRODUCTS))()
_compiled: list[CFunc] = []


def _arguments(number):
    """Return the Numba types of the arguments of a product, for the dtype of C."""
    return DIMS, MATRIX, MATRIX, MATRIX, epilogue_type(number), types.int64


def compile_gemm(operands: str) -> None:
    """Compile the products of such operands, or load them, before anyone waits for them."""
    place = _NAMES.index(operands)
    if not _table[place]:
        _, number, function = _PRODUCTS[operands]
        _compiled.append(cfunc(types.void(*_arguments(number)), function))
        _table[place] = _compiled[-1].address


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _fill(place):
    compile_gemm(_NAMES[place])


llvm.add_symbol("fastnn_gemm_table", ctypes.addressof(_table))
llvm.add_symbol("fastnn_gemm_fill", ctypes.cast(_fill, ctypes.c_void_p).value)


@intrinsic
def gemm(_, operand, dims, a, b, c, epilogue, prefetch_distance):
    """Call the product of such operands as the number `operand`, or BFLOAT16."""
    place = ir.Constant(ir.IntType(64), _OPERANDS.index(operand))
    number = list(_PRODUCTS.values())[_OPERANDS.index(operand)][1]

    def codegen(context, builder, signature, args):
        args = args[1:]
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

    return types.void(operand, *_arguments(number)), codegen
