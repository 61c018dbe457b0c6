"""Metrics: recorded values, scikit-learn's, by name in fit and evaluate, errors."""

import re

import numpy as np
import pytest

import fastnn
from fastnn import Dense, Network, metrics
from fastnn.losses import Quantile
from fastnn.metrics import TopK, get

Y = np.array([[1.0, 2], [3, -1], [0, 4], [2, 2]])
PREDICTED = np.array([[1.5, 2], [2, 0], [1, 3], [2, 5]])
LABELS = np.array([2, 2, 1, 2])
P = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.25, 0.35, 0.4], [0.2, 0.2, 0.6]])
WEIGHT = np.array([1, 2, 0.5, 3])
FLAGS = np.array([[1, 0], [0, 0], [1, 1], [0, 1]])

# scikit-learn 1.9.1, without and with WEIGHT.
RECORDED = {
    "mae": (Y, PREDICTED, 0.9375, 1.1153846153846154),
    "mse": (Y, PREDICTED, 1.65625, 2.480769230769231),
    "rmse": (Y, PREDICTED, 1.286953767623375, 1.5750457868802517),  # the root of mse
    "r2": (Y, PREDICTED, 0.34362745098039216, -0.1880952380952381),
    "accuracy": (LABELS, P, 0.25, 0.46153846153846156),
    "log_loss": (LABELS, P, 1.0935146162561762, 0.9345802237897358),
    "top_1_accuracy": (LABELS, P, 0.25, 0.46153846153846156),
    "top_2_accuracy": (LABELS, P, 0.75, 0.8461538461538461),
    "top_3_accuracy": (LABELS, P, 1, 1),
}


def _get(name):
    return get(name, "class" if "top" in name else "binary")


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_values(name):
    y, prediction, plain, weighted = RECORDED[name]
    function = _get(name).function
    assert function(y, prediction) == pytest.approx(plain, rel=1e-12)
    assert function(y, prediction, WEIGHT) == pytest.approx(weighted, rel=1e-12)
    assert type(function(y, prediction, np.ones(4))) is float


def test_scikit_learn_agrees():
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    y, q, weight = rng.normal(size=(50, 3)), rng.normal(size=(50, 3)), rng.random(50)
    labels, p = rng.integers(0, 4, 50), rng.dirichlet(np.ones(4), 50)
    for sample_weight in (None, weight):
        w = {"sample_weight": sample_weight}
        wanted = {
            "mae": theirs.mean_absolute_error(y, q, **w),
            "mse": theirs.mean_squared_error(y, q, **w),
            "r2": theirs.r2_score(y, q, **w),
        }
        for name, value in wanted.items():
            assert _get(name).function(y, q, **w) == pytest.approx(value, rel=1e-12)
        wanted = {
            "accuracy": theirs.accuracy_score(labels, p.argmax(axis=1), **w),
            "log_loss": theirs.log_loss(labels, p, **w),
            "top_2_accuracy": theirs.top_k_accuracy_score(labels, p, k=2, **w),
        }
        for name, value in wanted.items():
            assert _get(name).function(labels, p, **w) == pytest.approx(value, rel=1e-12)


def test_edges():
    constant = np.full((3, 1), 0.1)
    assert metrics.r2(constant, constant) == 1
    assert metrics.r2(constant, constant + 1) == 0
    assert metrics.r2(np.hstack([constant, Y[:3, :1]]), np.hstack([constant, Y[:3, :1]])) == 1
    sure = np.array([[1, 0], [0, 1]], np.float32)
    assert metrics.log_loss(np.array([0, 1]), sure) == pytest.approx(0, abs=1e-6)
    assert metrics.log_loss(np.array([1, 0]), sure) == pytest.approx(-np.log(2.0**-23))
    assert metrics.log_loss(FLAGS, np.full((4, 2), 0.5)) == pytest.approx(np.log(2))
    assert metrics.accuracy(FLAGS, FLAGS * 0.8 + 0.1) == 1
    assert metrics.accuracy(FLAGS, np.full((4, 2), 0.4)) == 0.5
    assert metrics.accuracy(FLAGS.astype(np.uint8), np.full((4, 2), 0.5), WEIGHT) == pytest.approx(
        (0.5 * 1 + 0 + 1 * 0.5 + 0.5 * 3) / 6.5
    )
    ties = np.full((1, 3), 1 / 3)
    assert TopK(1)(np.array([2]), ties) == 1
    assert metrics.mean_absolute_error(FLAGS.astype(np.uint8), np.full((4, 2), 0.25)) == 0.5


