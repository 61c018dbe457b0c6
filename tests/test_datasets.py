"""The data sets in the package and the split."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from fastnn.datasets import (
    load_diabetes,
    load_digits,
    split_rows,
    train_test_split,
    train_validation_test_split,
)


def checksum(array):
    return hashlib.sha256(array.astype("<f8").tobytes()).hexdigest()[:16]


def test_digits_are_the_published_ones():
    X, y, features, classes, description = load_digits()
    assert X.shape == (1797, 64) and X.dtype == np.float64 and X.flags.c_contiguous
    assert y.shape == (1797,) and y.dtype == np.int64
    assert np.array_equal(np.bincount(y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert X.sum() == 561718 and X.min() == 0 and X.max() == 16
    assert len(features) == 64 and features[9] == "pixel_1_1" and classes == tuple("0123456789")
    assert "CC BY 4.0" in description


def test_diabetes_is_the_published_one():
    X, y, features, targets, description = load_diabetes()
    assert X.shape == (442, 10) and X.dtype == np.float64 and X.flags.c_contiguous
    assert y.shape == (442, 1) and y.min() == 25 and y.max() == 346 and y.sum() == 67243
    assert features == ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    assert X[0].tolist() == [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]
    assert targets == ("progression",) and "2004" in description


def test_they_need_no_import_of_their_own():
    code = "import fastnn; print(len(fastnn.datasets.load_digits().y), fastnn.flow.Graph.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1797 Graph\n"


def test_data_sets_equal_scikit_learn_s():
    sklearn = pytest.importorskip("sklearn.datasets")
    digits, diabetes = sklearn.load_digits(), sklearn.load_diabetes(scaled=False)
    assert np.array_equal(load_digits().X, digits.data)
    assert np.array_equal(load_digits().y, digits.target)
    assert np.array_equal(load_diabetes().X, diabetes.data)
    assert np.array_equal(load_diabetes().y[:, 0], diabetes.target)


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("n", [2, 3, 10, 101])
def test_split_deals_every_row_once(n, stratify):
    groups = np.arange(n) % 3 if stratify else None
    train, test = split_rows(n, 0.4, seed=5, stratify=groups)
    assert len(test) == round(0.4 * n)
    assert sorted([*train, *test]) == list(range(n))


def test_split_follows_its_seed():
    first, again, other = (split_rows(50, seed=seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, np.sort(first))


@pytest.mark.parametrize("seed", range(5))
def test_stratified_split_keeps_the_shares(seed):
    groups = np.repeat(["a", "b", "c", "d"], [100, 37, 11, 2])
    _, test = split_rows(150, 0.2, seed, groups)
    for name, share in zip("abcd", [20, 7.4, 2.2, 0.4], strict=True):
        assert abs((groups[test] == name).sum() - share) < 1


def test_train_test_split_keeps_rows_together():
    X, y = np.arange(40).reshape(20, 2), 2 * np.arange(20)
    X.flags.writeable = False
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=5, seed=3)
    assert X_test.shape == (5, 2) and X_train.shape == (15, 2)
    assert np.array_equal(X_test[:, 0], y_test) and np.array_equal(X_train[:, 0], y_train)


@pytest.mark.parametrize("test_size", [0.0, 1.0, 0, 4, 0.01, -1])
def test_split_refuses_an_empty_part(test_size):
    with pytest.raises(ValueError, match="at least one row there"):
        train_test_split(np.ones((4, 1)), np.ones(4), test_size=test_size)


def test_split_refuses_different_lengths():
    with pytest.raises(ValueError, match="X has 4 rows and y has 3"):
        train_test_split(np.ones((4, 1)), np.ones(3))
    with pytest.raises(ValueError, match=r"stratify must have shape \(4,\), got \(3,\)"):
        train_test_split(np.ones((4, 1)), np.ones(4), stratify=np.ones(3))


def test_three_parts_deal_every_row_once_and_keep_rows_together():
    X, y = np.arange(40).reshape(20, 2), 2 * np.arange(20)
    parts = train_validation_test_split(X, y, validation_size=3, test_size=0.25, seed=3)
    assert [len(part) for part in parts] == [12, 3, 5, 12, 3, 5]
    for inputs, targets in zip(parts[:3], parts[3:], strict=True):
        assert np.array_equal(inputs[:, 0], targets)
    assert sorted(np.concatenate(parts[3:])) == list(y)
    assert np.array_equal(parts[2], train_test_split(X, y, 0.25, seed=3)[1])


@pytest.mark.parametrize("seed", range(5))
def test_stratified_parts_keep_the_shares(seed):
    groups = np.repeat([0, 1, 2, 3], [100, 37, 11, 2])
    parts = train_validation_test_split(groups[:, None], groups, 0.3, 0.2, seed, groups)
    for part, size in zip(parts[3:], (75, 45, 30), strict=True):
        assert len(part) == size
        counts = np.bincount(part, minlength=4)
        assert np.abs(counts - np.array([100, 37, 11, 2]) * size / 150).max() < 2


def test_three_parts_refuse_bad_sizes():
    X, y = np.ones((10, 1)), np.ones(10)
    with pytest.raises(ValueError, match="validation_size=0.9 leaves 9 of 5 rows for the val"):
        train_validation_test_split(X, y, validation_size=0.9, test_size=0.5)
    with pytest.raises(TypeError, match="test_size is 'half', wanted a share of the rows"):
        train_validation_test_split(X, y, test_size="half")
    with pytest.raises(ValueError, match="X has 10 rows and y has 9"):
        train_validation_test_split(X, y[1:])
