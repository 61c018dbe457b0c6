"""Weights from scikit-learn's MLP, and back."""

from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from fastnn.layers import Dense, Dropout
from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.regressor import MLPRegressor

_KINDS = {
    MLPClassifier: neural_network.MLPClassifier,
    MLPRegressor: neural_network.MLPRegressor,
}
_NOTED = (
    "classes_", "loss_", "loss_curve_", "best_loss_", "validation_scores_",
    "best_validation_score_", "n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_",
    "n_features_in_", "feature_names_in_", "_no_improvement_count",
)  # fmt: skip
_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")


def from_sklearn(model: Any) -> MLPClassifier | MLPRegressor:
    """Return an estimator with the parameters and weights of a fitted scikit-learn MLP.

    It predicts the same, to rounding.  It can train on, with `warm_start` or `partial_fit`, but
    from a new state of the optimizer.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError

    Examples
    --------
    >>> from sklearn.neural_network import MLPRegressor
    >>> from fastnn.sklearn import from_sklearn
    >>> X = [[0.0], [1.0], [2.0]]
    >>> theirs = MLPRegressor(solver="lbfgs", random_state=0).fit(X, [0.0, 1.0, 4.0])
    >>> ours = from_sklearn(theirs)
    >>> bool(abs(ours.predict(X) - theirs.predict(X)).max() < 1e-9)
    True
    """
    for ours, theirs in _KINDS.items():
        if isinstance(model, theirs):
            check_is_fitted(model)
            made = ours(**model.get_params())
            _copy(model, made)
            if ours is MLPRegressor:
                made.n_targets_ = model.n_outputs_
            else:
                made.multilabel_ = made.out_activation_ == "logistic" and model.n_outputs_ > 1
            made.settle()
            return made
    raise TypeError(
        f"model is a {type(model).__name__}, wanted scikit-learn's MLPClassifier or MLPRegressor"
    )


def to_sklearn(estimator: MLPClassifier | MLPRegressor) -> Any:
    """Return a scikit-learn MLP with a fitted estimator's weights.

    Its `loss` is the one that goes with its last activation, whatever the estimator's was.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
    ValueError
        If the estimator has what scikit-learn's MLP cannot compute: several members, normalization,
        other activations or one for each layer, a transformed target, quantiles or bins.
    """
    wanted = _KINDS.get(type(estimator))
    if wanted is None:
        raise TypeError(
            f"estimator is a {type(estimator).__name__}, wanted fastnn.sklearn's MLPClassifier or "
            "MLPRegressor"
        )
    check_is_fitted(estimator)
    estimator.settle()
    (network, *more) = estimator.networks_
    reason = None
    functions = [layer.activation.name for layer in network.layers[:-1] if isinstance(layer, Dense)]
    given = estimator.of_fit("activation")
    function = given if isinstance(given, str) else None
    if more:
        reason = f"it has {len(more) + 1} members"
    elif any(not isinstance(layer, Dense | Dropout) for layer in network.layers):
        reason = "it has layers that are not dense"
    elif function not in _ACTIVATIONS or len(set(functions)) > 1 or estimator.of_fit("layers"):
        reason = "its hidden layers do not all have one of " + ", ".join(_ACTIVATIONS)
    elif _changes_outputs(estimator):
        reason = "its predictions are not its network's outputs"
    if reason:
        raise ValueError(f"estimator cannot become scikit-learn's: {reason}")
    settings = {name: estimator.of_fit(name) for name in wanted().get_params()}
    if "loss" in settings:
        settings["loss"] = "poisson" if estimator.out_activation_ == "exp" else "squared_error"
    made = wanted(**settings)
    _copy(estimator, made)
    if isinstance(estimator, MLPClassifier):
        labels = np.eye(len(estimator.classes_), dtype=int)
        labels = labels if estimator.multilabel_ else estimator.classes_
        vars(made)["_label_binarizer"] = LabelBinarizer().fit(labels)
    return made


def _changes_outputs(estimator: MLPClassifier | MLPRegressor) -> bool:
    if isinstance(estimator, MLPClassifier):
        return not estimator.has_usual_loss
    given = [estimator.of_fit(name) for name in ("quantiles", "n_bins", "target_transform")]
    return any(each is not None for each in given) or estimator.networks_[0].loss.outputs > 1


def _copy(source: Any, made: Any) -> None:
    for name in _NOTED:
        if hasattr(source, name):
            setattr(made, name, getattr(source, name))
    made.coefs_ = [np.array(w) for w in source.coefs_]
    made.intercepts_ = [np.array(b) for b in source.intercepts_]
