"""Hierarchical softmax: the trees, the probabilities, and training on paths alone."""

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Dense, HierarchicalSoftmax, Network, check_gradients, load
from fastnn.layers.class_trees import as_frequencies

CLASSES, INPUTS, ROWS = 11, 6, 37
GIVEN = ((0, (3, 1)), ((2, 4), 5))
FREQUENCIES = 2.0 ** np.arange(CLASSES)


def _layer(tree="balanced", n_classes=CLASSES):
    frequencies = FREQUENCIES if tree == "huffman" else None
    return HierarchicalSoftmax(n_classes, tree, frequencies)


def _network(layer=None, **options):
    layers = [Dense(9, "tanh"), layer or _layer()]
    options = {"loss": "softmax_cross_entropy", "optimizer": SGD(0.3)} | options
    return Network(layers, **options)


def _data(n_classes=CLASSES):
    rng = np.random.default_rng(0)
    return rng.standard_normal((ROWS, INPUTS)), rng.integers(0, n_classes, ROWS)


def _trained(network, epochs=4, batch_size=10):
    x, y = _data()
    history = network.fit(x, y, epochs=epochs, batch_size=batch_size)
    found = [np.array(history.history["loss"]), network.predict(x)]
    return [*network.get_weights(), *found, np.array(network.evaluate(x, y))]


def _products(tree, z):
    """Return {class: probability} of a nested tree; its nodes are numbered level by level."""
    found, waiting, node = {}, [(tree, 1.0)], 0
    while waiting:
        below, probability = waiting.pop(0)
        if isinstance(below, int):
            found[below] = probability
            continue
        right = 1 / (1 + np.exp(-z[node]))
        waiting += [(below[0], probability * (1 - right)), (below[1], probability * right)]
        node += 1
    return found


