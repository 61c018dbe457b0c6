"""Encoders of categories: as codes, as a column each, or as means of the targets."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.formulas import Formula
from fastnn.inputs.arrays import as_numbers
from fastnn.inputs.checks import (
    as_inputs,
    boolean,
    non_negative_float,
    non_negative_int,
    positive_int,
)
from fastnn.inputs.mixed import Columns
from fastnn.inputs.settings import optional, setting
from fastnn.preprocessing.encoding import CATEGORY, Encoder


class Ordinal(Encoder):
    """Encode categories as whole numbers: 0, 1, ... in order, and -1 for missing and unseen ones.

    Takes frames of pandas, polars and pyarrow with columns of any kind, rows of any values, and
    arrays of numbers; columns of numbers pass.  The codes index a table of embeddings.

    Parameters
    ----------
    categorical_features : list, optional
        Columns of numbers to take for categories: labels of a frame, or positions.

    Attributes
    ----------
    categories_ : list
        The categories of each column of X, as texts; None for numbers and dates.
    feature_names_out_ : list of str
    codes_ : dict
        Which columns of the result are codes, and of how many categories.

    Raises
    ------
    ValueError, TypeError
        If a column holds anything but numbers, texts, booleans or dates, or later holds something
        else than in training; see also :meth:`Transformer.fit`.

    Notes
    -----
    A date becomes six numbers: days since 1970, year, month, day, weekday (Monday is 0) and hour,
    in UTC.  A missing number is NaN, as is each part of a missing date; :class:`Impute` fills them.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"size": [1.5, None, 2.0], "color": ["red", "blue", "red"]})
    >>> ordinal = Ordinal().fit(frame)
    >>> ordinal.transform(frame)
    array([[1.5, 1. ],
           [nan, 0. ],
           [2. , 1. ]])
    >>> ordinal.transform(pd.DataFrame({"size": [3.0], "color": ["green"]}))
    array([[ 3., -1.]])
    >>> ordinal.inverse_transform([[1.5, 1]])
    array([[1.5, 'red']], dtype=object)
    """

    name = "ordinal"

    def _coded(self, count: int) -> bool:
        return True


class OneHot(Encoder):
    """Encode each category as a column, which is 1 in its rows; missing and unseen ones are 0.

    Frames, columns of numbers and dates are taken as by :class:`Ordinal`.

    Parameters
    ----------
    max_categories : int, optional
        Columns with more categories become codes as from :class:`Ordinal`.
    binary : bool
        Whether two categories get a single column of -1 and 1, in which the unknown is 0.
    categorical_features : list, optional
        Columns of numbers to take for categories: labels of a frame, or positions.

    Attributes
    ----------
    categories_, feature_names_out_, codes_
        See :class:`Ordinal`.

    Raises
    ------
    ValueError, TypeError
        See :class:`Ordinal`.

    Examples
    --------
    >>> rows = [["red", True], ["blue", False], ["green", None]]
    >>> one_hot = OneHot().fit(rows)
    >>> one_hot.feature_names_out_
    ['x0=blue', 'x0=green', 'x0=red', 'x1']
    >>> one_hot.transform(rows)
    array([[ 0.,  0.,  1.,  1.],
           [ 1.,  0.,  0., -1.],
           [ 0.,  1.,  0.,  0.]])
    """

    name = "one_hot"

    max_categories: int | None = setting(default=None, check=optional(positive_int))
    binary: bool = setting(default=True, check=boolean)

    def _coded(self, count: int) -> bool:
        return self.max_categories is not None and count > self.max_categories

    def _one_each(self, count: int) -> bool:
        """Return whether each of `count` categories gets a column."""
        return not self._coded(count) and not (self.binary and count == 2)

    def _category_names(self, label: str, categories: list[str]) -> list[str]:
        one_each = self._one_each(len(categories))
        return [f"{label}={text}" for text in categories] if one_each else [label]

    def _category_width(self, count: int) -> int:
        return count if self._one_each(count) else 1

    def _encoded(self, codes: Formula, count: int, place: int) -> Formula:
        if self._one_each(count):
            return codes.equals(np.arange(1.0, count + 1)).where(1.0, 0.0, codes.dtype)
        if self._coded(count):
            return super()._encoded(codes, count, place)
        return codes.lookup(np.array([[0.0], [-1.0], [1.0]]))

    def _encode(self, codes: np.ndarray, count: int, place: int) -> np.ndarray:
        if self._one_each(count):
            return (codes[:, None] == np.arange(1, count + 1)).astype(np.float64)
        if self._coded(count):
            return super()._encode(codes, count, place)
        signs = np.array([0.0, -1.0, 1.0])
        return signs[codes.astype(np.int64), None]

    def _decoded(self, block: np.ndarray, count: int) -> np.ndarray:
        if self._coded(count):
            return super()._decoded(block, count)
        if not self._one_each(count):
            return np.where(np.abs(block[:, 0]) > 0.5, np.where(block[:, 0] > 0, 2, 1), 0)
        chances = np.column_stack([np.full(len(block), 0.5), block])
        return chances.argmax(axis=1)


def _as_folds(given: Any, name: str) -> int:
    if positive_int(given, name) < 2:
        raise ValueError(f"{name} is {given}, wanted at least 2")
    return positive_int(given, name)


class TargetMean(Encoder):
    """Encode each category as the mean of the training targets in its rows, drawn to that of all.

    ``(sum of y + smooth * prior) / (rows + smooth)``, where `prior` is the mean of all rows.  It
    also stands for missing and unseen categories.  Frames, columns of numbers and dates are taken
    as by :class:`Ordinal`.

    `fit_transform`, and a network that fits its `preprocessing`, transform the training rows
    otherwise than later ones: each fold of them by the means of the other folds.  A row's own
    target would leak into its inputs otherwise.

    Parameters
    ----------
    smooth : float
        How many rows of the mean are added to each category.
    folds : int
        At least 2; there are no more than rows.
    seed : int
        Of the division into folds.
    categorical_features : list, optional
        Columns of numbers to take for categories: labels of a frame, or positions.

    Attributes
    ----------
    categories_, feature_names_out_
        See :class:`Ordinal`.
    prior_ : array, (n_targets,)
    means_ : array, (n, n_targets)
        For each column of categories, the prior and then each category's mean.

    Raises
    ------
    ValueError, TypeError
        If `fit` gets no `y`, or one that is not (n,) or (n, n_targets) finite numbers; classes are
        to be one-hot.  See also :class:`Ordinal`.

    Notes
    -----
    Weights of rows are not used, and `train_on_batch` divides each batch into folds.  Source:
    D. Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes", SIGKDD
    Explorations 3 (2001).

    Examples
    --------
    >>> rows, y = [["a"], ["a"], ["b"], ["b"]], [1.0, 3.0, 5.0, 7.0]
    >>> encoder = TargetMean(smooth=2.0).fit(rows, y)
    >>> encoder.transform([["a"], ["b"], ["c"]]).ravel()
    array([3., 5., 4.])
    >>> encoder.cross_transform(rows, y).round(2).ravel()
    array([4.33, 3.22, 4.78, 3.67])
    """

    name = "target_mean"
    learned = (*Encoder.learned, "prior_", "means_")
    prior_: np.ndarray = setting(init=False)
    means_: np.ndarray = setting(init=False)

    smooth: float = setting(default=10.0, check=non_negative_float)
    folds: int = setting(default=5, check=_as_folds)
    seed: int = setting(default=0, check=non_negative_int)

    def inverse_transform(self, X: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
        """Raise TypeError: categories can have the same mean."""
        raise TypeError("TargetMean has no inverse_transform: categories can have the same mean")

    def _category_width(self, count: int) -> int:
        return len(self.prior_)

    def _category_names(self, label: str, categories: list[str]) -> list[str]:
        n_targets = len(self.prior_)
        return [label] if n_targets == 1 else [f"{label}.mean{k}" for k in range(n_targets)]

    def _fit(self, rows: Columns, y: Any) -> dict[str, Any]:
        learned = self._learn(rows)
        targets = _targets(y, len(rows))
        twin = type(self)(**self.settings())
        vars(twin).update(learned)
        prior, means = twin._means(twin._numbers(rows), targets)
        if not (np.isfinite(prior).all() and np.isfinite(means).all()):
            raise ValueError("y has numbers too large for the mean: sums of them overflow")
        return learned | {"prior_": prior, "means_": means}

    def _means(self, codes: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of targets, and all columns' smoothed means by code."""
        prior = y.mean(axis=0)
        found = [np.empty((0, y.shape[1]))]
        for place in np.flatnonzero(self.kinds_ == CATEGORY):
            own, size = codes[:, place].astype(np.int64), int(self.counts_[place]) + 1
            rows = np.bincount(own, minlength=size)[:, None]
            sums = [np.bincount(own, each, minlength=size) for each in (y - prior).T]
            shift = np.column_stack(sums) / np.maximum(rows + self.smooth, np.finfo(float).tiny)
            shift[0] = 0.0
            found.append(prior + shift)
        return prior, np.vstack(found)

    def _starts(self) -> np.ndarray:
        """Return where in `means_` each column's begin."""
        sizes = np.where(self.kinds_ == CATEGORY, self.counts_ + 1, 0)
        return np.cumsum(sizes) - sizes

    def _encoded(self, codes: Formula, count: int, place: int) -> Formula:
        start = self._starts()[place]
        return codes.lookup(self.means_[start : start + count + 1])

    def _encode(self, codes: np.ndarray, count: int, place: int) -> np.ndarray:
        return self.means_[self._starts()[place] + codes.astype(np.int64)]

    @np.errstate(all="ignore")
    def cross_transform(self, X: Any, y: Any = None, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return training rows, each encoded by the means of the folds that it is not in."""
        self.names_.agreed(X, owner="transformer")
        rows: Any = self.rows(X)
        whole = self.transform(rows, dtype)
        targets, codes = _targets(y, len(rows)), self._numbers(rows)
        if targets.shape[1] != len(self.prior_):
            raise ValueError(f"y has {targets.shape[1]} columns, wanted {len(self.prior_)}")
        n = len(rows)
        fold = np.random.default_rng(self.seed).permutation(n) % min(self.folds, n)
        for each in range(fold.max() + 1) if n > 1 else ():
            own, twin = fold == each, copy.copy(self)
            twin.prior_, twin.means_ = self._means(codes[~own], targets[~own])
            whole[own] = twin.transform(rows[own], whole.dtype)
        return whole

    def _shapes(
        self, width: int, arrays: Mapping[str, np.ndarray]
    ) -> Mapping[str, tuple[int, ...]]:
        shapes = super()._shapes(width, arrays)
        n_targets = arrays["prior_"].size
        n = int((arrays["counts_"] + (arrays["kinds_"] == CATEGORY)).sum())
        return {**shapes, "prior_": (n_targets,), "means_": (n, n_targets)}


def _targets(y: Any, n: int) -> np.ndarray:
    """Return targets as float64, (n, n_targets)."""
    if y is None:
        raise TypeError("TargetMean learns from y: call fit(X, y)")
    numbers = as_numbers(y, "y")
    found = as_inputs(numbers[:, None] if numbers.ndim == 1 else numbers, None, np.float64, "y")
    if len(found) != n:
        raise ValueError(f"y has {len(found)} rows, wanted {n} (as many as X)")
    return found.astype(np.float64)
