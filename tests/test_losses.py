"""Losses and activations as objects: values by hand, settings, targets, class weights, files."""

import functools
import re

import numba
import numpy as np
import pytest

import fastnn
from fastnn import Dense, Network, activations, losses
from fastnn.kernels import COMPILED
from fastnn.reference import TWINS

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 3))
LABELS = np.arange(12) % 3


@numba.njit
def rectified(x, out):
    for k in range(x.size):
        out.flat[k] = max(x.flat[k], 0)


@numba.njit
def rectified_gradient(x, y, dy, dx):
    for k in range(x.size):
        dx.flat[k] = dy.flat[k] if x.flat[k] > 0 else 0


@numba.njit
def squared(prediction, target):
    total = 0.0
    for j in range(prediction.size):
        total += (prediction[j] - target[j]) ** 2
    return total


@numba.njit
def squared_gradient(prediction, target, d):
    for j in range(d.size):
        d[j] = 2 * (prediction[j] - target[j])


@functools.cache
def _own():
    """Return a user's own loss and activation, compiled once."""
    return losses.Custom(squared, squared_gradient), activations.Custom(
        rectified, rectified_gradient
    )


def _network(loss="mse", units=3, last=None, hidden="tanh", **options):
    return Network([Dense(4, hidden), Dense(units, last)], loss=loss, dtype="float64", **options)


