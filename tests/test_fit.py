"""What fit reports: history, validation, callbacks, progress; and the summary."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import fastnn
from fastnn import L2, SGD, Adam, Dense, Network
from fastnn.callbacks import Callback
from fastnn.reference import TWINS
from fastnn.training import evaluation, planning

ROWS = 50


def _data(rows=ROWS):
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, 3)), rng.standard_normal((rows, 1))


def _network(**options):
    return Network([Dense(4, "tanh"), Dense(1)], optimizer="adam", dtype="float64", **options)


def test_history():
    x, y = _data()
    network = _network()
    history = network.fit(x, y, epochs=4)
    assert list(history.history) == ["loss"] and len(history.history["loss"]) == 4
    assert all(type(loss) is float for loss in history.history["loss"])
    assert history.epoch == [0, 1, 2, 3]
    assert len(history.seconds) == 4 and min(history.seconds) > 0
    assert history.rows == [ROWS] * 4 and history.samples_per_second > 0
    assert network.fit(x, y, epochs=2).epoch == [0, 1]


def test_the_epochs_of_a_long_fit_are_those_of_a_watched_one():
    x, y = _data()
    plain, watched = _network(), _network()
    seen = []
    losses = plain.fit(x, y, epochs=4, batch_size=7).history["loss"]
    again = watched.fit(
        x, y, epochs=4, batch_size=7, callbacks=[lambda epoch, logs: seen.append(logs["loss"])]
    )
    assert losses == again.history["loss"] == seen
    for one, two in zip(plain.get_weights(), watched.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


def test_validation_data_is_evaluated_after_each_epoch():
    x, y = _data()
    weight = np.linspace(0, 1, 10)
    network, seen = _network(), []

    def look(epoch, logs):
        seen.append((logs["val_loss"], network.evaluate(x[:10], y[:10], weight)))

    history = network.fit(
        x, y, epochs=3, validation_data=(x[:10], y[:10], weight), callbacks=[look]
    )
    assert [given for given, _ in seen] == [wanted for _, wanted in seen]
    assert history.history["val_loss"] == [given for given, _ in seen]
    alone = _network()
    assert alone.fit(x, y, epochs=3).history["loss"] == history.history["loss"]


@pytest.mark.parametrize("share", [0.2, 0.25, 0.99])
def test_validation_split_holds_out_the_last_rows_on_request(share):
    x, y = _data()
    weight = np.linspace(0.5, 1, ROWS)
    held = int(ROWS * share)
    kept = slice(0, ROWS - held)
    split = _network().fit(
        x, y, epochs=3, batch_size=8, validation_split=share, validation_shuffle=False,
        sample_weight=weight,
    )  # fmt: skip
    given = _network().fit(
        x[kept], y[kept], epochs=3, batch_size=8, sample_weight=weight[kept],
        validation_data=(x[-held:], y[-held:], weight[-held:]),
    )  # fmt: skip
    assert split.history == given.history
    assert split.rows == [ROWS - held] * 3


def _split(network, x, y, share=0.2):
    """Return the rows that a fit trains on, and those that it holds out."""
    plan = planning.adapt(
        network.model, planning.make_plan(network.model, x, y, validation_split=share)
    )
    assert plan.data.x.base is x and plan.validation.x.base is x  # not copied
    return plan.data.rows, plan.validation.rows


@pytest.mark.parametrize("share", [0.2, 0.99])
@pytest.mark.parametrize("options", [{}, {"metrics": "mae", "preprocessing": "standardize"}])
def test_validation_split_holds_out_random_rows(share, options, monkeypatch):
    monkeypatch.setattr(evaluation, "_BLOCK", 7)
    x, y = _data()
    weight = np.linspace(0.5, 1, ROWS)
    networks = [_network(**options) for _ in range(3)]
    kept, held = _split(networks[0], x, y, share)
    assert len(held) == int(ROWS * share) and not np.array_equal(
        held, np.arange(ROWS)[-len(held) :]
    )
    assert sorted([*kept, *held]) == list(range(ROWS))
    assert (np.diff(kept) > 0).all()  # in their order
    fit = {"epochs": 3, "batch_size": 8}
    split = networks[0].fit(x, y, validation_split=share, sample_weight=weight, **fit)
    given = networks[1].fit(
        x[kept], y[kept], sample_weight=weight[kept],
        validation_data=(x[held], y[held], weight[held]), **fit,
    )  # fmt: skip
    assert split.history == given.history and split.rows == [len(kept)] * 3
    for _ in range(3):  # the same rows each time
        networks[2].fit(x, y, validation_split=share, sample_weight=weight, batch_size=8)
    for one, two, three in zip(*(each.get_weights() for each in networks), strict=True):
        assert one.tobytes() == two.tobytes() == three.tobytes()
    assert not np.array_equal(_split(_network(seed=1), x, y, share)[1], held)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "logistic", "attribute_hinge"])
@pytest.mark.parametrize("seed", range(3))
def test_each_class_loses_its_share_of_rows(loss, seed):
    x = np.ones((100, 2))
    labels = np.repeat([0, 1, 2], [69, 1, 30]) if "softmax" in loss else np.arange(100) // 70
    y = 2 * labels - 1 if "hinge" in loss else labels
    network = Network([Dense(3 if "softmax" in loss else 1)], loss=loss, seed=seed)
    held = _split(network, x, y)[1]
    assert len(held) == 20
    for label, count in enumerate(np.bincount(labels)):
        share = (labels[held] == label).sum()
        assert abs(share - count / 5) <= 1 and share < count


def test_rows_are_held_out_though_each_has_a_class_of_its_own():
    network = Network([Dense(5)], loss="softmax_cross_entropy")
    assert [len(part) for part in _split(network, np.ones((5, 2)), np.arange(5))] == [4, 1]


WHOLE = {"batch_size": 8, "drop_last": True}
"""Leaves out 2 of 50 rows."""


def _by_hand(network, x, y):
    """Train on six whole batches in each of three epochs; return the mean losses."""
    means, order = [], np.empty(ROWS, np.int64)
    for epoch in range(3):
        TWINS["batch_rows"](network.seed, epoch, ROWS, 1, 0, order)
        batches = order[:48].reshape(6, 8)
        means.append(np.mean([network.train_on_batch(x[rows], y[rows]) for rows in batches]))
    return means


def _watched(network, x, y):
    seen = []
    history = network.fit(x, y, epochs=3, callbacks=[lambda _, logs: seen.append(logs)], **WHOLE)
    assert [logs["rows"] for logs in seen] == history.rows == [48] * 3
    return [logs["loss"] for logs in seen]


def _in_pieces(network, x, y):
    return [network.fit(x, y, **WHOLE).history["loss"][0] for _ in range(3)]


def _among_others(network, x, y):
    histories = fastnn.fit_many([_network(seed=1), network], x, y, epochs=3, **WHOLE)
    return histories[1].history["loss"]


@pytest.mark.parametrize("way", [_watched, _in_pieces, _among_others])
def test_the_last_batch_is_left_out_if_it_is_smaller(way):
    x, y = _data()
    network, hand = _network(), _network()
    assert way(network, x, y) == pytest.approx(_by_hand(hand, x, y))
    assert (network.epochs_done, network.model.updates) == (3, 18)
    for one, two in zip(network.get_weights(), hand.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


def test_a_fit_without_smaller_batches_diverges_as_one_without_their_rows():
    x, y = _data()
    ends = []
    for rows, drop_last in ((ROWS, True), (48, False)):
        network = Network([Dense(1)], optimizer=SGD(1e3), dtype="float64")
        with pytest.raises(FloatingPointError) as error:
            network.fit(
                x[:rows], y[:rows], epochs=99, batch_size=8, shuffle=False, drop_last=drop_last
            )
        weights = [each.tobytes() for each in network.get_weights()]
        ends.append((weights, network.epochs_done, network.model.updates, str(error.value)))
    assert ends[0] == ends[1]


def test_batches_of_all_rows_are_never_left_out():
    x, y = _data()
    weights = []
    for options in ({}, {"drop_last": True}):
        network = Network([Dense(1)], optimizer="gd", dtype="float64")
        assert network.fit(x, y, **options).rows == [ROWS]
        weights.append([each.tobytes() for each in network.get_weights()])
    assert weights[0] == weights[1]
    steps = [str(_network().explain(x, y, batch_size=8, drop_last=drop)) for drop in (True, False)]
    assert steps[0] == steps[1]


class _Recorder(Callback):
    def __init__(self, stop_at=None):
        self.stop_at, self.calls = stop_at, []

    def on_train_begin(self, network):
        self.calls.append(("begin", network is self.network))

    def on_progress(self, epoch, rows_done, rows_total, loss):
        assert 0 <= rows_done <= rows_total == ROWS

    def on_epoch_end(self, epoch, logs):
        self.calls.append(("epoch", epoch, sorted(logs)))
        self.network.stop_training = epoch == self.stop_at

    def on_train_end(self, logs):
        self.calls.append(("end", sorted(logs)))


def test_callbacks_are_told():
    recorder = _Recorder()
    _network().fit(*_data(), epochs=2, callbacks=[recorder], validation_split=0.0)
    keys = ["loss", "rows", "seconds"]
    assert recorder.calls == [
        ("begin", True),
        ("epoch", 0, keys),
        ("epoch", 1, keys),
        ("end", keys),
    ]


def test_a_callback_stops_the_training():
    x, y = _data()
    network = _network()
    history = network.fit(x, y, epochs=100, callbacks=[_Recorder(stop_at=2)])
    assert history.epoch == [0, 1, 2]
    assert len(network.fit(x, y, epochs=2).epoch) == 2  # it was for that fit only


def test_a_callback_may_change_the_learning_rate():
    x, y = _data()

    def slow_down(epoch, logs):
        network.optimizer.learning_rate = 0.001

    network = Network([Dense(1)], optimizer=SGD(0.1), dtype="float64")
    network.fit(x, y, epochs=2, batch_size=10, callbacks=[slow_down])
    by_hand = Network([Dense(1)], optimizer=SGD(0.1), dtype="float64")
    by_hand.fit(x, y, batch_size=10)
    by_hand.optimizer.learning_rate = 0.001
    by_hand.fit(x, y, batch_size=10)
    for one, two in zip(network.get_weights(), by_hand.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


def test_a_callback_may_look_and_set_weights():
    x, y = _data()
    network = _network()

    def reset(epoch, logs):
        assert network.predict(x).shape == (ROWS, 1)
        network.set_weights(start)

    network.build(3)
    start = network.get_weights()
    losses = network.fit(x, y, epochs=2, batch_size=ROWS, callbacks=[reset]).history["loss"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for one, two in zip(network.get_weights(), start, strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_error_in_a_callback_ends_the_fit_and_leaves_the_network_usable():
    x, y = _data()
    network, plain = _network(), _network()

    def fail(epoch, logs):
        if epoch == 1:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        network.fit(x, y, epochs=5, callbacks=[fail])
    plain.fit(x, y, epochs=2)
    network.fit(x, y)
    plain.fit(x, y)
    for one, two in zip(network.get_weights(), plain.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_shows_the_losses(verbose, capsys):
    history = _network().fit(*_data(), epochs=3, validation_split=0.2, verbose=verbose)
    printed = capsys.readouterr().out
    assert f"loss {history.history['loss'][-1]:.5g}" in printed
    assert f"val_loss {history.history['val_loss'][-1]:.5g}" in printed
    assert "3/3" in printed
    _network().fit(*_data(), epochs=3)
    assert capsys.readouterr().out == ""


def test_the_loss_includes_the_penalties_after_the_epoch():
    x, y = _data()
    layers = [Dense(1, kernel_regularizer=L2(0.5), bias_regularizer=L2(0.25))]
    network = Network(layers, optimizer=SGD(1e-30), dtype="float64")
    history = network.fit(x, y, epochs=2)
    assert history.history["loss"] == pytest.approx([network.evaluate(x, y)] * 2, rel=1e-12)


def test_another_optimizer_may_take_over():
    x, y = _data()
    network = Network([Dense(1)], optimizer=SGD(0.01, momentum=0.9))
    network.fit(x, y, epochs=2)
    network.optimizer = Adam(0.01)
    history = network.fit(x, y, epochs=20)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_epochs_and_rows_in_one(capsys):
    x, y = _data(1)
    network = _network()
    assert network.fit(x, y, epochs=200, batch_size=1).history["loss"][-1] < 1e-2
    assert network.predict(x).shape == (1, 1)
    assert network.predict(x[0][None, :].tolist()).dtype == np.float64


def test_a_network_is_shown_in_a_line():
    network = _network(loss=fastnn.losses.Huber(0.5))
    assert repr(network) == (
        "Network([Dense(4, activation='tanh'), Dense(1, activation='linear')], "
        "loss=Huber(delta=0.5), optimizer=Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, "
        "epsilon=1e-07, a...), not fitted)"
    )
    network.build(3)
    assert repr(network).endswith(", not fitted, built for 3 inputs)")
    x, y = _data()
    network.train_on_batch(x, y)
    assert repr(network).endswith(", fitted for 1 update)")
    network.fit(x, y)
    assert repr(network).endswith(", fitted for 1 epoch)")
    network.fit(x, y, epochs=1200)
    assert repr(network).endswith(", fitted for 1,201 epochs)")

    class Named(Network):
        pass

    many = fastnn.losses.Quantile(np.linspace(0.1, 0.9, 100))
    deep = Named([Dense(1)] * 29 + [Dense(100)], loss=many)
    assert len(repr(deep)) < 450
    assert repr(deep).startswith("Named([Dense(1") and "... 25 more ..., Dense(1" in repr(deep)


def test_a_network_is_shown_in_a_notebook(monkeypatch):
    network = Network([Dense(4, "tanh"), fastnn.Dropout(0.1), Dense(1)])
    for text in ("not built", "not fitted"):
        assert text in network._repr_html_()
    network.build(3)
    monkeypatch.setattr(type(network.loss), "name", "<mse> & co")
    page = network._repr_html_()
    ElementTree.fromstring(f"<div>{page}</div>")  # every element ends
    for text in ("tanh", "rate 0.1", "21 parameters", "&lt;mse&gt; &amp; co", "built for 3 inputs"):
        assert text in page
    colors = re.findall('(?:color|background): *([^;"]+)', page)
    assert set(colors) <= {"inherit", "none"}  # those of the notebook, dark or light


def test_summary(capsys):
    network = _network()
    network.summary()
    assert "not built" in capsys.readouterr().out
    network.build(3)
    network.summary()
    printed = capsys.readouterr().out
    for part in ("Dense", "tanh", "16", "5", "21 parameters", "float64", "mse", "Adam"):
        assert part in printed
    assert repr(fastnn.Dense(4, "tanh")) == "Dense(4, activation='tanh')"
