"""Short fits from kept programs do what all others do, whatever has changed in between."""

import gc
import signal
import threading
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import L1, SGD, BatchNormalization, Dense, Dropout, Network
from fastnn.engine import single
from fastnn.training import fitting, pool
from tests.fuzz import forms

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype(np.float32)
Y = RNG.normal(size=(12, 1)).astype(np.float32)
LABELS = RNG.integers(0, 4, 12)


def _network(optimizer="adam", activation="relu", **options):
    return Network([Dense(5, activation), Dense(1)], optimizer=optimizer, seed=1, **options)


def _classifier():
    return Network([Dense(5, "relu"), Dense(4, "softmax")], loss="softmax_cross_entropy")


def _state(network):
    model = network.model
    arrays = [a for p in model.all_parameters() for a in (p.value, *p.state.values())]
    return [array.tobytes() for array in arrays], model.updates, model.epochs


def _slowly(network, *data):
    """Train as if it were the first time."""
    network.model.stepper = None
    return network.train_on_batch(*data)


@pytest.fixture
def counted(monkeypatch):
    """Count how often compiled code alone makes a short fit."""
    calls, plain = [], single.train

    def train(*given):
        calls.append(given)
        return plain(*given)

    monkeypatch.setattr(single, "train", train)
    return calls


def test_short_fits_are_made_by_compiled_code_alone_from_the_third_on(counted, monkeypatch):
    one, other = _network(), _classifier()
    for _ in range(2):
        one.train_on_batch(X, Y)
        one.fit(X, Y, batch_size=5)
        other.train_on_batch(X, LABELS)
    assert not counted
    monkeypatch.delattr(fitting, "train")
    one.train_on_batch(X, Y)
    history = one.fit(X, Y, batch_size=5)
    other.train_on_batch(X, LABELS)
    assert len(counted) == 3
    assert one.epochs_done == 3 and one.model.updates == 3 * (1 + 3)
    assert list(history.history) == ["loss"] and history.rows == [12]
    assert history.network is one


@pytest.mark.parametrize("options", [{}, {"batch_size": 5}, {"batch_size": 100, "shuffle": False}])
def test_short_fits_are_one_longer_fit(options, counted):
    once, pieces = _network(), _network()
    history = once.fit(X, Y, epochs=6, **options).history
    losses = [pieces.fit(X, Y, **options).history["loss"][0] for _ in range(6)]
    assert losses == history["loss"] and _state(pieces) == _state(once)
    assert len(counted) == 4


def _put(network, value, name="value"):
    parameter = network.model.parameters[0][0]
    if name == "value":
        parameter.value[...] = value
    else:
        parameter.state[name] = value


