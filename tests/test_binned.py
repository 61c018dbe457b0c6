"""Regression targets as bins: edges, labels, and predictions from probabilities."""

import json
import math
import re

import numpy as np
import pytest

from fastnn.preprocessing import BinnedTarget

RNG = np.random.default_rng(0)
SKEWED = RNG.exponential(size=4001)


def shares(bins, y):
    """Return the training distribution itself, as one row of probabilities."""
    return np.bincount(bins.transform(y), minlength=bins.n_bins_)[None, :] / len(y)


def test_bins_hold_equal_shares():
    bins = BinnedTarget(8).fit(SKEWED)
    assert bins.n_bins_ == 8 and len(bins.edges_) == 7
    assert np.ptp(shares(bins, SKEWED) * 4001) <= 1
    labels = bins.transform(SKEWED[:, None])
    assert labels.dtype == np.int64 and labels.shape == (4001,)
    for k in range(8):
        inside = SKEWED[labels == k]
        assert (bins.low_[k], bins.high_[k]) == (inside.min(), inside.max())
        assert bins.mean_[k] == pytest.approx(inside.mean(), rel=1e-12)
    assert bins.transform([-1.0, 1e9]).tolist() == [0, 7]
    assert bins.transform(bins.edges_).tolist() == list(range(1, 8))


@pytest.mark.parametrize("n_bins", [5, 50, 500])
def test_the_training_distribution_comes_back(n_bins):
    bins = BinnedTarget(n_bins).fit(SKEWED)
    p = shares(bins, SKEWED)
    assert bins.mean(p)[0] == pytest.approx(SKEWED.mean(), rel=1e-12)
    # Within a bin the distribution is taken to be flat, which the wide last one is not.
    for q in (0.1, 0.25, 0.5, 0.75):
        assert bins.quantile(p, q)[0] == pytest.approx(-math.log(1 - q), rel=0.1, abs=0.02)
    assert bins.median(p)[0] == bins.quantile(p, 0.5)[0]
    assert bins.quantile(p, 0)[0] == SKEWED.min()
    assert bins.quantile(p, 1)[0] == pytest.approx(SKEWED.max(), rel=1e-12)


def test_a_known_distribution():
    bins = BinnedTarget(4).fit([0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0])
    assert bins.edges_.tolist() == [10, 20, 30]
    p = np.array([[0.2, 0.4, 0.4, 0.0], [0, 0, 1, 0], [0.5, 0.5, 0, 0]], np.float32)
    np.testing.assert_allclose(bins.mean(p), [0.1 + 4.2 + 8.2, 20.5, 5.5], rtol=1e-6)
    np.testing.assert_allclose(bins.median(p), [10.75, 20.5, 1.0], rtol=1e-6)
    np.testing.assert_allclose(bins.quantile(p, 0), [0, 20, 0], rtol=1e-6)
    np.testing.assert_allclose(bins.quantile(p, 1), [21, 21, 11], rtol=1e-6)
    values, cumulative = bins.distribution(p)
    assert values.tolist() == [0, 1, 10, 11, 20, 21, 30, 31]
    np.testing.assert_allclose(cumulative[0], [0, 0.2, 0.2, 0.6, 0.6, 1, 1, 1], rtol=1e-6)
    assert (np.diff(cumulative, axis=1) >= 0).all() and (cumulative[:, -1] == 1).all()
    assert bins.inverse_transform([0, 3, 3]).tolist() == [0.5, 30.5, 30.5]


@pytest.mark.parametrize(
    ("y", "low", "high"),
    [
        ([0, 1, 0, 1, 0, 1], [0, 1], [0, 1]),
        ([0] * 99 + [5], [0, 5], [0, 5]),
        ([5] + [7] * 99, [5, 7], [5, 7]),
        ([1, 2, 3], [1, 2, 3], [1, 2, 3]),
        ([0] * 50 + [1, 2, 3, 4], [0, 1], [0, 4]),
    ],
)
def test_values_that_repeat_share_a_bin(y, low, high):
    bins = BinnedTarget(10).fit(y)
    assert bins.low_.tolist() == low and bins.high_.tolist() == high
    assert bins.n_bins_ == len(low)
    p = shares(bins, y)
    assert (p > 0).all()
    if low == high:
        assert bins.median(p)[0] == np.sort(y)[(len(y) - 1) // 2]
        np.testing.assert_array_equal(bins.inverse_transform(bins.transform(y)), y)


def test_storage():
    bins = BinnedTarget(6).fit(SKEWED)
    again = BinnedTarget.from_dict(json.loads(json.dumps(bins.to_dict())))
    p = RNG.dirichlet(np.ones(6), 10)
    for method in ("mean", "median"):
        assert getattr(again, method)(p).tobytes() == getattr(bins, method)(p).tobytes()
    assert np.array_equal(again.transform(SKEWED), bins.transform(SKEWED))
    assert repr(again) == "BinnedTarget(n_bins=6)"


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda b: BinnedTarget(1), "n_bins is 1, wanted at least 2"),
        (TypeError, lambda b: BinnedTarget(2.5), "n_bins is 2.5 (float), wanted a whole number"),
        (ValueError, lambda b: b.fit([3, 3, 3]), "y is 3.0 everywhere, wanted at least two diff"),
        (ValueError, lambda b: b.fit([1, math.nan]), "y has nan at row 1"),
        (ValueError, lambda b: b.fit(np.ones((3, 2))), "y has shape (3, 2), wanted (n,) or (n, 1)"),
        (ValueError, lambda b: b.fit([]), "y has no rows"),
        (TypeError, lambda b: b.fit(["a"]), "y has 'a' (str) at row 0"),
        (ValueError, lambda b: BinnedTarget().transform([1]), "BinnedTarget is not fitted: call "),
        (ValueError, lambda b: BinnedTarget().mean([[1]]), "BinnedTarget is not fitted: call fit "),
        (
            ValueError,
            lambda b: b.mean([[0.5, 0.5, 0]]),
            "probabilities has 3 columns, wanted 2, one for each bin",
        ),
        (
            ValueError,
            lambda b: b.median([[0.5, 0.5], [-3, 5]]),
            "probabilities row 1 goes from -3 to 5 and adds up to 2, wanted numbers of at least 0 "
            "that add up to 1: a softmax in the last layer gives them",
        ),
        (ValueError, lambda b: b.median([[1.5, -0.5]]), "probabilities row 0 goes from -0.5 to 1."),
        (ValueError, lambda b: b.median([[math.nan, 1]]), "probabilities has nan at row 0"),
        (ValueError, lambda b: b.quantile([[0.5, 0.5]], 2), "q is 2, wanted a number from 0 to 1"),
        (ValueError, lambda b: b.inverse_transform([0, 2]), "labels go from 0 to 2, wanted 0 to 1"),
        (
            ValueError,
            lambda b: b.inverse_transform([0.5]),
            "labels has shape (1,) and dtype float64, wanted integers (n,)",
        ),
    ],
)
def test_errors(error, call, message):
    bins = BinnedTarget(2).fit([1, 2, 3, 4])
    with pytest.raises(error, match="^" + re.escape(message)):
        call(bins)
    assert bins.edges_.tolist() == [3]
