"""A compacted network: fewer units and inputs, the same outputs."""

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Adam, Dense, GroupL1, Network

ROWS, INPUTS = 300, 11
AGREEMENT = {"float32": 1e-5, "float64": 1e-13}


def _x(seed=0, rows=ROWS, inputs=INPUTS):
    return np.random.default_rng(seed).standard_normal((rows, inputs))


def _network(layers, change, dtype="float64", inputs=INPUTS, **options):
    """Return a network with random parameters, changed by ``change(*weights)``."""
    network = Network(layers, dtype=dtype, **options)
    network.build(inputs)
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(array.shape) for array in network.get_weights()]
    change(*weights)
    network.set_weights(weights)
    return network


def _shape(network):
    return [len(network.inputs_), *(layer.units for layer in network.layers)]


def _assert_same(small, network, x):
    expected = network.predict(x)
    limit = AGREEMENT[network.dtype.name] * max(1, np.abs(expected).max())
    assert np.abs(small.predict(x) - expected).max() <= limit


def _nothing(*weights):
    pass


def _inputs(w1, *_):
    w1[[0, 4, 10]] = 0


def _constant(w1, b1, *_):
    w1[:, [1, 3]] = 0


def _unused(w1, b1, w2, *_):
    w2[[0, 2]] = 0


def _chain(w1, b1, w2, b2, w3, b3):
    # Unit 1 of the second layer is not read; but for it nothing reads unit 0 of the first, and
    # but for that nothing reads input 2.  Units 1 and 2 of the first layer are constant, and with
    # them unit 0 of the second.
    w3[1] = 0
    w2[0] = [0, 5, *[0] * (w2.shape[1] - 2)]
    w1[2, 1:] = 0
    w1[:, [1, 2]] = 0
    w2[:, 0] = 0
    w2[[1, 2], 0] = 7


def _all_constant(w1, *_):
    w1[:] = 0


def _dead_end(w1, b1, w2, *_):
    w2[:] = 0


SIZES = (8, 6, 2)
CASES = {
    # name: (change, what remains of 11 inputs and 8, 6, 2 units)
    "nothing": (_nothing, [11, 8, 6, 2]),
    "inputs": (_inputs, [8, 8, 6, 2]),
    "constant": (_constant, [11, 6, 6, 2]),
    "unused": (_unused, [11, 6, 6, 2]),
    "chain": (_chain, [10, 5, 4, 2]),
    "all constant": (_all_constant, [1, 1, 1, 2]),
    "dead end": (_dead_end, [1, 1, 1, 2]),
}


@pytest.mark.parametrize("dtype", AGREEMENT)
@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("case", CASES)
def test_smaller_with_the_same_outputs(case, activation, dtype):
    change, left = CASES[case]
    layers = [Dense(units, activation) for units in SIZES[:-1]] + [Dense(SIZES[-1], "softmax")]
    network = _network(layers, change, dtype)
    before = [array.tobytes() for array in network.get_weights()]
    small = network.compact()
    assert _shape(small) == left
    _assert_same(small, network, _x())
    assert [array.tobytes() for array in network.get_weights()] == before
    assert _shape(network) == [INPUTS, *SIZES] and [layer.units for layer in layers] == [*SIZES]


def test_data_of_any_kind_and_any_number_of_threads():
    network = _network([Dense(8, "tanh"), Dense(1)], _inputs, "float32")
    small, x = network.compact(), _x().astype(np.float32)
    expected = small.predict(x)
    for given in (x.astype(np.float64), np.asfortranarray(x), x[::-1].copy()[::-1], x.tolist()):
        assert small.predict(given).tobytes() == expected.tobytes()
    assert small.predict(x, batch_size=7).tobytes() == expected.tobytes()
    small.n_threads = 3
    assert small.predict(x).tobytes() == expected.tobytes()
    small.backend = "numpy"
    np.testing.assert_allclose(small.predict(x), expected, rtol=1e-5, atol=1e-5)
    y = x[:, :1]
    assert small.evaluate(x, y) == pytest.approx(network.evaluate(x, y), rel=1e-5)
    with pytest.raises(ValueError, match="8 columns, wanted 11"):
        small.predict(x[:, small.inputs_])


def test_a_layer_without_bias_gets_one_where_a_constant_needs_it():
    for activation, needed in (("sigmoid", True), ("tanh", False)):
        layers = [Dense(4, activation, use_bias=False), Dense(2, use_bias=False)]
        network = _network(layers, lambda w1, w2: w1.__setitem__((slice(None), 1), 0))
        small = network.compact()
        assert _shape(small) == [INPUTS, 3, 2]
        assert [layer.use_bias for layer in small.layers] == [False, needed]
        _assert_same(small, network, _x())
        _assert_same(small.compact(), network, _x())


