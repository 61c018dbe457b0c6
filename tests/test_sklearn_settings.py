"""The estimators' settings: obeyed, or refused by name; and fits that fail."""

import warnings
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import StandardScaler

import fastnn
from fastnn import Dense, losses
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris(return_X_y=True)
IRIS = StandardScaler().fit_transform(IRIS[0]), IRIS[1]
DIABETES = load_diabetes(return_X_y=True)
DIABETES = StandardScaler().fit_transform(DIABETES[0]), DIABETES[1]
QUICK = {"hidden_layer_sizes": 8, "max_iter": 30, "random_state": 0}


@pytest.mark.parametrize(
    "message, given",
    [
        ("solver is 'foo', wanted one of", {"solver": "foo"}),
        ("momentum is 'a'", {"solver": "sgd", "momentum": "a"}),
        ("nesterovs_momentum is 3", {"nesterovs_momentum": 3}),
        ("dropout is 1, wanted", {"dropout": 1}),
        ("layers is 3, wanted a list", {"layers": 3}),
        ("layers and dropout were given", {"layers": [Dense(3)], "dropout": 0.5}),
        ("target_transform is 3, wanted", {"target_transform": 3}),
        ("learning_rate is .* but solver 'lbfgs'", {"solver": "lbfgs", "learning_rate": "decay"}),
        ("learning_rate is .* but solver SGD", {"solver": fastnn.SGD(), "learning_rate": "decay"}),
        ("validation_fraction is 0", {"early_stopping": True, "validation_fraction": 0}),
        ("n_bins wants one target, but y has 2", {"n_bins": 3}),
    ],
)
def test_bad_settings_are_named(message, given):
    if given.get("learning_rate") == "decay":
        given = {**given, "learning_rate": fastnn.CosineDecay(0.01, 50)}
    with pytest.raises((ValueError, TypeError), match=message):
        MLPRegressor(**{**QUICK, **given}).fit(DIABETES[0], np.c_[DIABETES[1], DIABETES[1]])


def test_a_continued_fit_refuses_what_would_need_another_network():
    X, y = DIABETES
    regressor = MLPRegressor(warm_start=True, **QUICK).fit(X, y)
    before = regressor.predict(X)
    for name, value in (
        ("hidden_layer_sizes", 5), ("activation", "tanh"), ("loss", "mae"), ("n_members", 2),
        ("quantiles", [0.1, 0.9]), ("target_transform", "standardize"), ("dropout", 0.5),
    ):  # fmt: skip
        changed = clone(regressor).fit(X, y).set_params(**{name: value})
        np.testing.assert_array_equal(changed.predict(X), before)
        for fit in (changed.fit, changed.partial_fit):
            with pytest.raises(ValueError, match=f"{name} is .* a clone of the estimator starts"):
                fit(X, y)
        np.testing.assert_array_equal(changed.predict(X), before)
    regressor.set_params(hidden_layer_sizes=(8,), n_threads=1, solver="sgd").fit(X, y / 100)
    assert regressor.networks_[0].n_threads == 1


def test_partial_fit_obeys_a_new_learning_rate():
    X, y = DIABETES
    regressor = MLPRegressor(**QUICK).partial_fit(X, y)
    state = regressor.networks_[0].optimizer
    regressor.set_params(learning_rate_init=0.5).partial_fit(X, y)
    assert regressor.networks_[0].optimizer is state and state.learning_rate == 0.5


def test_lbfgs_holds_no_rows_out():
    X, y = DIABETES
    given = {**QUICK, "solver": "lbfgs"}
    stopping = MLPRegressor(early_stopping=True, **given).fit(X, y)
    np.testing.assert_array_equal(stopping.predict(X), MLPRegressor(**given).fit(X, y).predict(X))


def test_rows_to_validate_on_are_scored_without_early_stopping_too():
    X, y = DIABETES
    regressor = MLPRegressor(**QUICK).fit(X, y, X_val=X[:50], y_val=y[:50])
    assert len(regressor.validation_scores_) == regressor.n_iter_ == 30
    assert regressor.validation_scores_[-1] == pytest.approx(regressor.score(X[:50], y[:50]))


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    X, y = IRIS
    classifier = MLPClassifier(**QUICK).fit(X, y)
    before, names = classifier.predict_proba(X), sorted(vars(classifier))
    for error, given in (
        (ValueError, {"X": X[:, :2], "y": y > 0, "sample_weight": [1.0]}),
        (ValueError, {"X": X, "y": y > 0, "X_val": X, "y_val": y}),
        (ValueError, {"X": X[:, :2], "y": np.c_[y, y]}),
    ):
        with pytest.raises(error):
            classifier.fit(**given)
        np.testing.assert_array_equal(classifier.predict_proba(X), before)
    classifier.callbacks = lambda epoch, logs: 1 / 0
    with pytest.raises(ZeroDivisionError):
        classifier.fit(X[:, :2], y > 0)
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    assert sorted(vars(classifier)) == names
    fresh = MLPClassifier(**QUICK)
    with pytest.raises(ValueError, match="Expected 2D array"):
        fresh.partial_fit(X[:, 0], y, classes=[0, 1])
    assert list(fresh.partial_fit(X, y, classes=[0, 1, 2]).classes_) == [0, 1, 2]


