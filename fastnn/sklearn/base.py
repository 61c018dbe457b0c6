"""What the classifier and the regressor have in common: fit, continue, and show the weights."""

import copy
import functools
import operator
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn.formulas import Formula, Formulas
from fastnn.inputs import checks
from fastnn.many import FitManyError, fit_many
from fastnn.network import Network
from fastnn.sklearn import building, observers
from fastnn.sklearn.made import Made
from fastnn.sklearn.minimizing import Minimizer
from fastnn.sklearn.rows import Rows, as_weights, dense
from fastnn.sklearn.watching import Progress, Rules, Watch
from fastnn.training import describing
from fastnn.training.attributes import CHECKS, DTYPES

_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)

_SWITCHES = (
    "shuffle", "warm_start", "early_stopping", "nesterovs_momentum", "batch_normalization"
)  # fmt: skip


class BaseMLP(Made, observers.Support, BaseEstimator):
    """Base of the estimators."""

    _others: Sequence[Progress] = ()
    """What has been noted of all members but the first."""

    def _keep(self, given: dict[str, Any]) -> None:
        """Keep the constructor's arguments as they came."""
        kept = {name: value for name, value in given.items() if name not in ("self", "__class__")}
        for name, value in kept.items():
            setattr(self, name, value)

    # What subclasses say

    @abstractmethod
    def _encode(self, y: Any, reset: bool, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
        """Return targets as the networks' loss takes them and as they came; learn if `reset`."""

    @abstractmethod
    def _loss(self) -> tuple[Any, int]:
        """Return the loss, and how many outputs it needs."""

    @abstractmethod
    def _score_of(self, outputs: np.ndarray, rows: Rows) -> float:
        """Return the score of a network's outputs."""

    def _reported(self, rows: Rows) -> Callable[[Network, float], float]:
        """Return what makes of an epoch's loss the one that scikit-learn defines."""
        return lambda network, loss: loss

    # Fitting

    def _check(self) -> None:
        """Raise for parameters that nothing else checks."""
        for name in ("max_iter", "n_members", "max_fun"):
            checks.positive_int(getattr(self, name), name)
        for name in _SWITCHES:
            checks.boolean(getattr(self, name), name)
        checks.non_negative_float(self.tol, "tol")
        checks.positive_float(self.learning_rate_init, "learning_rate_init")
        checks.non_negative_float(self.power_t, "power_t")
        checks.fraction(self.validation_fraction, "validation_fraction")
        if self.n_iter_no_change != np.inf:
            checks.positive_int(self.n_iter_no_change, "n_iter_no_change")
        building.sizes(self)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Leave the estimator as it was if a fit fails."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            for name in vars(self).keys() - before.keys():
                if not name.startswith(observers.PREFIXES):
                    delattr(self, name)
            for name, value in before.items():
                setattr(self, name, value)
            raise

    @observers.with_callbacks
    def fit(
        self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None
    ) -> Any:
        """Fit to rows and their targets or labels.

        Parameters
        ----------
        X : array-like or sparse matrix, (n, n_features)
        y : array-like, (n,), (n, n_targets) or (n, n_labels)
        sample_weight : array-like, (n,), optional
        X_val, y_val, sample_weight_val : optional
            Rows to score after each epoch, in `validation_scores_`; with `early_stopping` they are
            what it goes by, in place of a share of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad input, and if training diverges.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    def _fit(self, *given: Any, **how: Any) -> Any:
        with self._all_or_nothing():
            return self._fit_or_fail(*given, **how)

    def _fit_or_fail(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] = (None, None, None),
        incremental: bool = False,
    ) -> Any:
        self._check()
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if first:
            self._made_with = self._structure()
        else:
            self.settle()
            self._check_unchanged()
        X, y = self._validated(X, y, first)
        sample_weight = as_weights(sample_weight, X.shape[0], "sample_weight")
        encoded = self._encode(y, first and not incremental)
        rows = Rows(dense(X), *encoded, self._weights(y, sample_weight, incremental))
        asked = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        held = self._held(*validation)
        rng = self._random_state = check_random_state(self.random_state)
        networks, progresses = self._networks(rows.x, rng, first, held is not None)
        if self._stops_by_score and held is None:
            rows, held = self._split(rows, rng)
        if sample_weight is None:
            del asked["metadata"]
        self._train(networks, progresses, rows, held, incremental, asked)
        return self

    @property
    def _stops_by_score(self) -> bool:
        """Whether to hold out rows: scikit-learn's "lbfgs" does not."""
        return self.early_stopping and not (isinstance(self.solver, str) and self.solver == "lbfgs")

    def _weights(self, y: Any, sample_weight: Any, incremental: bool) -> np.ndarray | None:
        """Return the weights of the rows to train on."""
        return sample_weight

    @property
    def _dtypes(self) -> Any:
        """The types that X may have; others become the first."""
        if self.dtype is None:
            return np.float64, np.float32
        return DTYPES[CHECKS["dtype"](self.dtype, "dtype")][0]

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        return validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._y_numeric,
            dtype=self._dtypes,
            reset=reset,
        )

    def _held(self, X: Any, y: Any, sample_weight: Any) -> Rows | None:
        """Return the caller's validation rows."""
        if X is None and y is None and sample_weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val are wanted together")
        X, y = self._validated(X, y, False)
        sample_weight = as_weights(sample_weight, X.shape[0], "sample_weight_val")
        return Rows(dense(X), *self._encode(y, False, "y_val"), sample_weight)

    def _split(self, rows: Rows, rng: Any) -> tuple[Rows, Rows]:
        """Return the rows to train on, and those held out."""
        if not self.validation_fraction:
            raise ValueError(
                "validation_fraction is 0, wanted above 0 for early_stopping without X_val"
            )
        train, held = train_test_split(
            np.arange(len(rows.x)),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=self._strata(rows.truth),
        )
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        return rows.part(train), rows.part(held)

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return None

    def _networks(
        self, x: np.ndarray, rng: Any, first: bool, held: bool
    ) -> tuple[list, list[Progress]]:
        """Return the networks to train, and what has been noted of them."""
        noting = self._stops_by_score, self._stops_by_score or held
        if not first:
            noted = Progress(*noting)
            noted.no_improvement = getattr(self, "_no_improvement_count", 0)
            for name in vars(noted):
                if getattr(self, f"{name}_", None) is not None:
                    setattr(noted, name, getattr(self, f"{name}_"))
            return self.networks_, [noted, *self._others]
        loss, n_outputs = self._loss()
        size = x.shape[1], n_outputs, self.dtype or x.dtype
        members = range(self.n_members)
        networks = [building.network(self, loss, *size, rng) for _ in members]
        return networks, [Progress(*noting) for _ in members]

    def _rules(self) -> Rules:
        return Rules(
            tol=self.tol,
            patience=self.n_iter_no_change,
            stops_by_score=self._stops_by_score,
            verbose=bool(self.verbose),
            rate=building.rate_rule(self),
            rate_init=self.learning_rate_init,
            power_t=self.power_t,
        )

    def _train(
        self,
        networks: list[Network],
        progresses: list[Progress],
        rows: Rows,
        held: Rows | None,
        incremental: bool,
        asked: dict[str, Any],
    ) -> None:
        batch = self._batch(len(rows.x))
        penalized = 1.0 if networks[0].loss.sums else rows.mean_weight * batch
        for network in networks:
            wanted = building.penalty(self, penalized)
            if network.kernel_regularizer != wanted:
                network.kernel_regularizer = wanted
            network.n_threads = self.n_threads
            self._set_optimizer(network, incremental and hasattr(self, "_optimizer"))
        self._solved_by = repr(building.optimizer(self))
        searches = isinstance(networks[0].optimizer, Minimizer)
        rules, epochs = self._rules(), 1 if incremental or searches else self.max_iter
        score = None
        if held is not None:
            score = lambda network: self._score_of(network.predict(held.x), held)  # noqa: E731
        with self._told(epochs, networks, **asked) as tell:
            tells = observers.for_members(tell, len(networks))
            reported = self._reported(rows)
            watches = [
                Watch(each, rules, len(rows.x), score, reported, own)
                for each, own in zip(progresses, tells, strict=True)
            ]
            try:
                histories = self._run(networks, watches, rows, epochs, batch)
            except (FloatingPointError, FitManyError) as error:
                for other in getattr(error, "exceptions", ()):
                    if not isinstance(other, FloatingPointError):
                        raise other from error
                if not self._stops_by_score:
                    raise ValueError(_NOT_FINITE) from error
                for number in getattr(error, "positions", [0]):
                    watches[number].note_score(np.nan)
                    watches[number].stopped = True
                histories = getattr(error, "histories", [])
            except KeyboardInterrupt:
                if searches:
                    raise
                warnings.warn("Training interrupted by user.", stacklevel=4)
                watches[0].stopped, histories = True, []
        for network, watch in zip(networks, watches, strict=True):
            if watch.best is not None:
                network.set_weights(watch.best)
        self._note(networks, watches, searches, histories)
        if not (incremental or all(watch.stopped for watch in watches)):
            self._warn_if_unfinished(networks, watches, searches)

    def _set_optimizer(self, network: Network, goes_on: bool) -> None:
        """Give a network its optimizer: a new one, or the one it has with what was set since."""
        wanted = building.optimizer(self)
        if not goes_on or type(wanted) is not type(network.optimizer):
            building.begin_anew(network, wanted)
        elif repr(wanted) != self._solved_by:
            network.optimizer.set_params(**wanted.settings())

    def _batch(self, n: int) -> int:
        """Return the rows of a batch."""
        if building.optimizer(self).full_batch:
            return n
        if isinstance(self.batch_size, str) and self.batch_size == "auto":
            return min(200, n)
        size = checks.positive_int(self.batch_size, "batch_size")
        if size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                "clipped",
                stacklevel=5,
            )
        return min(size, n)

    def _run(
        self, networks: list, watches: list[Watch], rows: Rows, epochs: int, batch: int
    ) -> list:
        options = {
            "epochs": epochs,
            "batch_size": None if networks[0].optimizer.full_batch else batch,
            "shuffle": self.shuffle,
            "sample_weight": rows.weight,
        }
        given = self.callbacks
        if given is None:
            given = []
        given = list(given) if isinstance(given, list | tuple) else [given]
        if len(networks) == 1:
            made = networks[0].fit(rows.x, rows.y, callbacks=[watches[0], *given], **options)
            return [made]
        hooks = [[watch, *copy.deepcopy(given)] for watch in watches]
        options |= {"callbacks": hooks, "n_threads": self.n_threads}
        return fit_many(networks, rows.x, rows.y, **options)

    def _note(self, networks: list, watches: list[Watch], searches: bool, histories: list) -> None:
        """Set the attributes that a fit leaves."""
        self.networks_, self.histories_ = networks, histories
        first, self._others = watches[0].progress, [watch.progress for watch in watches[1:]]
        self.n_iter_ = watches[0].n_iter
        self.t_ = first.t
        self.loss_curve_ = first.loss_curve
        self.loss_ = first.loss_curve[-1] if first.loss_curve else np.nan
        self.best_loss_ = first.best_loss
        self.validation_scores_ = first.validation_scores
        self.best_validation_score_ = first.best_validation_score
        self._no_improvement_count = first.no_improvement
        self._optimizer = networks[0].optimizer
        dense = building.dense_parameters(networks[0])
        self.n_layers_ = len(dense) + 1
        self.n_outputs_ = networks[0].model.n_outputs
        last = networks[0].layers[-1].activation.name
        self.out_activation_ = building.THEIRS.get(last, last)
        if searches:
            self.n_iter_ = min(int(self._optimizer.result_.nit), self.max_iter)
        self._link()

    def _warn_if_unfinished(self, networks: list, watches: list, searches: bool) -> None:
        if searches:
            result = networks[0].optimizer.result_
            if not result.success:
                warnings.warn(
                    f"lbfgs failed to converge after {result.nit} iteration(s): {result.message}",
                    ConvergenceWarning,
                    stacklevel=5,
                )
        elif watches[0].n_iter == self.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )

    # Prediction

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the networks' mean outputs."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=self._dtypes, reset=False)
        self.settle()
        found = [network.predict(dense(X)) for network in self.networks_]
        return found[0] if len(found) == 1 else np.mean(found, axis=0)

    def formulas(self) -> Formulas:
        """Return what it computes of a row, for :mod:`fastnn.export`."""
        check_is_fitted(self)
        self.settle()
        model = self.networks_[0].model
        x = Formula.numbers("X", self.n_features_in_, model.dtype)
        found = [describing.formula(network.model, x) for network in self.networks_]
        mean = functools.reduce(operator.add, found)
        mean = mean / len(found) if len(found) > 1 else mean
        text = f"a {type(self).__name__} of {len(found)} networks, {model.dtype}"
        return Formulas([x], self._answers(mean), text)

    @abstractmethod
    def _answers(self, outputs: Formula) -> dict[str, Formula]:
        """Return what is to be exported, from the formula of the networks' mean outputs."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def steps(estimator: BaseMLP) -> bool:
    """Return whether the solver can go on with more rows, or raise: those that need all cannot."""
    if building.optimizer(estimator).full_batch:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not "
            "stochastic."
        )
    return True
