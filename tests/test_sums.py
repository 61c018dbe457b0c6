"""Sums over very many rows, which must not lose digits as they grow."""

import numpy as np
import pytest

from fastnn import SGD, Dense, Network
from fastnn.kernels import COMPILED
from fastnn.reference import TWINS

ROWS = 10**6


def _row_of(name, terms):
    """Return what a kernel makes of `terms`, (rows, 1), as the one sum that it writes."""
    ones, one = np.ones_like(terms), np.ones(1, terms.dtype)
    out, beta, matrix = np.zeros(1, terms.dtype), one.copy(), np.zeros((1, 1), terms.dtype)
    if name == "column_sums":
        COMPILED[name](terms, 0, 1, out)
    elif name == "batch_norm_gradients":  # dgamma, of x = 1 above a mean of 0
        COMPILED[name](ones, 0 * one, one, terms, 0, 1, out, beta)
    elif name == "layer_norm_gradients":
        COMPILED[name](ones, 0 * ones[:, 0], ones[:, 0], terms, 0, 1, out, beta)
    elif name == "scale_units_gradient":
        COMPILED[name](ones, terms, 0, 1, out)
    elif name == "blend_units_gradient":
        COMPILED[name](0 * ones, ones, terms, 0, 1, out)
    elif name == "periodic_gradients":  # dphase
        COMPILED[name](ones, np.zeros(1, np.int64), terms, 0, 1, matrix.copy(), out[None])
    elif name == "block_gradients":
        COMPILED[name](ones, terms, 0, 1, matrix)
    elif name == "column_norms":
        COMPILED[name](np.sqrt(terms), 0, 1, out, beta)
    else:
        numbers = [1.0] if name == "matmul_tn_add" else []
        COMPILED[name](ones, terms, *numbers, matrix)
    return float(out[0] + matrix[0, 0])


SUMS = (
    "column_sums", "batch_norm_gradients", "layer_norm_gradients", "column_norms", "matmul_tn",
    "matmul_tn_add", "scale_units_gradient", "blend_units_gradient",
    "matmul_tn_add", "periodic_gradients", "block_gradients",
)  # fmt: skip


@pytest.mark.parametrize("name", SUMS)
def test_a_million_millionths_are_one(name):
    terms = np.full((ROWS, 1), 1 / ROWS, np.float32)  # one by one, 1.009
    assert abs(_row_of(name, terms) - 1) < 2e-5


def test_a_step_of_many_rows_is_rounded_once():
    # Each part of this step, from 256 rows, is less than a weight of 1 can notice.
    rows = 2**14
    ones, gradient = np.ones((rows, 3), np.float32), np.full((rows, 20), 1 / rows, np.float32)
    weights = np.ones((3, 20), np.float32)
    COMPILED["matmul_tn_add"](ones, gradient, -1e-6, weights)
    np.testing.assert_array_equal(weights, np.float32(1 - 1e-6))


@pytest.mark.parametrize("n_inputs", [1, 40_000])
def test_a_tree_of_classes_sums_a_million_millionths(n_inputs):
    rows, n_nodes = (ROWS, 3) if n_inputs == 1 else (2000, 3)
    h, slopes = np.ones((rows, n_inputs), np.float32), np.full((rows, 2), 1 / rows, np.float32)
    parent, target = np.array([1, 1, 2, 2, 0, 0, 0]), np.zeros(rows, np.int64)
    dw, db = np.ones((n_nodes, n_inputs), np.float32), np.ones(n_nodes, np.float32)
    rest = h, target, parent, slopes, 0, n_nodes, dw, db
    COMPILED["tree_gradient"](*rest)  # of the root, and of node 1 below it
    np.testing.assert_allclose(dw, np.outer([1, 1, 0], h[0]), rtol=1e-6)
    np.testing.assert_allclose(db, [1, 1, 0], rtol=1e-6)
    COMPILED["tree_update"](2.0, *rest)
    np.testing.assert_allclose(dw, np.outer([-1, -1, 0], h[0]), rtol=1e-6)
    np.testing.assert_allclose(db, [-1, -1, 0], rtol=1e-6)


@pytest.mark.parametrize("rows", [1024, 1025, 2050])
def test_blocks_of_rows_and_columns_leave_nothing_out(rows):
    # More columns than have totals at once, and any share of them gives the same bits.
    a = np.random.default_rng(0).integers(-8, 9, (rows, 4100)).astype(np.float32)
    whole, parts = np.full((2, a.shape[1]), np.nan, np.float32)
    COMPILED["column_sums"](a, 0, a.shape[1], whole)
    np.testing.assert_array_equal(whole, a.sum(axis=0))
    for first, last in ((0, 3), (3, 4099), (4099, 4100)):
        COMPILED["column_sums"](a, first, last, parts)
    assert whole.tobytes() == parts.tobytes()


@pytest.mark.parametrize("name", ["matmul_nn", "matmul_tn", "matmul_nt", "matmul_tn_add"])
@pytest.mark.parametrize("shape", [(66, 4097, 515), (3, 9000, 5), (1, 5000, 1)])
def test_deep_products_leave_nothing_out(name, shape):
    rng, (m, k, n) = np.random.default_rng(1), shape
    a, b = (rng.integers(-3, 4, each).astype(np.float32) for each in ((m, k), (k, n)))
    given = [a.T.copy() if "_t" in name and "_nt" not in name else a, b]
    given[1] = b.T.copy() if "_nt" in name else b
    numbers = [2.0] if name == "matmul_tn_add" else []
    out, twin = np.ones((2, m, n), np.float32)
    COMPILED[name](*given, *numbers, out)
    TWINS[name](*given, *numbers, twin)
    np.testing.assert_array_equal(out, twin)
    if name == "matmul_tn_add":  # also if threads share the columns of the product
        part = np.ones((m, n), np.float32)
        for columns in (slice(0, n // 2), slice(n // 2, n)):
            COMPILED[name](given[0], b[:, columns], 2.0, part[:, columns])
        assert part.tobytes() == out.tobytes()


@pytest.mark.parametrize(("offset", "rows"), [(1e6, 4096), (1e6, 60), (-1e4, 100_000), (0, 4096)])
def test_moments_far_from_zero_are_as_good_as_near_it(offset, rows):
    rng = np.random.default_rng(2)
    x = (offset + rng.standard_normal((rows, 3)) * [1, 10, 0]).astype(np.float32)
    exact = x.astype(np.float64)
    for kernels in (COMPILED, TWINS):
        mean, variance = np.empty((2, 3), np.float32)
        kernels["batch_moments"](x, 0, 3, mean, variance)
        step = np.spacing(np.abs(exact.mean(axis=0)).astype(np.float32))
        assert (np.abs(mean - exact.mean(axis=0)) <= 0.51 * step + 1e-6).all()
        np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-5)
        assert mean[2] == x[0, 2] and variance[2] == 0


def test_a_full_batch_of_a_million_rows_has_the_right_gradient():
    # The gradient of a squared error of 1/2 is 1, for weights whose inputs are 1 and for the bias.
    layer = Dense(1, kernel_initializer="zeros")
    network = Network([layer], optimizer=SGD(1.0), n_threads=1)
    x, y = np.ones((ROWS, 2), np.float32), np.full((ROWS, 1), -0.5, np.float32)
    history = network.fit(x, y, epochs=1, batch_size=ROWS)
    for array in network.get_weights():
        np.testing.assert_allclose(array, -1, rtol=2e-5)
    assert history.history["loss"] == [0.25]
