"""What the estimators do beyond scikit-learn's, and within its tools."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6")

from sklearn import neural_network
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import QuantileRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import fastnn
from fastnn import Dense, Dropout, Network
from fastnn.losses import Huber
from fastnn.sklearn import MLPClassifier, MLPRegressor, from_sklearn, to_sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris(return_X_y=True)
IRIS = StandardScaler().fit_transform(IRIS[0]), IRIS[1]
DIABETES = load_diabetes(return_X_y=True)
DIABETES = StandardScaler().fit_transform(DIABETES[0]), DIABETES[1]
QUICK = {"hidden_layer_sizes": 8, "max_iter": 30, "random_state": 0}


def _score(regressor, data=DIABETES):
    return regressor.fit(*data).score(*data)


# Weights, both ways


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_weights_go_both_ways(activation, solver):
    X, y = IRIS
    given = {"activation": activation, "solver": solver, **QUICK}
    Y = make_multilabel_classification(len(X), random_state=0)[1]
    for theirs, target, method in (
        (neural_network.MLPClassifier, y, "predict_proba"),
        (neural_network.MLPClassifier, y > 0, "predict_proba"),
        (neural_network.MLPClassifier, Y, "predict_proba"),
        (neural_network.MLPClassifier, np.array(["a", "b", "c"])[y], "predict"),
        (neural_network.MLPRegressor, X[:, :2] ** 2, "predict"),
        (neural_network.MLPRegressor, X[:, 0] ** 2, "predict"),
    ):
        model = theirs(**given).fit(X, target)
        ours = from_sklearn(model)
        expected = getattr(model, method)(X)
        if method == "predict_proba" or expected.dtype.kind == "f":
            np.testing.assert_allclose(getattr(ours, method)(X), expected, rtol=1e-9, atol=1e-12)
            back = to_sklearn(ours)
            np.testing.assert_allclose(getattr(back, method)(X), expected, rtol=1e-15)
        else:
            np.testing.assert_array_equal(ours.predict(X), expected)
            np.testing.assert_array_equal(to_sklearn(ours).predict(X), expected)
        ours.set_params(warm_start=True).fit(X, target)
        assert np.isfinite(ours.loss_)
        assert ours.get_params() == {**ours.get_params(), **model.get_params(), "warm_start": True}


@pytest.mark.parametrize(
    "reason, given",
    [
        ("it has 2 members", {"n_members": 2}),
        ("it has layers that are not dense", {"batch_normalization": True}),
        ("its hidden layers do not all have", {"activation": "gelu"}),
        ("its predictions are not", {"target_transform": "standardize"}),
        ("its predictions are not", {"quantiles": [0.1, 0.9]}),
    ],
)
def test_what_scikit_learn_cannot_compute_is_refused(reason, given):
    with pytest.raises(ValueError, match=reason):
        to_sklearn(MLPRegressor(**QUICK, **given).fit(*DIABETES))


def test_other_objects_are_no_models():
    with pytest.raises(TypeError, match="model is a StandardScaler, wanted scikit-learn's"):
        from_sklearn(StandardScaler())
    with pytest.raises(TypeError, match="estimator is a StandardScaler, wanted"):
        to_sklearn(StandardScaler())
    with pytest.raises(NotFittedError):
        from_sklearn(neural_network.MLPRegressor())
    with pytest.raises(NotFittedError):
        to_sklearn(MLPRegressor())


def test_the_first_epoch_is_scikit_learns():
    # Same starting weights, all rows in a batch: the same update, whatever the order.
    X, y = DIABETES[0], DIABETES[1] / 100
    for given in (
        {"solver": "sgd"},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "adam", "alpha": 3.0},
        {"solver": "adam", "activation": "logistic"},
    ):
        given = {"hidden_layer_sizes": (7, 5), "batch_size": len(X), "max_iter": 5, **given}
        ours, theirs = (
            kind(random_state=3, **given).fit(X, y)
            for kind in (MLPRegressor, neural_network.MLPRegressor)
        )
        for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(ours.loss_curve_[0], theirs.loss_curve_[0], rtol=1e-2)
        assert (ours.t_, ours.n_iter_) == (theirs.t_, theirs.n_iter_)


@pytest.mark.parametrize("weights", [None, np.arange(442) % 5 + 1.0])
def test_the_loss_of_counts_is_scikit_learns(weights):
    X, y = DIABETES
    given = {"solver": "lbfgs", "hidden_layer_sizes": 3, "random_state": 3, "tol": 1e-3}
    ours, theirs = (
        kind(loss="poisson", **given).fit(X, y / 100, weights)
        for kind in (MLPRegressor, neural_network.MLPRegressor)
    )
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-2)


def test_what_is_set_in_coefs_counts():
    X, y = DIABETES
    regressor = MLPRegressor(**QUICK).fit(X, y)
    regressor.coefs_[1][...] = 0
    np.testing.assert_array_equal(regressor.predict(X), np.full(len(X), regressor.intercepts_[1]))
    regressor.intercepts_[1] = np.array([5.0])
    np.testing.assert_array_equal(regressor.predict(X[:3]), [5.0, 5.0, 5.0])
    regressor.coefs_[1] = np.zeros((3, 1))
    with pytest.raises(ValueError, match=r"has an array of shape \(3, 1\), wanted \(8, 1\)"):
        regressor.predict(X)
    regressor.coefs_.pop()
    with pytest.raises(ValueError, match="have 1 and 2 arrays, wanted 2 of each"):
        regressor.predict(X)


def test_what_is_set_in_coefs_of_a_memory_map_counts(tmp_path):
    joblib = pytest.importorskip("joblib")
    X, y = DIABETES
    joblib.dump(MLPRegressor(**QUICK).fit(X, y), tmp_path / "regressor")
    mapped = joblib.load(tmp_path / "regressor", mmap_mode="r")
    mapped.coefs_[1] = np.zeros((8, 1))
    np.testing.assert_array_equal(mapped.predict(X), np.full(len(X), mapped.intercepts_[1]))


# Beyond scikit-learn


def test_losses_and_targets():
    X, y = DIABETES
    plain = {"hidden_layer_sizes": 16, "learning_rate_init": 0.01, "random_state": 0}
    for given in ({"target_transform": t} for t in ("standardize", "log", "quantile")):
        assert _score(MLPRegressor(**plain, **given), (X, 1000 * y)) > 0.4
    for loss in ("poisson", "gamma"):
        amounts = MLPRegressor(loss, target_transform="scale", **plain)
        assert _score(amounts, (X, 1000 * y)) > 0.4
    with pytest.raises(ValueError, match="numbers above 0"):
        MLPRegressor("gamma").fit(X, y - y.min())
    big = _score(MLPRegressor(**plain), (X, 1000 * y))
    assert big < 0  # without a recipe, numbers this large are out of reach
    for loss in ("absolute_error", Huber(0.5), "log_cosh", "gaussian_nll"):
        assert _score(MLPRegressor(loss, **plain, max_iter=400), (X, y / 100)) > 0.4
    with pytest.raises(ValueError, match="target_transform='log' wants numbers above 0"):
        MLPRegressor(target_transform="log").fit(X, y - 100)
    with pytest.raises(ValueError, match="target_transform is 'logarithm', wanted"):
        MLPRegressor(target_transform="logarithm").fit(X, y)
    with pytest.raises(ValueError, match="loss and quantiles were given, wanted only one"):
        MLPRegressor("mae", quantiles=[0.5]).fit(X, y)


def test_quantiles_cover_what_they_say():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3000, 1))
    y = X[:, 0] + rng.normal(size=3000) * (1.5 + X[:, 0])
    levels = [0.9, 0.1, 0.5]
    given = {"hidden_layer_sizes": 16, "random_state": 0, "learning_rate_init": 0.01}
    regressor = MLPRegressor(quantiles=levels, target_transform="standardize", **given).fit(X, y)
    found = regressor.predict_quantiles(X)
    below = (y[:, None] < found).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.03)
    np.testing.assert_array_equal(found[:, 1], regressor.predict(X))
    np.testing.assert_array_equal(found[:, [0, 2]], regressor.predict_interval(X, 0.8))
    with pytest.raises(ValueError, match="wants the quantiles 0.05 and 0.95, but those trained"):
        regressor.predict_interval(X, 0.9)
    linear = QuantileRegressor(quantile=0.9, alpha=0).fit(X, y).predict(X)
    assert abs(found[:, 2] - linear).mean() < 0.2
    binned = MLPRegressor(n_bins=20, **given).fit(X, y)
    found = binned.predict_quantiles(X, [0.1, 0.5, 0.9])
    np.testing.assert_allclose((y[:, None] < found).mean(axis=0), [0.1, 0.5, 0.9], atol=0.03)
    values, cumulative = binned.predict_dist(X[:5])
    assert values.shape == (40,) and cumulative.shape == (5, 40)
    assert np.abs(binned.predict(X) - X[:, 0]).mean() < 0.25
    two = MLPRegressor(quantiles=[0.1, 0.9], **QUICK).fit(X, np.stack([y, -y], axis=1))
    assert two.predict_quantiles(X[:4]).shape == (4, 2, 2) and two.predict(X[:4]).shape == (4, 2)
    for name in ("predict_quantiles", "predict_interval", "predict_dist"):
        assert not hasattr(MLPRegressor(), name)
    assert not hasattr(regressor, "predict_dist")


def test_class_weights_move_the_probabilities():
    X, y = np.zeros((1000, 1)), np.arange(1000) < 20
    given = {"hidden_layer_sizes": 2, "learning_rate_init": 0.05, "random_state": 0}
    for weight in ("balanced", {True: 49.0}):
        classifier = MLPClassifier(class_weight=weight, **given).fit(X, y)
        assert abs(classifier.predict_proba(X)[0, 1] - 0.5) < 0.02
    assert MLPClassifier(**given).fit(X, y).predict_proba(X)[0, 1] < 0.05
    with pytest.raises(ValueError, match="class_weight is 'balanced', which wants all rows"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[False, True])


def test_layers_and_their_settings():
    X, y = IRIS
    for given in (
        {"layers": [Dense(8, "tanh"), Dropout(0.1), Dense(8, "relu")]},
        {"hidden_layer_sizes": (8, 8), "activation": ["gelu", "tanh"], "dropout": [0.0, 0.1]},
        {"hidden_layer_sizes": 8, "batch_normalization": True},
        {"hidden_layer_sizes": 8, "kernel_regularizer": "l1", "kernel_constraint": "max_norm"},
        {"hidden_layer_sizes": 8, "solver": fastnn.RMSprop(0.01)},
        {
            "hidden_layer_sizes": 8,
            "solver": "nadam",
            "learning_rate": fastnn.CosineDecay(0.03, 500),
        },
    ):
        classifier = MLPClassifier(random_state=0, learning_rate_init=0.01, **given)
        assert clone(classifier).fit(X, y).score(X, y) > 0.9
        copied = pickle.loads(pickle.dumps(classifier.fit(X, y)))
        np.testing.assert_array_equal(copied.predict_proba(X), classifier.predict_proba(X))
    classifier.layers = [Dense(3)]
    with pytest.raises(ValueError, match="activation has 3 values, wanted one for all or 1"):
        MLPClassifier(activation=["relu"] * 3).fit(X, y)
    with pytest.raises(ValueError, match="alpha is 0.5 and kernel_regularizer is 'l1', wanted"):
        MLPClassifier(alpha=0.5, kernel_regularizer="l1").fit(X, y)


def test_members_are_averaged():
    X, y = IRIS
    one = MLPClassifier(**QUICK, n_members=3).fit(X, y)
    expected = np.mean([network.predict(X) for network in one.networks_], axis=0)
    np.testing.assert_array_equal(one.predict_proba(X), expected)
    assert len({network.seed for network in one.networks_}) == 3
    again = MLPClassifier(**QUICK, n_members=3, n_threads=1).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    one.set_params(warm_start=True).fit(X, y)
    assert len(one.networks_) == 3 and one.t_ == 60 * len(X)
    stopped = MLPRegressor(n_members=2, early_stopping=True, **QUICK).fit(*DIABETES)
    assert len(stopped.validation_scores_) == stopped.n_iter_


def test_rows_of_ones_own_to_validate_on():
    X, y = DIABETES
    given = {"early_stopping": True, **QUICK}
    regressor = MLPRegressor(**given).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert len(regressor.validation_scores_) == regressor.n_iter_
    assert regressor.best_validation_score_ == pytest.approx(regressor.score(X[300:], y[300:]))
    with pytest.raises(ValueError, match="X_val and y_val are wanted together"):
        MLPRegressor().fit(X, y, X_val=X)


def test_a_pipeline_transforms_the_rows_to_validate_on():
    import sklearn

    X, y = DIABETES
    with sklearn.config_context(enable_metadata_routing=True):
        regressor = MLPRegressor(early_stopping=True, **QUICK).set_fit_request(
            X_val=True, y_val=True
        )
        pipeline = make_pipeline(MinMaxScaler(), regressor, transform_input=["X_val"])
        pipeline.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
        best = pipeline[-1].best_validation_score_
        assert best == pytest.approx(pipeline.score(X[300:], y[300:]))


# Within scikit-learn's tools


def test_a_search_over_frames_of_mixed_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS[0], columns=list("abcd"))
    frame["kind"] = np.where(frame.a > 0, "big", "small")
    from sklearn.preprocessing import OneHotEncoder

    columns = ColumnTransformer(
        [("numbers", StandardScaler(), list("abcd")), ("names", OneHotEncoder(), ["kind"])]
    )
    pipeline = make_pipeline(columns, MLPClassifier(**QUICK, learning_rate_init=0.03))
    search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [4, (8, 4)]}, cv=3)
    labels = np.array(["setosa", "versicolor", "virginica"])[IRIS[1]]
    search.fit(frame, labels)
    assert search.best_score_ > 0.7 and set(search.predict(frame)) <= set(labels)
    alone = MLPClassifier(**QUICK).fit(frame[list("abcd")], labels)
    assert list(alone.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        alone.predict(frame[list("dcba")])


def test_meta_estimators_and_inspection():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import StackingRegressor
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.feature_selection import SequentialFeatureSelector
    from sklearn.inspection import permutation_importance
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import HalvingRandomSearchCV, cross_val_predict

    X, y = IRIS
    classifier = MLPClassifier(**QUICK, learning_rate_init=0.03)
    assert CalibratedClassifierCV(classifier, cv=3).fit(X, y).score(X, y) > 0.85
    halving = HalvingRandomSearchCV(
        classifier, {"alpha": np.logspace(-3, 0, 50)}, resource="max_iter", max_resources=20, cv=2,
        random_state=0,
    )  # fmt: skip
    assert halving.fit(X, y).best_params_["max_iter"] <= 20
    assert cross_val_predict(classifier, X, y, method="predict_log_proba").shape == (150, 3)
    found = permutation_importance(classifier.fit(X, y), X, y, n_repeats=3, random_state=0)
    assert found.importances_mean.argmax() in (2, 3)
    selector = SequentialFeatureSelector(classifier, n_features_to_select=1, cv=2).fit(X, y)
    assert selector.get_support().argmax() in (2, 3)
    regressor = MLPRegressor(**QUICK, target_transform="standardize", learning_rate_init=0.03)
    stack = StackingRegressor([("mlp", regressor)], RidgeCV(), cv=3)
    assert _score(stack) > 0.3


@pytest.mark.long
def test_skops_stores_an_estimator():
    io = pytest.importorskip("skops.io")
    X, y = IRIS
    classifier = MLPClassifier(**QUICK).fit(X, y)
    data = io.dumps(classifier)
    again = io.loads(data, trusted=io.get_untrusted_types(data=data))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))


def test_scikit_learns_callbacks_hear_of_every_epoch():
    callback = pytest.importorskip("sklearn.callback")

    class Stop:
        def __init__(self):
            self.heard = []

        def setup(self, estimator, context):
            self.heard.append("setup")

        def teardown(self, estimator, context):
            self.heard.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.heard.append(context.task_name)

        def on_fit_task_end(self, estimator, context):
            return len(self.heard) > 6

    assert isinstance(Stop(), callback.FitCallback)
    stop = Stop()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        classifier = MLPClassifier(**QUICK).set_callbacks(stop).fit(*IRIS)
    assert classifier.n_iter_ == 5
    assert stop.heard == ["setup", "fit", *["epoch"] * 5, "teardown"]


def test_our_callbacks_and_metrics_too():
    X, y = IRIS
    epochs = []
    classifier = MLPClassifier(
        **QUICK, metrics=["accuracy"], callbacks=lambda epoch, logs: epochs.append(logs["accuracy"])
    ).fit(X, y)
    assert len(epochs) == classifier.n_iter_ == 30
    assert classifier.histories_[0].history["accuracy"] == epochs
    assert isinstance(classifier.networks_[0], Network)


# Divergence


@pytest.mark.parametrize("members", [1, 2])
def test_divergence_is_an_error_and_leaves_an_unfitted_estimator(members):
    X, y = DIABETES
    regressor = MLPRegressor(solver="sgd", learning_rate_init=1e6, n_members=members, **QUICK)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        regressor.fit(X, y)
    with pytest.raises(NotFittedError):
        regressor.predict(X)
    stopping = regressor.set_params(early_stopping=True).fit(X, y)
    assert np.isfinite(stopping.predict(X)).all()
