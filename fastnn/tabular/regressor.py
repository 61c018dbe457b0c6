"""The regressor."""

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.formulas import Formula
from fastnn.inputs import checks
from fastnn.inputs.arrays import as_array, as_numbers
from fastnn.inputs.precision import is_constant
from fastnn.metrics import mean_absolute_error, r2, root_mean_squared_error
from fastnn.tabular.base import TabularEstimator, spread
from fastnn.tabular.blending import for_squares
from fastnn.tabular.file import array_of
from fastnn.tabular.recipe import Recipe

_LEAST_SQUARES = 1e-290
"""Below that, sums of squares lose digits."""


class TabularRegressor(TabularEstimator):
    """Predict numbers from the columns of a table: an ensemble of networks that needs no tuning.

    Parameters
    ----------
    preset : {"fast", "accurate"} or Recipe
        Seconds, or the least error.
    categorical_features : list, optional
        Columns of numbers to take for categories: labels of a frame, or positions.
    time_limit : float, optional
        Seconds that a fit may take; it trains fewer networks, or shorter, to keep it.
    random_state : int, None or generator
        None gives another model each time.
    n_threads : int, optional
        How many networks to train at a time; None is the cores that this process may use.
    verbose : {0, 1}
        Print nothing, or a line when a network is done.

    Attributes
    ----------
    n_features_in_, feature_names_in_, networks_, histories_, oof_prediction_, oof_score_
        See :class:`TabularClassifier`; the score is R².

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.tabular import TabularRegressor
    >>> rng = np.random.default_rng(0)
    >>> rows = [[x, kind] for x, kind in zip(rng.normal(size=200), "ab" * 100)]
    >>> y = [x if kind == "a" else -x for x, kind in rows]
    >>> model = TabularRegressor().fit(rows, y)
    >>> model.predict([[1.0, "a"], [1.0, "b"]]).round()
    array([ 1., -1.])
    """

    _estimator_type = "regressor"

    def __init__(
        self,
        preset="fast",
        *,
        categorical_features=None,
        time_limit=None,
        random_state=0,
        n_threads=None,
        verbose=0,
    ):
        self.preset = preset
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def _truth(self, y: Any) -> np.ndarray:
        if y is None:
            raise ValueError("TabularRegressor requires y to be passed, but the target y is None")
        array = as_array(y, "y")
        if array.dtype == object and all(isinstance(each, Real | Decimal) for each in array.flat):
            y = array.astype(np.float64)
        truth = as_numbers(y, "y").astype(np.float64)
        checks.as_regression_targets(truth, len(truth), max(1, truth[:1].size), np.float64)
        return truth

    @np.errstate(all="ignore")
    def _targets(self, truth: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, None]:
        self._vector = truth.ndim == 1
        own = truth.reshape(len(truth), -1)[kept]
        self._low, self._high = own.min(0), own.max(0)
        constant = is_constant(self._low, self._high, np.float64)
        self._mean = np.where(constant, self._low, own.mean(0))
        self._scale = np.where(constant, 1.0, own.std(0))
        squares = np.square(own - self._mean).sum(0)
        wrong = ~constant & ~(np.isfinite(squares) & (squares > _LEAST_SQUARES))
        if wrong.any():
            low, high = self._low[wrong][0], self._high[wrong][0]
            raise ValueError(
                f"y has numbers from {low:g} to {high:g}, too far apart or too close for float64 "
                "to hold their squares: scale y"
            )
        return ((own - self._mean) / self._scale).astype(np.float32), None

    def _loss(self, recipe: Recipe) -> tuple[str, int]:
        return "half_mse", len(self._mean)

    def _calibrate(self, outputs: Any, known: Any, kept: Any, weight: Any) -> None:
        truth, own = self.oof_target_[kept][known], None if weight is None else weight[known]
        table = truth.reshape(len(truth), -1)
        self._shares = for_squares(outputs, (table - self._mean) / self._scale, own)
        joint = np.tensordot(self._shares, outputs, 1)
        found = self._decode(joint)
        self.oof_score_ = r2(truth, found, sample_weight=own)
        places = (np.arange(len(found)) + 0.5) / len(found)
        self._residuals = table - found if own is None else _quantiles(table - found, places, own)
        self.oof_errors_ = self._errors(joint, truth, own)
        self.oof_prediction_ = spread(found[:, 0] if self._vector else found, known, kept)

    def _learned(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        names = "mean", "low", "high", "scale", "residuals"
        return {name: getattr(self, f"_{name}") for name in names}, {"vector": self._vector}

    def _relearn(self, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> int:
        self._vector, n_targets = checks.boolean(header["vector"], "vector"), arrays["mean"].size
        if not n_targets or (self._vector and n_targets > 1):
            raise ValueError(f"mean has {n_targets} numbers, wanted one for each target")
        for name in ("mean", "low", "high", "scale"):
            setattr(self, f"_{name}", array_of(arrays[name], (n_targets,), name))
        if (self._low > self._high).any() or (self._scale <= 0).any():
            raise ValueError("low is above high, or scale is not above 0")
        residuals = arrays["residuals"]
        self._residuals = array_of(residuals, (max(1, len(residuals)), n_targets), "residuals")
        return n_targets

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        return np.clip(outputs * self._scale + self._mean, self._low, self._high)

    def _answers(self, outputs: Formula) -> dict[str, Formula]:
        found = outputs * self._scale + self._mean
        return {"predictions": found.maximum(self._low).minimum(self._high)}

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return predictions, (n,) or (n, n_targets), within the range of the training targets."""
        found = self._decode(self._outputs(X, "predict"))
        return found[:, 0] if self._vector else found

    def predict_interval(self, X: ArrayLike, coverage: float = 0.9) -> np.ndarray:
        """Return an interval for each row, (n, 2) or (n, 2, n_targets), that has `coverage`.

        It is the prediction plus quantiles of the errors on rows that networks had not seen, a
        conformal interval: whatever the data, about so many rows of the same kind lie in it.  It is
        equally wide for all rows, so where errors are larger than elsewhere it has fewer of them.
        """
        checks.fraction(coverage, "coverage")
        return self.predict_quantiles(X, [(1 - coverage) / 2, (1 + coverage) / 2])

    def predict_quantiles(self, X: ArrayLike, quantiles: ArrayLike) -> np.ndarray:
        """Return quantiles of the targets, (n, n_quantiles) or (n, n_quantiles, n_targets)."""
        wanted = [checks.probability(each, "quantiles") for each in np.ravel(quantiles)]
        errors = np.quantile(self._fitted("predict_quantiles")._residuals, wanted, axis=0)
        found = self._decode(self._outputs(X, "predict_quantiles"))[:, None] + errors
        return found[:, :, 0] if self._vector else found

    def score(self, X: ArrayLike, y: Any, sample_weight: Any = None) -> float:
        """Return R²: 1 less the share of y's variance that is left."""
        outputs = self._outputs(X, "score")
        return self._score(outputs, *self.checked(y, sample_weight, len(outputs)))

    def _score(self, outputs: np.ndarray, truth: np.ndarray, weight: Any) -> float:
        return r2(truth, self._decode(outputs), sample_weight=weight)

    def _errors(
        self, outputs: np.ndarray, truth: np.ndarray, weight: Any
    ) -> dict[str, tuple[float, float]]:
        found = self._decode(outputs)
        center = np.average(truth, axis=0, weights=weight)
        middle = _quantiles(truth.reshape(len(truth), -1), [0.5], weight)[0]
        return {
            name: (error(truth, found, weight), error(truth, 0 * truth + constant, weight))
            for name, error, constant in (
                ("root mean squared error", root_mean_squared_error, center),
                ("mean absolute error", mean_absolute_error, middle[0] if self._vector else middle),
            )
        }


def _quantiles(table: np.ndarray, places: Any, weight: np.ndarray | None) -> np.ndarray:
    """Return quantiles of each column, (places, columns)."""
    if weight is None:
        return np.quantile(table, places, axis=0)
    order, found = np.argsort(table, axis=0), []
    for own, column in zip(order.T, table.T, strict=True):
        middles = np.cumsum(weight[own]) - weight[own] / 2
        found.append(np.interp(np.multiply(places, weight.sum()), middles, column[own]))
    return np.transpose(found)
