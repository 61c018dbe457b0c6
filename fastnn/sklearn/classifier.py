"""The classifier."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from fastnn import losses
from fastnn.formulas import Formula
from fastnn.inputs import checks
from fastnn.sklearn import observers
from fastnn.sklearn.base import BaseMLP, steps
from fastnn.sklearn.rows import Rows, dense


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier: scikit-learn's, faster and with more to choose.

    Labels may be of two classes or more, strings too, or an indicator matrix (n, n_labels) of
    several at once.  Parameters, attributes and methods up to `max_fun` are those of
    :class:`sklearn.neural_network.MLPClassifier`, with the same meaning and the same starting
    weights; :class:`MLPRegressor` says what differs, and documents those that both have.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, \
    learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, \
    momentum, nesterovs_momentum, beta_1, beta_2, epsilon, n_iter_no_change, max_fun, layers, \
    dropout, batch_normalization, kernel_regularizer, bias_regularizer, kernel_constraint, \
    metrics, callbacks, n_members, n_threads, dtype
        As in :class:`MLPRegressor`.
    early_stopping : bool
        Stop by the accuracy on held-out rows, and keep the best weights.
    validation_fraction : float
    loss : "log_loss" or str or Loss
        "log_loss" is the softmax cross-entropy, or the logistic loss for two classes or several
        labels.  With others of :mod:`fastnn.losses` whose outputs are no probabilities, such as
        "multiclass_hinge", there is no `predict_proba`.
    class_weight : dict or "balanced" or None
        Factors of the rows' weights by label, as everywhere in scikit-learn.

    Attributes
    ----------
    classes_ : array, (n_classes,)
    multilabel_ : bool
        Whether a row may have several labels at once.
    coefs_, intercepts_, loss_, loss_curve_, best_loss_, validation_scores_, \
    best_validation_score_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, \
    n_features_in_, feature_names_in_, networks_, histories_
        As in :class:`MLPRegressor`.

    Examples
    --------
    >>> from fastnn.sklearn import MLPClassifier
    >>> X, y = [[0.0, 0.0], [1.0, 1.0]] * 20, ["no", "yes"] * 20
    >>> classifier = MLPClassifier(random_state=1, max_iter=300, tol=1e-3).fit(X, y)
    >>> classifier.predict([[2.0, 2.0], [-1.0, -2.0]])
    array(['yes', 'no'], dtype='<U3')
    """

    _y_numeric = False
    multilabel_ = False

    def __init__(
        self,
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
        loss="log_loss",
        class_weight=None,
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

    @property
    def _exclusive(self) -> bool:
        """Whether a row has one class, and each class an output."""
        if self.multilabel_ or len(self.classes_) < 2:
            return False
        return len(self.classes_) > 2 or (self._chosen is not None and _labels(self._chosen))

    @property
    def _chosen(self) -> losses.Loss | None:
        """The loss, if it is not the one that goes with the labels."""
        return None if self.has_usual_loss else losses.get(self.of_fit("loss"))

    def _encode(self, y: Any, reset: bool, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
        y = np.asarray(dense(y))
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        multilabel = y.ndim == 2
        if multilabel and type_of_target(y) != "multilabel-indicator":
            raise ValueError(
                f"{name} has {y.shape[1]} columns of more than two values, wanted (n,) or an "
                "indicator matrix"
            )
        classes = np.arange(y.shape[1]) if multilabel else np.unique(y)
        if reset or not hasattr(self, "classes_"):
            self.multilabel_, self.classes_ = multilabel, classes
        elif multilabel != self.multilabel_ or (multilabel and len(classes) != len(self.classes_)):
            wanted = f"(n, {len(self.classes_)})" if self.multilabel_ else "(n,)"
            raise ValueError(f"{name} has shape {y.shape}, wanted {wanted} as before")
        else:
            self._check_known(classes, name)
        if multilabel:
            truth = matrix = y > 0
        else:
            truth = np.searchsorted(self.classes_, y)
            matrix = truth[:, None] == (np.arange(len(self.classes_)) if self._exclusive else 1)
            truth = truth if self._exclusive else matrix
        loss = self._loss()[0]
        if loss.target == "sign":
            matrix = 2.0 * matrix - 1
        return (truth if _labels(loss) else matrix), truth

    def _weights(self, y: Any, sample_weight: Any, incremental: bool) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight is 'balanced', which wants all rows: give partial_fit a dict, such "
                "as sklearn.utils.class_weight.compute_class_weight finds"
            )
        if self.multilabel_:
            factor = compute_sample_weight(self.class_weight, y)
        else:
            y = np.ravel(y)
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            factor = weights[np.searchsorted(self.classes_, y)]
        given = 1.0 if sample_weight is None else sample_weight
        return checks.as_sample_weight(factor * given, len(factor), "class_weight")

    def _check_known(self, classes: np.ndarray, name: str) -> None:
        if self.warm_start and name == "y":
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. '{name}' has {classes}."
            )

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return y if y.ndim == 2 and y.shape[1] == 1 else None

    def _loss(self) -> tuple[Any, int]:
        n_outputs = len(self.classes_) if self._exclusive or self.multilabel_ else 1
        usual = "softmax_cross_entropy" if self._exclusive else "logistic"
        return self._chosen or losses.get(usual), n_outputs

    # Decisions

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        """Return targets as :meth:`_encode` gives them, from a network's outputs."""
        if self._exclusive:
            return outputs.argmax(axis=1)
        signs = self._chosen is not None and self._chosen.target == "sign"
        return outputs > (0 if signs else 0.5)

    def _score_of(self, outputs: np.ndarray, rows: Rows) -> float:
        if not np.isfinite(outputs).all():
            return np.nan
        right = self._decide(outputs) == rows.truth
        return float(np.average(right.reshape(len(right), -1).all(axis=1), weights=rows.weight))

    # Fitting

    @available_if(steps)
    @observers.with_callbacks
    def partial_fit(self, X, y, sample_weight=None, classes=None) -> "MLPClassifier":
        """Make one pass over more rows; parameters are those of :meth:`fit`.

        Parameters
        ----------
        classes : array-like, (n_classes,)
            All labels there will ever be: needed in the first call only.
        """
        known = hasattr(self, "classes_")
        if classes is None and not known:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            classes = unique_labels(classes)
            if known and not np.array_equal(self.classes_, classes):
                raise ValueError(
                    f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                    f"{self.classes_!r}"
                )
        with self._all_or_nothing():
            if not known:
                self.multilabel_ = type_of_target(y).startswith("multilabel")
                self.classes_ = classes
            return self._fit(X, y, sample_weight, incremental=True)

    # Prediction

    def predict(self, X):
        """Return the labels, (n,), or an indicator matrix (n, n_labels)."""
        decided = self._decide(self._outputs(X))
        if self.multilabel_:
            return decided.astype(int)
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(decided))
        return self.classes_[decided if self._exclusive else decided[:, 0].astype(int)]

    def _answers(self, outputs: Formula) -> dict[str, Formula]:
        classes = np.arange(2) if self.multilabel_ else self.classes_
        if self._exclusive:
            label = outputs.argmax()
        else:
            signs = self._chosen is not None and self._chosen.target == "sign"
            label = (outputs > (0 if signs else 0.5)).where(1.0, 0.0, outputs.dtype)
        if len(classes) == 1:
            classes = np.repeat(classes, 2)
        answers = {"label": label.labels(classes)}
        if not self.probabilistic:
            return answers | {"scores": outputs}
        if not self._exclusive:
            small = np.finfo(outputs.dtype)
            outputs = outputs.maximum(small.tiny).minimum(1 - small.epsneg)
            if outputs.width == 1:
                outputs = Formula.concatenate([1 - outputs, outputs])
        return answers | {"probabilities": outputs}

    @available_if(lambda estimator: estimator.probabilistic)
    def predict_proba(self, X):
        """Return the probabilities of :attr:`classes_`, in their order."""
        outputs = self._outputs(X)
        if not self._exclusive:  # nothing is certain, nor its logarithm 0
            small = np.finfo(outputs.dtype)
            outputs = np.clip(outputs, small.tiny, 1 - small.epsneg)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    @available_if(lambda estimator: estimator.probabilistic)
    def predict_log_proba(self, X):
        """Return ``log(predict_proba(X))``."""
        return np.log(self.predict_proba(X))

    @property
    def probabilistic(self) -> bool:
        """Whether the loss makes outputs probabilities of the classes, or of each label."""
        if self.has_usual_loss:
            return True
        try:
            loss = losses.get(self.of_fit("loss"))
        except (TypeError, ValueError):  # which fit will say
            return False
        if _labels(loss):
            return loss.last_activation == "softmax"
        # Of several classes, each with a sigmoid of its own, they would not add up to 1.
        several = len(getattr(self, "classes_", ())) > 2 and not self.multilabel_
        return loss.name == "logistic" and not several

    @property
    def has_usual_loss(self) -> bool:
        """Whether the loss is the one that goes with the labels."""
        loss = self.of_fit("loss")
        return isinstance(loss, str) and loss == "log_loss"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _labels(loss: losses.Loss) -> bool:
    """Return whether a loss takes labels, rather than a column for each output."""
    return loss.target == "class"