def test_a_vector_is_the_target_of_one_output():
    y, p = np.array([0.0, 1.0, 1.0, 0.0]), np.array([[0.2], [0.9], [0.4], [0.1]])
    signs = 2 * y - 1
    for name in ("mae", "mse", "rmse", "r2", "accuracy", "log_loss"):
        function = _get(name).function
        for weight in (None, WEIGHT):
            wanted = function(y[:, None], p, weight)
            assert function(y, p, weight) == wanted
            if name != "accuracy":  # which would take predicted labels for probabilities
                assert (
                    function(y, p[:, 0], weight) == function(y[:, None], p[:, 0], weight) == wanted
                )
        with pytest.raises(ValueError, match="^prediction has shape "):
            function(y[:3], p)
        with pytest.raises(ValueError, match="^prediction has shape "):
            function(y[:, None], np.hstack([p, p]))
    with pytest.raises(ValueError, match=r"^prediction has shape \(4,\), wanted \(4, n_outputs\)"):
        metrics.accuracy(np.array([2, 1, 0, 1]), np.array([1, 1, 0, 1]))
    assert metrics.accuracy(y, p) == 0.75
    assert metrics.sign_accuracy(signs, 2 * p - 1) == 0.75


def test_one_metric_needs_no_list():
    def worst(y, prediction):
        assert y.shape == prediction.shape == (4, 1)
        return np.abs(y - prediction).max()

    for metric, name in (("mae", "mae"), (worst, "worst"), (TopK(1), "top_1_accuracy")):
        classes = name.startswith("top")
        loss, outputs = ("softmax_cross_entropy", 2) if classes else ("mse", 1)
        network = Network([Dense(outputs)], loss=loss, metrics=metric)
        network.build(3)
        found = network.evaluate(X[:4], np.array([0, 1, 1, 0]), return_dict=True)
        assert list(found) == ["loss", name]
        network.metrics = []
        network.metrics = metric
        assert network.evaluate(X[:4], np.array([0, 1, 1, 0]), return_dict=True) == found


X = np.random.default_rng(0).standard_normal((40, 3))
TARGETS = {
    "mse": (X[:, :2] ** 2, ["mae", "rmse", "r2"]),
    "logistic": ((X[:, :2] > 0).astype(float), ["accuracy", "log_loss", "mae"]),
    "softmax_cross_entropy": ((X[:, 0] > 0).astype(int), ["acc", "top_1_accuracy", "log_loss"]),
}


@pytest.mark.parametrize("activation", ["own", None])
@pytest.mark.parametrize("loss", TARGETS)
def test_fit_and_evaluate_report_metrics(loss, activation):
    y, names = TARGETS[loss]
    own = {"mse": None, "logistic": "sigmoid", "softmax_cross_entropy": "softmax"}[loss]
    weight = np.linspace(0.1, 1, 10)
    layers = [Dense(4, "tanh"), Dense(2, own if activation else None)]
    network = Network(layers, loss=loss, metrics=names, dtype="float64")
    seen = []

    def look(epoch, logs):
        seen.append(network.evaluate(X, y, return_dict=True))

    history = network.fit(
        X, y, epochs=2, validation_data=(X[:10], y[:10], weight), callbacks=[look]
    ).history
    assert list(history) == ["loss", *names, "val_loss", *(f"val_{name}" for name in names)]
    for name in names:
        assert history[name] == [values[name] for values in seen]
    values = network.evaluate(X[:10], y[:10], weight)
    assert values == [history[f"val_{name}"][-1] for name in ("loss", *names)]
    assert network.evaluate(X[:10], y[:10], weight, return_dict=True) == dict(
        zip(["loss", *names], values, strict=True)
    )
    if loss == "softmax_cross_entropy":
        assert values[3] == pytest.approx(values[0], rel=1e-9)
        assert values[1] == values[2]
    if loss == "logistic":
        assert 2 * values[2] == pytest.approx(values[0], rel=1e-9)  # the loss adds up the outputs
    plain = Network(layers, loss=loss, dtype="float64")
    plain.fit(X, y, epochs=2)
    assert plain.evaluate(X[:10], y[:10], weight) == values[0]
    assert type(plain.evaluate(X, y)) is float