def test_probabilities_are_products_of_decisions():
    network = _network(_layer(GIVEN, 6), dtype="float64")
    x, y = _data(6)
    network.build(INPUTS)
    weights = [np.random.default_rng(1).standard_normal(w.shape) for w in network.get_weights()]
    network.set_weights(weights)
    w, b, kernel, bias = weights
    # Level by level the nodes here are: root, its two pairs, then (3, 1) and (2, 4).
    z = np.tanh(x @ w + b) @ kernel.T + bias
    expected = np.array([[_products(GIVEN, row)[k] for k in range(6)] for row in z])
    np.testing.assert_allclose(network.predict(x), expected, rtol=1e-12)
    loss = -np.log(expected[np.arange(ROWS), y]).mean()
    assert network.evaluate(x, y) == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("tree", ["balanced", "huffman"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_add_up_to_one_and_their_logarithm_is_the_loss(tree, dtype):
    network = _network(_layer(tree), dtype=dtype, metrics=["log_loss", "accuracy"])
    x, y = _data()
    network.fit(3 * x, y, epochs=20, batch_size=10)
    p = network.predict(3 * x)
    assert p.shape == (ROWS, CLASSES) and (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6 if dtype == "float32" else 1e-14)
    loss, log_loss, accuracy = network.evaluate(3 * x, y)
    assert loss == pytest.approx(log_loss, rel=1e-5)
    assert accuracy == (p.argmax(axis=1) == y).mean() > 0.3


def test_two_classes_are_logistic_regression():
    x, y = _data(2)
    two = _network(_layer(n_classes=2), dtype="float64")
    one = Network([Dense(9, "tanh"), Dense(1, "sigmoid")], loss="logistic", optimizer=SGD(0.3),
                  dtype="float64")  # fmt: skip
    two.build(INPUTS)
    one.build(INPUTS)
    w, b, kernel, bias = two.get_weights()
    one.set_weights([w, b, kernel.T, bias])
    two.fit(x, y, epochs=5, batch_size=10)
    one.fit(x, y[:, None], epochs=5, batch_size=10)
    np.testing.assert_allclose(two.predict(x)[:, 1:], one.predict(x), rtol=1e-12)


def test_it_may_be_the_only_layer(tmp_path):
    x, y = _data()
    network = Network([_layer()], loss="softmax_cross_entropy", optimizer=SGD(0.3))
    losses = network.fit(x, y, epochs=10).history["loss"]
    assert losses[-1] < losses[0]
    assert check_gradients(network, x, y)
    network.save(tmp_path / "network")
    assert np.array_equal(load(tmp_path / "network").predict(x), network.predict(x))


def test_gradient_agrees_with_differences():
    x, y = _data()
    network = _network(_layer("huffman"), dtype="float64")
    network.fit(x, y, epochs=2)
    assert check_gradients(network, x, y)


def test_updates_of_paths_are_those_of_the_whole_gradient():
    paths = _trained(_network(dtype="float64"))
    whole = _trained(_network(optimizer=SGD(0.3, clipvalue=1e9), dtype="float64"))
    for actual, expected in zip(paths, whole, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_plain_descent_leaves_other_nodes_alone():
    network = _network(_layer(n_classes=64))
    network.build(INPUTS)
    before = network.get_weights()[2]
    network.fit(_data()[0], np.full(ROWS, 5), batch_size=10)
    changed = (network.get_weights()[2] != before).any(axis=1)
    assert changed.sum() == 6


def test_penalties_of_weights_act():
    kernels = [
        _trained(_network(kernel_regularizer=penalty))[2] for penalty in (None, fastnn.L2(0.1))
    ]
    assert np.square(kernels[1]).sum() < 0.9 * np.square(kernels[0]).sum()


@pytest.mark.parametrize("n_classes", [2, 3, 7, 8, 1000])
def test_balanced_paths_differ_by_one_decision_at_most(n_classes):
    lengths = _layer(n_classes=n_classes).path_lengths
    least = int(np.log2(n_classes))
    assert set(lengths) <= {least, least + 1}
    assert (2.0**-lengths).sum() == 1


def test_frequent_classes_have_short_paths():
    lengths = _layer("huffman").path_lengths
    assert lengths.tolist() == [10, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    even = HierarchicalSoftmax(8, "huffman", np.zeros(8))
    assert set(even.path_lengths) == {3}


def test_a_deep_tree_is_no_recursion():
    tree = 0
    for label in range(1, 3000):
        tree = (tree, label)
    assert HierarchicalSoftmax(3000, tree).path_lengths.max() == 2999


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1,), ValueError, "n_classes must be at least 2 and at most 10,000,000, got 1"),
        ((3, "oak"), ValueError, "tree must be 'balanced', 'huffman' or nested pairs"),
        ((3, "huffman"), ValueError, "go together"),
        ((3, "balanced", [1, 2, 3]), ValueError, "go together"),
        ((3, "huffman", [1, 2]), ValueError, r"frequencies has shape \(2,\), wanted \(3,\)"),
        ((3, "huffman", [1, -2, 3]), ValueError, "frequencies has -2"),
        ((3, (0, 1)), ValueError, "tree has no class 2"),
        ((3, (0, (1, 1))), ValueError, "tree has class 1 twice"),
        ((3, (0, (1, 3))), ValueError, "tree has class 3, wanted 0 to 2"),
        ((3, (0, 1, 2)), ValueError, "tree has a node with 3 children, wanted 2"),
        ((3, (0, (1, None))), TypeError, "tree has None"),
        ((3, 7), ValueError, "tree has class 7"),
    ],
)
def test_refuses_bad_trees(arguments, error, message):
    with pytest.raises(error, match=message):
        HierarchicalSoftmax(*arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_frequencies_that_are_not_finite(bad):
    with pytest.raises(ValueError, match="frequencies"):
        as_frequencies([1.0, bad], 2)


def test_refuses_what_it_does_not_go_with():
    smooth = fastnn.losses.SoftmaxCrossEntropy(0.1)
    for loss in ("mse", "logistic", "multiclass_hinge", smooth):
        with pytest.raises(ValueError, match="wants"):
            _network(loss=loss)
    with pytest.raises(ValueError, match="must be the last layer"):
        Network([Dense(3), _layer(), Dense(CLASSES)], loss="softmax_cross_entropy")
    with pytest.raises(ValueError, match="no penalties on groups"):
        _network(kernel_regularizer="group_l1")
    x, y = _data()
    with pytest.raises(ValueError, match="y has label 11"):
        _network().fit(x, np.full(ROWS, CLASSES))
