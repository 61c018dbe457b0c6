"""A network that starts over is a new one; a clone shares nothing with its original."""

import copy
import threading

import numpy as np
import polars
import pytest

import fastnn
from fastnn import L2, SGD, Adam, Dense, Dropout, Network, losses
from fastnn.callbacks import ReduceLROnPlateau
from fastnn.preprocessing import BinnedTarget, MinMax, Standardize

ROWS = 50
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((ROWS, 3)), RNG.standard_normal(ROWS)


def _network(**options):
    settings = {"optimizer": Adam(0.01), "preprocessing": "standardize", "seed": 3} | options
    return Network([Dense(4, "tanh"), Dropout(0.1), Dense(1)], **settings)


def _results(network, x=X, y=Y):
    """Return all that a fit makes, as bytes."""
    history = network.fit(x, y, epochs=2)
    found = [*network.get_weights(), network.predict(x), np.array(history.history["loss"])]
    for parameter in network.model.all_parameters():
        found += [parameter.state[name] for name in sorted(parameter.state)]
    return [array.tobytes() for array in found], network.epochs_done, network.model.updates


def _used():
    """Return a network on which everything that a fit can change has changed."""
    network = _network()
    frame = polars.DataFrame(10 * X + 5, schema=list("abc"))
    plateau = ReduceLROnPlateau("loss", patience=1, min_delta=1e9)
    network.fit(frame, 3 * Y, epochs=5, callbacks=plateau)
    assert network.optimizer.learning_rate < 0.01
    return network


@pytest.mark.parametrize("started", ["reset", "clone"])
def test_nothing_is_left_of_a_fit(started):
    network, wanted = _used(), _results(_network())
    if started == "clone":
        network = network.clone()
    else:
        assert network.reset() is None
    assert not network.built and network.epochs_done == 0 and not network.stop_training
    assert not hasattr(network, "feature_names_in_") and not network.preprocessing.fitted
    assert _results(network) == wanted
    network.reset()
    assert _results(network, X[:, :2], Y) == _results(_network(), X[:, :2], Y)


def test_another_seed():
    network, plain = _network(), _results(_network())
    other = _results(_network(seed=7))
    network.fit(X, Y)
    clone = network.clone(seed=7)
    assert (network.seed, clone.seed) == (3, 7)
    assert _results(clone) == other != plain
    network.reset(seed=7)
    assert network.seed == 7 and _results(network) == other
    network.reset()
    assert network.seed == 7
    for start in (network.reset, network.clone):
        for seed, error in ((-1, ValueError), ("a", TypeError), (True, TypeError)):
            with pytest.raises(error, match="^seed is "):
                start(seed)
    assert network.seed == 7


def test_a_clone_shares_nothing():
    step = Standardize()
    network = _network(
        loss=losses.Huber(0.5),
        kernel_regularizer=L2(0.1),
        dtype="float64",
        n_threads=1,
        backend="numpy",
        metrics=["mae", len],
        preprocessing=[step, MinMax()],
    )
    network.extra = {"bins": [1]}
    clone = network.clone()
    for name in ("loss", "optimizer", "kernel_regularizer"):
        one, other = getattr(network, name), getattr(clone, name)
        assert one == other and one is not other
    for name in ("dtype", "n_threads", "backend", "metrics", "extra", "seed", "layers"):
        assert getattr(network, name) == getattr(clone, name)
    clone.layers[0].kernel_regularizer = L2(1.0)
    clone.optimizer.learning_rate = 1.0
    clone.loss.delta = 2.0
    clone.preprocessing.steps[1].feature_range = 0.0, 1.0
    clone.metrics.append("mse")
    clone.extra["bins"].append(2)
    assert network.layers[0].kernel_regularizer is None and network.loss.delta == 0.5
    assert network.optimizer.learning_rate == 0.01 and len(network.metrics) == 2
    assert network.preprocessing.steps[1].feature_range == (-1, 1)
    assert network.extra == {"bins": [1]}
    assert clone.preprocessing.steps[0] is not step


def test_a_subclass_keeps_what_it_has():
    class Named(Network):
        pass

    network = Named([Dense(1)])
    network.owner = "me"
    network.fit(X, Y)
    for twin in (network.clone(), copy.copy(network)):
        assert type(twin) is Named and twin.owner == "me"
    assert not network.clone().built and network.built


def test_scikit_learn_clones_no_weights():
    network = _network()
    network.fit(X, Y)
    assert not network.__sklearn_clone__().built  # which sklearn.base.clone calls


def test_starting_over_takes_settings_that_a_built_network_cannot():
    network = _network()
    network.fit(X, Y)
    network.layers[0].units = 6
    with pytest.raises(ValueError, match=r"layers\[0\].units is 6.*reset"):
        network.predict(X)
    assert network.clone().layers[0].units == 6
    network.reset()
    network.dtype = "float64"
    network.build(3)
    assert network.get_weights()[0].shape == (3, 6) and network.get_weights()[0].dtype == "float64"


def test_what_does_not_go_together_is_said_and_changes_nothing():
    network = _network()
    network.fit(X, Y)
    before = network.predict(X)
    network.layers.append(Dropout(0.1))
    with pytest.raises(ValueError, match="layers ends with"):
        network.reset(seed=9)
    network.layers.pop()
    assert network.seed == 3 and network.predict(X).tobytes() == before.tobytes()


