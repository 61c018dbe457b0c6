"""Callbacks, history and progress bar, driven as fit drives them."""

import io
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
import fastnn.callbacks.progress
from fastnn.callbacks import Callback, CallbackList, History, ProgressBar, ReduceLROnPlateau
from fastnn.callbacks.progress import as_verbose


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drive(callback, epochs, val_loss=True, progress=4):
    """Run a fit's worth of events of 1000 rows an epoch, 0.5 s each, and return the network."""
    network = SimpleNamespace(stop_training=False)
    watchers = CallbackList(callback)
    watchers.on_train_begin(network)
    logs = {}
    for epoch in range(epochs):
        for part in range(1, progress + 1):
            loss = math.nan if part == 1 else 2.0 + 1 / part
            watchers.on_progress(epoch, 1000 * part // progress, 1000, loss)
        logs = {"loss": 1 / (epoch + 1), "seconds": 0.5, "rows": 1000}
        if val_loss:
            logs["val_loss"] = 2 / (epoch + 1)
        watchers.on_epoch_end(epoch, logs)
        if network.stop_training:
            break
    watchers.on_train_end(logs)
    return network


def test_every_event_reaches_every_callback_in_order():
    events = []

    class Note(Callback):
        def __init__(self, name):
            self.name = name

        def on_train_begin(self, network):
            assert self.network is network
            events.append((self.name, "begin"))

        def on_progress(self, epoch, rows_done, rows_total, loss):
            events.append((self.name, "progress", rows_done, rows_total))

        def on_epoch_end(self, epoch, logs):
            events.append((self.name, "epoch", epoch, logs["loss"]))

        def on_train_end(self, logs):
            events.append((self.name, "end", logs["loss"]))

    drive([Note("a"), Note("b")], epochs=1, progress=1)
    expected = [("begin",), ("progress", 1000, 1000), ("epoch", 0, 1.0), ("end", 1.0)]
    assert events == [(name, *event) for event in expected for name in "ab"]


def test_the_base_does_nothing():
    assert not drive(Callback(), epochs=1).stop_training


def test_functions_are_called_after_every_epoch():
    seen = []
    drive(lambda epoch, logs: seen.append((epoch, logs["val_loss"])), epochs=2)
    drive([lambda epoch, logs: seen.append((epoch, logs["loss"]))], epochs=1)
    assert seen == [(0, 2.0), (1, 1.0), (0, 1.0)]


def test_a_callback_stops_the_fit():
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs):
            self.network.stop_training = logs["loss"] < 0.4

    history = History()
    assert drive([Stop(), history], epochs=10).stop_training
    assert history.epoch == [0, 1, 2]


def test_what_is_no_callback_is_refused():
    message = "callbacks has 'loss' (str), wanted a Callback or a function of (epoch, logs)"
    with pytest.raises(TypeError, match=re.escape(message)):
        CallbackList(["loss"])
    message = "callbacks has the class History, wanted an object: History()"
    for given in ([History], History):
        with pytest.raises(TypeError, match=re.escape(message)):
            CallbackList(given)
    with pytest.raises(TypeError, match=re.escape("callbacks has 'loss' (str), wanted")):
        CallbackList("loss")
    assert CallbackList(None).callbacks == []


def test_a_metric_that_comes_and_goes_keeps_its_epochs():
    history = History()
    base = {"loss": 1.0, "seconds": 0.5, "rows": 10}
    for epoch, logs in enumerate([base, base | {"mae": 0.5}, base]):
        history.on_epoch_end(epoch, logs)
    np.testing.assert_array_equal(history.history["mae"], [math.nan, 0.5, math.nan])
    assert history.history["loss"] == [1.0] * 3


def test_a_history_as_a_frame(monkeypatch):
    pandas = pytest.importorskip("pandas")
    history = History()
    assert history.to_frame().shape == (0, 2)
    drive(history, epochs=2)
    wanted = {"loss": [1.0, 0.5], "val_loss": [2.0, 1.0], "seconds": [0.5] * 2, "rows": [1000] * 2}
    wanted = pandas.DataFrame(wanted, index=pandas.Index([0, 1], name="epoch"))
    pandas.testing.assert_frame_equal(history.to_frame(), wanted)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=re.escape("to_frame() wants pandas: pip install pandas")):
        history.to_frame()


def test_a_history_as_a_plot(monkeypatch):
    figure = pytest.importorskip("matplotlib.figure")
    history = History()
    with pytest.raises(ValueError, match="no epoch"):
        history.plot()
    drive(history, epochs=2)
    ax = figure.Figure().add_subplot()
    assert history.plot(ax=ax) is ax
    assert [line.get_label() for line in ax.lines] == ["loss", "val_loss"]
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[0, 2.0], [1, 1.0]])
    assert ax.get_xlabel() == "epoch" and ax.get_ylabel() == "loss" and ax.get_legend()
    (line,) = history.plot("val_loss", figure.Figure().add_subplot()).lines
    np.testing.assert_array_equal(line.get_ydata(), [2.0, 1.0])
    with pytest.raises(ValueError, match="name is 'los', wanted one of 'loss', 'val_loss'; did"):
        history.plot("los")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=re.escape("fastnn-kernels[plot]")):
        history.plot()


