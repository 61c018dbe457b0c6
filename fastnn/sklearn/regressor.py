"""The regressor."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin, clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from fastnn import losses
from fastnn.formulas import Formula
from fastnn.inputs import checks
from fastnn.network import Network
from fastnn.preprocessing import BinnedTarget
from fastnn.sklearn import observers
from fastnn.sklearn.base import BaseMLP, steps
from fastnn.sklearn.rows import Rows

_LOSSES = {"squared_error": "half_mse"}
"""fastnn's names of scikit-learn's losses, where they differ."""


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor: scikit-learn's, faster and with more to choose.

    Parameters, attributes and methods up to `max_fun` are those of
    :class:`sklearn.neural_network.MLPRegressor`, with the same meaning and the same starting
    weights.  Rows are shuffled in another order, so results agree as those of two seeds do.  Sample
    weights are divided by the mean over all rows, not by each batch's sum.

    Parameters
    ----------
    loss : {"squared_error", "poisson"} or str or Loss
        Any of :mod:`fastnn.losses` too, such as "absolute_error", "gamma" or ``Huber(0.5)``.  For
        "poisson" and "gamma" the last layer is exponential.
    hidden_layer_sizes : int or sequence of int
    activation : {"relu", "logistic", "tanh", "identity"} or str or Activation or list
        Any of :mod:`fastnn.activations` too, or a list with one for each hidden layer.
    solver : {"adam", "sgd", "lbfgs"} or str or Optimizer
        Any of :mod:`fastnn.optimizers` too: a name, which takes `learning_rate_init`, or an object,
        which is copied.
    alpha : float
        Strength of the L2 penalty, ``alpha / 2 * sum w**2``, divided by the rows of a batch,
        but not beside a loss with ``reduction="sum"``.
    batch_size : int or "auto"
        "auto" is ``min(200, n)``.  "lbfgs" takes all rows.
    learning_rate : {"constant", "invscaling", "adaptive"} or Schedule
        The strings are for "sgd", a schedule is for any solver that has a rate.
    learning_rate_init, power_t : float
    max_iter : int
        Epochs, or iterations of "lbfgs".
    shuffle : bool
    random_state : int, RandomState or None
    tol : float
    verbose : bool
    warm_start : bool
    momentum : float
    nesterovs_momentum : bool
    early_stopping : bool
        Stop by R² on held-out rows, and keep the best weights; not for "lbfgs".
    validation_fraction : float
    beta_1, beta_2, epsilon : float
    n_iter_no_change : int or inf
    max_fun : int
    target_transform : {"standardize", "scale", "log", "quantile"} or transformer or None
        Train on transformed targets, and transform predictions back.  "scale" divides by the
        deviation, so counts and amounts stay at least 0; "log" also standardizes.
        `loss_` is then that of transformed targets.
    quantiles : sequence of float or None
        Train these quantiles at once, by the pinball loss; see :meth:`predict_quantiles`.
        `predict` returns the one nearest to 0.5, or the mean of two that are as near.
    n_bins : int or None
        Train probabilities of so many bins; see :meth:`predict_dist`.  `predict` returns the mean.
    layers : list of Layer or None
        Hidden layers as objects, in place of `hidden_layer_sizes` and `activation`; `dropout`,
        `batch_normalization` and `kernel_constraint` are then the layers' own.
    dropout : float or list
        Share of each hidden layer's outputs to drop.
    batch_normalization : bool
    kernel_regularizer, bias_regularizer : Regularizer or str or None
        In place of `alpha`.
    kernel_constraint : Constraint or str or None
        For the hidden layers.
    metrics, callbacks : see :class:`fastnn.Network`
        Metrics are in `histories_`.
    n_members : int
        Train so many networks from different seeds at once, and average their outputs.
    n_threads : int or None
    dtype : {"float32", "float64", "mixed_bfloat16"} or None
        None is that of X.

    Attributes
    ----------
    coefs_, intercepts_ : list of array
        Weights of the first member.  They are the network's own: what you change counts.
    n_targets_ : int
    loss_, loss_curve_, best_loss_, validation_scores_, best_validation_score_, n_iter_, t_, \
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn, for the first member.
    networks_ : list of Network
    histories_ : list of History

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = 200_000 * X[:, 0] ** 2
    >>> regressor = MLPRegressor(
    ...     learning_rate_init=0.01, target_transform="standardize", random_state=1
    ... )
    >>> bool(regressor.fit(X, y).score(X, y) > 0.95)
    True
    """

    _y_numeric = True
    _transformer: Any = None
    _bins: Any = None

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        target_transform=None,
        quantiles=None,
        n_bins=None,
        layers=None,
        dropout=0.0,
        batch_normalization=False,
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        metrics=None,
        callbacks=None,
        n_members=1,
        n_threads=None,
        dtype=None,
    ):
        self._keep(locals())

    # Targets

    def _check(self) -> None:
        super()._check()
        names = "loss", "quantiles", "n_bins"
        defaults = "squared_error", None, None
        changed = [
            name
            for name, default in zip(names, defaults, strict=True)
            if not (getattr(self, name) is None or _equals(getattr(self, name), default))
        ]
        if len(changed) > 1:
            raise ValueError(f"{' and '.join(changed)} were given, wanted only one of them")

    def _encode(self, y: Any, reset: bool, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        truth = y[:, None] if y.ndim == 1 else y
        if reset or not hasattr(self, "n_targets_"):
            self.n_targets_ = truth.shape[1]
            self._transformer = self._new_transformer(len(truth))
            if self._transformer is not None:
                self._transformer.fit(truth)
            self._bins = None
            if self.n_bins is not None:
                if self.n_targets_ > 1:
                    raise ValueError(f"n_bins wants one target, but y has {self.n_targets_}")
                self._bins = BinnedTarget(self.n_bins).fit(self._there(truth))
        elif truth.shape[1] != self.n_targets_:
            raise ValueError(
                f"{name} has {truth.shape[1]} targets, wanted {self.n_targets_} as before"
            )
        there = self._there(truth)
        return (there if self._bins is None else self._bins.transform(there)), truth

    def _new_transformer(self, n_rows: int) -> Any:
        given = self.target_transform
        if given is None:
            return None
        if hasattr(given, "get_params") and hasattr(given, "inverse_transform"):
            return clone(given)
        given = given if _is_str(given) else None
        if given == "standardize":
            return StandardScaler()
        if given == "scale":
            return StandardScaler(with_mean=False)
        if given == "log":
            logarithm = FunctionTransformer(_log, np.exp, check_inverse=False)
            return make_pipeline(logarithm, StandardScaler())
        if given == "quantile":
            return QuantileTransformer(
                n_quantiles=min(1000, n_rows), output_distribution="normal", random_state=0
            )
        raise ValueError(
            f"target_transform is {self.target_transform!r}, wanted 'standardize', 'scale', "
            "'log', 'quantile', a transformer with an inverse or None"
        )

    def _there(self, y: np.ndarray) -> np.ndarray:
        """Return targets as the network sees them."""
        if self._transformer is None:
            return y
        there = np.asarray(self._transformer.transform(y))
        if there.shape != y.shape:
            raise ValueError(
                f"target_transform makes {there.shape} of y's {y.shape}, wanted the same shape"
            )
        return there

    def _back(self, y: np.ndarray) -> np.ndarray:
        """Return what the network predicts, (n, ...), as targets."""
        if self._transformer is None:
            return y
        flat = y.reshape(-1, self.n_targets_)
        return np.asarray(self._transformer.inverse_transform(flat)).reshape(y.shape)

    def _loss(self) -> tuple[Any, int]:
        if self._bins is not None:
            return losses.get("softmax_cross_entropy"), self._bins.n_bins_
        loss, quantiles = self.of_fit("loss"), self.of_fit("quantiles")
        found = losses.get(_LOSSES.get(loss, loss) if _is_str(loss) else loss)
        if quantiles is not None:
            found = losses.Quantile(quantiles)
        return found, self.n_targets_ * found.outputs

    @property
    def _trained(self) -> tuple[float, ...]:
        """The quantiles that were trained, in the order of the network's outputs."""
        loss = self._loss()[0]
        return loss.quantiles if isinstance(loss, losses.Quantile) else ()

    def _reported(self, rows: Rows) -> Callable[[Network, float], float]:
        loss, y = self.of_fit("loss"), rows.y
        if _equals(loss, "squared_error") and self.n_targets_ > 1:
            return lambda network, loss: _over(self.n_targets_, network.model.penalty(), loss)
        if not (_equals(loss, "poisson") or _equals(loss, "gamma")):
            return super()._reported(rows)
        # Deviances: the loss less that of perfect predictions.
        logarithms = np.log(np.where(y > 0, y, 1))  # numbers of at most 0 are refused later
        perfect = 1 + logarithms if loss == "gamma" else y - y * logarithms
        least = float(np.average(perfect.sum(axis=1), weights=rows.weight))
        return lambda network, loss: loss - least

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return predictions, (n, n_targets), from a network's outputs."""
        if self._bins is not None:
            return self._back(self._bins.mean(outputs)[:, None])
        blocks = outputs.reshape(len(outputs), -1, self.n_targets_)
        if not self._trained:
            return self._back(blocks[:, 0])
        away = np.abs(np.array(self._trained) - 0.5)
        return self._back(blocks[:, np.isclose(away, away.min())].mean(axis=1))

    def _answers(self, outputs: Formula) -> dict[str, Formula]:
        if self._bins is not None:
            wide = outputs.cast(np.float64)
            shares = wide / (wide.mean() * wide.width)
            return {"predictions": self._back_formula(shares.dot(self._bins.mean_[:, None]))}
        away = np.abs(np.array(self._trained or [0.5]) - 0.5)
        chosen = np.isclose(away, away.min()).nonzero()[0].tolist()
        blocks = np.arange(outputs.width).reshape(-1, self.n_targets_)
        parts = [outputs.columns(blocks[place]) for place in chosen]
        found = functools.reduce(operator.add, parts)
        found = found / len(parts) if len(parts) > 1 else found
        return {"predictions": self._back_formula(found)}

    def _back_formula(self, y: Formula) -> Formula:
        """Return the formula of `_back`."""
        given = self._transformer
        for step in reversed(given) if isinstance(given, Pipeline) else [given]:
            if isinstance(step, FunctionTransformer) and step.inverse_func is np.exp:
                y = y.exp()
            elif type(step) is StandardScaler:
                y = y if step.scale_ is None else y * step.scale_
                y = y + step.mean_ if step.with_mean else y
            elif step is not None:
                raise ValueError(
                    f"cannot export target_transform {self.target_transform!r}: "
                    f"{type(step).__name__} has no formula"
                )
        return y

    def _score_of(self, outputs: np.ndarray, rows: Rows) -> float:
        if not np.isfinite(outputs).all():
            return np.nan
        return _r2(rows.truth, self._decode(outputs), rows.weight)

    # Fitting

    @available_if(steps)
    @observers.with_callbacks
    def partial_fit(self, X, y, sample_weight=None) -> "MLPRegressor":
        """Make one pass over more rows; parameters are those of :meth:`fit`."""
        return self._fit(X, y, sample_weight, incremental=True)

    # Prediction

    def predict(self, X) -> np.ndarray:
        """Return predictions, (n,) or (n, n_targets)."""
        found = self._decode(self._outputs(X))
        return found[:, 0] if found.shape[1] == 1 else found

    @available_if(lambda estimator: estimator._is_distribution("predict_quantiles"))
    def predict_quantiles(self, X, quantiles=None) -> np.ndarray:
        """Return quantiles of each row's target, in ascending order of `quantiles`.

        Parameters
        ----------
        X : array-like, (n, n_features)
        quantiles : sequence of float, optional
            With `n_bins`, any; else all that were trained.

        Returns
        -------
        array, (n, n_quantiles) or (n, n_quantiles, n_targets)
            Quantiles of a row never cross: they are sorted.
        """
        outputs = self._outputs(X)
        if self._bins is not None:
            if quantiles is None:
                raise ValueError(
                    "quantiles is None, wanted numbers from 0 to 1, such as [0.1, 0.9]"
                )
            binned = [self._bins.quantile(outputs, q) for q in sorted(np.atleast_1d(quantiles))]
            return self._back(np.stack(binned, axis=1)[:, :, None])[:, :, 0]
        trained = sorted(self._trained)
        if quantiles is not None and sorted(np.atleast_1d(quantiles)) != trained:
            raise ValueError(f"quantiles is {quantiles}, but those trained are {trained}")
        blocks = np.sort(outputs.reshape(len(outputs), -1, self.n_targets_), axis=1)
        found = self._back(blocks)
        return found[:, :, 0] if self.n_targets_ == 1 else found

    @available_if(lambda estimator: estimator._is_distribution("predict_interval"))
    def predict_interval(self, X, coverage=0.8) -> np.ndarray:
        """Return an interval for each row, (n, 2), or (n, 2, n_targets), that has `coverage`.

        With `quantiles`, those of ``(1 - coverage) / 2`` and ``(1 + coverage) / 2`` must be among
        them.
        """
        checks.fraction(coverage, "coverage")
        ends = np.array([(1 - coverage) / 2, (1 + coverage) / 2])
        if self._bins is not None:
            return self.predict_quantiles(X, ends)
        trained = np.array(sorted(self._trained))
        places = [np.flatnonzero(np.isclose(trained, end)) for end in ends]
        if not all(len(place) for place in places):
            raise ValueError(
                f"coverage is {coverage}, which wants the quantiles {ends[0]:.4g} and "
                f"{ends[1]:.4g}, but those trained are {trained.tolist()}"
            )
        return self.predict_quantiles(X)[:, [place[0] for place in places]]

    @available_if(lambda estimator: estimator._is_distribution("predict_dist", bins=True))
    def predict_dist(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's cumulative distribution function.

        Returns
        -------
        values : array, (2 * bins,)
        cumulative : array, (n, 2 * bins)
            The probability that the target is at most each value, linear in between.
        """
        values, cumulative = self._bins.distribution(self._outputs(X))
        return self._back(values[:, None])[:, 0], cumulative

    def _is_distribution(self, what: str, bins: bool = False) -> bool:
        loss, quantiles = self.of_fit("loss"), self.of_fit("quantiles")
        some = quantiles is not None or isinstance(loss, losses.Quantile)
        if self.of_fit("n_bins") is None and (bins or not some):
            wanted = "n_bins" if bins else "quantiles or n_bins"
            raise AttributeError(f"{what} wants an estimator with {wanted}")
        return True


def _over(n_targets: int, penalty: float, loss: float) -> float:
    """Return the mean over targets of a loss that is their sum, and its penalty."""
    return (loss - penalty) / n_targets + penalty


def _is_str(value: Any) -> bool:
    return isinstance(value, str)


def _equals(value: Any, default: Any) -> bool:
    return _is_str(value) and value == default


def _log(y: np.ndarray) -> np.ndarray:
    if not (y > 0).all():
        raise ValueError(f"y has {np.min(y)}, but target_transform='log' wants numbers above 0")
    return np.log(y)


def _r2(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
    """Return R², the mean over targets, as :func:`sklearn.metrics.r2_score`."""
    y = y.astype(np.float64, copy=False)
    away = y - np.average(y, axis=0, weights=weight)
    total = np.average(away**2, axis=0, weights=weight)
    left = np.average((y - predicted) ** 2, axis=0, weights=weight)
    constant = total == 0
    scores = 1 - left / np.where(constant, 1, total)
    return float(np.where(constant, np.where(left == 0, 1.0, 0.0), scores).mean())
