"""What the classifier and the regressor have in common."""

import inspect
import os
import sys
import time
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastnn.callbacks.progress import as_verbose
from fastnn.engine import cores
from fastnn.files.modelfile import check_nothing_is_left, naming
from fastnn.formulas import Formula, Formulas
from fastnn.inputs import checks
from fastnn.inputs.mixed import as_columns
from fastnn.inputs.settings import optional
from fastnn.network import Network
from fastnn.tabular import file
from fastnn.tabular.encoding import Encoding
from fastnn.tabular.members import Members
from fastnn.tabular.recipe import PRESETS, Recipe


def as_model(model: Any) -> "TabularEstimator":
    """Return a model that a tool of this package was given."""
    if not isinstance(model, TabularEstimator):
        raise TypeError(f"model is {model!r}, wanted a TabularRegressor or TabularClassifier")
    return model


class TabularEstimator:
    """Base of the estimators, with scikit-learn's methods.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : array of str
        If X was a frame.
    networks_ : list of Network
    histories_ : list of History
    oof_prediction_ : array
        What the model predicts for the training rows, each by networks that did not train on it.
    oof_target_ : array
        What it should predict for them: y.
    oof_score_ : float
        Their score: what to expect on other rows.
    oof_errors_ : dict
        Their errors by name, each as (error, that of the best constant).
    extra_ : dict
        What :meth:`save` was given to keep with the model.
    """

    _estimator_type: str
    preset: Any
    categorical_features: Any
    time_limit: Any
    random_state: Any
    n_threads: Any
    verbose: Any
    n_features_in_: int
    feature_names_in_: np.ndarray
    oof_score_: float
    oof_target_: np.ndarray
    oof_errors_: dict[str, tuple[float, float]]
    extra_: dict[str, Any]
    _members: Members
    _encoding: Encoding
    _shares: np.ndarray

    # Parameters, as scikit-learn has them

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {name: each.default for name, each in inspect.signature(cls).parameters.items()}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Set some of the constructor's arguments, or none if a name is unknown."""
        for name in params:
            checks.one_of(name, "parameter", self._defaults())
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        usual = self._defaults()
        given = {k: v for k, v in self.get_params().items() if repr(v) != repr(usual[k])}
        told = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{type(self).__name__}({told})"

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know of the estimator."""
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        classifier = self._estimator_type == "classifier"
        return Tags(
            estimator_type=self._estimator_type,
            target_tags=TargetTags(required=True, multi_output=not classifier),
            classifier_tags=ClassifierTags() if classifier else None,
            regressor_tags=None if classifier else RegressorTags(),
            input_tags=InputTags(string=True, categorical=True, allow_nan=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_members")

    # What subclasses say

    def _truth(self, y: Any) -> np.ndarray:
        """Return the targets as an array, checked."""
        raise NotImplementedError

    def _targets(self, truth: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Learn from the targets of the kept rows.

        Return these for the networks, and labels to spread evenly.
        """
        raise NotImplementedError

    def _loss(self, recipe: Recipe) -> tuple[Any, int]:
        """Return the loss, and how many outputs it needs."""
        raise NotImplementedError

    def _calibrate(self, outputs: Any, known: Any, kept: Any, weight: Any) -> None:
        """Learn from what members say of rows that they have not seen.

        The outputs, (kinds, n, n_outputs), are those for the rows `known` among those `kept` of all
        rows of :attr:`oof_target_`.
        """
        raise NotImplementedError

    def _score(self, outputs: np.ndarray, truth: np.ndarray, weight: Any) -> float:
        """Return the score of the networks' joint outputs."""
        raise NotImplementedError

    # Fitting

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to a table and its targets.

        Parameters
        ----------
        X : frame of pandas, polars or pyarrow, or array-like, (n, n_features)
            Numbers, texts, booleans, categories and dates, with missing values as they are.
        y : array-like, (n,)
        sample_weight : array-like, (n,), optional
            How much each row counts in the loss and the errors.  Rows of weight 0 are left out; one
            of weight 2 is not quite two rows, which would be held out by different networks.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad input.  The estimator then stays as it was.
        """
        started = time.monotonic()
        settings = self._settings()
        recipes, limit = _recipes(settings["preset"]), settings["time_limit"]
        rng = generator(self.random_state)
        _check_rows(X)
        columns = as_columns(X)
        made = type(self)(**self.get_params())
        truth, weight = made.checked(y, sample_weight, len(columns))
        made.oof_target_ = truth
        kept = np.ones(len(columns), bool)
        if weight is not None:
            weight = weight / weight.max()  # which keeps sums of the smallest ones exact
            kept = weight > 0
            weight = weight[kept]
        if kept.sum() < 2:
            above = "" if weight is None else " with sample_weight above 0"
            raise ValueError(f"X has 1 sample{above} (n_samples = 1), wanted at least 2")
        targets, labels = made._targets(truth, kept)
        made._encoding = Encoding(self.categorical_features, recipes[0].max_categories)
        x = made._encoding.fit_transform(columns if kept.all() else columns[kept])
        made._members = Members(recipes, made._encoding, *made._loss(recipes[0]))
        end = None if limit is None else started + limit
        threads = self.n_threads or cores.unused()
        made._members.fit(x, targets, weight, labels, rng, threads, end, self.verbose)
        made._calibrate(*made._members.held_out(x), kept, weight)
        made.n_features_in_ = made._encoding.one_hot.n_features_in_
        if made._encoding.names.x is not None:
            made.feature_names_in_ = made._encoding.names.feature_names()
        vars(self).pop("feature_names_in_", None)
        vars(self).update(vars(made), extra_={})
        return self

    def _settings(self) -> dict[str, Any]:
        """Return the constructor's arguments, checked; the encoding checks the columns."""
        _recipes(self.preset)
        seed = self.random_state
        generator(None if isinstance(seed, np.random.RandomState) else seed)
        return self.get_params() | {
            "time_limit": optional(checks.positive_float)(self.time_limit, "time_limit"),
            "n_threads": optional(checks.positive_int)(self.n_threads, "n_threads"),
            "verbose": as_verbose(self.verbose, 1),
        }

    # Files

    def save(self, path: str | os.PathLike[str], extra: dict[str, Any] | None = None) -> None:
        """Write the fitted model to a safetensors file, which contains no code.

        The file appears whole or not at all, with a checksum by which :func:`fastnn.tabular.load`
        notices damage.  It has all that predictions need, and the scores and errors; no rows,
        neither :attr:`histories_`, :attr:`oof_prediction_` nor :attr:`oof_target_`, and None for a
        `random_state` that is a generator.  `extra` replaces :attr:`extra_`.

        Raises
        ------
        ValueError, TypeError, OSError
            If the model is not fitted, if JSON cannot hold `extra` or a file the classes, or if
            the file cannot be written.
        """
        self._fitted("save")
        arrays, header = self._learned()
        seed = self.random_state
        parameters = self._settings() | {
            "categorical_features": self._encoding.one_hot.categorical_features,
            "random_state": int(seed) if isinstance(seed, Integral) else None,
        }
        kept = self.extra_ if extra is None else extra
        contents = file.Contents(
            type(self).__name__,
            parameters,
            self._encoding,
            self.networks_,
            arrays
            | {"oof_score": np.array(self.oof_score_, np.float64)}
            | {"shares": self._shares, "kinds": self._members.kinds},
            header | {"oof_errors": self.oof_errors_},
            kept,
        )
        file.save(path, contents)
        self.extra_ = kept

    def _learned(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what the estimator has learned of targets: arrays, and what JSON can hold."""
        raise NotImplementedError

    def _relearn(self, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> int:
        """Set what `_learned` returned, checked; return how many outputs networks need."""
        raise NotImplementedError

    def _fill(self, contents: file.Contents) -> Self:
        """Make a new estimator what a file says, which may be anything."""
        settings = self._settings()
        categorical = contents.encoding.one_hot.categorical_features
        if settings["categorical_features"] != categorical:
            raise ValueError(f"categorical_features is not the encoding's, {categorical!r}")
        given, header = dict(contents.arrays), dict(contents.header)
        self.oof_errors_ = {
            name: (_error(found, name), _error(constant, name))
            for name, (found, constant) in dict(header.pop("oof_errors")).items()
        }
        self.oof_score_ = float(file.array_of(given.pop("oof_score"), (), "oof_score"))
        self._shares, kinds = file.shares_of(
            given.pop("shares"), given.pop("kinds"), len(contents.networks)
        )
        n_outputs = self._relearn(given, header)
        for number, network in enumerate(contents.networks):
            if network.model.n_outputs != n_outputs:
                raise ValueError(
                    f"networks[{number}] has {network.model.n_outputs} outputs, wanted {n_outputs}"
                )
        check_nothing_is_left(given, header, *self._learned())
        recipes = _recipes(settings["preset"])
        self._encoding = contents.encoding
        self._members = Members(recipes, self._encoding, *self._loss(recipes[0]))
        self._members.networks, self._members.histories = contents.networks, []
        self._members.kinds = kinds
        self.n_features_in_ = self._encoding.one_hot.n_features_in_
        if self._encoding.names.x is not None:
            self.feature_names_in_ = self._encoding.names.feature_names()
        self.extra_ = contents.extra
        return self

    @classmethod
    def _of(cls, contents: file.Contents) -> "TabularEstimator":
        kinds = {kind.__name__: kind for kind in cls.__subclasses__()}
        kind = kinds[checks.one_of(contents.kind, "kind", kinds)]
        return kind(**contents.parameters)._fill(contents)

    # Prediction

    @property
    def networks_(self) -> list[Network]:
        return self._fitted("networks_")._members.networks

    @property
    def categories_(self) -> list[list[str] | None]:
        """The categories of each column of X, as texts; None for numbers and dates."""
        return self._fitted("categories_")._encoding.one_hot.categories_

    @property
    def encoding_(self) -> Encoding:
        """What makes the networks' inputs of frames: for tools that change these."""
        return self._fitted("encoding_")._encoding

    @property
    def histories_(self) -> list[Any]:
        return self._fitted("histories_")._members.histories

    def _fitted(self, what: str) -> Self:
        if not hasattr(self, "_members"):
            missing = (
                AttributeError if what.endswith("_") else of_sklearn("NotFittedError", ValueError)
            )
            raise missing(f"{type(self).__name__} is not fitted: call fit before {what}")
        return self

    def _outputs(self, X: Any, what: str) -> np.ndarray:
        """Return the sum of the kinds' mean outputs, each times its share."""
        x = self.encoded(X, what)
        return self._members.outputs(x, self._shares)

    def encoded(self, X: Any, what: str = "encoded") -> np.ndarray:
        """Return rows as the networks read them; messages say that they are for `what`."""
        self._fitted(what)
        _check_rows(X)
        self._encoding.names.agreed(X, owner="model")
        columns = as_columns(X)
        if columns.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {columns.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        return self._encoding.transform(columns)

    def formulas(self) -> Formulas:
        """Return what it computes of a row, for :mod:`fastnn.export`."""
        self._fitted("export")
        inputs, x = self._encoding.formulas()
        outputs = self._answers(self._members.formula(x, self._shares))
        text = f"a {type(self).__name__} of {len(self.networks_)} networks"
        return Formulas(inputs, outputs, text)

    def _answers(self, outputs: Formula) -> dict[str, Formula]:
        """Return what is to be exported, from the formula of the networks' joint outputs."""
        raise NotImplementedError

    def errors(
        self, X: ArrayLike, y: Any, sample_weight: Any = None
    ) -> dict[str, tuple[float, float]]:
        """Return errors on rows by name, each as (error, that of the best constant)."""
        outputs = self._outputs(X, "errors")
        return self._errors(outputs, *self.checked(y, sample_weight, len(outputs)))

    def _errors(
        self, outputs: np.ndarray, truth: np.ndarray, weight: Any
    ) -> dict[str, tuple[float, float]]:
        """Return the errors of the networks' joint outputs."""
        raise NotImplementedError

    def score_encoded(self, x: np.ndarray, truth: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the score on rows from :meth:`encoded`, with targets from :meth:`checked`."""
        return self._score(self._members.outputs(x, self._shares), truth, weight)

    def checked(
        self, y: Any, sample_weight: Any, n_rows: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the targets and weights of so many rows as arrays."""
        truth = self._truth(y)
        if len(truth) != n_rows:
            raise ValueError(f"y has {len(truth)} rows, but X has {n_rows}")
        if sample_weight is None:
            return truth, None
        return truth, checks.as_sample_weight(sample_weight, n_rows)


def load(path: str | os.PathLike[str]) -> TabularEstimator:
    """Return the model that :meth:`TabularRegressor.save` or :meth:`TabularClassifier.save` wrote.

    It predicts the same bits.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, is damaged or holds no such model.
    """
    contents = file.load(path)
    with naming(path, "model"):
        return TabularEstimator._of(contents)


def _recipes(preset: Any) -> list[Recipe]:
    if isinstance(preset, Recipe):
        return [preset]
    if isinstance(preset, str):
        return list(PRESETS[checks.one_of(preset, "preset", PRESETS)])
    wanted = isinstance(preset, Sequence) and len(preset) > 0
    if not wanted or not all(isinstance(each, Recipe) for each in preset):
        raise TypeError(f"preset is {preset!r}, wanted a name, a Recipe or a list of them")
    return list(preset)


def _error(value: Any, name: str) -> float:
    return checks.non_negative_float(value, f"oof_errors[{name!r}]")


def _check_rows(X: Any) -> None:
    """Raise ValueError, in scikit-learn's words, for numbers that are complex, or one row alone."""
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind == "c":
        raise ValueError(f"Complex data not supported: X has dtype {X.dtype}")
    if isinstance(X, np.ndarray) and X.ndim == 1:
        raise ValueError(
            f"X has shape {X.shape}, wanted 2-D. Reshape your data: X.reshape(-1, 1) for one "
            "feature, X.reshape(1, -1) for one sample"
        )
    shape = getattr(X, "shape", (1, 1))
    if len(shape) == 2 and 0 in shape:
        what = f"{shape[1]} feature(s)" if not shape[1] else "0 sample(s)"
        raise ValueError(f"X has {what} (shape={shape}) while a minimum of 1 is required.")


def spread(found: np.ndarray, known: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return what was found for some rows in the places of all, with NaN for the others."""
    out = np.full((len(kept), *found.shape[1:]), np.nan)
    out[kept.nonzero()[0][known]] = found
    return out


def of_sklearn(name: str, otherwise: type) -> Any:
    """Return a class of scikit-learn's exceptions, if anybody has loaded them, or another."""
    return getattr(sys.modules.get("sklearn.exceptions"), name, otherwise)


def generator(random_state: Any) -> np.random.Generator:
    """Return a generator from a seed, None, or one of NumPy's two kinds of generators."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**32, size=4, dtype=np.uint32))
    if random_state is None or isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state)
    return np.random.default_rng(checks.non_negative_int(random_state, "random_state"))
