"""Regression by classification: predict a distribution over bins of the target."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastnn.inputs.arrays import as_numbers
from fastnn.inputs.checks import as_inputs, positive_int, probability
from fastnn.inputs.precision import is_constant
from fastnn.inputs.settings import Stateful, setting


def _bins(value: Any, name: str) -> int:
    if positive_int(value, name) < 2:
        raise ValueError(f"{name} is {value}, wanted at least 2")
    return positive_int(value, name)


class BinnedTarget(Stateful):
    """Turn a regression target into quantile bins, and probabilities of bins into predictions.

    All bins hold about the same number of training rows.  A network with a softmax over the bins
    learns a distribution for each row, from which this class computes the mean, the median or any
    quantile.  Equal values share a bin, so a target with few values has one bin per value.

    Parameters
    ----------
    n_bins : int
        At least 2.  There are fewer bins if values repeat.

    Attributes
    ----------
    n_bins_ : int
        The actual number of bins, which is the number of units that the last layer needs.
    edges_ : array, ``(n_bins_ - 1,)``
        The boundaries: bin k holds ``edges_[k-1] <= y < edges_[k]``.  The first and the last bin
        extend beyond the training values.
    low_, high_, mean_ : arrays, ``(n_bins_,)``
        The smallest, largest and mean training value in each bin.

    Notes
    -----
    Within a bin, the distribution is uniform from `low_` to `high_`, or a single value if these are
    equal.  Predictions never leave the range of the training values.  Source: A. Karpathy, CS231n,
    "Neural Networks Part 2", which recommends classes over a squared error.

    Examples
    --------
    >>> import fastnn
    >>> x = np.linspace(-1, 1, 400)[:, None]
    >>> bins = BinnedTarget(20)
    >>> labels = bins.fit_transform(x[:, 0] ** 3)
    >>> layers = [fastnn.Dense(32, "tanh"), fastnn.Dense(bins.n_bins_, "softmax")]
    >>> network = fastnn.Network(layers, loss="softmax_cross_entropy", optimizer=fastnn.Adam(0.01))
    >>> history = network.fit(x, labels, epochs=100)
    >>> predicted = bins.median(network.predict(x))  # (400,)
    >>> bool(np.abs(predicted - x[:, 0] ** 3).mean() < 0.05)
    True
    """

    n_bins: int = setting(default=20, check=_bins)

    @np.errstate(all="ignore")
    def fit(self, y: ArrayLike) -> Self:
        """Learn the bins from the training targets `y`, (n,) or (n, 1).

        Raises
        ------
        ValueError, TypeError
            If `y` has another shape, holds anything but finite numbers, or is constant except
            for rounding.
        """
        given = _as_vector(y)
        values = np.sort(given.astype(np.float64))
        if is_constant(values[0], values[-1], given.dtype):
            raise ValueError(f"y is {values[0]} everywhere, wanted at least two different values")
        # Edges are training values, so no bin is empty.  The smallest value cannot be an edge,
        # because the bin below it would be empty.
        n_bins = min(self.n_bins, len(values))
        places = np.arange(1, n_bins) * len(values) // n_bins
        edges = np.unique(values[places])
        edges = edges[edges > values[0]]
        if len(edges) == 0:  # nearly all values are the smallest; the others form the second bin
            edges = values[values > values[0]][:1]
        starts = np.searchsorted(values, [values[0], *edges])
        counts = np.diff([*starts, len(values)])
        self.edges_, self.n_bins_ = edges, len(counts)
        self.low_, self.high_ = values[starts], values[starts + counts - 1]
        means = np.add.reduceat(values / np.repeat(counts, counts), starts)
        self.mean_ = np.clip(means, self.low_, self.high_)  # rounding
        return self

    def transform(self, y: ArrayLike) -> np.ndarray:
        """Return the bin of each target, int64 (n,): labels for softmax cross-entropy."""
        self._check_fitted("transform")
        return np.searchsorted(self.edges_, _as_vector(y), side="right").astype(np.int64)

    def fit_transform(self, y: ArrayLike) -> np.ndarray:
        """Return ``fit(y).transform(y)``."""
        return self.fit(y).transform(y)

    def inverse_transform(self, labels: ArrayLike) -> np.ndarray:
        """Return the mean training value of each label's bin, float64 (n,)."""
        self._check_fitted("inverse_transform")
        found = as_numbers(labels, "labels")
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise ValueError(
                f"labels has shape {found.shape} and dtype {found.dtype}, wanted integers (n,)"
            )
        if len(found) and (found.min() < 0 or found.max() >= self.n_bins_):
            raise ValueError(
                f"labels go from {found.min()} to {found.max()}, wanted 0 to {self.n_bins_ - 1}"
            )
        return self.mean_[found]

    @np.errstate(all="ignore")
    def mean(self, probabilities: ArrayLike) -> np.ndarray:
        """Return the mean of each row's distribution, float64 (n,).

        Parameters
        ----------
        probabilities : array-like, ``(n, n_bins_)``
            The network's predictions.  Each row must be nonnegative and add up to 1.

        Raises
        ------
        ValueError, TypeError
            Before `fit`, and for anything but probabilities, as in the other methods.
        """
        return self._probabilities(probabilities) @ self.mean_

    def median(self, probabilities: ArrayLike) -> np.ndarray:
        """Return the median of each row's distribution, float64 (n,).  It suits absolute errors."""
        return self.quantile(probabilities, 0.5)

    @np.errstate(all="ignore")
    def quantile(self, probabilities: ArrayLike, q: float) -> np.ndarray:
        """Return the quantile `q`, from 0 to 1, of each row's distribution, float64 (n,)."""
        q = probability(q, "q")
        p = self._probabilities(probabilities)
        before, after = _cumulative(p)
        bins = ((after >= q) & (p > 0)).argmax(axis=1)
        rows = np.arange(len(p))
        share = (q - before[rows, bins]) / p[rows, bins]
        return self.low_[bins] + np.clip(share, 0, 1) * (self.high_ - self.low_)[bins]

    @np.errstate(all="ignore")
    def distribution(self, probabilities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's cumulative distribution function, as points to plot or interpolate.

        Returns
        -------
        values : array, ``(2 * n_bins_,)``
            The beginning and end of each bin, in order: `low_` and `high_` alternating.
        cumulative : array, ``(n, 2 * n_bins_)``
            The probability that the target is at most each value.  It is linear in between.

        Examples
        --------
        >>> bins = BinnedTarget(2).fit([0.0, 1.0, 5.0, 7.0])
        >>> values, cumulative = bins.distribution([[0.25, 0.75]])
        >>> values, cumulative
        (array([0., 1., 5., 7.]), array([[0.  , 0.25, 0.25, 1.  ]]))
        """
        before, after = _cumulative(self._probabilities(probabilities))
        cumulative = np.stack([before, after], axis=2).reshape(len(after), -1)
        return np.stack([self.low_, self.high_], axis=1).ravel(), cumulative

    def to_dict(self) -> dict[str, Any]:
        """Return the settings and bins in a form for JSON, for ``network.save(extra=...)``."""
        return {name: np.asarray(value).tolist() for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the object that :meth:`to_dict` described."""
        bins = cls(state["n_bins"])
        for name, value in state.items():
            setattr(bins, name, np.asarray(value) if isinstance(value, list) else value)
        return bins

    def _check_fitted(self, what: str) -> None:
        if not hasattr(self, "edges_"):
            raise ValueError(f"BinnedTarget is not fitted: call fit before {what}")

    def _probabilities(self, given: ArrayLike) -> np.ndarray:
        """Return checked float64 probabilities, scaled to add up to 1 except for rounding."""
        self._check_fitted("using probabilities")
        p = as_inputs(given, dtype=np.float64, name="probabilities", empty=True)
        p = p.astype(np.float64, order="C")
        if p.shape[1] != self.n_bins_:
            raise ValueError(
                f"probabilities has {p.shape[1]} columns, wanted {self.n_bins_}, one for each bin"
            )
        sums = p.sum(axis=1)
        wrong = (p < 0).any(axis=1) | (np.abs(sums - 1) > 1e-3)
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"probabilities row {row} goes from {p[row].min():.4g} to {p[row].max():.4g} and "
                f"adds up to {sums[row]:.4g}, wanted numbers of at least 0 that add up to 1: a "
                "softmax in the last layer gives them"
            )
        return p / sums[:, None]


def _cumulative(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cumulative probability before and after each bin; the last is exactly 1."""
    after = np.cumsum(p, axis=1)
    after /= after[:, -1:]
    return np.pad(after[:, :-1], ((0, 0), (1, 0))), after


def _as_vector(y: ArrayLike) -> np.ndarray:
    values = as_numbers(y, "y")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != 1:
        raise ValueError(f"y has shape {values.shape}, wanted (n,) or (n, 1)")
    return as_inputs(values, dtype=np.float64, name="y")[:, 0]