def test_history():
    history = History()
    assert repr(history) == "History(0 epochs)"
    assert math.isnan(history.samples_per_second)
    drive(history, epochs=2)
    assert history.history == {"loss": [1.0, 0.5], "val_loss": [2.0, 1.0]}
    assert history.epoch == [0, 1]
    assert history.seconds == [0.5, 0.5]
    assert history.rows == [1000, 1000]
    assert history.samples_per_second == 2000
    assert repr(history) == "History(2 epochs, loss=0.5, val_loss=1, 2,000 samples/s)"


def test_the_speed_is_the_median_of_the_last_ten_epochs():
    history = History()
    for epoch, seconds in enumerate([0.001] * 20 + [1.0] * 6 + [10.0] * 4):
        history.on_epoch_end(epoch, {"loss": 1.0, "seconds": seconds, "rows": 100})
    assert history.samples_per_second == 100


def test_without_a_terminal_there_are_at_most_twenty_lines():
    stream = io.StringIO()
    drive(ProgressBar(3, stream=stream), epochs=3, val_loss=False)
    assert stream.getvalue().splitlines() == [
        "epoch 1/3  loss 1  2,000 samples/s",
        "epoch 2/3  loss 0.5  2,000 samples/s",
        "epoch 3/3  loss 0.33333  2,000 samples/s",
    ]
    for epochs in (20, 21, 45, 1000):
        stream = io.StringIO()
        drive(ProgressBar(epochs, stream=stream), epochs)
        lines = stream.getvalue().splitlines()
        assert 10 <= len(lines) <= 20
        assert lines[-1].startswith(f"epoch {epochs}/{epochs}  loss")
        assert "val_loss" in lines[-1]


def test_a_stopped_fit_shows_its_last_epoch():
    stream = io.StringIO()
    drive(ProgressBar(1000, stream=stream), epochs=55)
    last = "epoch   55/1000  loss 0.018182  val_loss 0.036364  2,000 samples/s"
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 and lines[-1] == last


def test_verbose_2_shows_every_epoch():
    stream = Terminal()
    drive(ProgressBar(100, verbose=2, stream=stream), epochs=100)
    assert len(stream.getvalue().splitlines()) == 100
    assert "\r" not in stream.getvalue()


def clock(monkeypatch, step):
    """Let every look at the clock find `step` seconds gone."""
    now = [0.0]

    def monotonic():
        now[0] += step
        return now[0]

    monkeypatch.setattr(fastnn.callbacks.progress.time, "monotonic", monotonic)


