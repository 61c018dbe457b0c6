"""Short fits from kept programs do what all others do, whatever has changed in between."""

import signal
import threading

import numpy as np
import pytest

import fastnn
from fastnn import L1, SGD, BatchNormalization, Dense, Dropout, Network
from fastnn.engine import single
from fastnn.training import fitting
from tests.fuzz import forms

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype(np.float32)
Y = RNG.normal(size=(12, 1)).astype(np.float32)
LABELS = RNG.integers(0, 4, 12)


def made(optimizer="adam", activation="relu", **options):
    return Network([Dense(5, activation), Dense(1)], optimizer=optimizer, seed=1, **options)


def classifier():
    return Network([Dense(5, "relu"), Dense(4, "softmax")], loss="softmax_cross_entropy")


def state(network):
    model = network.model
    arrays = [a for p in model.all_parameters() for a in (p.value, *p.state.values())]
    return [array.tobytes() for array in arrays], model.updates, model.epochs


def slowly(network, *data):
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
    one, other = made(), classifier()
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
    once, pieces = made(), made()
    history = once.fit(X, Y, epochs=6, **options).history
    losses = [pieces.fit(X, Y, **options).history["loss"][0] for _ in range(6)]
    assert losses == history["loss"] and state(pieces) == state(once)
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
    "another network": lambda one: made().fit(X[::-1], Y),
    "a fit of others": lambda one: fastnn.fit_many([made()], X, Y),
    "reset": lambda one: one.reset(),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_whatever_has_changed_is_heeded(change):
    one, other = made(), made()
    for _ in range(4):
        assert one.train_on_batch(X, Y) == slowly(other, X, Y)
    for each in (one, other):
        _CHANGES[change](each)
    for _ in range(4):
        assert one.train_on_batch(X, Y) == slowly(other, X, Y)
        assert state(one) == state(other)


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
    for make, y in ((made, Y), (classifier, LABELS)):
        one, other = make(), make()
        for _ in range(4):
            one.train_on_batch(X, y)
            other.train_on_batch(X, y)
        assert one.train_on_batch(form(X), form(y)) == other.train_on_batch(X, y)
        assert state(one) == state(other)


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
    one = made()
    for _ in range(4):
        one.train_on_batch(X, Y)
    held = one.model.parameters[0][0].value
    before, held.flags.writeable = held.copy(), False
    one.train_on_batch(X, Y)
    assert np.array_equal(held, before) and not np.array_equal(one.get_weights()[0], before)


def test_weighted_updates_in_between():
    one = made()
    for _ in range(2):
        one.train_on_batch(X, Y, np.ones(12))
    for _ in range(4):
        one.train_on_batch(X, Y)
    assert one.model.updates == 6


def test_targets_may_be_a_vector():
    one, other = made(), made()
    for _ in range(4):
        assert one.train_on_batch(X, Y) == other.train_on_batch(X, Y[:, 0])


def test_batches_of_many_sizes():
    one, other = made(), made()
    for _ in range(3):
        for size in (12, 3, 1, 7, 5, 12):
            rows = X[:size], Y[:size]
            assert one.train_on_batch(*rows) == slowly(other, *rows)
    assert state(one) == state(other)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_rows_are_refused_and_change_nothing(bad):
    one = made()
    for _ in range(3):
        one.train_on_batch(X, Y)
    before = state(one)
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
    assert state(one) == before


@pytest.mark.parametrize("label", [-1, 4, 2**40, -(2**63)])
def test_labels_out_of_range_are_refused(label):
    one = classifier()
    for _ in range(3):
        one.train_on_batch(X, LABELS)
    before, wrong = state(one), LABELS.copy()
    wrong[5] = label
    with pytest.raises(ValueError, match=f"y has label {label} at row 5"):
        one.train_on_batch(X, wrong)
    assert state(one) == before


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
        return said, state(network)

    assert outcome(Network.train_on_batch) == outcome(slowly)
    assert len(counted) == 4


