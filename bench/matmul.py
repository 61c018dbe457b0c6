"""``fastnn.kernels.matmul_*`` against NumPy's ``matmul(out=)``: times, ratios, call overhead.

A shape is that of a layer: `batch` rows, `n_in` inputs, `n_out` outputs. Its three products are nn:
X @ W,  tn: X.T @ dY (the weights' gradient),  nt: dY @ W.T (the inputs' gradient).
"""

import numpy as np

from bench.measure import alternate

SHAPES = (
    (32, 200, 64),
    (50, 200, 64),
    (10, 200, 64),
    (1, 784, 512),
    (4, 256, 256),
    (7, 500, 33),
    (128, 784, 512),
    (256, 1024, 1024),
    (1024, 1024, 1024),
    (128, 256, 10),
    (50, 64, 1),
)
PRODUCTS = ("nn", "tn", "nt")


def operands(product, shape, dtype, seed=0):
    """Return a, b and out of one product."""
    batch, n_in, n_out = shape
    X, W, dY = (batch, n_in), (n_in, n_out), (batch, n_out)
    a, b, out = {"nn": (X, W, dY), "tn": (X, dY, W), "nt": (dY, W, X)}[product]
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    return rng.standard_normal(a, dtype), rng.standard_normal(b, dtype), np.empty(out, dtype)


def numpy_call(product, a, b):
    """Return the operands as ``numpy.matmul`` takes them: transposed views."""
    return (a.T if product == "tn" else a), (b.T if product == "nt" else b)


def repeat(function, *arguments):
    """Return a contender that calls `function` as often as it is asked to."""

    def run(count):
        for _ in range(count):
            function(*arguments)

    return run


def contenders(product, shape, dtype):
    """Return {"numpy": run, "fastnn": run}, after checking that they agree."""
    from fastnn import kernels

    a, b, out = operands(product, shape, dtype)
    left, right = numpy_call(product, a, b)
    expected = np.matmul(left, right)
    kernel = getattr(kernels, f"matmul_{product}")
    kernel(a, b, out)
    terms = left.shape[1]
    tolerance = 4 * np.finfo(dtype).eps * terms
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
    other = np.empty_like(out)

    def numpy_run(count, matmul=np.matmul):
        for _ in range(count):
            matmul(left, right, out=other)

    return {"numpy": numpy_run, "fastnn": repeat(kernel, a, b, out)}


def main(threads: int, dtype: str, rounds: int, shortest: float):
    """Return a list of {"product", "shape", "numpy", "fastnn"}; shape (1, 1, 1) is overhead."""
    rows = []
    for shape in (*SHAPES, (1, 1, 1)):
        for product in PRODUCTS:
            # Idle OpenBLAS threads spin for a while, and a woken one may be on the wrong core.
            rest, shortest = (0.1, max(shortest, 0.2)) if threads > 1 else (0.0, shortest)
            times = alternate(contenders(product, shape, dtype), rounds, shortest, rest)
            rows.append({"product": product, "shape": shape} | times)
    return rows
