"""Vector instructions: the only place of the kernels that writes LLVM IR for SIMD vectors."""

from numba import types

from fastnn.kernels.gemm.tiles import BFLOAT16_PAIRS, SPLIT_STORES, TILE
from fastnn.kernels.memory import INT32, INT64, call_llvm, constant, store_volatile
from fastnn.kernels.numba_internals import ir


def _indices(numbers):
    numbers = [ir.Constant(INT32, number) for number in numbers]
    return ir.Constant(ir.VectorType(INT32, len(numbers)), numbers)


class Vectors:
    """Writes operations on vectors of one dtype (a Numba type), as wide as a register.

    A load or store with `existing`, an int64, is masked: it touches that many lanes only, so the
    right edge of a matrix is read and written without its neighbors.
    """

    def __init__(self, builder, dtype):
        self.builder = builder
        self.lanes = TILE.vector_bytes * 8 // dtype.bitwidth
        self.align = dtype.bitwidth // 8
        self.element = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
        self.type = ir.VectorType(self.element, self.lanes)
        self.zero = ir.Constant(self.type, None)
        self.suffix = f"v{self.lanes}f{dtype.bitwidth}"

    def splat(self, value):
        """Return a vector with a number in every lane."""
        undefined = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(INT32, 0))
        return self.builder.shuffle_vector(first, undefined, _indices([0] * self.lanes))

    def broadcast(self, address):
        """Return a vector with the element at an address in every lane."""
        return self.splat(
            self.builder.load(self.builder.inttoptr(address, self.element.as_pointer()))
        )

    def fma(self, x, y, z):
        """Return x * y + z, rounded once."""
        return call_llvm(self.builder, f"llvm.fma.{self.suffix}", self.type, x, y, z)

    def add_product(self, x, y, z):
        """Return z plus the product of two operands of a matrix product."""
        return self.fma(x, y, z)

    def shuffle(self, x, y, order):
        """Return those lanes of x and y, which are numbered one after the other."""
        return self.builder.shuffle_vector(x, y, _indices(order))

    def take(self, x, order):
        """Return those lanes of x."""
        return self.shuffle(x, ir.Constant(x.type, ir.Undefined), order)

    def sum(self, x):
        """Return the sum of all lanes, by halves: a fixed order."""
        lanes = self.lanes
        while lanes > 1:
            halves = range(lanes // 2), range(lanes // 2, lanes)
            x = self.builder.fadd(*(self.take(x, half) for half in halves))
            lanes //= 2
        return self.builder.extract_element(x, ir.Constant(INT32, 0))

    def load(self, address, place=0, existing=None):
        """Return the vector number `place` from an address on; lanes that do not exist are 0."""
        pointer = self._pointer(address, place)
        if existing is None:
            value = self.builder.load(pointer)
            value.align = self.align
            return value
        align, mask = ir.Constant(INT32, self.align), self._mask(existing)
        name = f"llvm.masked.load.{self.suffix}.p0"
        return call_llvm(self.builder, name, self.type, pointer, align, mask, self.zero)

    def load_half(self, address, part):
        """Return the first (0) or second (1) half of the vector at an address."""
        half = ir.VectorType(self.element, self.lanes // 2)
        start = self.builder.inttoptr(address, half.as_pointer())
        value = self.builder.load(self.builder.gep(start, [ir.Constant(INT32, part)]))
        value.align = self.align
        return value

    def join(self, low, high):
        """Return the vector with these halves."""
        return self.shuffle(low, high, range(self.lanes))

    def store(self, value, address, place=0, existing=None):
        """Write the vector number `place` from an address on."""
        pointer = self._pointer(address, place)
        if existing is not None:
            align, mask = ir.Constant(INT32, self.align), self._mask(existing)
            name = f"llvm.masked.store.{self.suffix}.p0"
            call_llvm(self.builder, name, ir.VoidType(), value, pointer, align, mask)
        elif SPLIT_STORES:
            self._store_halves(value, pointer)
        else:
            self.builder.store(value, pointer).align = self.align

    def _store_halves(self, value, pointer):
        lanes = self.lanes // 2
        half = ir.VectorType(self.element, lanes)
        pointer = self.builder.bitcast(pointer, half.as_pointer())
        for place in range(2):
            part = self.take(value, range(place * lanes, (place + 1) * lanes))
            target = self.builder.gep(pointer, [ir.Constant(INT32, place)])
            store_volatile(self.builder, part, target, self.align)

    def _pointer(self, address, place):
        start = self.builder.inttoptr(address, self.type.as_pointer())
        return self.builder.gep(start, [ir.Constant(INT32, place)])

    def _mask(self, existing):
        counted = [constant(lane) for lane in range(self.lanes)]
        numbers = ir.Constant(ir.VectorType(INT64, self.lanes), counted)
        return self.builder.icmp_unsigned("<", numbers, self.splat(existing))


class _BFloat(ir.Type):
    """LLVM's bfloat, which llvmlite does not have."""

    def _to_string(self):
        return "bfloat"

    def __eq__(self, other):
        return isinstance(other, _BFloat)

    def __hash__(self):
        return hash(_BFloat)


class Pairs(Vectors):
    """Vectors of float32, and operands that are pairs of bfloat16 numbers.

    If the processor multiplies those, a pair is as large as a float32, and its first number is the
    lower half.  If not, they are float32 numbers, the second before the first.
    """

    def __init__(self, builder):
        super().__init__(builder, types.float32)
        self.bits = ir.VectorType(INT32, self.lanes)

    def _number(self, bits):
        return ir.Constant(self.bits, [ir.Constant(INT32, bits)] * self.lanes)

    def _rounded(self, x):
        """Return the bits of float32 numbers after rounding them to bfloat16."""
        builder = self.builder
        if BFLOAT16_PAIRS:
            kind = ir.VectorType(_BFloat(), self.lanes)
            halves = call_llvm(builder, "llvm.x86.avx512bf16.cvtneps2bf16.512", kind, x)
            halves = builder.bitcast(halves, ir.VectorType(ir.IntType(16), self.lanes))
            return builder.shl(builder.zext(halves, self.bits), self._number(16))
        bits = builder.bitcast(x, self.bits)
        magnitude = builder.and_(bits, self._number(0x7FFFFFFF))
        odd = builder.and_(builder.lshr(bits, self._number(16)), self._number(1))
        near = builder.add(bits, builder.add(odd, self._number(0x7FFF)))
        nan = builder.icmp_unsigned(">", magnitude, self._number(0x7F800000))
        near = builder.select(nan, builder.or_(bits, self._number(0x400000)), near)
        tiny = builder.icmp_unsigned("<", magnitude, self._number(0x800000))
        near = builder.select(tiny, builder.and_(bits, self._number(0x80000000)), near)
        return builder.and_(near, self._number(0xFFFF0000))

    def of_rows(self, first, second):
        """Return the vectors of pairs of the numbers at the same places of two vectors, rounded."""
        first, second = self._rounded(first), self._rounded(second)
        found = [second, first]
        if BFLOAT16_PAIRS:
            found = [self.builder.or_(self.builder.lshr(first, self._number(16)), second)]
        return [self.builder.bitcast(each, self.type) for each in found]

    def of_neighbors(self, x, y):
        """Return the vectors of pairs of neighbors in two vectors, rounded."""
        if BFLOAT16_PAIRS:
            numbers = range(2 * self.lanes)
            return self.of_rows(*(self.shuffle(x, y, numbers[place::2]) for place in range(2)))
        swapped = [place ^ 1 for place in range(self.lanes)]
        rounded = (self.builder.bitcast(self._rounded(each), self.type) for each in (x, y))
        return [self.take(each, swapped) for each in rounded]

    def add_product(self, x, y, z):
        """Return z plus the products of the pairs' second numbers and then of their first."""
        kind = ir.VectorType(_BFloat(), 2 * self.lanes)
        pairs = self.builder.bitcast(x, kind), self.builder.bitcast(y, kind)
        return call_llvm(self.builder, "llvm.x86.avx512bf16.dpbf16ps.512", self.type, z, *pairs)
