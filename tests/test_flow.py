"""Gradients of a network, and its boxes one at a time: against differences, NumPy and PyTorch."""

import numpy as np
import pytest

import fastnn
from fastnn import (
    L1,
    L1L2,
    L2,
    SGD,
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    GroupL1,
    HierarchicalSoftmax,
    LayerNormalization,
    Network,
    ParametricActivation,
    PeriodicEmbedding,
    Scale,
    activations,
    flow,
    losses,
)  # fmt: skip

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 4))
Y = np.arange(12) % 3
W = RNG.random(12) + 0.5

NETWORKS = {
    "noise, statistics and penalties": lambda: Network(
        [Dropout(0.2), Dense(5, "tanh", kernel_regularizer="l2"), BatchNormalization(),
         Dense(4, "relu", drop_connect=0.3), Dropout(0.5, "test"), Dense(3, "softmax")],
        loss="softmax_cross_entropy", bias_regularizer=L1(0.1), dtype="float64",
    ),
    "unfused": lambda: Network(
        [Scale(), Dense(5), LayerNormalization(), ParametricActivation("relu"), Dense(3),
         Activation("softmax")],
        loss="probability_cross_entropy", dtype="float64",
    ),
    "sum, in NumPy": lambda: Network(
        [PeriodicEmbedding(3, 2, columns=[1]), Dense(5, "elu"), Dense(3, "sigmoid")],
        loss=losses.MSE(reduction="sum"), dtype="float64", backend="numpy",
        kernel_regularizer=L1L2(0.1, 0.2),
    ),
}  # fmt: skip


def _built(name):
    network = NETWORKS[name]()
    network.build(4)
    rng = np.random.default_rng(1)
    network.set_weights([w + 0.1 * rng.random(w.shape) for w in network.get_weights()])
    return network, np.eye(3)[Y] if "sum" in name else Y


def _state(network):
    optimizer = [each.state for each in network.model.all_parameters()]
    return [network.get_weights(), network.model.updates, network.epochs_done, repr(optimizer)]


