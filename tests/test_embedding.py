"""Embeddings of categories and of numbers: formulas, what updates touch, errors."""

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    AdamW,
    Dense,
    Embedding,
    Network,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    RMSprop,
    check_gradients,
)

ROWS, CATEGORIES, UNITS = 40, 4, 3


def _data(seed=0):
    """Return two columns of categories around one of numbers, and targets."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, 3))
    x[:, 0], x[:, 2] = rng.integers(0, CATEGORIES, ROWS), rng.integers(0, 2, ROWS)
    return x, rng.standard_normal((ROWS, 1))


def _one_hot(codes, count):
    return (codes[:, None] == np.arange(count)).astype(float)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(
    "optimizer", [SGD(0.1, 0.9), Adam(0.05), RMSprop(0.05), SGD(0.1, global_clipnorm=0.1)], ids=str
)
def test_a_table_is_a_kernel_of_one_hot_columns(optimizer, backend):
    # Of all rows at once, in which every category occurs: then nothing is lazy.
    x, y = _data()
    table = np.random.default_rng(1).standard_normal((CATEGORIES + 2, UNITS))
    last = np.random.default_rng(2).standard_normal((1 + 2 * UNITS, 1)), np.zeros(1)
    codes = [_one_hot(x[:, 0], CATEGORIES), _one_hot(x[:, 2], 2)]
    kernel = np.zeros((1 + CATEGORIES + 2, 1 + 2 * UNITS))
    kernel[0, 0] = 1  # passes the number on
    kernel[1 : 1 + CATEGORIES, 1 : 1 + UNITS] = table[:CATEGORIES]
    kernel[1 + CATEGORIES :, 1 + UNITS :] = table[CATEGORIES:]

    def trained(layers, x, weights):
        network = Network(layers, optimizer=optimizer, dtype="float64", backend=backend)
        network.build(x.shape[1])
        network.set_weights(weights)
        network.fit(x, y, batch_size=ROWS)
        return network

    embedded = trained(
        [Embedding([CATEGORIES, 2], UNITS, columns=[0, 2]), Dense(1)], x, [table, *last]
    )
    wide = np.column_stack([x[:, 1], *codes])
    if optimizer.global_clipnorm:  # the gradient of all of that kernel is another one
        before = [table, *last]
        norms = [np.linalg.norm(a - b) for a, b in zip(before, embedded.get_weights(), strict=True)]
        assert np.linalg.norm(norms) == pytest.approx(0.1 * 0.1)
        return
    plain = trained([Dense(1 + 2 * UNITS, use_bias=False), Dense(1)], wide, [kernel, *last])
    own, other = embedded.get_weights(), plain.get_weights()
    np.testing.assert_allclose(own[0][:CATEGORIES], other[0][1:5, 1 : 1 + UNITS], atol=1e-12)
    np.testing.assert_allclose(own[0][CATEGORIES:], other[0][5:, 1 + UNITS :], atol=1e-12)
    np.testing.assert_allclose(own[1], other[1], atol=1e-12)
    assert np.abs(own[0] - table).min() > 1e-6


def test_updates_are_those_of_sparse_adam():
    torch = pytest.importorskip("torch")
    x, y = _data()
    x = x[np.argsort(x[:, 0], kind="stable")[::-1], :1].copy()  # most batches have one or two
    rng = np.random.default_rng(1)
    table, w = rng.standard_normal((CATEGORIES, UNITS)), rng.standard_normal((UNITS, 1))
    layers = [Embedding(CATEGORIES, UNITS), Dense(1, use_bias=False)]
    network = Network(layers, optimizer=Adam(0.01, epsilon=1e-12), dtype="float64")
    network.build(1)
    network.set_weights([table, w])
    network.fit(x, y, epochs=3, batch_size=8, shuffle=False)
    own = torch.nn.Parameter(torch.from_numpy(table)), torch.nn.Parameter(torch.from_numpy(w))
    optimizers = (
        torch.optim.SparseAdam(own[:1], lr=0.01, eps=1e-12),
        torch.optim.Adam(own[1:], lr=0.01, eps=1e-12),
    )
    for begin in 3 * list(range(0, ROWS, 8)):
        codes = torch.from_numpy(x[begin : begin + 8, 0].astype(int))
        found = torch.nn.functional.embedding(codes, own[0], sparse=True) @ own[1]
        for each in optimizers:
            each.zero_grad()
        ((found - torch.from_numpy(y[begin : begin + 8])) ** 2).mean().backward()
        for each in optimizers:
            each.step()
    for ours, theirs in zip(network.get_weights(), own, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-9)


def test_what_does_not_occur_stays_as_it_is_and_so_does_its_state():
    x, y = _data()
    network = Network([Embedding(CATEGORIES, UNITS, [0]), Dense(1)], optimizer=AdamW(0.1))
    network.fit(x, y)
    table = network.model.parameters[0][0]
    before = [table.value.copy(), *(array.copy() for array in table.state.values())]
    some = x[:, 0] != 2
    network.fit(x[some], y[some], batch_size=8)
    for old, new in zip(before, [table.value, *table.state.values()], strict=True):
        np.testing.assert_array_equal(new[2], old[2])
        assert (np.delete(new, 2, 0) != np.delete(old, 2, 0)).all()


def _batches(network, x, y):
    for _ in range(50):
        network.train_on_batch(x, y)


def _watched(network, x, y):
    network.fit(x, y, epochs=50, batch_size=8, callbacks=[lambda epoch, logs: None])


def _unwatched(network, x, y):
    network.fit(x, y, epochs=50, batch_size=8)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("way", [_batches, _watched, _unwatched])
def test_a_large_table_goes_back_as_a_small_one_does(way, backend):
    # Of the large one, only rows that occur are kept to go back to.
    x, y = _data()
    x[::7, 0] = -1
    found = []
    for count in (CATEGORIES, 1000):
        layers, optimizer = [Embedding(count, UNITS, columns=[0]), Dense(1)], SGD(1.0, 0.9)
        network = Network(layers, optimizer=optimizer, seed=0, backend=backend, dtype="float64")
        network.build(3)
        table = np.random.default_rng(1).standard_normal((count, UNITS))
        network.set_weights([table, np.ones((2 + UNITS, 1)), [0]])
        with pytest.raises(FloatingPointError):
            way(network, x, y)
        after, *others = network.get_weights()
        assert np.array_equal(after[CATEGORIES:], table[CATEGORIES:])
        state = network.model.parameters[0][0].state["velocity"][:CATEGORIES]
        found.append((after[:CATEGORIES], state, *others, network.model.updates))
    small, large = found
    assert large[-1] > 1 and np.isfinite(large[0]).all()
    for before, after in zip(small, large, strict=True):
        assert np.array_equal(before, after)


def test_an_unknown_category_is_zeros_and_trains_nothing():
    network = Network([Embedding(CATEGORIES, UNITS), Dense(1)], optimizer="adam")
    network.build(1)
    table = network.get_weights()[0]
    x = np.array([-1, CATEGORIES, 0.5, 1e30, -1e30, 2.0**31, -np.finfo("f4").tiny])
    np.testing.assert_array_equal(network.layer_outputs(x[:, None])[0], 0)
    network.fit(x[:, None], np.ones((len(x), 1)))
    np.testing.assert_array_equal(network.get_weights()[0], table)
    known = network.layer_outputs(np.arange(CATEGORIES)[:, None])[0]
    np.testing.assert_array_equal(known, table)


def test_gradients_reach_the_layers_before():
    x, y = _data()
    layers = [
        PeriodicEmbedding(3, 2, 1.0, [1]),
        Embedding([2, CATEGORIES], UNITS, [2, 0]),
        Dense(1),
    ]
    assert check_gradients(Network(layers, seed=1), x, y)


def test_gradients_reach_the_numbers_in_bins():
    x, y = _data()
    edges = [[-1.0, 0.0, 0.7], [-0.5, 0.5], [2.0]]
    layers = [Dense(3, "tanh"), PiecewiseLinearEmbedding(edges, 2), Dense(1)]
    assert check_gradients(Network(layers, seed=1), x, y)


def test_the_formula_of_piecewise_linear_embeddings():
    # Open ends go on along the outer bins, and a column without a bin has a bias only.
    x, edges, kernel = np.array([-1.0, 0.5, 2.0, 4.0, 5.0]), [0.0, 1.0, 3.0, 4.0], [10, 100, 1000]
    layers = [PiecewiseLinearEmbedding([edges, [7.0]], 1, [1, 2]), Dense(1)]
    network = Network(layers, dtype="float64")
    network.build(3)
    network.set_weights([[kernel, [1, 1, 1]], [0, 5], *network.get_weights()[2:]])
    expected = [-10, 5, 60, 1110, 2110]
    found = network.layer_outputs(np.column_stack([x + 7, x, x]))[0]
    np.testing.assert_allclose(found, np.column_stack([x + 7, expected, np.full(5, 5)]))


def test_bins_of_quantiles_hold_equal_shares():
    x, _ = _data()
    layer = PiecewiseLinearEmbedding.of_quantiles(x, 2, n_bins=4, columns=[1, 0])
    counts = np.histogram(x[:, 1], layer.edges[0])[0]
    assert counts.tolist() == [ROWS // 4] * 4
    assert (layer.edges[1][0], layer.edges[1][-1]) == (0, CATEGORIES - 1)
    assert layer.columns == [1, 0]


def test_the_formula_of_periodic_embeddings():
    x, _ = _data()
    network = Network([PeriodicEmbedding(4, 2, 1.0, [2, 1]), Dense(1)], dtype="float64")
    network.build(3)
    frequencies, phases, kernel, bias, *_ = network.get_weights()
    expected = [x]
    for place, column in enumerate([2, 1]):
        h = np.cos(2 * np.pi * x[:, [column]] * frequencies[place] + phases[place])
        own = slice(2 * place, 2 * place + 2)
        expected.append(h @ kernel[own].T + bias[own])
    found = network.layer_outputs(x)[0]
    np.testing.assert_allclose(found, np.hstack(expected), atol=1e-12)


def test_a_start_is_realmlps():
    network = Network([PeriodicEmbedding(), Dense(1)], dtype="float64")
    network.build(400)
    frequencies, phases, kernel, bias, *_ = network.get_weights()
    assert frequencies.std() == pytest.approx(0.1, rel=0.05)
    for array, limit in ((phases, np.pi), (kernel, 0.25), (bias, 0.25)):
        assert 0.97 * limit < np.abs(array).max() <= limit
        assert array.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)


def test_a_batch_needs_no_room_for_what_is_not_in_it():
    network = Network([Embedding(10**5, 8), Dense(1)])
    assert network.model.n_outputs == 1
    network.build(1)
    assert network.model.flops() == 2 * 8  # of the Dense layer: a look-up takes no time


@pytest.mark.parametrize(
    ("error", "said", "make"),
    [
        (ValueError, ("n_categories", "0"), lambda: Embedding(0, 2)),
        (ValueError, ("n_categories[1]", "-3"), lambda: Embedding([4, -3], 2)),
        (TypeError, ("n_categories", "'many'"), lambda: Embedding("many", 2)),
        (ValueError, ("units", "0"), lambda: Embedding(3, 0)),
        (ValueError, ("columns", "[1, 1]", "twice"), lambda: Embedding(3, 2, columns=[1, 1])),
        (ValueError, ("columns", "at least one"), lambda: PeriodicEmbedding(columns=[])),
        (ValueError, ("columns[0]", "-1"), lambda: Embedding(3, 2, columns=[-1])),
        (TypeError, ("columns", "'ab'"), lambda: PeriodicEmbedding(columns="ab")),
        (TypeError, ("edges", "'ab'"), lambda: PiecewiseLinearEmbedding("ab", 2)),
        (ValueError, ("edges", "empty"), lambda: PiecewiseLinearEmbedding([], 2)),
        (ValueError, ("edges[0]", "rising"), lambda: PiecewiseLinearEmbedding([[1, 1]], 2)),
        (ValueError, ("edges[0]", "finite"), lambda: PiecewiseLinearEmbedding([[0, np.inf]], 2)),
        (
            ValueError, ("edges", "1 columns", "there are 3"),
            lambda: Network([PiecewiseLinearEmbedding([[0, 1]], 2), Dense(1)]).build(3),
        ),
        (ValueError, ("stddev", "0"), lambda: PeriodicEmbedding(stddev=0)),
        (
            ValueError, ("columns has 3", "there are 3"),
            lambda: Network([PeriodicEmbedding(columns=[3]), Dense(1)]).build(3),
        ),
        (
            ValueError, ("n_categories", "2 numbers for 3 columns"),
            lambda: Network([Embedding([2, 3], 1), Dense(1)]).build(3),
        ),
    ],
)  # fmt: skip
def test_what_is_refused(error, said, make):
    with pytest.raises(error) as raised:
        make()
    for text in said:
        assert text in str(raised.value)