def test_the_answer_to_a_target_of_1_or_minus_1_is_a_sign():
    y = np.where(X[:, :1] > 0, 1, -1)
    network = Network([Dense(1)], loss="attribute_hinge", metrics=["accuracy"], dtype="float64")
    network.build(3)
    network.set_weights([[[0.1], [0], [0]], [0]])
    assert network.evaluate(X, y)[1] == 1
    assert network.evaluate(X, -y)[1] == 0


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
@pytest.mark.parametrize("last", ["exponential", None])
def test_metrics_of_means_are_not_of_their_logarithms(last, loss):
    y = 1 + np.random.default_rng(0).poisson(3.0, (len(X), 1))
    network = Network([Dense(1, last)], loss=loss, metrics=["mae", "r2"], dtype="float64")
    network.fit(X, y, epochs=3)
    means = network.predict(X) if last else np.exp(network.predict(X))
    wanted = np.abs(means - y).mean(), 1 - np.square(means - y).mean() / y.var()
    assert network.evaluate(X, y)[1:] == pytest.approx(wanted, rel=1e-12)


def test_a_users_own_and_storage(tmp_path):
    def worst(y, prediction):
        return np.abs(y - prediction).max()

    network = Network([Dense(1)], metrics=[worst, "mae"])
    y = X[:, :1] ** 2
    history = network.fit(X, y, epochs=2).history
    assert list(history) == ["loss", "worst", "mae"]
    assert history["worst"][-1] == np.abs(network.predict(X) - y).max()
    network.save(tmp_path / "net")
    assert [metric.name for metric in fastnn.load(tmp_path / "net").metrics] == ["mae"]


def test_training_is_the_same_with_metrics():
    y = X[:, :1]
    with_metrics, without = (Network([Dense(1)], metrics=given) for given in (["mae"], None))
    for network in (with_metrics, without):
        network.fit(X, y, epochs=3)
    for one, two in zip(with_metrics.get_weights(), without.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


def _network(*given, loss="mse"):
    return Network([Dense(2)], loss=loss, metrics=list(given))


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda: _network("mea"), "metrics is 'mea', wanted one of 'mae', "),
        (ValueError, lambda: _network("top_0_accuracy"), "metrics is 'top_0_accuracy', wanted"),
        (TypeError, lambda: _network(3), "metrics has 3 (int), wanted a name (mae, "),
        (TypeError, lambda: _network(TopK), "metrics has <class 'fastnn.metrics.TopK'> (type), "),
        (TypeError, lambda: Network([Dense(1)], metrics=3), "metrics has 3 (int), wanted a name"),
        (TypeError, lambda: Network([Dense(1)], metrics=Dense), "metrics has <class"),
        (ValueError, lambda: _network("mae", "mae"), "metrics has the name 'mae' twice"),
        (ValueError, lambda: TopK(0), "k is 0, wanted a whole number of at least 1"),
        (
            ValueError,
            lambda: _network("accuracy"),
            "metric 'accuracy' is for targets that are class labels or numbers from 0 to 1 or "
            "-1 or 1, but those of this loss are numbers",
        ),
        (
            ValueError,
            lambda: _network("r2", loss="softmax_cross_entropy"),
            "metric 'r2' is for targets that are numbers or counts or numbers above 0 or numbers "
            "from 0 to 1, but",
        ),
        (ValueError, lambda: _network("accuracy", loss="poisson"), "metric 'accuracy' is for"),
        (
            ValueError,
            lambda: _network("accuracy", loss="gamma"),
            "metric 'accuracy' is for targets that are class labels or numbers from 0 to 1 or "
            "-1 or 1, but those of this loss are numbers above 0",
        ),
        (ValueError, lambda: _network("log_loss", loss="attribute_hinge"), "metric 'log_loss' is"),
        (
            ValueError,
            lambda: _network("log_loss", loss="multiclass_hinge"),
            "metric 'log_loss' wants probabilities, but under loss 'multiclass_hinge' the outputs "
            "of a last layer with activation 'linear' are not probabilities",
        ),
        (
            ValueError,
            lambda: _network("mae", loss=Quantile([0.1, 0.9])),
            "metric 'mae' wants one output for each target, but loss 'quantile' has 2: wanted a "
            "function of (y, prediction)",
        ),
        (ValueError, lambda: _network(TopK(2), loss="logistic"), "metric 'top_2_accuracy' is for"),
        (
            ValueError,
            lambda: metrics.mean_absolute_error(Y, Y[:, :1]),
            "prediction has shape (4, 1), wanted (4, 2) as y has",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
