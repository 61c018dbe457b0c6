"""What the course's texts state, by hand in NumPy; and the table of statements is up to date."""

import numpy as np
import pytest

import fastnn
from fastnn import kernels
from fastnn.preprocessing import PCA, Whiten
from tests.statements import PAGE, ROWS, missing, page

RNG = np.random.default_rng(0)
W = np.array([0.5, -2.0, 3.0])


def test_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.statements"


def test_every_row_has_what_shows_it():
    wheres = {where for rows in ROWS.values() for _, where in rows}
    assert [where for where in sorted(wheres) if missing(where)] == []
    assert missing("losses.md#nowhere") and missing("test_losses.py::test_nothing")


def test_penalties():
    # Name, settings: value and gradient.  The backprop text's L2 has no half: lambda is doubled.
    cases = {
        ("l1", (0.1,)): (0.1 * 5.5, 0.1 * np.array([1.0, -1.0, 1.0])),
        ("l2", (0.1,)): (0.1 / 2 * 13.25, 0.1 * W),
        ("l2", (2 * 0.1,)): (0.1 * 13.25, 0.1 * 2 * W),
        ("lq", (0.1, 4.0)): (0.1 / 2 * 97.0625, 0.1 / 2 * 4 * W**3),
    }
    for (name, settings), (value, gradient) in cases.items():
        total, dw = np.zeros(1), np.zeros(3)
        getattr(kernels, f"{name}_value")(*settings, W, total)
        getattr(kernels, f"{name}_gradient")(*settings, W, dw)
        np.testing.assert_allclose(total, [value], rtol=1e-13)
        np.testing.assert_allclose(dw, gradient, rtol=1e-13)


def _step(start, x, y, **options):
    """Return W after one step of rate 0.5 of a linear layer without biases."""
    layer = fastnn.Dense(start.shape[1], use_bias=False, **options)
    network = fastnn.Network([layer], optimizer=fastnn.SGD(0.5), dtype="float64")
    network.build(len(start))
    network.set_weights([start])
    network.fit(x, y, batch_size=len(x))
    return network.get_weights()[0]


def test_weight_decay():
    after = _step(W[:, None], np.zeros((2, 3)), np.zeros((2, 1)), kernel_regularizer=fastnn.L2(0.1))
    np.testing.assert_allclose(after[:, 0], W * (1 - 0.5 * 0.1), rtol=1e-13)


def test_l2_prefers_diffuse_weights():
    # Two inputs that are equal: the squares are least when the weight is shared.
    x = np.ones((4, 2))
    layer = fastnn.Dense(1, use_bias=False, kernel_regularizer=fastnn.L2(0.1))
    network = fastnn.Network([layer], optimizer=fastnn.GD(0.1), dtype="float64")
    network.build(2)
    network.set_weights([[[1.0], [0.0]]])
    network.fit(x, np.ones((4, 1)), epochs=1500)
    np.testing.assert_allclose(network.get_weights()[0][:, 0], [1 / 2.05] * 2, rtol=1e-6)


@pytest.mark.parametrize("name", ["logistic", "attribute_hinge", "softmax", "hinge", "mse", "mae"])
def test_losses_by_hand(name):
    f = np.array([[0.5, -1.0, 2.0]])
    sign, label = np.array([[1.0, -1.0, -1.0]]), np.array([1])
    p = 1 / (1 + np.exp(-f))
    cases = {
        "logistic": ((sign + 1) / 2, -(np.log(p[0, 0]) + np.log(1 - p[0, 1:]).sum())),
        "attribute_hinge": (sign, 0.5 + 0 + 3),
        "softmax": (label, -np.log(np.exp(-1) / (np.exp(0.5) + np.exp(-1) + np.exp(2)))),
        "hinge": (label, 2.5 + 4),
        "mse": (sign, 0.25 + 0 + 9),
        "mae": (sign, 0.5 + 0 + 3),
    }
    kernel = {"softmax": "softmax_cross_entropy", "hinge": "multiclass_hinge"}.get(name, name)
    settings = {"softmax": (0.0,), "hinge": (1.0,)}.get(name, ())
    target, value = cases[name]
    row_loss = np.empty(1)
    getattr(kernels, f"{kernel}_forward")(f, target, *settings, row_loss)
    np.testing.assert_allclose(row_loss, [value], rtol=1e-13)


def test_softmax_gradient():
    f, d = RNG.normal(size=(3, 4)), np.empty((3, 4))
    labels = np.array([0, 3, 1])
    kernels.softmax_cross_entropy_backward(f, labels, 0.0, np.ones(3), d)
    p = np.exp(f) / np.exp(f).sum(1, keepdims=True)
    np.testing.assert_allclose(d, p - np.eye(4)[labels], atol=1e-14)


def test_scores_and_probabilities():
    f = np.array([[-3.0, -1e-9, 1e-9, 2.0]])
    p = np.empty_like(f)
    kernels.sigmoid_forward(f, p)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-f)), rtol=1e-13)
    assert ((p > 0.5) == (f > 0)).all()


