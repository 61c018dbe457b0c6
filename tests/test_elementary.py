"""The elementary functions against NumPy in a wider type: their documented accuracy."""

import math

import numpy as np
import pytest

from fastnn.kernels import elementary
from fastnn.kernels.jit import REASSOCIATE, njit

WIDER = {np.float32: np.float64, np.float64: np.longdouble}
# Where long double is no wider than float64, the last bits of the truth are NumPy's own errors.
SLACK = 0.0 if np.finfo(np.longdouble).eps < np.finfo(np.float64).eps else 5e-16

RNG = np.random.default_rng(9)
NEAR = RNG.standard_normal(40_000)
TINY = 10.0 ** RNG.uniform(-30, 0, 40_000)
UNIT = RNG.uniform(0, 1, 40_000)
# name, arguments, the truth, most relative error in float32 and in float64
ACCURACY = [
    ("exp_nonpositive", -np.concatenate([87 * UNIT, TINY]), np.exp, 1e-7, 2e-16),
    ("tanh", np.concatenate([NEAR, 20 * NEAR, TINY]), np.tanh, 2e-7, 5e-16),
    ("exp", np.concatenate([NEAR, 20 * NEAR, TINY, -TINY]), np.exp, 1e-7, 2.5e-16),
    ("expm1_nonpositive", -np.concatenate([80 * UNIT, TINY]), np.expm1, 2e-7, 5e-16),
    (
        "softplus",
        np.concatenate([NEAR, 20 * NEAR, TINY]),
        lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
        4e-7,
        8e-16,
    ),
    (
        "log_cosh",
        np.concatenate([NEAR, 20 * NEAR, TINY[TINY > 1e-17]]),
        lambda x: np.log1p(2 * np.sinh(x / 2) ** 2),
        6e-7,
        1.5e-15,
    ),
    ("log1p_unit", np.concatenate([UNIT, TINY, -UNIT / 3]), np.log1p, 2e-7, 5e-16),
    ("log", np.concatenate([UNIT, TINY, 1 + TINY[TINY > 1e-4], 80 * UNIT]), np.log, 2e-7, 5e-16),
    (
        "sigmoid",
        np.concatenate([NEAR, 20 * NEAR, TINY]),
        lambda x: 1 / (1 + np.exp(-x)),
        2.5e-7,
        5e-16,
    ),
]
SPECIAL = np.array([-np.inf, -1e4, -0.0, np.nan])
each_dtype = pytest.mark.parametrize("dtype", WIDER, ids=lambda dtype: dtype.__name__)


def _loop(name, **options):
    function = getattr(elementary, name)

    @njit(cached=False, **options)
    def loop(x, out):
        for k in range(x.size):
            out[k] = function(x[k])

    def apply(x):
        out = np.full_like(x, np.nan)
        loop(x, out)
        return out

    return apply


@pytest.mark.parametrize(
    ("name", "x", "truth", "most32", "most64"), ACCURACY, ids=[row[0] for row in ACCURACY]
)
def test_accuracy(name, x, truth, most32, most64):
    apply = _loop(name)
    for dtype, most in ((np.float32, most32), (np.float64, most64 + SLACK)):
        given = x[np.abs(x) < 85].astype(dtype)
        expected = truth(given.astype(WIDER[dtype]))
        error = np.abs((apply(given) - expected) / expected)
        assert error.max() < most


@each_dtype
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exp_nonpositive", [0.0, 0.0, 1.0, np.nan]),
        ("tanh", [-1.0, -1.0, -0.0, np.nan]),
        ("sigmoid", [0.0, 0.0, 0.5, np.nan]),
        ("exp", [0.0, 0.0, 1.0, np.nan]),
        ("softplus", [0.0, 0.0, np.log(2), np.nan]),
        ("log_cosh", [np.inf, 1e4 - np.log(2), 0.0, np.nan]),
        ("positive_part", [0.0, 0.0, 0.0, np.nan]),
        ("step", [0.0, 0.0, 0.0, np.nan]),
        ("sign", [-1.0, -1.0, -0.0, np.nan]),
    ],
)
def test_special_values(name, expected, dtype):
    result = _loop(name)(SPECIAL.astype(dtype))
    np.testing.assert_allclose(result, np.array(expected, dtype), rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(np.signbit(result[:3]), np.signbit(expected[:3]))


@each_dtype
@pytest.mark.parametrize("p", [-0.5, 0.3, 1.7, 3.0])
def test_powers(p, dtype):
    @njit(cached=False)
    def loop(x, p, out):
        for k in range(x.size):
            out[k] = elementary.power(x[k], p)

    x = np.concatenate([UNIT, 5 * UNIT, [np.inf, np.nan]]).astype(dtype)
    out, p = np.empty_like(x), dtype(p)
    loop(x, p, out)
    expected = x.astype(WIDER[dtype]) ** WIDER[dtype](p)
    # An error of the logarithm, a share of it, becomes one of the result.
    most = 3 * np.finfo(dtype).eps * (1 + np.abs(np.log(expected[:-2])))
    assert (np.abs(out[:-2] / expected[:-2] - 1) < most + SLACK).all()
    np.testing.assert_array_equal(out[-2:], [np.inf if p > 0 else 0, np.nan])


def test_the_flags_of_a_caller_change_no_bit():
    x = NEAR.astype(np.float32)
    plain, free = _loop("tanh"), _loop("tanh", fastmath=REASSOCIATE)
    assert plain(x).tobytes() == free(x).tobytes()


@each_dtype
def test_exponentials_at_the_ends(dtype):
    info = np.finfo(dtype)
    ends = np.array([np.log(info.max) * 0.9999, np.log(info.max) * 1.0001, np.inf], dtype)
    grown = _loop("exp")(ends)
    assert np.isfinite(grown[0]) and (grown[1:] == np.inf).all()
    assert _loop("exp")(np.array([np.log(info.tiny) * 1.01], dtype)) == 0


@each_dtype
def test_the_normal_distribution(dtype):
    @njit(cached=False)
    def loop(x, below, density):
        for k in range(x.size):
            below[k], density[k] = elementary.normal(x[k])

    x = np.concatenate([NEAR, TINY, 10 * UNIT, [-5.0, -9.0, -np.inf, np.inf, np.nan]]).astype(dtype)
    below, density = np.empty_like(x), np.empty_like(x)
    loop(x, below, density)
    wide = x.astype(np.float64)
    truth = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in wide])
    np.testing.assert_allclose(below, truth, rtol=25 * np.finfo(dtype).eps, atol=1e-18)
    truth = np.exp(-(wide**2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(density, truth, rtol=25 * np.finfo(dtype).eps, atol=1e-18)