_CHANGES = {
    "nothing": lambda one: None,
    "learning rate": lambda one: setattr(one.optimizer, "learning_rate", 0.1),
    "optimizer": lambda one: setattr(one, "optimizer", SGD(0.1)),
    "loss": lambda one: setattr(one, "loss", "mae"),
    "activation": lambda one: setattr(one.layers[0], "activation", "tanh"),
    "penalty": lambda one: setattr(one.layers[0], "kernel_regularizer", L1(0.1)),
    "penalty of all": lambda one: setattr(one, "bias_regularizer", "l2"),
    "constraint": lambda one: setattr(one.layers[1], "kernel_constraint", "max_norm"),
    "seed": lambda one: setattr(one, "seed", 2),
    "threads": lambda one: setattr(one, "n_threads", 2),
    "backend": lambda one: setattr(one, "backend", "numpy"),
    "metrics": lambda one: one.metrics.append("mae"),
    "weights": lambda one: one.set_weights([w + 1 for w in one.get_weights()]),
    "weights by hand": lambda one: _put(one, 0.5),
    "state by hand": lambda one: _put(one, np.ones((3, 5), np.float32), "m"),
    "no state": lambda one: one.model.parameters[0][0].state.clear(),
    "a longer fit": lambda one: one.fit(X, Y, epochs=2),
    "another network": lambda one: _network().fit(X[::-1], Y),
    "a fit of others": lambda one: fastnn.fit_many([_network()], X, Y),
    "reset": lambda one: one.reset(),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_whatever_has_changed_is_heeded(change):
    one, other = _network(), _network()
    for _ in range(4):
        assert one.train_on_batch(X, Y) == _slowly(other, X, Y)
    for each in (one, other):
        _CHANGES[change](each)
    for _ in range(4):
        assert one.train_on_batch(X, Y) == _slowly(other, X, Y)
        assert _state(one) == _state(other)


@pytest.mark.parametrize(
    "form",
    [
        *forms.LAYOUTS.values(),
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: a.astype(np.float64 if a.dtype.kind == "f" else np.int8),
        lambda a: a.view(np.recarray).view(type("Own", (np.ndarray,), {})),
    ],
)  # fmt: skip
def test_any_form_of_rows_gives_the_same(form):
    for make, y in ((_network, Y), (_classifier, LABELS)):
        one, other = make(), make()
        for _ in range(4):
            one.train_on_batch(X, y)
            other.train_on_batch(X, y)
        assert one.train_on_batch(form(X), form(y)) == other.train_on_batch(X, y)
        assert _state(one) == _state(other)


@pytest.mark.parametrize("x_type", ["f4", "f8", "i4", "i8"])
@pytest.mark.parametrize("y_type", ["f4", "f8", "i8"])
def test_short_fits_are_of_rows_of_the_network_s_own_type(x_type, y_type, counted):
    """Compiled code looks for NaN in numbers of this type only, and dead units hide it."""
    x, y = (10 * X).astype(x_type), (10 * Y).astype(y_type)
    one = Network([Dense(5, "relu"), Dense(1)], optimizer=SGD(1e-4), seed=1)
    one.build(3)
    one.set_weights([-np.ones((3, 5)), -100 * np.ones(5), np.ones((5, 1)), np.ones(1)])
    for _ in range(4):
        one.train_on_batch(x, y)
    assert len(counted) == (2 if x_type == y_type == "f4" else 0)
    if x.dtype.kind == "f":
        x[-1, -1] = np.nan
        with pytest.raises(ValueError, match="X has nan at row 11, column 2"):
            one.train_on_batch(x, y)


def test_weights_made_read_only_by_hand_are_copied_not_written_to():
    one = _network()
    for _ in range(4):
        one.train_on_batch(X, Y)
    held = one.model.parameters[0][0].value
    before, held.flags.writeable = held.copy(), False
    one.train_on_batch(X, Y)
    assert np.array_equal(held, before) and not np.array_equal(one.get_weights()[0], before)


def test_weighted_updates_in_between():
    one = _network()
    for _ in range(2):
        one.train_on_batch(X, Y, np.ones(12))
    for _ in range(4):
        one.train_on_batch(X, Y)
    assert one.model.updates == 6


def test_targets_may_be_a_vector():
    one, other = _network(), _network()
    for _ in range(4):
        assert one.train_on_batch(X, Y) == other.train_on_batch(X, Y[:, 0])


def test_batches_of_many_sizes():
    one, other = _network(), _network()
    for _ in range(3):
        for size in (12, 3, 1, 7, 5, 12):
            rows = X[:size], Y[:size]
            assert one.train_on_batch(*rows) == _slowly(other, *rows)
    assert _state(one) == _state(other)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_rows_are_refused_and_change_nothing(bad):
    one = _network()
    for _ in range(3):
        one.train_on_batch(X, Y)
    before = _state(one)
    for place in range(2):
        rows = [X.copy(), Y.copy()]
        rows[place][7, 0] = bad
        with pytest.raises(ValueError, match=rf"^{'Xy'[place]} has {bad} at row 7, column 0"):
            one.train_on_batch(*rows)
        with pytest.raises(ValueError, match=rf"^{'Xy'[place]} has {bad} at row 7, column 0"):
            one.fit(*rows)
    with pytest.raises(ValueError, match="X has 4 columns"):
        one.train_on_batch(np.ones((12, 4), np.float32), Y)
    with pytest.raises(ValueError, match="y has 3 rows"):
        one.train_on_batch(X, Y[:3])
    assert _state(one) == before


@pytest.mark.parametrize("label", [-1, 4, 2**40, -(2**63)])
def test_labels_out_of_range_are_refused(label):
    one = _classifier()
    for _ in range(3):
        one.train_on_batch(X, LABELS)
    before, wrong = _state(one), LABELS.copy()
    wrong[5] = label
    with pytest.raises(ValueError, match=f"y has label {label} at row 5"):
        one.train_on_batch(X, wrong)
    assert _state(one) == before


@pytest.mark.parametrize("layers", ["plain", "normalized", "exponential", "penalized"])
@pytest.mark.parametrize("factor", [1, 1e3, 1e6, 1e9, 1e12, 1e18])
def test_a_diverging_update_is_undone(layers, factor, counted):
    def make():
        hidden = {
            "plain": [Dense(5, "relu")],
            "normalized": [Dense(5), BatchNormalization(), Dropout(0.1)],
            "exponential": [Dense(5, "exponential")],
            "penalized": [Dense(5, "relu", kernel_regularizer="l2")],
        }[layers]
        return Network([*hidden, Dense(1)], optimizer=SGD(0.01), seed=2)

    def outcome(step):
        network, said = make(), []
        for size in (1, 1, 1, factor, factor, 1):
            try:
                said.append(step(network, np.float32(size) * X, Y))
            except FloatingPointError as error:
                said.append(str(error))
        return said, _state(network)

    assert outcome(Network.train_on_batch) == outcome(_slowly)
    assert len(counted) == 4


def test_a_first_update_within_limits_and_a_later_one_beyond(counted):
    one, other = _network(SGD(1e-3)), _network(SGD(1e-3))
    for factor in (1, 1, 1, 1, 1, 50, 1e4, 1e9):
        rows = (factor * X).astype(np.float32), Y
        try:
            expected = _slowly(other, *rows)
        except FloatingPointError:
            with pytest.raises(FloatingPointError):
                one.train_on_batch(*rows)
        else:
            assert one.train_on_batch(*rows) == expected
        assert _state(one) == _state(other)
    assert len(counted) == 6


def test_ctrl_c_leaves_weights_and_counters_that_belong_together(monkeypatch):
    one, other = _network(), _network()
    for _ in range(3):
        one.train_on_batch(X, Y)
    plain = single.train

    def interrupted(*given):
        plain(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(single, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.train_on_batch(X, Y)
    monkeypatch.undo()
    one.train_on_batch(X, Y)
    for _ in range(4):
        other.train_on_batch(X, Y)
    assert _state(one) == _state(other)


def test_threads_that_read_and_train_see_whole_updates():
    one, other, refused = _network(), _network(), []

    def train(count):
        while count:
            try:
                one.train_on_batch(X, Y)
                count -= 1
            except RuntimeError as error:  # another thread had the claim
                refused.append(str(error))

    train(3)
    threads = [threading.Thread(target=train, args=(100,)) for _ in range(2)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        one.predict(X)
        one.get_weights()
    for each in threads:
        each.join()
    assert all("in another thread" in text for text in refused)
    for _ in range(203):
        other.train_on_batch(X, Y)
    assert _state(one) == _state(other)


def test_within_a_callback_of_a_fit():
    one, other = _network(), _network()
    for each in (one, other):
        for _ in range(3):
            each.train_on_batch(X, Y)
    one.fit(X, Y, epochs=2, callbacks=[lambda epoch, logs: one.train_on_batch(X, Y)])
    for _ in range(2):
        other.fit(X, Y)
        other.train_on_batch(X, Y)
    assert _state(one) == _state(other)


def test_a_program_that_another_network_has_used_does_the_same():
    y = RNG.normal(size=(12, 3)).astype(np.float32)
    pairs = [(X, X), (X, y), (X[::-1].copy(), X), (X, X)]

    def make():
        return Network([Dense(5, "relu"), Dense(3)], optimizer="adam", seed=4)

    expected = []
    for x, target in pairs:
        pool.clear()
        network = make()
        network.fit(x, target, epochs=3, validation_data=(target, x))
        expected.append((_state(network), network.evaluate(x, target)))
    for (x, target), wanted in zip(pairs, expected, strict=True):
        network = make()
        network.fit(x, target, epochs=3, validation_data=(target, x))
        assert (_state(network), network.evaluate(x, target)) == wanted


def test_large_whole_numbers_as_inputs():
    """Their magnitude counts, though they are not converted before they are read."""
    rows, found = (10**6 * X).astype(np.int64), []
    for callbacks in ([], [lambda epoch, logs: None]):
        network = _network(SGD(1e-7))
        with pytest.raises(FloatingPointError) as caught:
            network.fit(rows, Y, epochs=30, callbacks=callbacks)
        found.append((str(caught.value), _state(network), network.predict(rows).tobytes()))
    assert found[0] == found[1]


def test_ctrl_c_during_many_short_fits_ends_all():
    networks = [_network(metrics=["mae"]) for _ in range(3)]

    def stop(epoch, logs):
        if epoch == 5:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            fastnn.fit_many(networks, X, Y, epochs=10**6, n_threads=2, callbacks=[[], [stop], []])
    finally:
        signal.signal(signal.SIGINT, before)


def test_state_of_other_kinds_of_arrays_is_an_array_of_the_program_too(tmp_path):
    one, other = _network(), _network()
    for each in (one, other):
        each.fit(X, Y, epochs=2, validation_data=(X, Y))
        each.evaluate(X, Y)

    def change(epoch, logs):
        for number, parameter in enumerate(one.model.all_parameters()):
            kept = np.memmap(tmp_path / f"{epoch}{number}", "f4", "w+", shape=parameter.value.shape)
            kept[...] = parameter.state["m"]
            parameter.state["m"] = kept

    one.fit(X, Y, epochs=3, validation_data=(X, Y), callbacks=[change])
    other.fit(X, Y, epochs=3, validation_data=(X, Y))
    assert one.evaluate(X, Y) == other.evaluate(X, Y)
    assert _state(one) == _state(other)
    one.model.parameters[0][0].state["m"] = "no array"
    assert one.evaluate(X, Y) == other.evaluate(X, Y)


def test_a_network_whose_arrays_are_memory_maps(tmp_path):
    joblib = pytest.importorskip("joblib")

    def make():
        layers = [fastnn.HierarchicalSoftmax(4)]
        return Network(layers, loss="softmax_cross_entropy", optimizer=SGD(0.1))

    one = make()
    one.fit(X, LABELS)
    joblib.dump(one, tmp_path / "network")
    mapped = joblib.load(tmp_path / "network", mmap_mode="r")
    for each in (one, mapped):
        pool.clear()
        each.fit(X, LABELS, epochs=2)
    assert _state(mapped) == _state(one)


def test_kept_programs_keep_no_data_and_no_weights_alive():
    x, y, network = X.copy(), Y.copy(), _network()
    network.fit(x, y, epochs=2, validation_data=(x[:3], y[:3]))
    kept = [x, y, *(each.value for each in network.model.all_parameters())]
    found = [weakref.ref(array) for array in kept]
    del x, y, network, kept
    gc.collect()
    assert [each() for each in found] == [None] * 6


@pytest.mark.parametrize("penalty", ["l1", "l2", "l1l2", L1(0.01, "proximal"), "lq", "group_l1"])
def test_penalties(penalty, counted):
    one, other = (_network(SGD(0.01), kernel_regularizer=penalty) for _ in range(2))
    for factor in (1, 1, 1, 1, 10, 1e3, 1e6, 1e9):
        rows, outcomes = ((factor * X).astype(np.float32), Y), []
        for step, network in ((Network.train_on_batch, one), (_slowly, other)):
            try:
                outcomes.append(step(network, *rows))
            except FloatingPointError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1] and _state(one) == _state(other)
    assert len(counted) == 6


def test_a_fit_that_a_callback_spoils_at_its_end_goes_back_by_one_epoch():
    def spoil(epoch, logs):
        if epoch == 19:
            one.model.parameters[0][0].value[...] = 1e30

    one, other = _network(), _network()
    other.fit(X, Y, epochs=19)
    with pytest.raises(FloatingPointError):
        one.fit(X, Y, epochs=20, callbacks=[spoil])
    assert _state(one) == _state(other)


def test_a_backend_that_a_callback_changes_at_the_end_spoils_no_kept_program():
    def change(epoch, logs):
        one.backend = "numba"

    one, other = _network(backend="numpy"), _network(backend="numpy")
    one.fit(X, Y, callbacks=[change])
    other.fit(X, Y)
    assert _state(other)[1] == 1 and np.isfinite(other.fit(X, Y).history["loss"]).all()
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


def test_numbers_whose_squares_are_infinite_in_float64():
    network = _network(SGD(1e-300), loss="huber", dtype="float64")
    y = np.full((12, 1), 1e200)
    assert {network.train_on_batch(X.astype("f8"), y) for _ in range(5)} == {1e200}


def test_lists_within_settings_that_change_in_place_are_no_part_of_kept_programs():
    def made(cost):
        layers = [Dense(2, kernel_initializer="zeros")]
        return Network(layers, loss=fastnn.losses.StructuredHinge(cost))

    y, first = LABELS % 2, made([[0, 1], [1, 0]])
    first.fit(X, y)
    first.evaluate(X, y)
    first.loss.cost[0][1] = 100.0
    fresh = made([[0, 100], [1, 0]])
    fresh.build(3)
    known = fresh.evaluate(X, y)
    pool.clear()
    assert fresh.evaluate(X, y) == known


def test_a_loss_below_all_numbers_is_noticed():
    layers = [Dense(8), Dense(8), Dense(8), Dense(1)]
    network = Network(layers, loss="signed_error", optimizer=SGD(0.1))
    with pytest.raises(FloatingPointError, match="the loss is not finite"):
        for _ in range(60):
            network.train_on_batch(X, Y)
            assert np.isfinite(network.evaluate(X, Y))
    assert np.isfinite(network.evaluate(X, Y))
