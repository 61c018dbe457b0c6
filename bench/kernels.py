"""Kernels beside their NumPy twins and a copy, at three sizes, from the tests' table of cases.

Kernel and copy are called by address from a compiled loop, as the engine calls a step: a call
from Python takes longer than a kernel needs for what fits the first cache.  The copy reads and
writes as many bytes as the kernel.  Products of matrices have a measurement of their own, in
`matmul`, and schedules compute one number.
"""

import ast
import ctypes
import inspect

import numpy as np

from bench.matmul import repeat
from bench.measure import alternate
from fastnn.engine.arguments import Whole
from fastnn.engine.native import call_step
from fastnn.engine.steps import EVERY, Step
from fastnn.kernels.jit import njit
from tests.cases import CASES, blank

LEVELS = {"L1": 2**14, "L2": 2**18, "memory": 2**26}
"""Bytes of all arrays of a call together: half a first cache, as much of a second one as most
have, and more than a third one."""
WIDTH = 128
LINE = 64
MEASURED = [case for case in CASES if case.dimensions < 3 and case.module != "schedules"]


def shape(case, elements):
    """Return a shape of about so many elements: rows of `WIDTH`, or equal sides from 3-D on."""
    if case.dimensions == 1:
        return (elements,)
    if case.dimensions == 2:
        return (max(1, elements // WIDTH), WIDTH)
    return (round(elements ** (1 / case.dimensions)),) * case.dimensions


def arrays(made):
    """Return those of the arguments that are arrays."""
    return {name: value for name, value in made.items() if isinstance(value, np.ndarray)}


def elements_for(case, size, dtype):
    """Return how many elements the arrays of a call have that fill `size` bytes together."""

    def total(elements):
        made = case.make(np.random.default_rng(0), np.dtype(dtype), *shape(case, elements))
        return sum(value.nbytes for value in arrays(made).values())

    few, more = 16 * WIDTH, 32 * WIDTH
    each = (total(more) - total(few)) / (more - few)
    return max(WIDTH, int((size - (total(few) - few * each)) / max(each, 1)))


def arguments(case, elements, dtype):
    """Return what a case is called with, by name: the arrays one behind the other, on lines.

    Between them are some lines: where arrays are a multiple of 4096 bytes apart, the processor
    takes what is read from one for what has just been written to another.
    """
    made = case.make(np.random.default_rng(0), np.dtype(dtype), *shape(case, elements))
    rooms = [(-(-value.nbytes // LINE) + 5) * LINE for value in arrays(made).values()]
    memory = np.empty(sum(rooms) + LINE, np.uint8)
    place = -memory.ctypes.data % LINE
    for (name, value), room in zip(arrays(made).items(), rooms, strict=True):
        made[name] = memory[place : place + value.nbytes].view(value.dtype).reshape(value.shape)
        made[name][...] = value
        place += room
    return made


def moved(case, made):
    """Return how many bytes a call reads and writes, each element of an array once.

    `made` is what :func:`arguments` has returned, before any call.
    """
    tree = ast.parse(inspect.getsource(case.compiled.py_func))
    described = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"shape", "size", "dtype"}
    }
    used = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in described
    }
    most = max(v.nbytes for name, v in arrays(made).items() if name not in case.whole)
    total = 0
    for name, value in arrays(made).items():
        if name in used:
            written = name in case.outputs
            read = not np.array_equal(value, blank(value.dtype, *value.shape), equal_nan=True)
            # Of what is given whole a call looks up as much as it has rows for.
            total += min(value.nbytes, most) * (written + read)
    return total


@njit
def called(count, address, first, second, third):
    """Call code at an address `count` times, with three words."""
    for _ in range(count):
        call_step(address, first, second, third)


def calling(case, made):
    """Return a contender: the kernel, called by address."""
    given = [Whole(value) if isinstance(value, np.ndarray) else value for value in made.values()]
    step = Step(case.name, tuple(given), EVERY)
    integers, floats = (np.array(numbers) for numbers in step.row)
    address, clock = step.compiled().address, np.zeros(1, np.int64)

    def run(count):
        called(count, address, integers.ctypes.data, floats.ctypes.data, clock.ctypes.data)

    return run


def copying(size):
    """Return a contender: C's memmove of half as many bytes, which reads and writes them."""
    half = size // 2
    memory = np.ones(size + 2 * LINE, np.uint8)
    source = memory.ctypes.data + -memory.ctypes.data % LINE
    target = source + -(-half // LINE) * LINE
    address = ctypes.cast(ctypes.memmove, ctypes.c_void_p).value

    def run(count, kept=memory):
        called(count, address, target, source, half)

    return run


def main(threads: int, dtype: str, rounds: int, shortest: float):
    """Return a list of {"kernel", "level", "elements", "bytes", "fastnn", "copy", "reference"}."""
    rows = []
    for case in MEASURED:
        for level, size in LEVELS.items():
            elements = elements_for(case, size, dtype)
            made = arguments(case, elements, dtype)
            size = moved(case, made)
            times = alternate(
                {"fastnn": calling(case, made), "copy": copying(size)}, rounds, shortest
            )
            if level != "memory":  # some twins take half a minute there
                with np.errstate(all="ignore"):
                    twin = {"reference": repeat(case.reference, *made.values())}
                    times |= alternate(twin, min(rounds, 3), shortest)
            row = {"kernel": case.name, "level": level, "elements": elements, "bytes": size}
            rows.append(row | times)
    return rows
