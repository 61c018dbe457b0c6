"""What the compiled loop needs and Numba lacks: views of raw addresses, and calls by address."""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.numba_internals import array_view, cgutils, ir, llvm

_INT64 = ir.IntType(64)
_POINTER = ir.IntType(8).as_pointer()
_X86 = llvm.get_process_triple().startswith(("x86_64", "i686"))
_FLUSH = 0x8000
"""The bit of MXCSR, the control word of x86, that makes results 0 that would be subnormal."""


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


def _control(builder, operation, place):
    """Build a load or store ("ld", "st") of this thread's MXCSR, at a place on the stack."""
    kind = ir.FunctionType(ir.VoidType(), [_POINTER])
    function = cgutils.get_or_insert_function(
        builder.module, kind, f"llvm.x86.sse.{operation}mxcsr"
    )
    builder.call(function, [builder.bitcast(place, _POINTER)])


@intrinsic
def flush_subnormals(_, wanted):
    """If `wanted`, make results of this thread 0 that would be subnormal.

    Return the control word before.  Elsewhere than on x86 this does nothing.
    """

    def codegen(context, builder, signature, args):
        place = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(32), 0))
        if _X86:
            _control(builder, "st", place)
            before = builder.load(place)
            flush = builder.select(args[0], *(ir.Constant(before.type, n) for n in (_FLUSH, 0)))
            builder.store(builder.or_(before, flush), place)
            _control(builder, "ld", place)
            builder.store(before, place)
        return builder.load(place)

    return types.int32(types.boolean), codegen


@intrinsic
def restore_control(_, before):
    """Give this thread back the control word that :func:`flush_subnormals` returned."""

    def codegen(context, builder, signature, args):
        if _X86:
            _control(builder, "ld", cgutils.alloca_once_value(builder, args[0]))
        return context.get_dummy_value()

    return types.void(types.int32), codegen