def test_columns_of_many_classes_are_no_labels():
    X, y = IRIS
    with pytest.raises(ValueError, match="y has 2 columns of more than two values"):
        MLPClassifier(**QUICK).fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match=r"y_val has shape \(150, 2\), wanted \(n,\)"):
        MLPClassifier(**QUICK).fit(X, y, X_val=X, y_val=np.c_[y, y] > 0)


@pytest.mark.parametrize("loss", ["hinge", "multiclass_hinge", "mse"])
def test_every_loss_takes_labels(loss):
    X, y = IRIS
    given = {**QUICK, "max_iter": 100, "learning_rate_init": 0.01}
    for labels in (y, np.array(["no", "yes"])[(y > 0).astype(int)]):
        classifier = MLPClassifier(loss=loss, **given).fit(X, labels)
        assert classifier.score(X, labels) > 0.75
        assert not hasattr(classifier.set_params(loss="log_loss"), "predict_proba")


@pytest.mark.parametrize("classes", [2, 3])
def test_losses_whose_outputs_are_probabilities(classes):
    X, y = IRIS
    X, y = X[y < classes], y[y < classes]
    for loss in (losses.SoftmaxCrossEntropy(), "softmax_cross_entropy", losses.Logistic()):
        classifier = MLPClassifier(loss=loss, **QUICK).fit(X, y)
        if classes > 2 and loss == losses.Logistic():
            assert not hasattr(classifier, "predict_proba")
            continue
        shares = classifier.predict_proba(X)
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(shares.argmax(axis=1), classifier.predict(X))
    usual = MLPClassifier(**QUICK).fit(X, y)
    if classes == 3:  # of two, the usual loss has one output
        same = MLPClassifier(loss=losses.SoftmaxCrossEntropy(), **QUICK).fit(X, y)
        np.testing.assert_array_equal(same.predict_proba(X), usual.predict_proba(X))
    assert not hasattr(MLPClassifier(loss="nope"), "predict_proba")


def test_class_weights_of_batches_that_lack_a_class():
    X, y = IRIS
    classifier = MLPClassifier(class_weight={1: 5.0}, **QUICK)
    classifier.partial_fit(X[:50], y[:50], classes=[0, 1, 2])
    with pytest.raises(ValueError, match="class_weight has -1.0 at row 0"):
        classifier.set_params(class_weight={0: -1.0}).partial_fit(X, y)


def test_the_quantiles_that_were_trained_count():
    X, y = DIABETES
    regressor = MLPRegressor(quantiles=[0.1, 0.9], **QUICK).fit(X, y)
    found = regressor.predict_quantiles(X, [0.9, 0.1])
    np.testing.assert_allclose(regressor.predict(X), found.mean(axis=1))
    regressor.set_params(quantiles=[0.5, 0.9])
    np.testing.assert_array_equal(regressor.predict_quantiles(X), found)
    by_loss = MLPRegressor(fastnn.losses.Quantile([0.1, 0.9]), **QUICK).fit(X, y)
    np.testing.assert_array_equal(by_loss.predict_quantiles(X), found)


def test_one_weight_for_all_rows_and_one_warning():
    X, y = DIABETES
    plain, weighted = MLPRegressor(**QUICK).fit(X, y), MLPRegressor(**QUICK).fit(X, y, 2.0)
    np.testing.assert_allclose(weighted.predict(X), plain.predict(X), rtol=1e-3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        MLPRegressor(batch_size=1000, **QUICK).fit(X, y)
    assert sum("batch_size" in str(each.message) for each in caught) == 1


@pytest.mark.parametrize("members", [1, 2])
def test_scikit_learns_monitor_scores_every_epoch(members):
    callback = pytest.importorskip("sklearn.callback")
    X, y = IRIS
    for method, count in (("fit", 30), ("partial_fit", 1)):

        class Hear:
            heard: ClassVar[list[float]] = []

            def setup(self, estimator, context): ...
            def teardown(self, estimator, context): ...
            def on_fit_task_begin(self, estimator, context): ...
            def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
                self.heard.append(fitted_estimator.score(X, y))

        assert isinstance(Hear(), callback.FitCallback)
        classifier = MLPClassifier(n_members=members, **QUICK)
        classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
        getattr(classifier.set_callbacks(Hear()), method)(X, y, **classes)
        assert len(Hear.heard) == count + 1 and Hear.heard[-1] == classifier.score(X, y)
        assert not hasattr(classifier, "_callback_fit_ctx")
