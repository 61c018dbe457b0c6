"""Layer normalization of rows that are hard to normalize, and what it does not depend on."""

import numpy as np
import pytest

from fastnn import SGD, Dense, LayerNormalization, Network
from tests.cases import BY_NAME, DTYPES

CASE = BY_NAME["layer_norm_forward"]
EPSILON = 1e-3

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
each_form = pytest.mark.parametrize("form", ["compiled", "reference"])


def _normalized(form, x, epsilon=EPSILON):
    """Return mean, inverse and the normalized rows, by the compiled kernel or by its twin."""
    rows, n = x.shape
    one, zero = np.ones(n, x.dtype), np.zeros(n, x.dtype)
    mean, inverse, out = np.empty(rows, x.dtype), np.empty(rows, x.dtype), np.empty_like(x)
    with np.errstate(all="ignore"):
        getattr(CASE, form)(x, epsilon, one, zero, mean, inverse, out)
    return mean, inverse, out


@each_dtype
@each_form
@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 12345.678, 1e-30, 1e30, -3e38])
def test_equal_features_become_zero_exactly(value, form, dtype):
    for n in (1, 2, 3, 7, 100, 1001):
        mean, inverse, out = _normalized(form, np.full((2, n), value, dtype))
        np.testing.assert_array_equal(mean, dtype(value))
        np.testing.assert_allclose(inverse, EPSILON**-0.5, rtol=1e-6)
        np.testing.assert_array_equal(out, 0)


@each_dtype
@each_form
def test_huge_and_tiny_numbers(form, dtype):
    info = np.finfo(dtype)
    x = np.random.default_rng(0).standard_normal((3, 65)).astype(dtype)
    _, _, expected = _normalized(form, x, epsilon=info.tiny)
    for power in (-info.maxexp // 4, 30, info.maxexp // 2, info.maxexp - 4):
        _, inverse, out = _normalized(form, x * dtype(2) ** power, epsilon=info.tiny)
        assert np.isfinite(inverse).all()
        np.testing.assert_allclose(out, expected, rtol=0, atol=20 * info.eps)
    mean, _, tiny = _normalized(form, x * info.tiny)  # epsilon is all there is of the deviation
    expected = (x * info.tiny - mean[:, None]) * dtype(EPSILON**-0.5)
    np.testing.assert_allclose(tiny, expected, rtol=1e-5, atol=info.tiny)


@each_dtype
@each_form
def test_wide_rows_far_from_zero(form, dtype):
    noise = np.random.default_rng(1).standard_normal((2, 100_001))
    x = (noise + 1000).astype(dtype)
    exact = x.astype(np.longdouble)
    mean = exact.mean(axis=1)
    deviation = np.sqrt(np.square(exact - mean[:, None]).mean(axis=1) + EPSILON)
    found, inverse, _ = _normalized(form, x)
    eps = np.finfo(dtype).eps
    assert np.abs(found / mean - 1).max() <= eps
    assert np.abs(inverse * deviation - 1).max() <= 1000 * eps


@each_form
def test_a_row_with_a_number_that_is_not_finite_spoils_no_other(form):
    x = np.random.default_rng(2).standard_normal((4, 5))
    _, _, expected = _normalized(form, x)
    x[1, 2], x[3, 0] = np.nan, np.inf
    _, _, out = _normalized(form, x)
    assert np.isnan(out[[1, 3]]).all()
    np.testing.assert_array_equal(out[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_batches_of_any_size_train_and_predict_alike(backend):
    x = np.random.default_rng(3).standard_normal((9, 4)).astype(np.float32)
    layers = [LayerNormalization(), Dense(5, "tanh"), LayerNormalization(scale=False), Dense(1)]
    network = Network(layers, optimizer=SGD(0.01), backend=backend)
    network.fit(x, x[:, :1], batch_size=1)
    predicted = network.predict(x)
    alone = np.vstack([network.predict(row[None]) for row in x])
    np.testing.assert_allclose(predicted, alone, rtol=1e-5, atol=1e-6)
    loss = np.square(predicted - x[:, :1]).mean()
    assert network.evaluate(x, x[:, :1]) == pytest.approx(loss, rel=1e-5)


def test_a_number_of_features_is_no_epsilon():
    with pytest.raises(TypeError, match=r"center is 64 \(int\), wanted True or False"):
        LayerNormalization(64)