def test_units_of_a_hidden_softmax_stay():
    def change(w1, b1, w2, b2):
        w1[:, 0] = w2[1] = 0

    network = _network([Dense(5, "softmax"), Dense(2)], change)
    small = network.compact()
    assert _shape(small) == [INPUTS, 5, 2]
    _assert_same(small, network, _x())


def test_an_activation_of_the_users():
    import numba

    @numba.njit
    def forward(x):
        return x**2 + 1

    @numba.njit
    def slope(x, y):
        return 2 * x

    # Functions of numbers are known to keep units apart.
    network = _network([Dense(5, fastnn.activations.Custom(forward, slope)), Dense(2)], _constant)
    small = network.compact()
    assert _shape(small) == [INPUTS, 3, 2]
    _assert_same(small, network, _x())


def test_tolerance():
    def change(w1, b1, w2, b2):
        w1[:, 0] = 1e-4
        w1[3] = -1e-4
        w1[3, 2] = 1e-3

    network = _network([Dense(5, "tanh"), Dense(2)], change)
    assert _shape(network.compact()) == [INPUTS, 5, 2]
    small = network.compact(tolerance=1e-4)
    assert _shape(small) == [INPUTS, 4, 2]
    assert 1e-6 < np.abs(small.predict(_x()) - network.predict(_x())).max() < 1e-2
    assert _shape(network.compact(tolerance=1e-3)) == [INPUTS - 1, 4, 2]


@pytest.mark.parametrize(("optimizer", "l1"), [(SGD(0.05), 0.1), (Adam(0.01), 0.5)], ids=str)
def test_after_training_with_group_l1(optimizer, l1, tmp_path):
    x = _x()
    y = np.tanh(x[:, :1] + 2 * x[:, 1:2])
    layers = [Dense(16, "relu", kernel_regularizer=GroupL1(l1, per)) for per in ("input", "unit")]
    network = Network([*layers, Dense(1)], optimizer=optimizer, dtype="float64")
    network.fit(x, y, epochs=120, batch_size=30)
    small = network.compact()
    assert 2 <= len(small.inputs_) < INPUTS and {0, 1} <= set(small.inputs_)
    assert small.layers[1].units < 16
    _assert_same(small, network, x)
    assert network.optimizer == small.optimizer and network.optimizer is not small.optimizer

    small.save(tmp_path / "small", extra={"note": 1})
    loaded = fastnn.load(tmp_path / "small")
    assert loaded.inputs_.tolist() == small.inputs_.tolist()
    assert loaded.predict(x).tobytes() == small.predict(x).tobytes()
    before, state = network.get_weights(), small.evaluate(x, y)
    histories = []
    for each, n_threads in ((small, 1), (loaded, 2)):
        each.n_threads = n_threads
        histories.append(each.fit(x, y, epochs=20, batch_size=30).history)
    assert histories[0] == histories[1]
    assert small.evaluate(x, y) < state
    for one, two in zip(before, network.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()
    again = small.compact()
    assert set(again.inputs_) <= set(small.inputs_)
    _assert_same(again, small, x)


def test_training_on_keeps_the_optimizers_state():

    x = _x()
    x[:, 2:4] = 0  # so that the weights of these inputs stay 0
    y = x[:, :1]
    network = Network([Dense(5, "tanh"), Dense(1)], optimizer=Adam(0.01), dtype="float64")
    network.build(INPUTS)
    weights = network.get_weights()
    weights[0][2:4] = 0
    network.set_weights(weights)
    network.fit(x, y, epochs=2)
    small = network.compact()
    assert small.inputs_.tolist() == [0, 1, *range(4, INPUTS)]
    for each in (network, small):
        each.fit(x, y, epochs=2)
    _assert_same(small, network, x)
    assert network.model.updates == small.model.updates


def test_bad_calls(tmp_path):
    with pytest.raises(ValueError, match="compact.*fit"):
        Network([Dense(1)]).compact()
    network = _network([Dense(3), Dense(1)], _inputs)
    with pytest.raises(ValueError, match="tolerance.*-1"):
        network.compact(-1)
    with pytest.raises(TypeError, match="tolerance"):
        network.compact("all")

    class Other(Dense):
        pass

    with pytest.raises(TypeError, match="compact.*layers.0."):
        _network([Other(3), Dense(1)], _inputs).compact()
    small = network.compact()
    small.model.selection.index[0] = INPUTS  # a damaged file must not read outside the data
    small.save(tmp_path / "damaged")
    with pytest.raises(ValueError, match="11"):
        fastnn.load(tmp_path / "damaged")