def test_on_a_terminal_one_line_is_redrawn(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    clock(monkeypatch, step=1.0)
    stream = Terminal()
    drive(ProgressBar(2, stream=stream), epochs=2)
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("samples/s\n")
    drawn = [line.rstrip() for line in text.strip().split("\r")]
    assert drawn[0] == "epoch 1/2 [=====...............]  25%  0:14 left"
    assert drawn[1] == "epoch 1/2 [==========..........]  50%  loss 2.5  0:15 left"
    assert drawn[4] == "epoch 1/2  loss 1  val_loss 2  2,000 samples/s  0:14 left"
    assert drawn[-1] == "epoch 2/2  loss 0.5  val_loss 1  2,000 samples/s"


def test_a_shorter_line_wipes_out_the_longer_one(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    clock(monkeypatch, step=1.0)
    stream = Terminal()
    drive(ProgressBar(1, stream=stream), epochs=1, val_loss=False)
    *_, bar, end, _ = stream.getvalue().split("\r")
    assert len(end.rstrip()) < len(bar.rstrip()) == len(end)


def test_a_line_never_wraps(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    clock(monkeypatch, step=1.0)
    stream = Terminal()
    drive(ProgressBar(2, stream=stream), epochs=2)
    assert max(len(line) for line in re.split("[\r\n]", stream.getvalue())) == 19


def test_a_terminal_is_drawn_at_most_ten_times_a_second(monkeypatch):
    clock(monkeypatch, step=0.001)
    stream = Terminal()
    drive(ProgressBar(100, stream=stream), epochs=100)
    looks = 100 * 5
    assert 3 <= stream.getvalue().count("\r") <= looks * 0.001 / 0.1 + 2


def test_no_epoch_leaves_no_line():
    for stream in (Terminal(), io.StringIO()):
        drive(ProgressBar(2, stream=stream), epochs=0)
        assert stream.getvalue() == ""


def test_a_fit_stopped_within_its_first_epoch_ends_the_line():
    stream = Terminal()
    bar = ProgressBar(2, stream=stream)
    bar.on_progress(0, 10, 100, 1.0)
    bar.on_train_end({})
    assert stream.getvalue().endswith("\n")


@pytest.mark.parametrize(
    ("verbose", "error"),
    [(3, ValueError), (-1, ValueError), ("1", TypeError), (None, TypeError), (1.0, TypeError)],
)
def test_other_verbosities_are_refused(verbose, error):
    with pytest.raises(error, match=re.escape(f"verbose is {verbose!r}, wanted 0, 1 or 2")):
        ProgressBar(1, verbose)


def test_true_is_1_and_false_is_0():
    assert [as_verbose(value) for value in (True, np.True_, 1, np.int8(2))] == [1, 1, 1, 2]
    assert [as_verbose(value, 1) for value in (False, np.False_, 0)] == [0, 0, 0]
    with pytest.raises(ValueError, match="verbose is 2, wanted 0 or 1"):
        as_verbose(2, 1)
    for silent in (0, False):
        with pytest.raises(ValueError, match="verbose is 0, wanted 1 or 2"):
            ProgressBar(1, silent)
    stream = Terminal()
    drive(ProgressBar(3, True, stream), epochs=3)
    assert stream.getvalue().count("\r") >= 1


def rates(callback, values, rate=0.8):
    """Return the learning rate after each epoch with these values of the loss."""
    network = fastnn.Network([fastnn.Dense(1)], optimizer=fastnn.SGD(rate))
    watchers = CallbackList(callback)
    watchers.on_train_begin(network)
    seen = []
    for epoch, value in enumerate(values):
        watchers.on_epoch_end(epoch, {"val_loss": value})
        seen.append(network.optimizer.learning_rate)
    return seen


@pytest.mark.parametrize(
    ("settings", "values", "expected"),
    [
        ({"patience": 2}, [3, 2, 2, 2, 2, 2, 1], [0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2]),
        ({"patience": 1, "factor": 0.25}, [1, 2, 0.5, 0.6], [0.8, 0.2, 0.2, 0.05]),
        ({"patience": 2, "cooldown": 2}, [1] * 9, [0.8] * 2 + [0.4] * 3 + [0.2] * 3 + [0.1]),
        ({"patience": 1, "min_lr": 0.3}, [1] * 4, [0.8, 0.4, 0.3, 0.3]),
        ({"patience": 1, "min_lr": 0.9}, [1] * 3, [0.8, 0.8, 0.8]),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 2.2, 2.1], [0.8, 0.4, 0.4, 0.2]),
        ({"patience": 1, "mode": "max"}, [1, 2, 1, 3], [0.8, 0.8, 0.4, 0.4]),
        ({"patience": 1}, [math.nan, math.nan, 1], [0.4, 0.2, 0.2]),
    ],
)
def test_the_rate_is_lowered_on_a_plateau(settings, values, expected):
    assert rates(ReduceLROnPlateau(**settings), values) == pytest.approx(expected)


def test_a_fit_follows_the_lowered_rate_and_starts_counting_anew():
    x = np.linspace(-1, 1, 20)[:, None]
    seen = []
    network = fastnn.Network([fastnn.Dense(1)], optimizer=fastnn.SGD(0.4), dtype="float64")
    watch = [ReduceLROnPlateau("loss", patience=3, min_delta=10), lambda *_: seen.append(rate())]

    def rate():
        return network.optimizer.learning_rate

    for _ in range(2):
        network.fit(x, x, epochs=5, callbacks=watch)
    assert seen == [0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1]
    by_hand = fastnn.Network([fastnn.Dense(1)], dtype="float64")
    for value in [0.4, *seen[:-1]]:
        by_hand.optimizer = fastnn.SGD(value)
        by_hand.fit(x, x)
    assert network.get_weights()[0].tobytes() == by_hand.get_weights()[0].tobytes()


def test_what_has_no_constant_rate_is_refused():
    x = np.ones((4, 1))
    for optimizer in (fastnn.SGD(fastnn.CosineDecay(0.1, 10)), fastnn.Rprop()):
        network = fastnn.Network([fastnn.Dense(1)], optimizer=optimizer)
        with pytest.raises(ValueError, match="wants an optimizer with a constant learning rate"):
            network.fit(x, x, callbacks=[ReduceLROnPlateau("loss")])
    network = fastnn.Network([fastnn.Dense(1)])
    message = "ReduceLROnPlateau monitors 'val_loss', but an epoch has 'loss' only: validation data"
    with pytest.raises(ValueError, match=message):
        network.fit(x, x, callbacks=[ReduceLROnPlateau()])
    assert network.epochs_done == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": 0}, "factor is 0"),
        ({"factor": 1}, "factor is 1"),
        ({"patience": 0}, "patience is 0"),
        ({"min_delta": -1}, "min_delta is -1"),
        ({"cooldown": -1}, "cooldown is -1"),
        ({"min_lr": -1}, "min_lr is -1"),
        ({"mode": "auto"}, "mode is 'auto'"),
    ],
)
def test_bad_settings_of_the_plateau(settings, message):
    with pytest.raises(ValueError, match=message):
        ReduceLROnPlateau(**settings)
