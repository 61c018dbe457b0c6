"""Transformers that rotate the features: principal components, and whitening."""

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.formulas import Formula
from fastnn.inputs.checks import non_negative_int, positive_float, positive_int
from fastnn.inputs.settings import setting
from fastnn.kernels import COMPILED
from fastnn.preprocessing.scaling import column_means, column_ranges
from fastnn.preprocessing.slices import count, joined
from fastnn.preprocessing.transformer import Transformer, not_too_large


def _as_components(given: Any, name: str) -> int | float | None:
    if given is None:
        return None
    if isinstance(given, numbers.Real) and not isinstance(given, numbers.Integral):
        if not 0 < float(given) < 1:
            raise ValueError(
                f"{name} is {given}, wanted a whole number of at least 1, "
                "a fraction of the variance above 0 and below 1, or None"
            )
        return float(given)
    return positive_int(given, name)


def _as_ddof(given: Any, name: str) -> int:
    found = non_negative_int(given, name)
    if found > 1:
        raise ValueError(f"{name} is {found}, wanted 0 or 1")
    return found


class PCA(Transformer):
    """Project rows onto the directions in which the training rows vary most.

    ``(x - mean_) @ components_.T``.  The rows of `components_` are the eigenvectors of the training
    covariance ``(X - mean_).T @ (X - mean_) / (n - ddof)`` with the largest eigenvalues, computed
    by a singular value decomposition.  The entry of largest magnitude in each is positive, as in
    scikit-learn.

    Parameters
    ----------
    n_components : int, float or None
        How many components to keep.  A float above 0 and below 1 keeps the fewest that explain more
        than this share of the variance.  None keeps all min(n, n_features).
    ddof : {0, 1}
        What the number of rows is lessened by: 1, as in scikit-learn, for an unbiased estimate of
        the population's covariance, or 0 for that of the rows themselves, as in CS231n's notes.
        It must be given by name.  The components are the same.

    Attributes
    ----------
    mean_ : array, (n_features,)
    components_ : array, (n_components, n_features)
    explained_variance_ : array, (n_components,)
        The eigenvalues.
    explained_variance_ratio_ : array, (n_components,)
        Their shares of the sum of all eigenvalues.

    Raises
    ------
    ValueError, TypeError
        If `n_components` or `ddof` is out of range or, in `fit`, above min(n, n_features); see also
        :meth:`Transformer.fit` and :meth:`Transformer.transform`.

    Notes
    -----
    `fit` needs memory for the covariance, (n_features, n_features), but does not copy the rows.
    Eigenvalues below about 1e-16 of the largest are rounding errors.  NumPy's decomposition of more
    than some hundred features may give other last bits with another number of BLAS threads.

    Source: I. T. Jolliffe, "Principal Component Analysis", 2nd ed., 2002.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> pca = PCA(0.99).fit(x)
    >>> pca.components_.round(4), pca.explained_variance_ratio_.round(4)
    (array([[0.7071, 0.7071]]), array([1.]))
    >>> np.abs(pca.inverse_transform(pca.transform(x)) - x).max() < 1e-12
    np.True_
    """

    name = "pca"
    sums = True
    learned = ("mean_", "components_", "explained_variance_", "explained_variance_ratio_")
    least = {"explained_variance_": 0.0, "explained_variance_ratio_": 0.0}
    mean_: np.ndarray = setting(init=False)
    components_: np.ndarray = setting(init=False)
    explained_variance_: np.ndarray = setting(init=False)
    explained_variance_ratio_: np.ndarray = setting(init=False)

    n_components: int | float | None = setting(default=None, check=_as_components)
    ddof: int = setting(default=1, check=_as_ddof, kw_only=True)

    @property
    def n_features_out_(self) -> int:
        return len(self.components_)

    def _learn(self, rows: np.ndarray) -> dict[str, Any]:
        mean = column_means(rows, *column_ranges(rows))

        def of_block(block: np.ndarray) -> np.ndarray:
            block -= mean
            return block.T @ block

        covariance = joined(rows, of_block)
        not_too_large("the covariance", covariance)
        covariance /= max(1, count(rows) - self.ddof)
        _, variance, components = np.linalg.svd(covariance, hermitian=True)
        total = variance.sum()
        ratio = variance / total if total > 0 else np.zeros_like(variance)
        kept = slice(0, self._count(ratio, min(count(rows), len(mean))))
        return {
            "mean_": mean,
            "components_": _signed(components[kept]),
            "explained_variance_": variance[kept],
            "explained_variance_ratio_": ratio[kept],
        }

    def _count(self, ratio: np.ndarray, most: int) -> int:
        wanted = self.n_components
        if wanted is None:
            return most
        if isinstance(wanted, float):
            return min(most, 1 + int(np.searchsorted(np.cumsum(ratio), wanted, side="right")))
        if wanted > most:
            raise ValueError(
                f"n_components is {wanted}, wanted at most {most}: "
                "as many as X has columns, and rows"
            )
        return wanted

    def _shapes(
        self, width: int, arrays: Mapping[str, np.ndarray]
    ) -> Mapping[str, tuple[int, ...]]:
        kept = self.n_components
        if not isinstance(kept, int):  # only `fit` knew how many
            kept = max(1, arrays["explained_variance_"].size)
        kept = min(kept, width)
        return {
            "mean_": (width,),
            "components_": (kept, width),
            "explained_variance_": (kept,),
            "explained_variance_ratio_": (kept,),
        }

    def carry(self, rounding: np.ndarray) -> np.ndarray:
        return np.full(len(self.components_), np.linalg.norm(rounding))

    def formula(self, x: Formula) -> Formula:
        return (x - self.mean_).dot(self.components_.T)

    # Use the engine's product, not NumPy's, so that a row's bits do not depend on other rows.
    def _forward(self, block: np.ndarray) -> np.ndarray:
        block -= self.mean_
        out = np.empty((len(block), len(self.components_)))
        COMPILED["matmul_nn"](block, self.components_.T, out)
        return out

    def _backward(self, block: np.ndarray) -> np.ndarray:
        out = np.empty((len(block), len(self.mean_)))
        COMPILED["matmul_nn"](block, self.components_, out)
        out += self.mean_
        return out


