"""Transformers that shift and scale each feature separately."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastnn.formulas import Formula
from fastnn.inputs.checks import boolean, finite_float, non_negative_int, positive_int
from fastnn.inputs.precision import is_constant
from fastnn.inputs.settings import optional, setting
from fastnn.preprocessing.slices import count, joined
from fastnn.preprocessing.transformer import Transformer, not_too_large


def column_ranges(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest value of each column, apart from NaN."""

    def of_block(block: np.ndarray) -> np.ndarray:
        return np.stack([np.fmin.reduce(block), -np.fmax.reduce(block)])

    low, high = joined(rows, of_block, np.fmin)
    return low, -high


def column_means(rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the mean of each column from `low` to `high`; of a constant one, exactly its value."""
    total = joined(rows, lambda block: block.sum(axis=0))
    not_too_large("the mean", total)
    return np.clip(total / count(rows), low, high)


def present(column: np.ndarray) -> np.ndarray:
    """Return the values of a column that are not NaN, as float64."""
    return column[~np.isnan(column)].astype(np.float64)


class Center(Transformer):
    """Subtract the training mean: ``x - mean_``.

    Parameters
    ----------
    per_feature : bool
        Subtract each feature's own mean, or else one mean over all features, as is common for
        images.
    channels : int, optional
        Instead, one mean for each of so many channels.  The features are those of a pixel after
        those of another: with 3, red, green, blue, red, green, blue ...

    Attributes
    ----------
    mean_ : array, (n_features,), or float
        With `channels`, a feature's is that of its channel.

    Raises
    ------
    ValueError, TypeError
        For `channels` beside ``per_feature=False``, or by which the features cannot be divided; see
        also :meth:`Transformer.fit` and :meth:`Transformer.transform`.

    Examples
    --------
    >>> Center().fit_transform([[1.0, 10.0], [3.0, 20.0]])
    array([[-1., -5.],
           [ 1.,  5.]])
    >>> Center(channels=2).fit([[1.0, 10.0, 3.0, 20.0]]).mean_
    array([ 2., 15.,  2., 15.])
    """

    name = "center"
    sums = True
    learned = ("mean_",)
    mean_: np.ndarray | float = setting(init=False)

    per_feature: bool = setting(default=True, check=boolean)
    channels: int | None = setting(default=None, check=optional(positive_int))

    def check_settings(self) -> None:
        if self.channels is not None and not self.per_feature:
            raise ValueError(
                f"channels is {self.channels} and per_feature is False, wanted one of them"
            )

    def _learn(self, rows: np.ndarray) -> dict[str, Any]:
        means = column_means(rows, *column_ranges(rows))
        if self.channels is not None:
            if len(means) % self.channels:
                raise ValueError(
                    f"X has {len(means)} columns, wanted a multiple of channels, {self.channels}"
                )
            pixels = means.reshape(-1, self.channels)
            mean = pixels.mean(axis=0)
            not_too_large("the mean", mean)
            mean = np.clip(mean, pixels.min(axis=0), pixels.max(axis=0))
            return {"mean_": np.tile(mean, len(pixels))}
        if self.per_feature:
            return {"mean_": means}
        mean = means.mean()
        not_too_large("the mean", mean)
        return {"mean_": float(np.clip(mean, means.min(), means.max()))}

    def _shapes(
        self, width: int, arrays: Mapping[str, np.ndarray]
    ) -> Mapping[str, tuple[int, ...]]:
        return {"mean_": (width,) if self.per_feature else ()}

    def carry(self, rounding: np.ndarray) -> np.ndarray:
        return rounding

    def formula(self, x: Formula) -> Formula:
        return x - self.mean_

    def _forward(self, block: np.ndarray) -> np.ndarray:
        block -= self.mean_
        return block

    def _backward(self, block: np.ndarray) -> np.ndarray:
        block += self.mean_
        return block


class Standardize(Transformer):
    """Subtract the training mean and divide by the training standard deviation.

    ``(x - mean_) / scale_`` with ``scale_ = sqrt(mean((x - mean_)**2))``.  The standard deviation
    divides by n, not n - 1, as in scikit-learn's ``StandardScaler``.  A feature that is constant in
    training, except for rounding in the dtype of `X`, gets scale 1 and becomes 0.

    Attributes
    ----------
    mean_, var_, scale_ : arrays, (n_features,)

    Raises
    ------
    ValueError, TypeError
        See :meth:`Transformer.fit` and :meth:`Transformer.transform`.

    Examples
    --------
    >>> scaler = Standardize().fit([[1.0, 5.0], [3.0, 5.0]])
    >>> scaler.transform([[2.0, 5.0], [3.0, 5.0]])
    array([[0., 0.],
           [1., 0.]])
    >>> scaler.inverse_transform([[1.0, 0.0]])
    array([[3., 5.]])
    """

    name = "standardize"
    sums = True
    learned = ("mean_", "var_", "scale_")
    least = {"var_": 0.0, "scale_": 5e-324}
    mean_: np.ndarray = setting(init=False)
    var_: np.ndarray = setting(init=False)
    scale_: np.ndarray = setting(init=False)

    def _learn(self, rows: np.ndarray) -> dict[str, Any]:
        low, high = column_ranges(rows)
        mean = column_means(rows, low, high)
        squares = joined(rows, lambda block: np.square(block - mean).sum(axis=0))
        not_too_large("the variance", squares)
        var = squares / count(rows)
        deviation = np.where(is_constant(low, high, rows.dtype), 0.0, np.sqrt(var))
        return {"mean_": mean, "var_": var, "scale_": _divisors(deviation)}

    def carry(self, rounding: np.ndarray) -> np.ndarray:
        return rounding / self.scale_

    def formula(self, x: Formula) -> Formula:
        return (x - self.mean_) / self.scale_

    def _forward(self, block: np.ndarray) -> np.ndarray:
        block -= self.mean_
        block /= self.scale_
        return block

    def _backward(self, block: np.ndarray) -> np.ndarray:
        block *= self.scale_
        block += self.mean_
        return block


def _as_range(given: Any, name: str) -> tuple[float, float]:
    wanted = "two numbers, the smaller one first"
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise TypeError(f"{name} is {given!r}, wanted {wanted}")
    low, high = (finite_float(end, name) for end in given)
    if low >= high:
        raise ValueError(f"{name} is {given!r}, wanted {wanted}")
    return low, high


class MinMax(Transformer):
    """Scale each feature so that its training values fill a range.

    ``low + (x - data_min_) * (high - low) / (data_max_ - data_min_)``.  Other rows may fall outside
    the range.  A feature that is constant in training, except for rounding in the dtype of `X`, is
    not scaled, only shifted: to 0, or if 0 is outside the range, to the end of the range nearest
    to 0.

    Parameters
    ----------
    feature_range : (low, high)
        By default [-1, 1].  scikit-learn's ``MinMaxScaler`` has [0, 1].

    Attributes
    ----------
    data_min_, data_max_ : arrays, (n_features,)
        The smallest and largest training values.
    scale_, offset_ : arrays, (n_features,)
        A row becomes ``(x - data_min_) * scale_ + offset_``.

    Raises
    ------
    ValueError, TypeError
        If the range is not two finite numbers, smaller one first; see also
        :meth:`Transformer.fit` and :meth:`Transformer.transform`.

    Examples
    --------
    >>> MinMax().fit_transform([[0.0, 7.0], [5.0, 7.0], [20.0, 7.0]])
    array([[-1. ,  0. ],
           [-0.5,  0. ],
           [ 1. ,  0. ]])
    """

    name = "min_max"
    sums = True
    learned = ("data_min_", "data_max_", "scale_", "offset_")
    least = {"scale_": 0.0}
    data_min_: np.ndarray = setting(init=False)
    data_max_: np.ndarray = setting(init=False)
    scale_: np.ndarray = setting(init=False)
    offset_: np.ndarray = setting(init=False)

    feature_range: tuple[float, float] = setting(default=(-1.0, 1.0), check=_as_range)

    def _learn(self, rows: np.ndarray) -> dict[str, Any]:
        low, high = self.feature_range
        least, most = column_ranges(rows)
        width = np.where(is_constant(least, most, rows.dtype), 0.0, most - least)
        not_too_large("the range", width)
        return {
            "data_min_": least,
            "data_max_": most,
            "scale_": np.where(width > 0, (high - low) / _divisors(width), 1.0),
            "offset_": np.where(width > 0, low, np.clip(0.0, low, high)),
        }

    def carry(self, rounding: np.ndarray) -> np.ndarray:
        return rounding * self.scale_

    def formula(self, x: Formula) -> Formula:
        return (x - self.data_min_) * self.scale_ + self.offset_

    def _forward(self, block: np.ndarray) -> np.ndarray:
        block -= self.data_min_
        block *= self.scale_
        block += self.offset_
        return block

    def _backward(self, block: np.ndarray) -> np.ndarray:
        block -= self.offset_
        block /= self.scale_
        block += self.data_min_
        return block


def _as_positions(given: Any, name: str) -> list[int]:
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        raise TypeError(f"{name} is {given!r}, wanted a list of positions of columns")
    return [non_negative_int(each, name) for each in given]


class RobustScale(Transformer):
    """Subtract the training median and divide by the interquartile range, whatever outliers do.

    ``z = (x - median_) / scale_``, where `scale_` is the range between the quartiles of the
    training values.  Where that range is 0 although the values differ, as for a column that is
    nearly always 0, it is half of the range of all values.  A feature that is constant in training,
    except for rounding in the dtype of `X`, becomes 0 whatever it holds later.  With `smooth_clip`,
    the result is ``z / sqrt(1 + (z/3)**2)``, which is about z near 0 and stays within -3 and 3.

    NaN stays NaN, and nothing is learned from it; :class:`Impute` fills it.

    Parameters
    ----------
    smooth_clip : bool
        By default True.
    leave : list of int, optional
        Positions of columns to leave as they are, such as codes for an embedding.

    Attributes
    ----------
    median_, scale_ : arrays, (n_features,)
        `scale_` is 0 for a constant feature.  Both are 0 for one that has no values.

    Raises
    ------
    ValueError, TypeError
        See :meth:`Transformer.fit` and :meth:`Transformer.transform`.

    Notes
    -----
    Source: D. Holzmüller et al., "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
    Tabular Data", NeurIPS 2024.

    Examples
    --------
    >>> scaler = RobustScale(smooth_clip=False).fit([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0],
    ...                                              [3.0, 0.0], [100.0, 4.0]])
    >>> scaler.median_, scaler.scale_
    (array([2., 0.]), array([2., 2.]))
    >>> scaler.transform([[100.0, 4.0]])
    array([[49.,  2.]])
    >>> RobustScale().fit_transform([[0.0], [1.0], [2.0], [3.0], [100.0]]).round(2).ravel()
    array([-0.95, -0.49,  0.  ,  0.49,  2.99])
    """

    name = "robust_scale"
    missing = (True, True)
    learned = ("median_", "scale_")
    least = {"scale_": 0.0}
    median_: np.ndarray = setting(init=False)
    scale_: np.ndarray = setting(init=False)

    smooth_clip: bool = setting(default=True, check=boolean)
    leave: Any = setting(default=(), check=_as_positions)

    def _learn(self, rows: np.ndarray) -> dict[str, Any]:
        width = rows.shape[1]
        if self.leave and max(self.leave) >= width:
            raise ValueError(f"leave has {max(self.leave)}, wanted positions below {width}")
        found = [_robust(column, rows.dtype) for column in rows.T]
        median, scale = np.array(found).T.copy()
        median[[*self.leave]], scale[[*self.leave]] = 0.0, 1.0
        not_too_large("the range", median, scale)
        return {"median_": median, "scale_": scale}

    def carry(self, rounding: np.ndarray) -> np.ndarray:
        return rounding / np.where(self.scale_ > 0, self.scale_, np.inf)

    def formula(self, x: Formula) -> Formula:
        z = (x - self.median_) * (self.scale_ > 0) / _divisors(self.scale_)
        if self.smooth_clip:
            clipped = z.maximum(-_FAR).minimum(_FAR)
            z = clipped / ((clipped / _CLIP) * (clipped / _CLIP) + 1).sqrt()
        if not self.leave:
            return z
        left = np.isin(np.arange(x.width), self.leave)
        return Formula.constant(left, bool).where(x, z)

    def _forward(self, block: np.ndarray) -> np.ndarray:
        left = block[:, self.leave]
        block -= self.median_
        block *= self.scale_ > 0  # a constant column
        block /= _divisors(self.scale_)
        if self.smooth_clip:
            np.clip(block, -_FARTHEST, _FARTHEST, out=block)  # infinity by infinity would be NaN
            block /= np.hypot(1.0, block / _CLIP)
        block[:, self.leave] = left
        return block

    def _backward(self, block: np.ndarray) -> np.ndarray:
        left = block[:, self.leave]
        if self.smooth_clip:
            share = np.clip(block / _CLIP, -_NEARLY_ONE, _NEARLY_ONE)
            block = _CLIP * share / np.sqrt((1 - share) * (1 + share))
        block *= self.scale_
        block += self.median_
        block[:, self.leave] = left
        return block


_CLIP = 3.0
_FARTHEST = 1e300
_FAR = 1e150  # whose square is a number, and which ends up at the same place
_NEARLY_ONE = float(np.nextafter(1.0, 0.0))


def _robust(column: np.ndarray, dtype: np.dtype) -> tuple[float, float]:
    """Return the median and the scale of a column's values."""
    values = present(column)
    if not len(values):
        return 0.0, 0.0
    low, lower, median, upper, high = np.quantile(values, (0.0, 0.25, 0.5, 0.75, 1.0))
    if is_constant(low, high, dtype):
        return low, 0.0
    if is_constant(lower, upper, dtype):
        lower, upper = low / 2, high / 2
    return median, max(upper - lower, np.finfo(np.float64).tiny)


def _divisors(scale: np.ndarray) -> np.ndarray:
    """Return the scale to divide by, with 1 in place of 0 and of numbers that underflowed."""
    return np.where(scale >= np.finfo(np.float64).tiny, scale, 1.0)
