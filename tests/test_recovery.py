"""Divergence: a fit ends with finite weights and a finite loss, or says why and goes back."""

import numpy as np
import pytest

import fastnn
from fastnn import L2, LBFGS, SGD, Adam, BatchNormalization, Dense, Lq, MaxNorm, Network, UnitNorm
from fastnn.files import storage
from fastnn.training.recovery import largest, not_finite

X = np.random.default_rng(0).normal(size=(25, 3))
Y = 10 * np.random.default_rng(1).normal(size=(25, 1))


def _network(hidden="relu", **options):
    options = {"optimizer": SGD(1.0), "seed": 21} | options
    return Network([Dense(16, hidden), Dense(16, hidden), Dense(1)], **options)


def _epochs_until_it_fails(make, x, y, **options):
    """Return how many one-epoch fits go well, and the network after those."""
    for epochs in range(50):
        network = make()
        try:
            if epochs:
                network.fit(x, y, epochs=epochs, **options)
        except FloatingPointError:
            return epochs - 1, network
    raise AssertionError("it never diverges")


def _state(network):
    model = network.model
    arrays = [a for p in model.all_parameters() for a in (p.value, *p.state.values())]
    return [array.tobytes() for array in arrays], model.updates


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("watched", [False, True])
def test_a_fit_that_diverges_keeps_the_last_weights_with_a_finite_loss(backend, watched):
    def make():
        return _network(backend=backend, metrics=["mae"] if watched else None)

    good, failed = _epochs_until_it_fails(make, X, Y)
    network, last = make(), make()
    assert good > 0
    with pytest.raises(FloatingPointError, match="keeps its last good weights"):
        network.fit(X, Y, epochs=50)
    last.fit(X, Y, epochs=good)
    assert _state(network) == _state(failed) == _state(last)
    assert network.epochs_done == good and np.isfinite(last.predict(X)).all()


def test_batches_within_an_epoch_are_undone_one_by_one():
    network, options = _network(), {"batch_size": 4, "shuffle": False}
    with pytest.raises(FloatingPointError):
        network.fit(X, Y, epochs=50, **options)
    updates = network.model.updates
    assert updates > 0 and np.isfinite(network.predict(X[: 4 * updates])).all()
    last = _network()
    for batch in range(updates):
        first = 4 * batch
        last.train_on_batch(X[first : first + 4], Y[first : first + 4])
    assert updates < 7 and _state(network) == _state(last)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_infinite_weights_behind_a_saturated_unit_do_not_pass(backend):
    x = np.full((8, 3), 1e25)  # the gradient of the first weights overflows, the loss never does
    layers = [Dense(4, "tanh", kernel_initializer="zeros"), Dense(1)]
    network = Network(layers, loss="mae", optimizer=SGD(1e20), backend=backend)
    with pytest.raises(
        FloatingPointError, match=r"made the kernel of layer 0 \(Dense\(4.* not finite"
    ):
        network.fit(x, np.ones((8, 1)), epochs=3, batch_size=4)
    assert not_finite(network.model, largest(network.model)) is None


def test_an_optimizer_state_that_overflows_does_not_freeze_the_weights_silently():
    network = Network([Dense(1, kernel_initializer="zeros")], loss="mae", optimizer=Adam())
    with pytest.raises(FloatingPointError, match="the optimizer's v for the kernel of layer 0"):
        network.fit(np.full((4, 1), 1e25), np.ones((4, 1)))
    assert network.get_weights()[0] == 0 and network.model.updates == 0


def test_a_penalty_that_overflows_is_no_loss():
    network = Network([Dense(1)], loss="mae", dtype="float64", bias_regularizer=Lq(0.1, 3))
    network.build(1)
    network.set_weights([[[1.0]], [1e110]])
    with pytest.raises(FloatingPointError, match="made the penalty not finite"):
        network.fit(np.ones((4, 1)), np.ones((4, 1)))
    assert network.get_weights()[1] == 1e110 and network.epochs_done == 0