class Whiten(PCA):
    """Project onto principal components, and divide each by its standard deviation.

    ``(x - mean_) @ components_.T / sqrt(explained_variance_ + eps)``.  The covariance of the
    training rows becomes the identity, except that directions with a variance not far above `eps`
    stay small.  :meth:`inverse_transform` returns to the features, such as pixels.

    Parameters
    ----------
    n_components : int, float or None
        As in :class:`PCA`.
    ddof : {0, 1}
        As in :class:`PCA`: the covariance that becomes the identity is the one that divides so.
    eps : float
        Above 0.  It keeps directions that hardly vary, which are mostly noise, from being
        amplified.

    Attributes
    ----------
    mean_, components_, explained_variance_, explained_variance_ratio_ : arrays
        As in :class:`PCA`.

    Raises
    ------
    ValueError, TypeError
        If `eps` is not above 0; see also :class:`PCA`.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(500, 2)) @ [[3.0, 1.0], [0.0, 0.5]]
    >>> white = Whiten().fit_transform(x)
    >>> (np.abs(np.cov(white.T) - np.eye(2)) < 1e-4).all()
    np.True_
    """

    name = "whiten"

    eps: float = setting(default=1e-5, check=positive_float, kw_only=True)

    def carry(self, rounding: np.ndarray) -> np.ndarray:
        return super().carry(rounding) / np.sqrt(self.explained_variance_ + self.eps)

    def formula(self, x: Formula) -> Formula:
        return super().formula(x) / np.sqrt(self.explained_variance_ + self.eps)

    def _forward(self, block: np.ndarray) -> np.ndarray:
        scores = super()._forward(block)
        scores /= np.sqrt(self.explained_variance_ + self.eps)
        return scores

    def _backward(self, block: np.ndarray) -> np.ndarray:
        block *= np.sqrt(self.explained_variance_ + self.eps)
        return super()._backward(block)


def _signed(components: np.ndarray) -> np.ndarray:
    """Return the components, C-contiguous, with the largest entry of each made positive."""
    largest = np.abs(components).argmax(axis=1)
    signs = np.where(components[np.arange(len(components)), largest] < 0, -1.0, 1.0)
    return np.ascontiguousarray(components * signs[:, None])
