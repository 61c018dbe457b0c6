"""Every kernel against its NumPy twin: ``pytest bench/test_kernels.py``.

One group a kernel, shape and dtype, so that pytest-benchmark's table has the two side by side.
"""

import numpy as np
import pytest

from bench.kernels import LEVELS, arguments, elements_for, shape
from bench.matmul import PRODUCTS, SHAPES, numpy_call, operands
from fastnn import kernels
from tests.cases import CASES

SIDES = {"compiled": "compiled", "reference": "NumPy"}


def only_with_all(values, chosen):
    """Return parameters of which a run without ``--all`` has the chosen ones."""
    return [
        value if value in chosen else pytest.param(value, marks=pytest.mark.all)
        for value in values
    ]  # fmt: skip


def by(lengths):
    return "x".join(map(str, lengths))


dtypes = pytest.mark.parametrize("dtype", only_with_all(("float32", "float64"), ["float32"]))
sides = pytest.mark.parametrize("side", SIDES)


@sides
@dtypes
@pytest.mark.parametrize("level", only_with_all(LEVELS, ["L2"]))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kernel(benchmark, case, level, dtype, side):
    elements = elements_for(case, LEVELS[level], dtype)
    benchmark.group = f"{case.name} {by(shape(case, elements))} {dtype}"
    benchmark.name = SIDES[side]
    function, made = getattr(case, side), arguments(case, elements, dtype).values()
    with np.errstate(all="ignore"):
        function(*made)  # compiles
        benchmark(function, *made)


@sides
@dtypes
@pytest.mark.parametrize("lengths", only_with_all(SHAPES, [(50, 200, 64), (128, 784, 512)]), ids=by)
@pytest.mark.parametrize("product", PRODUCTS)
def test_matmul(benchmark, product, lengths, dtype, side):
    benchmark.group = f"matmul_{product} {by(lengths)} {dtype}"
    benchmark.name = SIDES[side]
    a, b, out = operands(product, lengths, dtype)
    if side == "compiled":
        kernel = getattr(kernels, f"matmul_{product}")
        kernel(a, b, out)  # compiles
        benchmark(kernel, a, b, out)
    else:
        left, right = numpy_call(product, a, b)
        benchmark(lambda: np.matmul(left, right, out=out))