def test_slopes():
    a = np.linspace(-3, 3, 7)[None]
    sigmoid, tanh = 1 / (1 + np.exp(-a)), (np.exp(2 * a) - 1) / (np.exp(2 * a) + 1)
    cases = {
        ("identity", ()): (a, np.ones_like(a)),
        ("sigmoid", ()): (sigmoid, sigmoid * (1 - sigmoid)),
        ("tanh", ()): (tanh, 1 - tanh**2),
        ("relu", (0.0,)): (np.maximum(a, 0), np.where(a > 0, 1.0, 0.0)),
    }
    for (name, settings), (value, slope) in cases.items():
        y, d = np.empty_like(a), np.empty_like(a)
        getattr(kernels, f"{name}_forward")(a, *settings, y)
        getattr(kernels, f"{name}_backward")(a, y, *settings, np.ones_like(a), d)
        np.testing.assert_allclose(y, value, atol=1e-14)
        np.testing.assert_allclose(d, slope, atol=1e-14)


def _softmax_network(**options):
    layers = [fastnn.Dense(3, "tanh", **options), fastnn.Dense(4, "softmax", **options)]
    return fastnn.Network(
        layers, loss="softmax_cross_entropy", optimizer=fastnn.SGD(1.0), dtype="float64"
    )


def test_backprop_by_hand():
    x, labels = RNG.normal(size=(5, 2)), np.array([0, 3, 1, 2, 2])
    network = _softmax_network()
    network.build(2)
    before = W1, b1, W2, b2 = network.get_weights()
    h = np.tanh(x @ W1 + b1)
    p = np.exp(h @ W2 + b2)
    d2 = (p / p.sum(1, keepdims=True) - np.eye(4)[labels]) / 5
    d1 = d2 @ W2.T * (1 - h**2)
    network.fit(x, labels, batch_size=5)
    gradients = x.T @ d1, d1.sum(0), h.T @ d2, d2.sum(0)
    for old, new, gradient in zip(before, network.get_weights(), gradients, strict=True):
        np.testing.assert_allclose(old - new, gradient, atol=1e-14)


def test_equal_units_stay_equal():
    x, labels = RNG.normal(size=(20, 2)), np.arange(20) % 4
    network = _softmax_network(kernel_initializer=fastnn.initializers.Constant(0.3))
    network.fit(x, labels, epochs=5)
    w = network.get_weights()[0]
    assert (w != 0.3).all()
    np.testing.assert_allclose(w, w[:, :1].repeat(3, axis=1), rtol=1e-13)


def test_covariance():
    X = RNG.normal(size=(50, 3)) @ RNG.normal(size=(3, 3)) + 5
    centered = X - X.mean(0)
    covariance = centered.T @ centered / 49
    np.testing.assert_allclose(covariance, covariance.T)
    np.testing.assert_allclose(covariance.diagonal(), X.var(0, ddof=1))
    assert (np.linalg.eigvalsh(covariance) >= 0).all()
    pca = PCA().fit(X)
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(3), atol=1e-13)
    np.testing.assert_allclose(
        covariance @ pca.components_.T, pca.components_.T * pca.explained_variance_, atol=1e-12
    )
    rotated = pca.transform(X)
    np.testing.assert_allclose(np.cov(rotated.T), np.diag(pca.explained_variance_), atol=1e-12)
    white = Whiten(eps=1e-3).fit_transform(X)
    np.testing.assert_allclose(white, rotated / np.sqrt(pca.explained_variance_ + 1e-3), rtol=1e-9)


def test_variances_of_sums():
    x, n = RNG.normal(size=(200, 300)), 300
    for name, variance in (("lecun_normal", 1.0), ("he_normal", 2.0)):
        kernel = fastnn.initializers.get(name)((n, 200), np.random.default_rng(1), np.float64)
        assert abs((x @ kernel).var() / variance - 1) < 0.05


def test_batch_normalization():
    x = RNG.normal(size=(40, 3)) * [1, 10, 0.1] + 7
    mean, inverse = np.empty(3), np.empty(3)
    variance, out = np.empty(3), np.empty_like(x)
    kernels.batch_moments(x, 0, 3, mean, variance)
    kernels.inverse_deviation(1e-9, variance, inverse)
    kernels.batch_norm_forward(x, mean, inverse, np.ones(3), np.zeros(3), out)
    np.testing.assert_allclose(out, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-9), atol=1e-12)


def test_dropout_in_prediction():
    # The text's p is the share kept; its first form scales in prediction, the second in training.
    for scaling, factor in (("test", 0.75), ("inverted", 1.0)):
        layers = [fastnn.Dropout(0.25, scaling), fastnn.Dense(1, use_bias=False)]
        network = fastnn.Network(layers, dtype="float64")
        network.build(3)
        network.set_weights([W[:, None]])
        x = RNG.normal(size=(4, 3))
        np.testing.assert_allclose(network.predict(x)[:, 0], factor * x @ W, rtol=1e-13)


def test_schedules():
    falling = fastnn.InverseTimeDecay(0.01, 1, 1 / 2000)
    for t in (0, 1, 500, 2000):
        assert falling(t) == pytest.approx(0.01 / (1 + t / 2000), rel=1e-14)


def test_differences():
    x, e = 0.7, 1e-4
    central, onesided = (
        abs(slope - np.cos(x))
        for slope in (
            (np.sin(x + e) - np.sin(x - e)) / (2 * e),
            (np.sin(x + e) - np.sin(x)) / e,
        )
    )
    assert central < 1e-8 < onesided
