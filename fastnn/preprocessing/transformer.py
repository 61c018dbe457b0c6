"""The base class of transformers: input checks, work in blocks of rows, and savable state."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.formulas import Formula
from fastnn.inputs import on_disk
from fastnn.inputs.checks import as_inputs, blocks, positive_int
from fastnn.inputs.columns import Names
from fastnn.inputs.settings import Stateful, setting


class Transformer(Stateful):
    """Base of transformers: override `_learn`, `_forward` and `_backward`; name state in `learned`.

    Names of learned attributes end with ``_``.  Arithmetic is in float64, on a block of rows at a
    time.  Results are float32 for float32 rows, and float64 for all others.  A row's result does
    not depend on the other rows, bit for bit.
    """

    name = ""
    missing: ClassVar[tuple[bool, bool]] = (False, False)
    """Whether NaN, for missing values, may stand in what comes in, and in what goes out."""
    sums = False
    """Whether it learns only sums over rows, or their smallest and largest numbers."""
    learned: ClassVar[tuple[str, ...]] = ()
    least: ClassVar[Mapping[str, float]] = {}
    """The smallest number that a learned array may hold, where there is one."""
    n_features_in_: int = setting(init=False)
    names_ = Names()

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The names of the columns that `fit` saw; AttributeError if they had none."""
        return self.names_.feature_names()

    @property
    def fitted(self) -> bool:
        """Whether `fit` has been called."""
        return hasattr(self, "n_features_in_")

    @property
    def n_features_out_(self) -> int:
        """The number of columns that `transform` returns."""
        return self.n_features_in_

    def rows(
        self, X: ArrayLike, n_features: int | None = None, name: str = "X", *, empty: bool = False
    ) -> Any:
        """Return `X` checked, as `fit` and `transform` take it; arguments are `as_inputs`'."""
        return as_inputs(X, n_features, np.float64, name, empty=empty, missing=self.missing[0])

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from the rows of `X`, (n, n_features), from scratch; only few use `y`.

        Raises
        ------
        ValueError, TypeError
            If `X` is not 2-D, is empty, or holds anything but finite numbers that are small enough
            to compute with, or if two columns have the same name.  The learned attributes then stay
            as they were.
        """
        names = Names().agreed(X)
        rows = self.rows(X)
        with np.errstate(all="ignore"):
            learned = self._fit(rows, y)
        found = {"n_features_in_": rows.shape[1], "names_": names, "fitted_as_": self.snapshot()}
        vars(self).update(learned, **found)
        return self

    def transform(self, X: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return the rows of `X` transformed, as a new array.

        Parameters
        ----------
        X : array-like, (n, n_features)
        dtype : float type, optional
            The result's dtype; by default float32 for float32 rows and float64 for all others.

        Raises
        ------
        ValueError, TypeError
            Before `fit`, if `X` has the wrong width, if its columns have other names than those
            that were fitted or another order, and if rows are not finite numbers before or after
            the transformation.
        """
        self._check_fitted("transform")
        self.names_.agreed(X, owner="transformer")
        rows = self.rows(X, empty=True)
        widths = self.n_features_in_, self.n_features_out_
        return self._apply(self._forward, rows, *widths, dtype, self.missing[1])

    def fit_transform(self, X: ArrayLike, y: Any = None) -> np.ndarray:
        """Return ``fit(X, y).cross_transform(X, y)``."""
        return self.fit(X, y).cross_transform(X, y)

    def cross_transform(
        self, X: ArrayLike, y: Any = None, dtype: DTypeLike | None = None
    ) -> np.ndarray:
        """Return training rows as a model should see them: the same as `transform`.

        Only what learns from `y` differs, such as :class:`TargetMean`: a row must not be
        transformed by what was learned from its own target.
        """
        return self.transform(X, dtype)

    def inverse_transform(self, X: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return the original rows for transformed ones, as closely as the transformation allows.

        Parameters and errors are those of :meth:`transform`.
        """
        self._check_fitted("inverse_transform")
        into, out = self.missing
        rows = as_inputs(X, dtype=np.float64, empty=True, missing=out)
        return self._apply(
            self._backward, rows, self.n_features_out_, self.n_features_in_, dtype, into
        )

    def _apply(self, function, rows, width, width_after, dtype, missing) -> np.ndarray:
        if rows.shape[1] != width:
            raise ValueError(
                f"X has {rows.shape[1]} columns, wanted {width} "
                f"({type(self).__name__} was fitted on {self.n_features_in_})"
            )
        if dtype is None:
            dtype = np.float32 if getattr(rows, "dtype", None) == np.float32 else np.float64
        if not len(rows):
            return np.empty((0, width_after), dtype)
        out = by_blocks(function, self._numbers(rows), dtype)
        return as_inputs(out, dtype=out.dtype, name="transformed X", missing=missing)

    def _check_fitted(self, what: str) -> None:
        if not self.fitted:
            raise ValueError(f"{type(self).__name__} is not fitted: call fit before {what}")
        if self.snapshot() != vars(self)["fitted_as_"]:
            raise ValueError(
                f"{self} was changed after it was fitted: call fit again before {what}, or set it "
                "back"
            )

    def _numbers(self, rows: Any) -> np.ndarray:
        """Return what `rows` returned as an array, for `_forward`."""
        return rows

    def _fit(self, rows: Any, y: Any) -> dict[str, Any]:
        """Return the attributes learned from the rows and their targets."""
        return self._learn(rows)

    def _learn(self, rows: Any) -> dict[str, Any]:
        """Return the attributes learned from the rows."""
        raise NotImplementedError

    def _forward(self, block: np.ndarray) -> np.ndarray:
        """Transform a block of float64 rows, which may be overwritten."""
        raise NotImplementedError

    def _backward(self, block: np.ndarray) -> np.ndarray:
        """Reverse `_forward` for a block of float64 rows, which may be overwritten."""
        raise NotImplementedError

    def formula(self, x: Formula) -> Formula:
        """Return what `transform` makes of `x`, in float64, for others to compute elsewhere."""
        raise NotImplementedError

    def carry(self, rounding: np.ndarray) -> np.ndarray:
        """Return how far rounding, by up to so much in each column of rows, moves the results.

        What lies within is no spread for the next transformer; 0 means that this is not known.
        """
        return np.zeros(1)

    def __sklearn_clone__(self) -> Self:
        return type(self)(**self.settings())  # not fitted

    def state(self) -> dict[str, np.ndarray]:
        """Return the learned arrays by name; none before `fit`."""
        names = ("n_features_in_", *self.learned) if self.fitted else ()
        return {name: np.asarray(getattr(self, name)) for name in names}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set the learned arrays from :meth:`state`.

        Raises
        ------
        KeyError, ValueError
            If an array is missing, or cannot be what `fit` learned.
        """
        given = state["n_features_in_"]
        width = positive_int(given.tolist(), "n_features_in_")
        arrays = {name: state[name] for name in self.learned}
        for name, shape in self._shapes(width, arrays).items():
            self._check_learned(name, arrays[name], shape)
        for name, array in {"n_features_in_": given, **arrays}.items():
            setattr(self, name, array if array.ndim else array.item())
        vars(self)["fitted_as_"] = self.snapshot()

    def _shapes(
        self, width: int, arrays: Mapping[str, np.ndarray]
    ) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of the learned arrays after a fit to `width` columns."""
        return dict.fromkeys(self.learned, (width,))

    def _check_learned(self, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
        least = self.least.get(name, -np.inf)
        if array.shape != shape or array.dtype != np.float64:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, wanted float64 {shape}")
        if not np.isfinite(array).all() or not (array >= least).all():
            wanted = (
                "finite numbers" if least == -np.inf else f"finite numbers of at least {least:g}"
            )
            raise ValueError(f"{name} holds other than {wanted}")


def float_blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows in blocks, as float64 copies that callers may overwrite.

    They are contiguous, because NumPy sums columns in another order where these are.
    """
    for _, block in blocks(rows):
        yield block.astype(np.float64, order="C")


def by_blocks(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, dtype: DTypeLike
) -> np.ndarray:
    """Apply `function` to the rows block by block, so that temporaries are one block in size.

    The result of rows in a file is in a file.
    """
    out = np.empty((0, 0))
    start = 0
    with np.errstate(all="ignore"):  # the result is checked
        for block in float_blocks(rows):
            done = function(block)
            if start == 0:
                out = on_disk.empty((len(rows), done.shape[1]), dtype, rows)
            out[start : start + len(done)] = done
            start += len(done)
    return out


def not_too_large(kind: str, *arrays: np.ndarray) -> None:
    """Raise ValueError if `fit` overflowed: finite numbers can have infinite sums or squares."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"X has numbers too large for {kind}: sums or squares of them overflow")