@pytest.mark.parametrize(("scale", "limit"), [(1e-200, 1e-210), (1.0, 1e-3), (1e200, 1e-3)])
def test_the_norm_of_a_gradient_neither_overflows_nor_vanishes(scale, limit):
    layers = [Dense(1, kernel_initializer="zeros", use_bias=False)]
    optimizer = SGD(1.0, global_clipnorm=limit)
    network = Network(layers, loss="mae", optimizer=optimizer, dtype="float64")
    network.fit([[3 * scale, 4 * scale]], [[1.0]])
    np.testing.assert_allclose(network.get_weights()[0][:, 0], [0.6 * limit, 0.8 * limit])


def test_every_way_to_train_ends_with_good_weights():
    diverging = {"optimizer": SGD(1e15)}
    ways = [
        lambda network: network.partial_fit(X, Y),
        lambda network: network.train_on_batch(X, Y),
        lambda network: network.fit(X, Y),
        lambda network: fastnn.fit_many([network], X, Y),
    ]
    for way in ways:
        network = _network(**diverging)
        with pytest.raises((FloatingPointError, fastnn.FitManyError)):
            way(network)
        assert network.epochs_done == 0 and np.isfinite(network.predict(X)).all()
        assert not_finite(network.model, largest(network.model)) is None


def test_lbfgs_says_so_if_it_cannot_begin():
    pytest.importorskip("scipy")
    layers = [Dense(2, "tanh", kernel_initializer="zeros"), Dense(1)]
    network = Network(layers, loss="mae", optimizer=LBFGS())
    network.build(1)
    network.set_weights([np.zeros((1, 2)), [0, 0], [[10.0], [10.0]], [0.0]])
    with pytest.raises(FloatingPointError, match="the gradient, or a penalty, is not"):
        network.fit(np.full((4, 1), 3e38), np.ones((4, 1)))
    assert network.get_weights()[0].any() == 0


def test_ctrl_c_leaves_finite_weights():
    network = _network(optimizer=SGD(1e25), kernel_regularizer=L2(0.1), loss="mae", hidden="tanh")

    def stop(epoch, logs):
        raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, FloatingPointError)):
        network.fit(X, Y, epochs=3, callbacks=[stop])
    assert not_finite(network.model, largest(network.model)) is None


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("constraint", [MaxNorm(2.0), UnitNorm()])
def test_a_constraint_on_huge_weights_does_not_make_them_zero(constraint, backend):
    layers = [Dense(2, kernel_constraint=constraint)]
    network = Network(layers, optimizer=SGD(1e-30), loss="mae", backend=backend)
    network.build(2)
    network.set_weights([np.array([[3e25, 3e25], [4e25, 4e25]]), [0.0, 0.0]])
    network.fit(np.full((4, 2), 1e-30), np.ones((4, 2)))
    w = network.get_weights()[0].astype(np.float64)
    np.testing.assert_allclose(np.sqrt((w**2).sum(axis=0)), constraint.bounds[1], rtol=1e-6)


def test_a_network_that_is_not_finite_is_neither_saved_nor_loaded(tmp_path):
    network, path = _network(), tmp_path / "network.safetensors"
    network.build(3)
    (kernel, *_), *_ = network.model.parameters
    network.save(path)
    kernel.value[0, 0] = np.nan
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"layers\.0\.kernel holds NaN or infinity"):
        network.save(path)
    assert path.read_bytes() == before
    arrays, header = storage.load(path)
    arrays["layers.0.kernel"][0, 0] = np.inf
    storage.save(path, arrays, header)
    with pytest.raises(ValueError, match=r"network\.safetensors.*layers\.0\.kernel holds NaN"):
        fastnn.load(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": SGD(1e-50)}, "optimizer.learning_rate is 1e-50, which float32 makes 0"),
        ({"optimizer": Adam(epsilon=1e-60)}, "optimizer.epsilon is 1e-60"),
        ({"loss": fastnn.losses.Huber(1e-50)}, "loss.delta is 1e-50"),
        ({"kernel_regularizer": L2(1e40)}, r"regularizer.l2 is 1e\+40, which float32 makes inf"),
        ({"layers": [BatchNormalization(epsilon=1e-50), Dense(1)]}, r"layers\[0\].epsilon is"),
    ],
)
def test_a_setting_that_the_dtype_makes_0_or_infinite_is_refused(options, message):
    layers = options.pop("layers", [Dense(1)])
    with pytest.raises(ValueError, match=message):
        Network(layers, **options)
    Network(layers, dtype="float64", **options)
