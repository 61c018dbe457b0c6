"""The classifier."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.formulas import Formula
from fastnn.losses import SoftmaxCrossEntropy
from fastnn.metrics import accuracy, log_loss
from fastnn.tabular.base import TabularEstimator, spread
from fastnn.tabular.blending import for_log_loss, softmax
from fastnn.tabular.labels import as_labels
from fastnn.tabular.recipe import Recipe

_TEXTS = "UOT"
_NUMBERS = [np.dtype(code).name for code in "?bBhHiIqQefd"]
_DTYPES = frozenset([*_TEXTS, *_NUMBERS])
"""How files call the types of classes."""


class TabularClassifier(TabularEstimator):
    """Predict classes from the columns of a table: an ensemble of networks that needs no tuning.

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
    classes_ : array
        The labels, in the order of :meth:`predict_proba`.
    n_features_in_ : int
    feature_names_in_ : array of str
        If X was a frame.
    networks_ : list of Network
    histories_ : list of History
    oof_prediction_ : array, (n, n_classes)
        Probabilities of the training rows, each by networks that did not train on it.
    oof_score_ : float
        The accuracy of those: what to expect on other rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.tabular import TabularClassifier
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = TabularClassifier().fit(x, np.where(x[:, 0] > 0, "right", "left"))
    >>> model.predict([[-1.0, 0.0], [1.0, 0.0]])
    array(['left', 'right'], dtype='<U5')
    """

    _estimator_type = "classifier"

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
        return as_labels(y)

    def _targets(self, truth: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.classes_, labels = np.unique(truth, return_inverse=True)
        labels = labels[kept]
        if (labels == labels[0]).all():
            only = self.classes_[labels[:1]].tolist()[0]
            where = "" if kept.all() else " in rows of sample_weight above 0"
            raise ValueError(f"y has only one class{where}, {only!r}, wanted at least 2 classes")
        return labels, labels

    def _loss(self, recipe: Recipe) -> tuple[SoftmaxCrossEntropy, int]:
        return SoftmaxCrossEntropy(recipe.label_smoothing), len(self.classes_)

    def _calibrate(self, outputs: Any, known: Any, kept: Any, weight: Any) -> None:
        labels = np.searchsorted(self.classes_, self.oof_target_)[kept][known]
        own = None if weight is None else weight[known]
        self._shares = for_log_loss(outputs, labels, own)
        joint = np.tensordot(self._shares, outputs, 1)
        found = softmax(joint)
        self.oof_score_ = accuracy(labels, found, sample_weight=own)
        self.oof_errors_ = self._errors(joint, self.classes_[labels], own)
        self.oof_prediction_ = spread(found, known, kept)

    def _learned(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        classes = self.classes_
        kind = classes.dtype.kind if classes.dtype.kind in _TEXTS else classes.dtype.name
        values = [each.item() if isinstance(each, np.generic) else each for each in classes]
        if kind not in _DTYPES or not _plain(values):
            raise TypeError(f"classes_ holds {classes[0]!r}, which a file cannot hold")
        return {}, {"dtype": kind, "classes": values}

    def _relearn(self, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> int:
        kind, values = header["dtype"], header["classes"]
        if kind not in _DTYPES or not isinstance(values, list) or not _plain(values):
            raise ValueError(f"classes is {values!r:.200}, wanted a list, of {kind!r:.200}")
        classes = np.array(values, kind)
        if classes.tolist() != values or not (classes[:-1] < classes[1:]).all():
            raise ValueError(f"classes is {values!r:.200}, wanted {kind} in order")
        self.classes_ = classes
        return len(self.classes_)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the classes' probabilities, (n, n_classes).

        They are calibrated: each kind's mean logits count by the factor that makes the labels of
        rows that networks had not seen most likely (temperature scaling of each).
        """
        return softmax(self._outputs(X, "predict_proba"))

    def _answers(self, outputs: Formula) -> dict[str, Formula]:
        found = outputs.softmax()
        return {"label": found.argmax().labels(self.classes_), "probabilities": found}

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable classes, (n,)."""
        self._fitted("predict")
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def score(self, X: ArrayLike, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy."""
        outputs = self._outputs(X, "score")
        return self._score(outputs, *self.checked(y, sample_weight, len(outputs)))

    def _score(self, outputs: np.ndarray, truth: np.ndarray, weight: Any) -> float:
        right = self.classes_[softmax(outputs).argmax(axis=1)] == truth
        return float(np.average(right, weights=weight))

    def _errors(
        self, outputs: np.ndarray, truth: np.ndarray, weight: Any
    ) -> dict[str, tuple[float, float]]:
        found, labels = softmax(outputs), np.searchsorted(self.classes_, truth)
        if (self.classes_[labels % len(self.classes_)] != truth).any():
            raise ValueError("y has classes that training had not")
        prior = np.bincount(labels, weight, len(self.classes_))
        constant = np.broadcast_to(prior / prior.sum(), found.shape)
        right, unlike = (
            [metric(labels, each, weight) for each in (found, constant)]
            for metric in (accuracy, log_loss)
        )
        return {"error rate": (1 - right[0], 1 - right[1]), "log loss": (unlike[0], unlike[1])}


def _plain(values: list[Any]) -> bool:
    """Return whether there are classes, and JSON can hold them."""
    return len(values) > 1 and all(isinstance(each, str | bool | int | float) for each in values)