def test_a_fit_in_progress_is_not_reset():
    network, seen = _network(), []

    def restart(epoch, logs):
        for call in (network.reset, lambda: errors_of(network.reset)):
            with pytest.raises(RuntimeError, match="reset was called"):
                call()
        seen.append(network.clone().built)

    def errors_of(function):
        found = []

        def job():
            try:
                function()
            except RuntimeError as error:
                found.append(error)

        thread = threading.Thread(target=job)
        thread.start()
        thread.join()
        raise found[0]

    network.fit(X, Y, epochs=2, callbacks=restart)
    assert seen == [False, False]
    assert [w.tobytes() for w in network.get_weights()] == _results(_network())[0][:4]


def test_a_loaded_or_compacted_network_starts_over(tmp_path):
    network = _network()
    network.fit(X, Y)
    network.save(tmp_path / "net")
    loaded = fastnn.load(tmp_path / "net")
    loaded.reset()
    assert _results(loaded) == _results(_network())
    network = Network([Dense(4), Dense(1)])
    network.build(3)
    network.set_weights([np.eye(3, 4), np.zeros(4), [[1], [0], [1], [0]], [0]])
    small = network.compact()
    assert small.inputs_.tolist() == [0, 2]
    small.reset()
    small.fit(X, Y)
    assert small.inputs_.tolist() == [0, 1, 2] and small.layers[0].units == 2


def test_members_from_one_network():
    members = [_network().clone(seed) for seed in range(3)]
    fastnn.fit_many(members, X, Y, epochs=2)
    alone = _network(seed=2)
    alone.fit(X, Y, epochs=2)
    assert members[2].predict(X).tobytes() == alone.predict(X).tobytes()


VECTORS = {"mse": Y, "logistic": (Y > 0).astype(int), "gaussian_nll": Y}


@pytest.mark.parametrize("loss", VECTORS)
def test_a_vector_is_the_column_of_one_output(loss):
    y = VECTORS[loss]

    def results(y):
        outputs = 2 if loss == "gaussian_nll" else 1
        network = Network([Dense(outputs)], loss=loss, optimizer=SGD(0.01))
        network.fit(X, y, validation_data=(X, y), batch_size=10)
        network.partial_fit(X, y).fit(X, y, validation_split=0.2)
        found = [network.train_on_batch(X, y), network.evaluate(X, y), *network.get_weights()]
        assert network.predict(X).shape == (ROWS, outputs)
        return [np.asarray(each).tobytes() for each in found]

    wanted = results(np.array(y)[:, None])
    assert results(y) == wanted
    if loss == "mse":
        wide = np.full((ROWS, 2), np.nan)
        wide[:, 1] = y
        for form in (list, polars.Series, lambda y: wide[:, 1], lambda y: y[::-1].copy()[::-1]):
            assert results(form(y)) == wanted


def test_a_vector_elsewhere():
    network = Network([Dense(4, "relu"), Dense(1)])
    column = Y[:, None]
    assert str(network.explain(X, Y)) == str(network.explain(X, column))
    checked = [fastnn.check_gradients(network, X[:8], y[:8]) for y in (Y, column)]
    assert repr(checked[0]) == repr(checked[1])
    options = {"learning_rates": [0.1], "batch_sizes": [10], "epochs": 1, "init_scales": [0.1]}
    swept = [fastnn.sweep(network, X, y, **options).runs for y in (Y, column)]
    assert swept[0] == swept[1]
    balanced = Network([Dense(1)], loss="logistic")
    balanced.fit(X, (Y > 0).astype(int), class_weight="balanced")
    with pytest.raises(ValueError, match=r"y has shape \(50,\), wanted \(50, 2\)"):
        Network([Dense(2)]).fit(X, Y)


def test_no_rows_have_no_predictions():
    frame = polars.DataFrame({"a": [], "b": [], "c": []})
    for preprocessing in (None, "standardize", ["pca", "min_max"]):
        network = _network(preprocessing=preprocessing)
        network.fit(polars.DataFrame(X, schema=list("abc")), Y)
        for none in (X[:0], X[:0].astype("f"), np.empty((0, 3), int), frame):
            for batch_size in (None, 5):
                out = network.predict(none, batch_size=batch_size)
                assert out.shape == (0, 1) and out.dtype == np.float32
            shapes = [out.shape for out in network.layer_outputs(none)]
            assert shapes == [(0, 4), (0, 4), (0, 1)]
        with pytest.raises(ValueError, match="X has no rows, wanted at least one"):
            network.evaluate(X[:0], Y[:0])
        with pytest.raises(ValueError, match="position 0, where training had 'a'"):
            network.predict(frame[["b", "a", "c"]])
        with pytest.raises(ValueError, match="X has 2 columns, wanted 3"):
            network.predict(X[:0, :2])
    exact = Network([Dense(2)], dtype="float64")
    exact.build(3)
    assert exact.predict(X[:0]).shape == (0, 2) and exact.predict(X[:0]).dtype == np.float64
    bins = BinnedTarget(4).fit(Y)
    none = np.empty((0, 4))
    assert bins.mean(none).shape == bins.median(none).shape == (0,)
