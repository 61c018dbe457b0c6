"""What the compiled loop needs and Numba lacks: views of raw addresses, and calls by address."""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.numba_internals import array_view, cgutils, ir

_INT64 = ir.IntType(64)
_POINTER = ir.IntType(8).as_pointer()


@intrinsic
def vector(_, address, length, dtype):
    """View `length` contiguous elements at an address as an array."""
    kind = types.Array(dtype.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        return array_view(context, builder, kind, args[0], [args[1]], [ir.Constant(_INT64, item)])

    return kind(types.int64, types.int64, dtype), codegen


@intrinsic
def matrix(_, address, rows, columns, dtype):
    """View contiguous rows at an address as a matrix."""
    kind = types.Array(dtype.dtype, 2, "C")

    def codegen(context, builder, signature, args):
        item = ir.Constant(_INT64, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
        strides = [builder.mul(args[2], item), item]
        return array_view(context, builder, kind, args[0], list(args[1:3]), strides)

    return kind(types.int64, types.int64, types.int64, dtype), codegen


@intrinsic
def strided(_, address, rows, columns, row_stride, column_stride, dtype):
    """View elements with any two strides, in bytes, as a matrix."""
    kind = types.Array(dtype.dtype, 2, "A")

    def codegen(context, builder, signature, args):
        return array_view(context, builder, kind, args[0], list(args[1:3]), list(args[3:5]))

    return kind(*[types.int64] * 5, dtype), codegen


@intrinsic
def move(_, target, source, size):
    """Copy `size` bytes from one address to another."""

    def codegen(context, builder, signature, args):
        places = [builder.inttoptr(arg, _POINTER) for arg in args[:2]]
        cgutils.raw_memcpy(builder, *places, args[2], 1)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


@intrinsic
def call_step(_, address, integers, floats, clock):
    """Call the compiled step at an address; all four arguments are addresses."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(_POINTER, [_POINTER] * 3)
        function = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(function, [builder.inttoptr(arg, _POINTER) for arg in args[1:]])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen
