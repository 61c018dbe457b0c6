"""Kinds of arguments: compiled code, the NumPy twin and plain slices get the same memory.

A kernel writes down what it got (address, shape, strides) for every thread and part, in batches
smaller than their buffers that do not begin at the data's first row.
"""

import ctypes

import numpy as np
import pytest

from fastnn.engine.arguments import (
    Arg,
    FirstRow,
    FlatPart,
    High,
    Low,
    Number,
    Part,
    PartColumns,
    Source,
    Strided,
    ThreadRow,
    Whole,
)
from fastnn.engine.buffers import Buffer, InPlace, Stretch, ThreadBuffer
from fastnn.engine.clock import Clock, share
from fastnn.engine.shards import Count, Slice
from fastnn.engine.steps import BATCH, EVERY, Step
from fastnn.kernels.jit import njit

THREADS, ROWS, FIRST, SIZE = 4, 5, 7, 8
"""Batches of 5 rows, in buffers of 8."""
DATA = 20


def _array(array, found):
    found[0] = array.ctypes.data
    for axis in range(array.ndim):
        found[1 + axis] = array.shape[axis]
        found[3 + axis] = array.strides[axis]


def _value(value, found):
    found[0] = value


ARRAY, VALUE = ((njit(function, cached=False), function) for function in (_array, _value))


def matrix(rows, columns=3, dtype=np.float32):
    return np.arange(rows * columns, dtype=dtype).reshape(rows, columns)


def rooms(*shape, dtype=np.float32):
    return np.arange(THREADS * np.prod(shape), dtype=dtype).reshape(THREADS, *shape)


W, B = matrix(6), np.arange(6.0)
OWN, OWN_ROWS = rooms(SIZE, 3), rooms(SIZE, dtype=np.int64)
SHARED, SHARED_ROWS = matrix(SIZE), np.arange(SIZE)
X, Y = matrix(DATA), np.arange(DATA, dtype=np.float64)
FAR = np.arange(4 * DATA * 3, dtype=np.float32).reshape(2 * DATA, 6)[::-2, ::2]
NUMBERS = rooms(16, dtype=np.float64)[:, :2]
BOUNDS = 3 * (np.arange(15) % 2) + np.arange(THREADS)[:, None] % 2
STRETCH = Stretch(np.empty((0, 3), np.float32), Clock.INPUT)


def now(data):
    """Return the rows of the batch."""
    return data[FIRST : FIRST + ROWS]


# name: (argument, extent, what a thread gets for items lo ... hi - 1)
KINDS = {
    "whole matrix": (Whole(W), EVERY, lambda t, lo, hi: W),
    "whole vector": (Whole(B), BATCH, lambda t, lo, hi: B),
    "strided": (Strided(W.T), EVERY, lambda t, lo, hi: W.T),
    "source, contiguous": (Source(X), EVERY, lambda t, lo, hi: X),
    "source, any strides": (Source(FAR), EVERY, lambda t, lo, hi: FAR),
    "source, one column": (Source(FAR[:, 1]), EVERY, lambda t, lo, hi: FAR[:, 1]),
    "part": (Part(W), 6, lambda t, lo, hi: W[lo:hi]),
    "part of a vector": (Part(B), 6, lambda t, lo, hi: B[lo:hi]),
    "part per thread": (
        Part(OWN, per_thread=True), 6, lambda t, lo, hi: OWN[t, : hi - lo]
    ),
    "flat part": (FlatPart(W), 6, lambda t, lo, hi: W[lo:hi].reshape(-1)),
    "flat part of a vector": (FlatPart(B), 6, lambda t, lo, hi: B[lo:hi]),
    "flat part per thread": (
        FlatPart(OWN, per_thread=True), 6, lambda t, lo, hi: OWN[t, : hi - lo].reshape(-1)
    ),
    "part of columns": (PartColumns(W), 3, lambda t, lo, hi: W[:, lo:hi]),
    "thread's row": (ThreadRow(NUMBERS), EVERY, lambda t, lo, hi: NUMBERS[t]),
    "number": (Number(NUMBERS), EVERY, lambda t, lo, hi: NUMBERS[t, 0]),
    "number of a column": (Number(NUMBERS[:, 1:]), BATCH, lambda t, lo, hi: NUMBERS[t, 1]),
    "negated number": (-Number(NUMBERS), EVERY, lambda t, lo, hi: -NUMBERS[t, 0]),
    "twice negated": (-Number(NUMBERS, True), EVERY, lambda t, lo, hi: NUMBERS[t, 0]),
    "low": (Low(), 6, lambda t, lo, hi: lo),
    "first row": (FirstRow(), 6, lambda t, lo, hi: lo + 30),
    "count": (
        Count(BOUNDS[:, 2:4], BOUNDS[:, 9:11]), EVERY,
        lambda t, lo, hi: BOUNDS[t, 9] - BOUNDS[t, 2],
    ),
    "slice": (
        Slice(OWN, ThreadBuffer(OWN).batch, BOUNDS[:, 4:6]), EVERY,
        lambda t, lo, hi: OWN[t, BOUNDS[t, 4] : BOUNDS[t, 5]],
    ),
    "slice of a vector": (
        Slice(SHARED_ROWS, Buffer(SHARED_ROWS).batch, BOUNDS[:, 8:10]), EVERY,
        lambda t, lo, hi: SHARED_ROWS[BOUNDS[t, 8] : BOUNDS[t, 9]],
    ),
    "slice of columns": (
        Slice(SHARED, Buffer(SHARED).columns, BOUNDS[:, 2:14]), 3,
        lambda t, lo, hi: SHARED[BOUNDS[t, 2] : BOUNDS[t, 3], lo:hi],
    ),
    "high": (High(), BATCH, lambda t, lo, hi: hi),
    "integer": (-3, BATCH, lambda t, lo, hi: -3),
    "float": (0.25, 6, lambda t, lo, hi: 0.25),
    "clock": (Clock.UPDATE, EVERY, lambda t, lo, hi: 41),
}  # fmt: skip
for name, buffer, rows in [
    ("shared", Buffer(SHARED), lambda t: SHARED[:ROWS]),
    ("shared vector", Buffer(SHARED_ROWS), lambda t: SHARED_ROWS[:ROWS]),
    ("per thread", ThreadBuffer(OWN), lambda t: OWN[t, :ROWS]),
    ("vector per thread", ThreadBuffer(OWN_ROWS), lambda t: OWN_ROWS[t, :ROWS]),
    ("in place", InPlace(X), lambda t: now(X)),
    ("vector in place", InPlace(Y), lambda t: now(Y)),
    ("stretch", STRETCH, lambda t: now(X)),
]:
    KINDS |= {
        f"{name}: rows": (buffer.rows, BATCH, lambda t, lo, hi, rows=rows: rows(t)[lo:hi]),
        f"{name}: batch": (buffer.batch, EVERY, lambda t, lo, hi, rows=rows: rows(t)),
    }
    if not buffer.flat:
        KINDS[f"{name}: columns"] = (
            buffer.columns, 3, lambda t, lo, hi, rows=rows: rows(t)[:, lo:hi]
        )  # fmt: skip


def written(got):
    """Return what the kernel writes down of an array or a number."""
    found = np.zeros(5)
    (_array if isinstance(got, np.ndarray) else _value)(got, found)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_code_and_twin_get_what_a_slice_is(kind):
    argument, extent, expected = KINDS[kind]
    found = np.zeros((THREADS, 5))
    is_number = not isinstance(expected(0, 0, 1), np.ndarray)
    step = Step(VALUE if is_number else ARRAY, (argument, ThreadRow(found)), extent)
    integers = np.array(step.numbers.integers, np.int64)
    floats = np.array(step.numbers.floats, np.float64)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(step.compiled().address)
    clock = np.zeros(len(Clock), np.int64)
    clock[[Clock.FIRST, Clock.ROWS, Clock.BEFORE, Clock.UPDATE]] = FIRST, ROWS, 30, 41
    clock[Clock.INPUT] = X.ctypes.data
    total = {BATCH: ROWS, EVERY: 0}.get(extent, extent)
    for parts in (1, 2, 3, 4, 7):
        for part in range(parts):
            for thread in range(THREADS):
                clock[[Clock.PART, Clock.PARTS, Clock.THREAD]] = part, parts, thread
                lo, hi = share(total, part, parts)
                runs = extent == EVERY or lo < hi
                wanted = written(expected(thread, lo, hi)) if runs else np.zeros(5)
                found[:] = 0
                call(integers.ctypes.data, floats.ctypes.data, clock.ctypes.data)
                np.testing.assert_array_equal(found[thread], wanted)
                if runs:
                    found[:] = 0
                    step.run(clock)
                    np.testing.assert_array_equal(found[thread], wanted)


def test_the_table_has_every_kind():
    kinds = {type(argument) for argument, _, _ in KINDS.values()}
    buffers = {type(getattr(argument, "buffer", None)) for argument, _, _ in KINDS.values()}

    def below(kind):
        return {kind}.union(*map(below, kind.__subclasses__()))

    assert below(Arg) - {Arg} <= kinds
    assert below(Buffer) <= buffers


def test_arrays_of_other_sizes_and_buffers_of_other_kinds_share_code():
    def code(*arguments):
        return Step(ARRAY, arguments).code

    assert code(Whole(W), Whole(B)) == code(Whole(X), Whole(Y))
    assert code(Part(W), Whole(B)) == code(Part(OWN, per_thread=True), Whole(B))
    kinds = [Buffer(SHARED), ThreadBuffer(OWN), InPlace(X), STRETCH]
    assert len({code(kind.rows, Whole(B)) for kind in kinds}) == 1
    assert len({code(kind.columns, Whole(B)) for kind in kinds}) == 1


def test_steps_of_one_form_have_the_same_code():
    codes = {}
    vector = np.ones(SIZE, np.float32)  # of the same dtype as the matrices
    more = [(Part(vector), 6, None), (Buffer(vector).rows, BATCH, None), (Whole(vector), 6, None)]
    for argument, extent, _ in [*KINDS.values(), *more]:
        for whole in (Whole(B), Whole(W)):
            step = Step(ARRAY, (argument, whole), extent)
            assert codes.setdefault(step.form, step.generate()) == step.generate()
    assert 1 < len(codes) < 2 * len(KINDS)
