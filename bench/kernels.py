"""Time kernels against their NumPy twins and a copy, at three sizes, from the tests' cases.

A compiled loop calls kernel and copy by address, as the engine calls a step, because a call from
Python takes longer than a kernel needs for arrays that fit the first cache.  The copy reads and
writes as many bytes as the kernel.  Matrix products have their own benchmark, `matmul`.  Schedules
are left out, since they compute a single number.
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
"""Total bytes of a call's arrays: half a first-level cache, no more than most second-level caches,
and more than a third-level cache."""
WIDTH = 128
LINE = 64
MEASURED = [case for case in CASES if case.dimensions < 3 and case.module != "schedules"]


def shape(case, elements):
    """Return a shape of about `elements` elements: rows of `WIDTH`, or equal sides from 3-D on."""
    if case.dimensions == 1:
        return (elements,)
    if case.dimensions == 2:
        return (max(1, elements // WIDTH), WIDTH)
    return (round(elements ** (1 / case.dimensions)),) * case.dimensions


def arrays(made):
    """Return the arguments that are arrays."""
    return {name: value for name, value in made.items() if isinstance(value, np.ndarray)}


def elements_for(case, size, dtype):
    """Return how many elements make the arrays of a call fill `size` bytes together."""

    def total(elements):
        made = case.make(np.random.default_rng(0), np.dtype(dtype), *shape(case, elements))
        return sum(value.nbytes for value in arrays(made).values())

    few, more = 16 * WIDTH, 32 * WIDTH
    each = (total(more) - total(few)) / (more - few)
    return max(WIDTH, int((size - (total(few) - few * each)) / max(each, 1)))


def arguments(case, elements, dtype):
    """Return a case's arguments by name, with the arrays one after another on cache lines.

    A few lines separate them: if arrays are a multiple of 4096 bytes apart, the processor mistakes
    reads from one for what was just written to another.
    """
    made = case.make(np.random.default_rng(0), np.dtype(dtype), *shape(case, elements))
    # Scaled in place again and again, numbers soon are denormal, which takes 100 times as long.
    for name in {"scale", "factor"} & made.keys() - set(case.outputs):
        made[name] = np.ones_like(made[name])[()]
    rooms = [(-(-value.nbytes // LINE) + 5) * LINE for value in arrays(made).values()]
    memory = np.empty(sum(rooms) + LINE, np.uint8)
    place = -memory.ctypes.data % LINE
    for (name, value), room in zip(arrays(made).items(), rooms, strict=True):
        made[name] = memory[place : place + value.nbytes].view(value.dtype).reshape(value.shape)
        made[name][...] = value
        place += room
    return made


def moved(case, made):
    """Return how many bytes a call reads and writes, each element once.

    `made` is what :func:`arguments` returned, before any call.
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
            # Of an array passed whole, a call looks up only as much as it has rows.
            total += min(value.nbytes, most) * (written + read)
    return total


@njit
def called(count, address, first, second, third):
    """Call the code at an address `count` times with three words."""
    for _ in range(count):
        call_step(address, first, second, third)


def calling(case, made):
    """Return a contender that calls the kernel by address."""
    given = [Whole(value) if isinstance(value, np.ndarray) else value for value in made.values()]
    step = Step(case.name, tuple(given), EVERY)
    integers, floats = np.array(step.numbers.integers), np.array(step.numbers.floats)
    address, clock = step.compiled().address, np.zeros(1, np.int64)

    def run(count):
        called(count, address, integers.ctypes.data, floats.ctypes.data, clock.ctypes.data)

    return run


def copying(size):
    """Return a contender that moves `size` bytes: C's memmove reads and writes half as many."""
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
            if level != "memory":  # some twins take half a minute at that size
                with np.errstate(all="ignore"):
                    twin = {"reference": repeat(case.reference, *made.values())}
                    times |= alternate(twin, min(rounds, 3), shortest)
            row = {"kernel": case.name, "level": level, "elements": elements, "bytes": size}
            rows.append(row | times)
    return rows