# Loss, prediction and target of one row, its loss and its gradient: worked out by hand.
BY_HAND = [
    (losses.SignedError(), [1.0, -4.0], [2.0, 1.0], -6.0, [1.0, 1.0]),
    (losses.LogCosh(), [np.log(2)], [0.0], np.log(1.25), [0.6]),
    (losses.Quantile([0.1, 0.9]), [1.0, 5.0], [3.0], 0.1 * 2 + 0.1 * 2, [-0.1, 0.1]),
    (losses.Quantile(0.25), [1.0, 5.0], [3.0, 1.0], 0.25 * 2 + 0.75 * 4, [-0.25, 0.75]),
    (losses.Quantile([0.2, 0.6]), [1, 9, 1, 9], [3.0, 9.0], 0.4 + 1.2, [-0.2, 0, -0.6, 0]),
    (losses.AttributeHinge(), [0.5, 2.0, 0.25], [1.0, 1.0, -1.0], 0.5 + 1.25, [-1.0, 0.0, 1.0]),
    (losses.StructuredHinge(), [1.0, 1.5, 0.0], 0, 1.5, [-1.0, 1.0, 0.0]),
    (losses.StructuredHinge(), [3.0, 1.0, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
    (
        losses.StructuredHinge([[0, 1, 9], [1, 0, 1], [1, 1, 0]]),
        [1.0, 1.5, 0.0],
        0,
        8.0,
        [-1.0, 0.0, 1.0],
    ),
    (losses.MulticlassHinge(), [1.0, 3.0, 2.5], 1, 0.5, [0.0, -1.0, 1.0]),
    (losses.MulticlassHinge(), [1.0, 3.0, 2.0], 1, 0.0, [0.0, 0.0, 0.0]),
    (losses.MulticlassHinge(2.0), [2.0, 1.0, 0.0], 1, 3.0 + 1.0, [1.0, -2.0, 1.0]),
    (losses.MulticlassSquaredHinge(2.0), [2.0, 1.0, 0.0], 1, 9.0 + 1.0, [6.0, -8.0, 2.0]),
    (losses.GaussianNLL(), [1.0, np.log(4)], [3.0], (np.log(4) + 1) / 2, [-0.5, 0.0]),
    (losses.Gamma(), [0.0, np.log(2)], [3.0, 5.0], 3 + np.log(2) + 2.5, [-2.0, -1.5]),
    (losses.Poisson(), [0.0, np.log(2)], [3.0, 5.0], 3 - 5 * np.log(2), [-2.0, -3.0]),
    (losses.ProbabilityCrossEntropy(), [0.75, 0.25], 1, np.log(4), [0.0, -4.0]),
]


@pytest.mark.parametrize("kernels", [COMPILED, TWINS], ids=["compiled", "reference"])
@pytest.mark.parametrize(("loss", "f", "y", "value", "gradient"), BY_HAND)
def test_by_hand(loss, f, y, value, gradient, kernels):
    prediction, target = np.array([f], np.float64), np.array([y])
    row_loss, d = np.empty(1), np.empty_like(prediction)
    settings = loss.arguments(len(f), np.float64)
    kernels[loss.forward](prediction, target, *settings, row_loss)
    kernels[loss.backward](prediction, target, *settings, np.ones(1), d)
    np.testing.assert_allclose(row_loss, [value], rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(d, [gradient], rtol=1e-14, atol=1e-15)


REFUSED = [
    (lambda: losses.Huber(0), "delta is 0, wanted a finite number above 0"),
    (lambda: losses.SmoothL1(-1.0), "beta is -1.0"),
    (lambda: losses.Quantile([0.5, 1.0]), "quantiles is [0.5, 1.0], wanted numbers above 0 and"),
    (lambda: losses.Quantile([]), "quantiles is []"),
    (lambda: losses.Quantile("half"), "quantiles is 'half'"),
    (lambda: losses.MulticlassHinge(0), "margin is 0"),
    (lambda: losses.SoftmaxCrossEntropy(1.0), "label_smoothing is 1.0"),
    (lambda: losses.StructuredHinge([[0, 1]]), "cost has shape (1, 2), wanted (n_classes, n_cl"),
    (lambda: losses.StructuredHinge([[0, 1], [1, 2]]), "cost has 2 at [1, 1], wanted a diagonal"),
    (lambda: losses.StructuredHinge([[0, -1], [1, 0]]), "cost has -1 at row 0, column 1, wanted"),
    (lambda: activations.LeakyReLU(-0.1), "negative_slope is -0.1"),
    (lambda: activations.ELU(0.0), "alpha is 0.0"),
    (lambda: activations.GELU("tanh"), "approximate is 'tanh'"),
    (lambda: _network("gaussian_nll"), "wants 2 units in the last layer for each target, got 3"),
    (lambda: _network(losses.Quantile([0.1, 0.9])), "wants 2 units in the last layer"),
    (lambda: _network(losses.StructuredHinge([[0, 1], [1, 0]])), "cost is for 2 classes, but th"),
    (lambda: _network("multiclass_hinge", 1), "at least 2, got 1"),
    (lambda: _network("poisson", last="sigmoid"), "with activation 'exponential' or 'linear'"),
    (lambda: _network("gamma", last="softplus"), "with activation 'exponential' or 'linear'"),
    (lambda: _network("probability_cross_entropy"), "activation 'softmax', got 'linear'"),
    (lambda: losses.MSE(reduction="none"), "reduction is 'none', wanted one of"),
    (lambda: _network("squared_hinge"), "or 'multiclass_squared_hinge' or"),
    (lambda: activations.Custom(lambda x: x, rectified), "wanted a function compiled by numba.nj"),
    (
        lambda: activations.Custom(rectified, squared_gradient),
        "backward takes 3 arguments, wanted 2 or 4",
    ),
    (
        lambda: activations.Custom(rectified, rectified_gradient, "relu"),
        "name is 'relu', which is a built-in",
    ),
    (lambda: activations.Custom(rectified, rectified_gradient, 3), "name is 3, wanted a text"),
    (lambda: losses.Custom(squared, squared_gradient, "labels"), "target is 'labels', wanted one"),
    (lambda: losses.Custom(squared, squared), "backward takes 2 arguments, wanted 3"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        make()


def test_functions_that_do_not_compile():
    @numba.njit
    def wrong(x):
        return x.no_such_thing

    @numba.njit
    def unknown(prediction, target):
        return no_such_name  # noqa: F821

    with pytest.raises(TypeError, match="forward does not compile for float32: .*no_such_thing"):
        activations.Custom(wrong, rectified_gradient)
    with pytest.raises(TypeError, match="forward does not compile for float32: .*no_such_name"):
        losses.Custom(unknown, squared_gradient)


TARGETS = [
    ("poisson", [[1.0, 0.0, 2.0], [1.0, -1.0, 0.0]], "y has -1.0 at row 1, column 1, wanted num"),
    (
        "gamma",
        [[1.0, 3.0, 2.0], [1.0, 0.0, 1.0]],
        "y has 0.0 at row 1, column 1, wanted num",
    ),
    ("attribute_hinge", [[1, -1, 1], [0, 1, 1]], "y has 0 at row 1, column 0, wanted -1 or 1: 2 *"),
    ("multiclass_hinge", [0, 3], "y has label 3 at row 1, wanted 0 to 2"),
    ("structured_hinge", [0, -1], "y has label -1 at row 1"),
    (losses.Quantile([0.1, 0.5, 0.9]), [[1, 2], [3, 4]], "shape (2, 2), wanted (2,) or (2, 1)"),
]


@pytest.mark.parametrize(("loss", "y", "message"), TARGETS)
def test_targets_that_are_refused(loss, y, message):
    network = _network(loss)
    with pytest.raises(ValueError, match=re.escape(message)):
        network.fit(X[:2], y)
    assert not network.built


def test_a_loss_without_a_least_value_warns():
    with pytest.warns(UserWarning, match="'signed_error' has no least value"):
        _network("signed_error").fit(X, X)


@pytest.mark.parametrize("loss", [losses.Quantile([0.1, 0.5, 0.9]), losses.GaussianNLL()])
def test_several_outputs_a_target_find_the_distribution(loss):
    y = np.random.default_rng(1).normal(3.0, 2.0, (4000, 1))
    network = Network([Dense(loss.outputs)], loss=loss, optimizer=fastnn.Adam(0.02))
    network.fit(np.zeros((4000, 1)), y, epochs=20, batch_size=100)
    found = network.predict([[0.0]])[0]
    wanted = np.quantile(y, [0.1, 0.5, 0.9]) if len(found) == 3 else (y.mean(), np.log(y.var()))
    np.testing.assert_allclose(found, wanted, atol=0.15)


@pytest.mark.parametrize("kernels", [COMPILED, TWINS], ids=["compiled", "reference"])
def test_the_gamma_loss_overflows_only_where_its_value_does(kernels):
    f = np.array([[-95], [88.5], [-95]], np.float32)
    y = np.array([[1e-37], [3e38], [1]], np.float32)
    row_loss, d = np.empty(3, np.float32), np.empty((3, 1), np.float32)
    kernels["gamma_forward"](f, y, row_loss)
    kernels["gamma_backward"](f, y, np.ones(3, np.float32), d)
    ratios = np.array([1e-37, 3e38, np.inf]) * np.exp([95, -88.5, 95])
    np.testing.assert_allclose(row_loss[:2], f[:2, 0] + ratios[:2], rtol=1e-6)
    np.testing.assert_allclose(d[:, 0], 1 - ratios, rtol=2e-6)
    assert row_loss[2] == np.inf


@pytest.mark.parametrize(("loss", "far"), [("gamma", -800.0), ("poisson", 800.0)])
def test_a_loss_that_overflows_ends_training(loss, far):
    network = Network([Dense(1)], loss=loss, optimizer=fastnn.SGD(0.05))
    network.build(1)
    network.set_weights([[[0.0]], [far]])
    with pytest.raises(FloatingPointError):
        network.fit(np.zeros((3, 1)), np.ones((3, 1)))
    assert network.get_weights()[1] == [far]


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_means_or_their_logarithms(loss):
    y = 1 + np.random.default_rng(1).poisson(3.0, (1000, 1))
    for last, wanted in (("exponential", y.mean()), (None, np.log(y.mean()))):
        network = Network([Dense(1, last)], loss=loss, optimizer=fastnn.SGD(0.05))
        network.fit(np.zeros((1000, 1)), y, epochs=150, batch_size=1000)
        assert network.predict([[0.0]])[0, 0] == pytest.approx(wanted, rel=1e-3)


CLASSES = [
    ("softmax_cross_entropy", 3, LABELS, {0: 2.0, 2: 0.5}, [2.0, 1.0, 0.5]),
    ("multiclass_hinge", 3, LABELS, [1.0, 0.0, 3.0], [1.0, 0.0, 3.0]),
    ("logistic", 1, LABELS[:, None] % 2, {1: 4.0}, [1.0, 4.0, 1.0]),
    ("attribute_hinge", 1, 2 * (LABELS[:, None] % 2) - 1, (0.5, 2.0), [0.5, 2.0, 0.5]),
]


@pytest.mark.parametrize(("loss", "units", "y", "given", "by_label"), CLASSES)
@pytest.mark.parametrize("weight", [None, np.linspace(0.1, 1, 12)])
def test_class_weights_are_factors_of_the_sample_weights(loss, units, y, given, by_label, weight):
    networks = [_network(loss, units) for _ in range(2)]
    options = {"epochs": 2, "batch_size": 5, "validation_split": 0.25}
    options["validation_shuffle"] = False
    histories = [networks[0].fit(X, y, sample_weight=weight, class_weight=given, **options)]
    factors = np.ones(12) if weight is None else weight.copy()
    factors[:9] *= np.array(by_label)[LABELS[:9]]  # the rows held out keep theirs
    histories.append(networks[1].fit(X, y, sample_weight=factors, **options))
    assert histories[0].history == histories[1].history
    for one, two in zip(*(network.get_weights() for network in networks), strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("loss", "units", "y", "given", "message"),
    [
        ("mse", 3, X, {0: 1.0}, "class_weight wants a loss of classes, loss 'mse' has none"),
        ("logistic", 3, X > 0, {0: 1.0}, "class_weight wants a loss of classes"),
        ("logistic", 1, np.full((12, 1), 0.5), {0: 1.0}, "wants targets of 0 and 1, got some"),
        ("cross_entropy", 3, LABELS, {3: 1.0}, "class_weight has label 3, wanted labels from 0 to"),
        ("cross_entropy", 3, LABELS, [1.0, 2.0], "class_weight has shape (2,), wanted (3,)"),
        ("cross_entropy", 3, LABELS, {1: -1.0}, "class_weight[1] is -1.0, wanted a finite"),
        ("cross_entropy", 3, LABELS, [0, 0, 0], "(times class_weight) is 0 for all rows"),
        ("cross_entropy", 3, LABELS, "even", "class_weight is 'even', wanted 'balanced'"),
    ],
)
def test_class_weights_that_are_refused(loss, units, y, given, message):
    network = _network(loss, units)
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        network.fit(X, y, class_weight=given)
    assert not network.built


def test_a_file_asks_for_the_code_it_does_not_hold(tmp_path):
    loss, hidden = _own()
    network = _network(loss, hidden=hidden)
    network.fit(X, X)
    network.save(tmp_path / "model")
    for custom, missing in ((None, "rectified"), ({"rectified": hidden}, "squared")):
        with pytest.raises(ValueError, match=f"uses '{missing}', whose code is not stored: load"):
            fastnn.load(tmp_path / "model", custom=custom)
    loaded = fastnn.load(tmp_path / "model", custom={"rectified": hidden, "squared": loss})
    assert loaded.loss is loss and loaded.layers[0].activation is hidden
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_users_functions_train_like_built_in_ones(dtype):
    own_loss, own = _own()
    start = Network([Dense(4, "relu"), Dense(3)], dtype=dtype)
    start.build(3)
    results = []
    for loss, hidden, backend in (
        ("mse", "relu", "numba"),
        (own_loss, own, "numba"),
        (own_loss, own, "numpy"),
    ):
        layers = [Dense(4, hidden), Dense(3)]
        network = Network(layers, loss=loss, dtype=dtype, backend=backend, n_threads=2)
        network.build(3)
        network.set_weights(start.get_weights())
        network.fit(X, X, epochs=3, batch_size=5)
        results.append(network.get_weights())
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_allclose(two, one, rtol=50 * np.finfo(dtype).eps, atol=1e-6)


def test_the_checked_kernels_know_lengths_that_are_products():
    d, levels, scale = np.empty((2, 6)), np.array([0.2, 0.8]), np.ones(2)
    fastnn.kernels.quantile_backward(np.ones((2, 6)), np.zeros((2, 3)), levels, scale, d)
    np.testing.assert_allclose(d[0], [0.8, 0.8, 0.8, 0.2, 0.2, 0.2])
    message = r"wanted prediction \(m, q\*n\), target \(m, n\), .*; got prediction \(2, 6\) float64"
    with pytest.raises(ValueError, match=message):
        fastnn.kernels.quantile_backward(np.ones((2, 6)), np.zeros((2, 2)), levels, scale, d)
    with pytest.raises(ValueError, match=r"wanted prediction \(m, 2\*n\)"):
        fastnn.kernels.gaussian_nll_forward(np.ones((2, 3)), np.zeros((2, 2)), scale)