def test_a_first_update_within_limits_and_a_later_one_beyond(counted):
    one, other = made(SGD(1e-3)), made(SGD(1e-3))
    for factor in (1, 1, 1, 1, 1, 50, 1e4, 1e9):
        rows = (factor * X).astype(np.float32), Y
        try:
            expected = slowly(other, *rows)
        except FloatingPointError:
            with pytest.raises(FloatingPointError):
                one.train_on_batch(*rows)
        else:
            assert one.train_on_batch(*rows) == expected
        assert state(one) == state(other)
    assert len(counted) == 6


def test_ctrl_c_leaves_weights_and_counters_that_belong_together(monkeypatch):
    one, other = made(), made()
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
    assert state(one) == state(other)


def test_threads_that_read_and_train_see_whole_updates():
    one, other, refused = made(), made(), []

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
    assert state(one) == state(other)


def test_within_a_callback_of_a_fit():
    one, other = made(), made()
    for each in (one, other):
        for _ in range(3):
            each.train_on_batch(X, Y)
    one.fit(X, Y, epochs=2, callbacks=[lambda epoch, logs: one.train_on_batch(X, Y)])
    for _ in range(2):
        other.fit(X, Y)
        other.train_on_batch(X, Y)
    assert state(one) == state(other)


def test_large_whole_numbers_as_inputs():
    """Their magnitude counts, though they are not converted before they are read."""
    rows, found = (10**6 * X).astype(np.int64), []
    for callbacks in ([], [lambda epoch, logs: None]):
        network = made(SGD(1e-7))
        with pytest.raises(FloatingPointError) as caught:
            network.fit(rows, Y, epochs=30, callbacks=callbacks)
        found.append((str(caught.value), state(network), network.predict(rows).tobytes()))
    assert found[0] == found[1]


def test_ctrl_c_during_many_short_fits_ends_all():
    networks = [made(metrics=["mae"]) for _ in range(3)]

    def stop(epoch, logs):
        if epoch == 5:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            fastnn.fit_many(networks, X, Y, epochs=10**6, n_threads=2, callbacks=[[], [stop], []])
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("penalty", ["l1", "l2", "l1l2", L1(0.01, "proximal"), "lq", "group_l1"])
def test_penalties(penalty, counted):
    one, other = (made(SGD(0.01), kernel_regularizer=penalty) for _ in range(2))
    for factor in (1, 1, 1, 1, 10, 1e3, 1e6, 1e9):
        rows, outcomes = ((factor * X).astype(np.float32), Y), []
        for step, network in ((Network.train_on_batch, one), (slowly, other)):
            try:
                outcomes.append(step(network, *rows))
            except FloatingPointError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1] and state(one) == state(other)
    assert len(counted) == 6


def test_a_fit_that_a_callback_spoils_at_its_end_goes_back_by_one_epoch():
    def spoil(epoch, logs):
        if epoch == 19:
            one.model.parameters[0][0].value[...] = 1e30

    one, other = made(), made()
    other.fit(X, Y, epochs=19)
    with pytest.raises(FloatingPointError):
        one.fit(X, Y, epochs=20, callbacks=[spoil])
    assert state(one) == state(other)


def test_numbers_whose_squares_are_infinite_in_float64():
    network = made(SGD(1e-300), loss="huber", dtype="float64")
    y = np.full((12, 1), 1e200)
    assert {network.train_on_batch(X.astype("f8"), y) for _ in range(5)} == {1e200}


def test_a_loss_below_all_numbers_is_noticed():
    layers = [Dense(8), Dense(8), Dense(8), Dense(1)]
    network = Network(layers, loss="signed_error", optimizer=SGD(0.1))
    with pytest.raises(FloatingPointError, match="the loss is not finite"):
        for _ in range(60):
            network.train_on_batch(X, Y)
            assert np.isfinite(network.evaluate(X, Y))
    assert np.isfinite(network.evaluate(X, Y))
