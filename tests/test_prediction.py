"""What a network keeps between predictions only makes them faster."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastnn
from fastnn import Dense, Network, activations
from fastnn.engine import threads
from fastnn.training import lowering

INPUTS, OUTPUTS, ROWS = 20, 3, 600
X = np.random.default_rng(0).standard_normal((ROWS, INPUTS), np.float32)
Y = X[:, :OUTPUTS] ** 2

each_backend = pytest.mark.parametrize("backend", ["numba", "numpy"])


def _made(last=None, seed=0, **options):
    layers = [Dense(33, "relu"), Dense(17, "tanh"), Dense(OUTPUTS, last)]
    network = Network(layers, seed=seed, **options)
    network.build(INPUTS)
    return network


def _fresh(network, x=X):
    """Return the prediction of a network that has kept nothing, of the same weights."""
    other = Network(network.layers, dtype=network.dtype, n_threads=1, backend=network.backend)
    other.build(INPUTS)
    other.set_weights(network.get_weights())
    return other.predict(x)


def _fit(network):
    network.fit(X, Y, epochs=2)


def _set_weights(network):
    network.set_weights([w + 0.25 for w in network.get_weights()])


def _change_activation(network):
    network.layers[0].activation = activations.get("sigmoid")


def _replace_layer(network):
    network.layers[1] = Dense(17, "relu")


def _fail(network):
    with pytest.raises(ValueError, match="nan at row 0"):
        network.predict(np.full((1, INPUTS), np.nan))


@each_backend
@pytest.mark.parametrize(
    "change",
    [_fit, _set_weights, _change_activation, _replace_layer, _fail],
    ids=lambda f: f.__name__,
)
def test_predictions_follow_the_network(change, backend):
    network = _made(backend=backend)
    before = network.predict(X)
    change(network)
    after = network.predict(X)
    assert (after.tobytes() == before.tobytes()) == (change is _fail)
    assert after.tobytes() == _fresh(network).tobytes()
    assert network.predict(X[:1]).tobytes() == _fresh(network, X[:1]).tobytes()


def test_a_loaded_network_has_its_own(tmp_path):
    network = _made()
    expected = network.predict(X)
    network.save(tmp_path / "network")
    loaded = fastnn.load(tmp_path / "network")
    _set_weights(network)
    assert network.predict(X).tobytes() != expected.tobytes()
    assert loaded.predict(X).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))]
)
def test_a_copy_has_its_own(copied):
    network = _made()
    expected = network.predict(X)
    other = copied(network)
    _set_weights(network)
    network.predict(X)
    assert other.predict(X).tobytes() == expected.tobytes()
    _set_weights(other)
    assert other.predict(X).tobytes() == network.predict(X).tobytes()


def test_one_program_serves_all_calls(monkeypatch):
    network, made = _made(n_threads=1), []
    prediction = lowering.prediction
    monkeypatch.setattr(
        lowering, "prediction", lambda *arguments: made.append(1) or prediction(*arguments)
    )
    for x in (X[:1], X, X.astype(float), X[:5].tolist()):
        network.predict(x)
    network.set_weights(network.get_weights())
    network.predict(X)
    assert len(made) == 1


def test_a_few_rows_start_no_thread(monkeypatch):
    monkeypatch.setattr(threads.threading, "Thread", None)
    _made(n_threads=2).predict(X[:7])


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "float32": lambda x: x,
    "read-only": _read_only,
    "float64": lambda x: x.astype(float),
    "foreign": lambda x: x.astype(">f4"),
    "float16": lambda x: x.astype(np.float16),
    "columns first": np.asfortranarray,
    "every second": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "list": lambda x: x.tolist(),
    "unaligned": lambda x: np.frombuffer(b"." + x.tobytes(), np.float32, offset=1).reshape(x.shape),
}


@each_backend
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_bits_for_any_number_of_rows_and_layout(layout, dtype, backend):
    network = _made("softmax", dtype=dtype, n_threads=2, backend=backend)
    x = X.astype(np.float16).astype(np.float32) if layout == "float16" else X
    whole = _fresh(network, x.astype(dtype))
    for rows in (ROWS, 1, 257, 2, ROWS):
        for first in (0, ROWS - rows):
            part = slice(first, first + rows)
            found = network.predict(LAYOUTS[layout](x[part]))
            assert found.dtype == dtype and found.flags.owndata and found.flags.writeable
            # NumPy's product may add in another order when it is given other rows.
            if backend == "numba":
                assert found.tobytes() == whole[part].tobytes()
            np.testing.assert_allclose(found, whole[part], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 256, ROWS, 10 * ROWS])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_same_bits_for_any_batch_size_and_threads(batch_size, n_threads):
    network = _made(n_threads=n_threads)
    expected = _fresh(network).tobytes()
    assert network.predict(X, batch_size=batch_size).tobytes() == expected
    assert network.predict(X).tobytes() == expected


def test_each_row_alone_gives_the_bits_that_it_gives_among_others():
    network = Network([Dense(64, "relu"), Dense(64, "relu"), Dense(1)])
    network.build(INPUTS)
    alone = [network.predict(X[row : row + 1]) for row in range(ROWS)]
    assert np.concatenate(alone).tobytes() == network.predict(X).tobytes()


def test_outputs_belong_to_the_caller():
    network = _made()
    first = network.predict(X[:1])
    kept = first.copy()
    network.predict(X[1:2])
    assert first.tobytes() == kept.tobytes()
    first[...] = 7
    assert network.predict(X[:1]).tobytes() == kept.tobytes()


@pytest.mark.parametrize("rows", [1, ROWS])
def test_eight_threads_predict_at_once(rows):
    # Large enough that one thread's work lasts while another one's begins.
    network = Network([Dense(256, "relu"), Dense(256, "tanh"), Dense(OUTPUTS)], n_threads=2)
    network.build(INPUTS)
    inputs = [np.roll(X, thread, axis=0)[:rows].copy() for thread in range(8)]
    expected = [network.predict(x).tobytes() for x in inputs]
    start, wrong = threading.Barrier(8), []

    def job(thread):
        start.wait()
        for _ in range(500 // rows + 5):
            if network.predict(inputs[thread]).tobytes() != expected[thread]:
                wrong.append(thread)

    threads = [threading.Thread(target=job, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@each_backend
@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (np.float32, np.nan, "X has nan at row {}, column 4, wanted finite numbers"),
        (np.float32, -np.inf, "X has -inf at row {}, column 4, wanted finite numbers"),
        (np.float64, np.inf, "X has inf at row {}, column 4, wanted finite numbers"),
        (np.float64, -1e39, "X has -1e+39 at row {}, column 4, wanted numbers that float32 can"),
    ],
)
def test_numbers_that_are_not_finite_are_named(kind, value, said, backend):
    network = _made(n_threads=2, backend=backend)
    expected = network.predict(X)
    for rows, bad in ((1, 0), (ROWS, 0), (ROWS, 300), (ROWS, ROWS - 1)):
        x = X[:rows].astype(kind)
        x[bad:, 4] = value
        with pytest.raises(ValueError) as caught:
            network.predict(x)
        assert said.format(bad) in str(caught.value)
    assert network.predict(X).tobytes() == expected.tobytes()


def test_outputs_may_overflow():
    network = Network([Dense(1)])
    network.build(1)
    network.set_weights([[[3e38]], [0.0]])
    np.testing.assert_array_equal(network.predict([[10.0], [0.0]]), [[np.inf], [0.0]])


@pytest.mark.parametrize("n_threads", [1, 2])
def test_work_is_shared_out_until_a_job_says_no_or_raises(n_threads):
    done = []
    assert threads.share_out(lambda piece: done.append(piece) or True, range(50), n_threads)
    assert sorted(done) == list(range(50))
    done.clear()
    assert not threads.share_out(
        lambda piece: done.append(piece) or piece < 3, range(50), n_threads
    )
    assert set(range(4)) <= set(done) and len(done) < 50

    def interrupted(piece):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        threads.share_out(interrupted, range(50), n_threads)
    assert threading.active_count() == before
