"""The compiled products: a function for each type of their operands, called by address.

Compiled code finds the address in a table that the linker knows by name, so cached code works in
any process.  An empty entry calls back into Python, which compiles and fills it.  (If that fails,
the error is printed as "ignored" and the call raises RuntimeError: look at the first.)
"""

import ctypes
from collections.abc import Callable
from typing import NamedTuple

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm import loops
from fastnn.kernels.gemm.structures import DIMS, MATRIX, epilogue_type
from fastnn.kernels.jit import cfunc, is_lacking
from fastnn.kernels.numba_internals import CFunc, cgutils, ir, llvm


class _Product(NamedTuple):
    name: str
    """What the operands are called."""
    operand: types.Type
    """The type of what stands for them."""
    number: types.Type
    """The type of C."""
    function: Callable


_products = [
    _Product("float32", types.float32, types.float32, loops.gemm),
    _Product("float64", types.float64, types.float64, loops.gemm),
]
_table = (ctypes.c_void_p * 3)()
_compiled: list[CFunc] = []


def add_product(name: str, operand: types.Type, number: types.Type, function: Callable) -> None:
    """Add a product of other operands, for whose type `operand` stands, to the table."""
    _products.append(_Product(name, operand, number, function))


def _arguments(number):
    """Return the Numba types of the arguments of a product, for the dtype of C."""
    return DIMS, MATRIX, MATRIX, MATRIX, epilogue_type(number), types.int64


def compile_gemm(operands: str) -> None:
    """Compile the products of such operands, or load them, before anyone waits for them."""
    place, signature, function = _named(operands)
    if not _table[place]:
        _compiled.append(cfunc(signature, function))
        _table[place] = _compiled[-1].address


def gemm_is_lacking(operands: str) -> bool:
    """Return whether :func:`compile_gemm` has to compile, and can store, the products."""
    place, signature, function = _named(operands)
    return not _table[place] and is_lacking(signature, function)


def _named(operands):
    """Return a product's place in the table, signature and function."""
    place = [product.name for product in _products].index(operands)
    product = _products[place]
    return place, types.void(*_arguments(product.number)), product.function


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _fill(place):
    compile_gemm(_products[place].name)


llvm.add_symbol("fastnn_gemm_table", ctypes.addressof(_table))
llvm.add_symbol("fastnn_gemm_fill", ctypes.cast(_fill, ctypes.c_void_p).value)


@intrinsic
def gemm(_, operand, dims, a, b, c, epilogue, prefetch_distance):
    """Call the product whose operands have the type of `operand`, or one that stands for it."""
    number = [product.operand for product in _products].index(operand)
    place, number = ir.Constant(ir.IntType(64), number), _products[number].number

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
