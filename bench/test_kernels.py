"""Every kernel against its NumPy twin: ``pytest -n 0 bench/test_kernels.py``.

One group a kernel, size and dtype, so that pytest-benchmark's table has the two side by side.
"""

import numpy as np
import pytest

from bench.kernels import LEVELS, arguments, elements_for
from bench.matmul import PRODUCTS, SHAPES, numpy_call, operands
from fastnn import kernels
from tests.cases import CASES

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("side", ["compiled", "reference"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kernel(benchmark, case, level, dtype, side):
    benchmark.group = f"{case.name} {level} {dtype}"
    elements = elements_for(case, LEVELS[level], dtype)
    benchmark(getattr(case, side), *arguments(case, elements, dtype).values())


@pytest.mark.parametrize("side", ["compiled", "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("product", PRODUCTS)
def test_matmul(benchmark, product, shape, dtype, side):
    benchmark.group = f"matmul_{product} {'x'.join(map(str, shape))} {dtype}"
    a, b, out = operands(product, shape, dtype)
    if side == "compiled":
        kernel = getattr(kernels, f"matmul_{product}")
        kernel(a, b, out)
        benchmark(kernel, a, b, out)
    else:
        left, right = numpy_call(product, a, b)
        benchmark(lambda: np.matmul(left, right, out=out))
