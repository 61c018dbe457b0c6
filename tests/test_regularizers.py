"""Penalties and constraints: what they do to weights in training."""

import numpy as np
import pytest

import fastnn
from fastnn import (
    L1,
    L1L2,
    L2,
    SGD,
    Adam,
    Dense,
    GroupL1,
    Lq,
    MaxNorm,
    Network,
    NonNeg,
)  # fmt: skip
from fastnn.kernels import l1_proximal
from tests.cases import DTYPES
from tests.networks import PENALTIES

ROWS, INPUTS, UNITS = 60, 12, 7
METHODS = ("gradient", "shrink", "proximal")


def _data(seed=0):
    """Return inputs of which three matter, and a target that is linear in them, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, INPUTS))
    return x, x[:, :3] @ np.array([[2.0], [-3.0], [1.0]]) + 0.5 * rng.standard_normal((ROWS, 1))


def _linear(regularizer, optimizer, epochs, dtype="float64", **options):
    """Return a linear model of one output after full-batch training."""
    layer = Dense(1, use_bias=False, kernel_regularizer=regularizer, **options)
    network = Network([layer], optimizer=optimizer, dtype=dtype)
    network.fit(*_data(), epochs=epochs, batch_size=ROWS)
    return network


def _unmoved(layer, start, rate=0.5, steps=1, dtype="float64", **options):
    """Return W after steps in which the loss has no gradient: all inputs and targets are 0."""
    network = Network([layer], optimizer=SGD(rate), dtype=dtype, **options)
    network.build(len(start))
    network.set_weights([start, *network.get_weights()[1:]])
    n_outputs = layer.units
    network.fit(np.zeros((4, len(start))), np.zeros((4, n_outputs)), epochs=steps, batch_size=4)
    return network.get_weights()[0]


# Each form, and what 1, -2, 0 and 0.05 become in a step with rate 0.5 and strength 0.25.
STEPS = {
    "gradient": (0.875, -1.875, 0.0, -0.075),
    "shrink": (0.75, -1.75, 0.0, -0.2),
    "proximal": (0.875, -1.875, 0.0, 0.0),
}


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("make", [L1, lambda strength, method: L1L2(strength, 0.0, method)])
@pytest.mark.parametrize("method", METHODS)
def test_each_form_of_l1_moves_weights_toward_zero(method, make, bias, backend):
    start, penalty = [1.0, -2.0, 0.0, 0.05], make(0.25, method)
    if not bias:
        layer = Dense(4, kernel_regularizer=penalty)
        w = _unmoved(layer, [start, start], backend=backend)
        np.testing.assert_allclose(w, [STEPS[method]] * 2, rtol=1e-15)
        return
    # Large weights of the inputs that are 0 carry no gradient; the target is the bias itself.
    network = Network(
        [Dense(4, bias_regularizer=penalty)], optimizer=SGD(0.5), dtype="float64", backend=backend
    )
    network.build(1)
    network.set_weights([np.zeros((1, 4)), start])
    network.fit(np.zeros((4, 1)), np.array([start] * 4), batch_size=4)
    np.testing.assert_allclose(network.get_weights()[1], STEPS[method], rtol=1e-15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(0.01, 0.9), Adam(0.01)], ids=repr)
def test_no_form_of_l1_makes_large_weights_grow(method, optimizer):
    # A shrink with the sign of the printed rule, w + strength * sign(w), would.
    network = Network(
        [Dense(3, kernel_regularizer=L1(0.1, method))], optimizer=optimizer, dtype="float64"
    )
    network.build(2)
    start = np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]])
    network.set_weights([start, np.zeros(3)])
    network.fit(np.zeros((4, 2)), np.zeros((4, 3)), epochs=5, batch_size=4)
    w = network.get_weights()[0]
    assert (np.abs(w) < np.abs(start)).all() and (np.sign(w) == np.sign(start)).all()


def test_a_shrink_is_l1_over_the_rate():
    x, y = _data()
    weights = []
    for penalty in (L1(0.002, "shrink"), L1(0.2)):
        network = Network(
            [Dense(3, "tanh", kernel_regularizer=penalty), Dense(1)],
            optimizer=SGD(0.01), dtype="float64",
        )  # fmt: skip
        network.fit(x, y, epochs=3, batch_size=10)
        weights.append(network.get_weights()[0])
    np.testing.assert_allclose(*weights, rtol=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "l1"), [(SGD(0.02), 0.5), (SGD(0.004, 0.8), 2.0), (Adam(0.02), 2.0)], ids=repr
)
def test_proximal_alone_gives_exact_zeros(optimizer, l1):
    zeros = {
        method: int((_linear(L1(l1, method), optimizer, 400).get_weights()[0] == 0).sum())
        for method in METHODS
    }
    assert zeros["gradient"] == zeros["shrink"] == 0
    assert zeros["proximal"] >= INPUTS // 2


def test_proximal_never_takes_a_weight_through_zero():
    rng = np.random.default_rng(0)
    for strength in (1e-3, 0.1, 10.0):
        w = rng.standard_normal(200)
        after = w.copy()
        l1_proximal(0.5, strength, after)
        assert (np.sign(after) * np.sign(w) >= 0).all()
        assert (np.abs(after) <= np.abs(w)).all()


# scikit-learn 1.9.1: Lasso(alpha=0.25) and ElasticNet(alpha=0.25, l1_ratio=0.6), without
# intercept and with tol=1e-14, on _data().
SKLEARN = {
    "Lasso": (
        L1(0.5, "proximal"),
        [1.670251515096368, -2.586696060195301, 0.7730845378526997, *[0] * 9],
    ),
    "ElasticNet": (
        L1L2(0.3, 0.2, "proximal"),
        [1.5962914004940931, -2.410753907313659, 0.8082978351164614, *[0] * 9],
    ),
}


@pytest.mark.parametrize("name", SKLEARN)
def test_proximal_descent_ends_at_scikit_learns_solution(name):
    penalty, expected = SKLEARN[name]
    w = _linear(penalty, SGD(0.1), 500).get_weights()[0].ravel()
    np.testing.assert_allclose(w, expected, atol=1e-8)
    assert ((w == 0) == (np.array(expected) == 0)).all() and (w == 0).any()


def test_the_record_is_scikit_learns():
    linear_model = pytest.importorskip("sklearn.linear_model")
    options = {"alpha": 0.25, "fit_intercept": False, "tol": 1e-14, "max_iter": 10**6}
    x, y = _data()
    for name, extra in (("Lasso", {}), ("ElasticNet", {"l1_ratio": 0.6})):
        found = getattr(linear_model, name)(**options, **extra).fit(x, y.ravel()).coef_
        np.testing.assert_allclose(found, SKLEARN[name][1], atol=1e-9)


@pytest.mark.parametrize("w", [-2.0, -0.31, -0.1, 0.0, 0.2, 0.30001, 5.0])
def test_a_soft_threshold_is_the_least_point_of_its_definition(w):
    grid = np.linspace(-6, 6, 120_001)
    best = grid[np.argmin((grid - w) ** 2 / 2 + 0.5 * 0.6 * np.abs(grid))]
    found = np.array([w])
    l1_proximal(0.5, 0.6, found)
    assert abs(found[0] - best) <= 1.01e-4


@pytest.mark.parametrize("per", ["unit", "input"])
def test_the_group_step_is_the_least_point_of_its_definition(per):
    rng = np.random.default_rng(1)
    w = rng.standard_normal((3, 4)) * [2.0, 0.1, 1.0, 0.01]
    axis, threshold = (0, 0.3) if per == "unit" else (1, 0.6)
    found = _unmoved(Dense(4, kernel_regularizer=GroupL1(2 * threshold, per)), w)

    def objective(u):
        return ((u - w) ** 2).sum() / 2 + threshold * np.sqrt((u**2).sum(axis=axis)).sum()

    least = objective(found)
    for size in (1e-4, 1e-2, 1.0):
        for _ in range(300):
            assert objective(found + size * rng.standard_normal(w.shape)) > least
    groups = np.abs(found).sum(axis=axis)
    assert ((groups == 0) == (np.sqrt((w**2).sum(axis=axis)) <= threshold)).all()
    if per == "unit":
        assert (groups == 0).sum() == 2


def test_group_l1_removes_whole_units_and_inputs():
    x, y = _data()
    for per, axis in (("unit", 0), ("input", 1)):
        layers = [Dense(20, "tanh", kernel_regularizer=GroupL1(0.5, per)), Dense(1)]
        network = Network(layers, optimizer=SGD(0.02), dtype="float64")
        network.fit(x, y, epochs=200, batch_size=20)
        zero = network.get_weights()[0] == 0
        gone = zero.all(axis=axis)
        assert 3 <= gone.sum() < gone.size
        assert (zero.any(axis=axis) == gone).all()  # nothing but whole groups


def _start(seed=2):
    return np.random.default_rng(seed).standard_normal((5, 4)) * [0.1, 1.0, 3.0, 0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constraints(dtype):
    start = _start().astype(dtype)
    norms = np.sqrt((start**2).sum(axis=0))
    eps = 4 * np.finfo(dtype).eps
    found = _unmoved(Dense(4, kernel_constraint=MaxNorm(2)), start, dtype=dtype)
    np.testing.assert_allclose(found, start * np.minimum(1, 2 / np.maximum(norms, 1e-9)), rtol=eps)
    assert found[:, norms <= 2].tobytes() == start[:, norms <= 2].tobytes()
    found = _unmoved(Dense(4, kernel_constraint="unit_norm"), start, dtype=dtype)
    np.testing.assert_allclose(np.sqrt((found**2).sum(axis=0)), [1, 1, 1, 0], rtol=eps)
    np.testing.assert_allclose(found[:, :3] * norms[:3], start[:, :3], rtol=eps)
    found = _unmoved(Dense(4, kernel_constraint=NonNeg()), start, dtype=dtype)
    np.testing.assert_array_equal(found, np.maximum(start, 0))


def test_norms_stay_bounded_in_training():
    x, y = _data()
    layers = [Dense(9, "relu", kernel_constraint=MaxNorm(0.5)), Dense(1, kernel_constraint=NonNeg(),
              bias_constraint=NonNeg())]  # fmt: skip
    network = Network(layers, optimizer=SGD(0.05), dtype="float64")
    network.fit(x, y - 10, epochs=20, batch_size=10)
    w1, _, w2, b2 = network.get_weights()
    norms = np.sqrt((w1**2).sum(axis=0))
    assert (norms <= 0.5 * (1 + 1e-15)).all() and (norms > 0.499).any()
    assert (w2 >= 0).all() and b2 == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_max_norm_of_whole_units(dtype):
    start = _start().astype(dtype)
    bias = np.array([5.0, 0.1, -4.0, 0.0], dtype)
    network = Network([Dense(4, kernel_constraint=MaxNorm(2, include_bias=True))],
                      optimizer=SGD(0.5), dtype=dtype)  # fmt: skip
    network.build(len(start))
    network.set_weights([start, bias])
    network.fit(np.zeros((4, 5)), np.tile(bias, (4, 1)))  # no gradient: outputs are the biases
    norms = np.sqrt((start**2).sum(axis=0) + bias**2)
    factor = np.minimum(1, 2 / np.maximum(norms, 1e-9))
    eps = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(network.get_weights()[0], start * factor, rtol=eps)
    np.testing.assert_allclose(network.get_weights()[1], bias * factor, rtol=eps)


def test_max_norm_of_whole_units_holds_biases_under_a_rate_that_is_too_high():
    x, y = _data()
    bound = MaxNorm(3, include_bias=True)
    layers = [Dense(9, "relu", kernel_constraint=bound), Dense(1, kernel_constraint=bound)]
    network = Network(layers, loss="mae", optimizer=SGD(1000.0), n_threads=2)
    network.fit(x, y, epochs=20, batch_size=10)
    w1, b1, w2, b2 = network.get_weights()
    for w, b in ((w1, b1), (w2, b2)):
        norms = np.sqrt((w**2).sum(axis=0) + b**2)
        assert (norms <= 3 * (1 + 1e-6)).all() and (norms > 2.9).any()


# Keras 3's formulas: MaxNorm w * clip(norm, 0, c) / (1e-7 + norm), UnitNorm w / (1e-7 + norm);
# torch 2.13: torch.renorm(w, 2, 1, c), which also adds 1e-7.
def test_max_norm_is_that_of_keras_and_torch():
    start = _start()
    norms = np.sqrt((start**2).sum(axis=0, keepdims=True))
    found = _unmoved(Dense(4, kernel_constraint=MaxNorm(2)), start)
    keras = start * (np.clip(norms, 0, 2) / (1e-7 + norms))
    np.testing.assert_allclose(found, keras, rtol=2e-6)
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(found, torch.renorm(torch.tensor(start), 2, 1, 2.0), rtol=2e-6)


@pytest.mark.parametrize("optimizer", [SGD(0.02), "adam"], ids=str)
def test_the_next_batch_sees_the_bounded_weights(optimizer):
    # A stale transposed copy would show from the second batch on.
    layers = PENALTIES["max norm, sgd"].layers
    once, parts = (Network(layers, optimizer=optimizer) for _ in range(2))
    x, y = _data()
    once.fit(x, y, epochs=1, batch_size=20, shuffle=False)
    for first in range(0, ROWS, 20):
        parts.fit(x[first : first + 20], y[first : first + 20], batch_size=20, shuffle=False)
    for one, two in zip(once.get_weights(), parts.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (L1(0.5), lambda w: 0.5 * np.abs(w).sum()),
        (L1(0.5, "proximal"), lambda w: 0.5 * np.abs(w).sum()),
        (L1(0.5, "shrink"), lambda w: 0.0),
        (L1L2(0.5, 0.4, "shrink"), lambda w: 0.2 * (w**2).sum()),
        (Lq(0.5, 0.5), lambda w: 0.25 * np.sqrt(np.abs(w)).sum()),
        (Lq(0.5, 1), lambda w: 0.25 * np.abs(w).sum()),
        (Lq(0.5, 2), lambda w: 0.25 * (w**2).sum()),
        (GroupL1(0.5), lambda w: 0.5 * np.sqrt((w**2).sum(axis=0)).sum()),
        (GroupL1(0.5, "input"), lambda w: 0.5 * np.sqrt((w**2).sum(axis=1)).sum()),
    ],
    ids=lambda value: "sum" if callable(value) else repr(value),
)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_what_is_added_to_the_loss(penalty, expected, backend):
    network = Network([Dense(4, kernel_regularizer=penalty)], dtype="float64", backend=backend)
    network.build(5)
    w, b = _start(), np.zeros(4)
    network.set_weights([w, b])
    x = np.eye(5)
    assert network.evaluate(x, x @ w) == pytest.approx(expected(w), rel=1e-12, abs=1e-20)


def test_lq_is_0_at_0():
    for q in (0.5, 0.01, 1.5, 3.0):
        found = _unmoved(Dense(2, kernel_regularizer=Lq(0.1, q)), [[0.0, 1.0]])
        assert found[0, 0] == 0
        assert found[0, 1] == pytest.approx(1 - 0.5 * 0.05 * q, rel=1e-14)


def test_penalties_of_the_network():
    def layers(**own):
        return [Dense(3, kernel_regularizer=own.get("first")), Dense(1)]

    networks = [
        Network(layers(), kernel_regularizer=L2(0.5), bias_regularizer="l1", optimizer="adam"),
        Network(layers(first=L2(0)), kernel_regularizer=L2(0.5)),
    ]
    found = []
    for network in networks:
        network.fit(*_data())
        found.append([parameter.regularizer for parameter in network.model.all_parameters()])
        assert all(layer.bias_regularizer is None for layer in network.layers)  # left as given
    assert found == [[L2(0.5), L1(), L2(0.5), L1()], [L2(0), None, L2(0.5), None]]


@pytest.mark.parametrize(
    ("error", "said", "make"),
    [
        (ValueError, "method.*'proximate'.*'proximal'", lambda: L1(0.1, "proximate")),
        (TypeError, "method", lambda: L1L2(0.1, 0.1, None)),
        (ValueError, "l1.*-1", lambda: GroupL1(-1)),
        (ValueError, "per.*'column'", lambda: GroupL1(0.1, "column")),
        (ValueError, "q.*0", lambda: Lq(0.1, 0)),
        (ValueError, "strength.*nan", lambda: Lq(float("nan"))),
        (ValueError, "max_value.*0", lambda: MaxNorm(0)),
        (TypeError, "max_value.*'3'", lambda: MaxNorm("3")),
        (ValueError, "kernel_constraint.*'maxnorm'", lambda: Dense(1, kernel_constraint="maxnorm")),
        (TypeError, "kernel_constraint.*int", lambda: Dense(1, kernel_constraint=3)),
        (ValueError, "bias_constraint.*MaxNorm", lambda: Dense(1, bias_constraint=MaxNorm(3))),
        (TypeError, "include_bias", lambda: MaxNorm(3, 1)),
        (ValueError, "use_bias is False",
         lambda: Dense(1, use_bias=False, kernel_constraint=MaxNorm(3, True))),
        (ValueError, "bias_regularizer.*GroupL1", lambda: Dense(1, bias_regularizer="group_l1")),
        (ValueError, "bias_regularizer.*GroupL1",
         lambda: Network([Dense(1)], bias_regularizer=GroupL1())),
        (TypeError, "kernel_regularizer.*float",
         lambda: Network([Dense(1)], kernel_regularizer=0.1)),
    ],
)  # fmt: skip
def test_bad_settings(error, said, make):
    with pytest.raises(error, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_columns_do_not_depend_on_the_cut(parts, dtype):
    from fastnn.kernels import column_norms, scale_columns

    rng = np.random.default_rng(3)
    for rows, columns in ((1, 5), (10, 1), (50, 17), (33, 64)):
        w = rng.standard_normal((rows, columns)).astype(dtype)
        factor = rng.random(columns).astype(dtype)
        factor[: columns // 2] = 1
        results = []
        for count in (1, parts):
            edges = np.linspace(0, columns, count + 1).astype(int)
            norms, scaled = np.full((2, columns), np.nan, dtype), w.copy()
            for first, last in zip(edges, edges[1:], strict=False):
                column_norms(w, first, last, *norms)
                scale_columns(factor, first, last, scaled)
            results.append((norms.tobytes(), scaled.tobytes()))
        assert results[0] == results[1]


@pytest.mark.parametrize(
    "settings",
    [{"kernel_constraint": "max_norm"}, {"bias_regularizer": L1(0.1, "proximal")}],
    ids=["constraint", "proximal"],
)
def test_a_line_search_refuses_what_moves_weights_behind_its_back(settings):
    with pytest.raises(ValueError, match=r"LBFGS.*layers\[0\]"):
        fastnn.Network([fastnn.Dense(2, **settings)], optimizer="lbfgs")