@pytest.mark.parametrize("weight", [None, W], ids=["", "weighted"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_the_boxes_and_what_descent_follows(name, weight):
    network, y = _built(name)
    before = repr(_state(network))
    found = network.gradients(X, y, weight)
    graph = flow.Graph(network)
    graph.fprop(X, y, weight)
    assert repr(_state(network)) == before
    rate = 2.0**-20
    network.optimizer = SGD(rate)
    weights = network.get_weights()
    network.fit(X, y, batch_size=12, shuffle=False, sample_weight=weight)
    every = network.model.all_parameters()
    for each, gradient, box, w in zip(every, found, graph.bprop(), weights, strict=True):
        np.testing.assert_allclose(gradient, box, rtol=1e-12, atol=1e-15)
        assert gradient.shape == w.shape
        if each.trained:
            np.testing.assert_allclose(gradient, (w - each.value) / rate, atol=1e-8)
        else:
            assert not gradient.any()


def test_the_value_of_a_graph_is_the_training_loss():
    network, _ = _built("sum, in NumPy")
    y = np.eye(3)[Y]
    assert flow.Graph(network).fprop(X, y, W) == pytest.approx(network.evaluate(X, y, W), 1e-13)


def test_penalties_may_be_left_out():
    network, y = _built("noise, statistics and penalties")
    whole, part = (network.gradients(X, y, penalties=each) for each in (True, False))
    w, b = network.get_weights()[:2]
    np.testing.assert_allclose(whole[0] - part[0], 0.01 * w, atol=1e-15)
    np.testing.assert_allclose(whole[1] - part[1], 0.1 * np.sign(b), atol=1e-15)
    lasso = Network([Dense(1, kernel_regularizer=L1(0.1, "proximal"))])
    lasso.build(4)
    lasso.gradients(X, Y, penalties=False)
    for refused in (lambda: lasso.gradients(X, Y), lambda: flow.Graph(lasso)):
        with pytest.raises(ValueError, match="kernel of layers.0. has the penalty L1.*penalties=F"):
            refused()


def test_all_rows_of_a_table_have_their_gradient_on_any_number_of_threads():
    x = np.rint(2 * X)
    found = []
    for n_threads in (1, 2):
        network = Network([Embedding(3, 2, columns=[0]), Dense(3, "relu"), Dense(1)],
                          n_threads=n_threads)  # fmt: skip
        network.build(4)
        found.append(network.gradients(x, Y))
    assert repr(found[0]) == repr(found[1])
    table, seen = found[0][0], np.unique(x[:, 0])
    assert [bool(row.any()) for row in table] == [code in seen for code in range(3)]


def test_hierarchical_softmax_has_gradients_but_no_boxes():
    network = Network([Dense(4, "tanh"), HierarchicalSoftmax(3)], loss="softmax_cross_entropy",
                      dtype="float64")  # fmt: skip
    network.build(4)
    weights, step = network.get_weights(), 1e-6
    found = network.gradients(X, Y)[2]
    ends = []
    for sign in (1, -1):
        moved = [each.copy() for each in weights]
        moved[2][0, 1] += sign * step
        network.set_weights(moved)
        ends.append(network.evaluate(X, Y))
    assert found[0, 1] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)
    with pytest.raises(ValueError, match="computes with its loss, not by itself"):
        flow.Graph(network)


def test_backpropagation_of_a_softmax_network_step_by_step():
    """h1 = tanh(X W1 + b1), f = softmax(h1 W2 + b2), L = mean(-log f_y) + 0.05 |W1|^2."""
    w1, w2 = RNG.standard_normal((4, 5)), RNG.standard_normal((5, 3))
    b1, b2 = RNG.standard_normal(5), RNG.standard_normal(3)
    boxes = [flow.LayerBox(Dense(5), [w1, b1]), flow.ActivationBox("tanh"),
             flow.LayerBox(Dense(3), [w2, b2]), flow.ActivationBox("softmax")]  # fmt: skip
    loss, penalty = flow.LossBox("probability_cross_entropy"), flow.PenaltyBox(L2(0.1))
    h = X
    values = [h := box.fprop(h) for box in boxes]
    total = loss.fprop(h, Y) + penalty.fprop(w1)
    a1, a2 = X @ w1 + b1, np.tanh(X @ w1 + b1) @ w2 + b2
    f = np.exp(a2) / np.exp(a2).sum(axis=1, keepdims=True)
    e = np.eye(3)[Y]
    for value, by_hand in zip(values, [a1, np.tanh(a1), a2, f], strict=True):
        np.testing.assert_allclose(value, by_hand, rtol=1e-12)
    assert total == pytest.approx(-np.log((f * e).sum(axis=1)).mean() + 0.05 * (w1**2).sum())

    # In the probabilities, -e(y)/f; before softmax, f - e(y); and on down.
    df = loss.bprop()
    np.testing.assert_allclose(df, -e / f / 12, rtol=1e-12)
    da2 = boxes[3].bprop(df)
    np.testing.assert_allclose(da2, (f - e) / 12, rtol=1e-9, atol=1e-16)
    dh1 = boxes[2].bprop(da2)
    np.testing.assert_allclose(dh1, da2 @ w2.T, rtol=1e-12)
    np.testing.assert_allclose(boxes[2].gradients[0], np.tanh(a1).T @ da2, atol=1e-15)
    np.testing.assert_allclose(boxes[2].gradients[1], da2.sum(axis=0), atol=1e-15)
    da1 = boxes[1].bprop(dh1)
    np.testing.assert_allclose(da1, dh1 * (1 - np.tanh(a1) ** 2), rtol=1e-9)
    dx = boxes[0].bprop(da1)
    np.testing.assert_allclose(dx, da1 @ w1.T, rtol=1e-12)
    np.testing.assert_allclose(penalty.bprop(), 0.1 * w1, rtol=1e-15)
    by_boxes = [boxes[0].gradients[0] + penalty.bprop(), boxes[0].gradients[1],
                *boxes[2].gradients]  # fmt: skip

    # The same as with the loss that does both steps at once, and as PyTorch.
    fused = flow.LossBox("softmax_cross_entropy")
    assert fused.fprop(values[2], Y) == pytest.approx(loss.value, rel=1e-12)
    np.testing.assert_allclose(fused.bprop(), da2, rtol=1e-9, atol=1e-16)
    layers = [Dense(5, "tanh", kernel_regularizer=L2(0.1)), Dense(3, "softmax")]
    for name in ("probability_cross_entropy", "softmax_cross_entropy"):
        network = Network(layers, loss=name, dtype="float64")
        network.build(4)
        network.set_weights([w1, b1, w2, b2])
        for one, two in zip(by_boxes, network.gradients(X, Y), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-15)
    torch = pytest.importorskip("torch")
    given = [torch.tensor(each, requires_grad=True) for each in (w1, b1, w2, b2)]
    scores = torch.tanh(torch.tensor(X) @ given[0] + given[1]) @ given[2] + given[3]
    nll = torch.nn.functional.nll_loss(torch.softmax(scores, 1).log(), torch.tensor(Y))
    (nll + 0.05 * (given[0] ** 2).sum()).backward()
    for one, two in zip(by_boxes, given, strict=True):
        np.testing.assert_allclose(one, two.grad, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", dict.fromkeys(
    each.name for each in activations.TABLE.values()))  # fmt: skip
