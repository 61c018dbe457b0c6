"""Every kernel beside its NumPy twin, at three sizes, from the tests' table of cases."""

import numpy as np

from bench.matmul import repeat
from bench.measure import alternate
from tests.cases import CASES

ELEMENTS = {"L1": 2**11, "L2": 2**16, "memory": 2**23}
"""Elements of each array; a kernel has one to five of them."""
WIDTH = 256


def shape(case, elements):
    """Return a shape of about so many elements: rows of `WIDTH`, or equal sides from 3-D on."""
    if case.dimensions == 1:
        return (elements,)
    if case.dimensions == 2:
        return (elements // WIDTH, WIDTH)
    return (round(elements ** (1 / case.dimensions)),) * case.dimensions


def arguments(case, elements, dtype):
    """Return what a case is called with, by name; outputs have been written once, so lie ready."""
    rng = np.random.default_rng(0)
    made = case.make(rng, np.dtype(dtype), *shape(case, elements))
    case.compiled(*made.values())
    return made


def copying(made):
    """Return a contender that moves as many bytes as a kernel that touches each array once.

    Of an activation's x and y, the gradient reads y.
    """
    touched = [value for name, value in made.items() if name != "x" or "y" not in made]
    size = sum(value.nbytes for value in touched if isinstance(value, np.ndarray)) // 2
    source = np.ones(size, np.uint8)
    return repeat(np.copyto, np.empty_like(source), source)


def main(threads: int, dtype: str, rounds: int, shortest: float):
    """Return a list of {"kernel", "elements", "reference", "fastnn", "copy"}."""
    rows = []
    for case in CASES:
        for elements in ELEMENTS.values():
            made = arguments(case, elements, dtype)
            values = made.values()
            contenders = {
                "reference": repeat(case.reference, *values),
                "fastnn": repeat(case.compiled, *values),
                "copy": copying(made),
            }
            with np.errstate(all="ignore"):
                times = alternate(contenders, rounds, shortest)
            rows.append({"kernel": case.name, "elements": elements} | times)
    return rows
