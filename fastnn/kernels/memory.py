"""Addresses, loads, stores and prefetches, for kernels that work below arrays.

Addresses and strides are integers, in bytes.  Nothing is checked.  The functions that take a
`builder` write LLVM IR and are for other intrinsics; the rest are called from kernels.
"""

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.numba_internals import cgutils, insert, ir

LINE = 64
"""Bytes of a cache line."""

INT32, INT64, BYTES = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()


def constant(value):
    """Return an int64 constant."""
    return ir.Constant(INT64, value)


def least(builder, x, y):
    """Return the smaller of two integers."""
    return builder.select(builder.icmp_signed("<", x, y), x, y)


def call_llvm(builder, name, result, *arguments):
    """Call one of LLVM's own functions."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


class _VolatileStore(ir.instructions.StoreInstr):
    """A store that LLVM neither drops nor merges with another; llvmlite has none."""

    def descr(self, buf):
        line: list[str] = []
        super().descr(line)
        buf.append("".join(line).replace("store", "store volatile", 1))


def store_volatile(builder, value, pointer, align):
    """Store a value exactly as written, whatever stands around it."""
    store = _VolatileStore(builder.block, value, pointer)
    store.align = align
    insert(builder, store)


def keep_rolled(builder):
    """Keep LLVM from unrolling the surrounding loop: it unrolls none that contains a call."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", (), side_effect=True)


def prefetch_line(builder, address):
    """Prefetch a cache line into the second cache; the address need not be valid."""
    reading, second_cache, data = (ir.Constant(INT32, value) for value in (0, 2, 1))
    pointer = builder.inttoptr(address, BYTES)
    call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, reading, second_cache, data)


def prefetch_block(builder, *arguments):
    """Build what :func:`prefetch_rows` does.

    The loop is a function of its own: inlined everywhere it took a second of the first run.
    """
    name = "fastnn_prefetch_rows"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [INT64] * 4), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        inner = ir.IRBuilder(function.append_basic_block())
        source, stride, rows, lines = function.args
        with cgutils.for_range(inner, rows) as row:
            start = inner.add(source, inner.mul(row.index, stride))
            with cgutils.for_range(inner, lines) as line:
                keep_rolled(inner)
                prefetch_line(inner, inner.add(start, inner.mul(line.index, constant(LINE))))
        inner.ret_void()
    builder.call(function, arguments)


@intrinsic
def prefetch_rows(_, source, stride, rows, lines):
    """Prefetch the first `lines` cache lines of `rows` rows."""

    def codegen(context, builder, signature, args):
        prefetch_block(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@intrinsic
def rewrite(_, address):
    """Write the byte at an address back to where it is."""

    def codegen(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], BYTES)
        store_volatile(builder, builder.load(pointer), pointer, 1)
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def address_of(_, array):
    """Return the address of an array's first element (signed, as all offsets are)."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, INT64)

    return types.int64(array), codegen


@intrinsic(prefer_literal=True)
def stack_buffer(_, count):
    """Return the address of `count` bytes (a literal) on the stack, aligned to a cache line."""

    def codegen(context, builder, signature, args):
        with builder.goto_entry_block():  # not alloca_once, which would fill it with zeros
            buffer = builder.alloca(ir.ArrayType(ir.IntType(8), count.literal_value))
        buffer.align = LINE
        return builder.ptrtoint(buffer, INT64)

    return types.int64(count), codegen


@intrinsic
def elements_at(_, like, address):
    """Return the elements at an address, of the type of `like`; they are indexed as an array's."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[1], args[0].type.as_pointer())

    return types.CPointer(like)(like, types.int64), codegen


@intrinsic
def size_of(_, like):
    """Return the bytes of a number, as a constant: dividing by it costs a shift."""

    def codegen(context, builder, signature, args):
        return constant(like.bitwidth // 8)

    return types.int64(like), codegen


@intrinsic
def load_element(_, like, source):
    """Return the element at an address, of the type of `like`."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[1], args[0].type.as_pointer()))

    return like(like, types.int64), codegen


@intrinsic
def store_element(_, value, target):
    """Write an element to an address."""

    def codegen(context, builder, signature, args):
        builder.store(args[0], builder.inttoptr(args[1], args[0].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(value, types.int64), codegen


@intrinsic
def fma(_, x, y, z):
    """Return x * y + z, rounded once."""

    def codegen(context, builder, signature, args):
        return call_llvm(builder, f"llvm.fma.f{x.bitwidth}", args[0].type, *args)

    return x(x, x, x), codegen