def test_the_box_of_every_activation_has_its_derivative(name):
    box, step = flow.ActivationBox(name, backend="numpy"), 1e-6
    x, dy = RNG.standard_normal((3, 2)) + 0.1, RNG.standard_normal((3, 2))
    box.fprop(x)
    found = box.bprop(dy)
    for place in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        difference = (box.fprop(x + moved) - box.fprop(x - moved)) / (2 * step)
        assert found[place] == pytest.approx((difference * dy).sum(), rel=1e-6, abs=1e-9)


REFUSED = [
    (lambda: flow.LayerBox("relu"), TypeError, "layer is 'relu', wanted a Layer"),
    (lambda: flow.ActivationBox("tanh").bprop([[1.0]]), ValueError, "call fprop first"),
    (lambda: flow.LayerBox(Dense(2), [[[1.0]]]).fprop(X), ValueError, "weights has 1 arrays"),
    (lambda: flow.LayerBox(BatchNormalization()).fprop(X[:1]), ValueError, "at least 2"),
    (lambda: flow.LossBox("mse").fprop(X, X[:3]), ValueError, "target has"),
    (lambda: flow.PenaltyBox(GroupL1()), ValueError, "wanted one that has a gradient"),
    (lambda: flow.PenaltyBox(None), ValueError, "regularizer is None"),
    (lambda: flow.Graph(Network([Dense(1)])), ValueError, "call fit or build first"),
    (lambda: flow.Graph("net"), TypeError, "wanted a Network"),
    (lambda: Network([Dense(1)]).gradients(X, Y), ValueError, "call fit or build first"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=[each[2] for each in REFUSED])
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_wrong_gradient_and_a_loss_that_is_not_finite():
    box = flow.ActivationBox("tanh")
    box.fprop(X)
    with pytest.raises(ValueError, match=r"gradient has shape \(3, 4\), wanted the value's"):
        box.bprop(X[:3])
    network = Network([Dense(3, "softmax")], loss="probability_cross_entropy")
    network.build(4)
    network.set_weights([np.zeros((4, 3)), [0, 0, 1e4]])
    with pytest.raises(FloatingPointError, match="not finite at these weights"):
        network.gradients(X, Y)
    assert fastnn.flow.Graph(network).fprop(X, Y) == np.inf
