"""What all transformers share: the door, rows in blocks, and state that can be stored."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.inputs.checks import as_inputs, blocks
from fastnn.inputs.settings import Stateful, setting


class Transformer(Stateful):
    """Base of transformers: override `_learn`, `_forward` and `_backward`, list what is `learned`.

    What is learned from data has names that end with ``_``.  Arithmetic is done in float64, some
    rows at a time; what comes out is float32 for float32 rows and float64 for all others.  A row's
    result is the same bit for bit whatever other rows come with it.
    """

    name = ""
    learned: ClassVar[tuple[str, ...]] = ()
    n_features_in_: int = setting(init=False)

    @property
    def fitted(self) -> bool:
        """Whether `fit` has been called."""
        return hasattr(self, "n_features_in_")

    @property
    def n_features_out_(self) -> int:
        """Columns of what `transform` returns."""
        return self.n_features_in_

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from the rows of `X`, (n, n_features), anew; `y` is not looked at.

        Raises
        ------
        ValueError, TypeError
            If `X` is not 2-D, empty, not numbers, not finite, or too large to compute with; what
            was learned before stays as it was.
        """
        rows = as_inputs(X, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            learned = self._learn(rows)
        vars(self).update(learned, n_features_in_=rows.shape[1])
        return self

    def transform(self, X: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return the rows of `X` transformed, as a new array.

        Parameters
        ----------
        X : array-like, (n, n_features)
        dtype : float type, optional
            Of the result; float32 for float32 rows and float64 for all others without it.

        Raises
        ------
        ValueError, TypeError
            Before `fit`, for another width than that of `fit`, and for rows that are not finite
            numbers before or after.
        """
        self._check_fitted("transform")
        return self._apply(self._forward, X, self.n_features_in_, dtype)

    def fit_transform(self, X: ArrayLike, y: Any = None) -> np.ndarray:
        """Return ``fit(X).transform(X)``."""
        return self.fit(X, y).transform(X)

    def inverse_transform(self, X: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return transformed rows as they were, or as near as what was kept allows.

        Parameters and errors are those of :meth:`transform`.
        """
        self._check_fitted("inverse_transform")
        return self._apply(self._backward, X, self.n_features_out_, dtype)

    def _apply(self, function, X, width, dtype) -> np.ndarray:
        rows = as_inputs(X, dtype=np.float64)
        if rows.shape[1] != width:
            raise ValueError(
                f"X has {rows.shape[1]} columns, wanted {width} "
                f"({type(self).__name__} was fitted on {self.n_features_in_})"
            )
        if dtype is None:
            dtype = np.float32 if rows.dtype == np.float32 else np.float64
        out = by_blocks(function, rows, dtype)
        return as_inputs(out, dtype=out.dtype, name="transformed X")

    def _check_fitted(self, what: str) -> None:
        if not self.fitted:
            raise ValueError(f"{type(self).__name__} is not fitted: call fit before {what}")

    def _learn(self, rows: np.ndarray) -> dict[str, Any]:
        """Return the attributes that are learned from the rows."""
        raise NotImplementedError

    def _forward(self, block: np.ndarray) -> np.ndarray:
        """Return a block of float64 rows transformed; the block may be overwritten."""
        raise NotImplementedError

    def _backward(self, block: np.ndarray) -> np.ndarray:
        """Return a block of transformed float64 rows as it was; the block may be overwritten."""
        raise NotImplementedError

    def __sklearn_clone__(self) -> Self:
        return type(self)(**self.settings())  # not fitted

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learned, as arrays by name; nothing before `fit`."""
        names = ("n_features_in_", *self.learned) if self.fitted else ()
        return {name: np.asarray(getattr(self, name)) for name in names}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set what was learned to what :meth:`state` returned; KeyError for what is missing."""
        arrays = {name: state[name] for name in ("n_features_in_", *self.learned)}
        for name, array in arrays.items():
            setattr(self, name, array if array.ndim else array.item())


def float_blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows in blocks, as float64 copies that may be overwritten."""
    for _, block in blocks(rows):
        yield block.astype(np.float64)


def by_blocks(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, dtype: DTypeLike
) -> np.ndarray:
    """Return `function` of the rows, called block by block: a result, and temporaries of one."""
    out = np.empty((0, 0))
    start = 0
    with np.errstate(over="ignore", invalid="ignore"):  # the result is checked
        for block in float_blocks(rows):
            done = function(block)
            if start == 0:
                out = np.empty((len(rows), done.shape[1]), dtype)
            out[start : start + len(done)] = done
            start += len(done)
    return out


def not_too_large(kind: str, *arrays: np.ndarray) -> None:
    """Refuse what overflowed in `fit`: finite numbers whose sums or squares are not."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"X has numbers too large for {kind}: sums or squares of them overflow")
