"""Early stopping restores exactly; checkpoints resume bit for bit; their errors."""

import math
import os
import re
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
from fastnn import L2, SGD, Adam, Dense, EarlyStopping, ModelCheckpoint, Network
from fastnn.callbacks import CallbackList
from fastnn.metrics import get

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = np.sin(X[:, :1]) + 0.3 * RNG.standard_normal((60, 1))


def drive(callback, values, name="val_loss", metrics=()):
    """Run a fit's worth of events with given values, and return the number of epochs."""
    network = SimpleNamespace(stop_training=False, metrics=list(metrics), weights=None)
    network.get_weights = lambda: network.weights
    network.set_weights = lambda weights: setattr(network, "weights", weights)
    watchers = CallbackList(callback)
    watchers.on_train_begin(network)
    for epoch, value in enumerate(values):
        network.weights = epoch
        watchers.on_epoch_end(epoch, {"loss": 1.0, name: value, "seconds": 1.0, "rows": 1})
        if network.stop_training:
            break
    watchers.on_train_end({})
    return epoch + 1, network.weights


@pytest.mark.parametrize(
    ("options", "values", "epochs", "best"),
    [
        ({"patience": 2}, [5, 4, 3, 3, 3.5, 1], 5, 2),
        ({"patience": 2}, [5, 4, 6, 3, 3, 3], 6, 3),
        ({"patience": 0}, [5, 4, 4, 1], 3, 1),
        ({"patience": 1}, [5, 4, 4, 1], 3, 1),
        ({"patience": 10}, [5, 4, 3, 4], 4, 2),
        ({"patience": 2, "min_delta": 0.5}, [5, 4.6, 4.4, 4.2, 4.0, 1], 5, 2),
        ({"patience": 2, "min_delta": 1.0}, [5, 4, 4, 1], 3, 0),
        ({"patience": 2, "mode": "max"}, [1, 2, 2, 2, 9], 4, 1),
        ({"patience": 2}, [math.nan, 3, math.nan, math.nan, 1], 4, 1),
        ({"patience": 2}, [math.inf, 3, 3, 3, 1], 4, 1),
        ({"patience": None}, [5, 3, 4, 3, 6, 7], 6, 1),
        ({"patience": None, "ties": "last"}, [math.nan, 5, 3, 4, 3, 6, 7], 7, 4),
        ({"patience": 2, "ties": "last"}, [5, 3, 3, 3, 1], 4, 3),  # ties do not improve
        ({"patience": 9, "ties": "last", "min_delta": 1}, [5, 3, 2.5, 3, 2.5], 5, 3),
    ],
)
def test_when_to_stop(options, values, epochs, best):
    stop = EarlyStopping(**options)
    for _ in range(2):  # a second fit counts from scratch
        assert drive(stop, values) == (epochs, best)
        assert stop.best_epoch == best and stop.best == values[best]
        stopped = epochs < len(values) or (options["patience"] == 2 and values[-1] == 3)
        assert stop.stopped_epoch == (epochs - 1 if stopped else None)
    assert drive(EarlyStopping(**options, restore_best_weights=False), values)[1] == epochs - 1


@pytest.mark.parametrize(
    ("monitor", "up"),
    [("val_accuracy", True), ("r2", True), ("val_top_2_accuracy", True), ("mae", False)],
)
def test_auto_knows_which_way_is_better(monitor, up):
    name = monitor.removeprefix("val_")
    metric = get(name, "class" if "accuracy" in name else "real")
    stop = EarlyStopping(monitor, patience=1)
    values = [1, 2, 1.5] if up else [1, 0, 0.5]
    assert drive(stop, values, monitor, [metric]) == (3, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_best_epochs_weights_come_back_exactly(dtype):
    kept = []
    network = Network([Dense(30, "tanh"), Dense(1)], optimizer=Adam(0.05), dtype=dtype)
    stop = EarlyStopping(patience=5)
    history = network.fit(
        X, Y, epochs=300, batch_size=10, validation_split=0.4, validation_shuffle=False,
        callbacks=[stop, lambda epoch, logs: kept.append(network.get_weights())],
    )  # fmt: skip
    losses = history.history["val_loss"]
    best = int(np.argmin(losses))
    assert len(losses) < 300 and stop.stopped_epoch == len(losses) - 1 == best + 5
    assert (stop.best_epoch, stop.best) == (best, losses[best])
    for ours, then, last in zip(network.get_weights(), kept[best], kept[-1], strict=True):
        assert ours.tobytes() == then.tobytes() != last.tobytes()
    assert network.evaluate(X[-24:], Y[-24:]) == losses[best]


def test_the_best_weights_come_back_however_the_fit_ends():
    network = Network([Dense(1)], optimizer=SGD(0.1))
    kept = []

    def interrupt(epoch, logs):
        kept.append(network.get_weights())
        if epoch == 3:
            raise KeyboardInterrupt

    stop = EarlyStopping("loss", mode="max", patience=10)  # the first epoch's is the worst
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, Y, epochs=9, callbacks=[stop, interrupt])
    assert stop.best_epoch == 0
    for ours, then in zip(network.get_weights(), kept[0], strict=True):
        assert ours.tobytes() == then.tobytes()


class Crash(fastnn.Callback):
    """Interrupt within an epoch, after a step of it was made."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs):
        if epoch == self.epoch:
            self.network.train_on_batch(X[:7], Y[:7])
            raise KeyboardInterrupt


def _network(optimizer="adam", **options):
    layers = [Dense(8, "tanh", kernel_regularizer=L2(0.01)), Dense(1)]
    return Network(layers, optimizer=optimizer, seed=3, **options)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize(
    "optimizer", [SGD(0.05), SGD(0.05, 0.9), SGD(0.05, 0.9, True), Adam(0.01)], ids=repr
)
def test_an_interrupted_run_resumes_bit_for_bit(optimizer, every, tmp_path):
    settings = {"batch_size": 7, "validation_split": 0.2, "sample_weight": np.linspace(0.5, 2, 60)}
    options = {"preprocessing": ["standardize"], "metrics": ["mae"]}
    whole = _network(optimizer, **options)
    expected = whole.fit(X, Y, epochs=8, **settings).history
    path = tmp_path / "run.fastnn"
    checkpoint = ModelCheckpoint(path, every=every)
    with pytest.raises(KeyboardInterrupt):
        _network(optimizer, **options).fit(
            X, Y, epochs=8, callbacks=[checkpoint, Crash(4)], **settings
        )
    resumed = fastnn.load(path)
    done = resumed.epochs_done
    assert done == (5 if every == 1 else 4)
    history = resumed.fit(X, Y, epochs=8 - done, **settings).history
    assert history == {name: values[done:] for name, values in expected.items()}
    assert resumed.epochs_done == whole.epochs_done == 8
    ours, theirs = resumed.model.all_parameters(), whole.model.all_parameters()
    for one, two in zip(ours, theirs, strict=True):
        assert one.value.tobytes() == two.value.tobytes()
        assert one.state.keys() == two.state.keys()
        for name in one.state:
            assert one.state[name].tobytes() == two.state[name].tobytes()
    assert resumed.model.updates == whole.model.updates


def test_checkpoints(tmp_path):
    network = _network()
    network.fit(
        X, Y, epochs=5, validation_split=0.2, validation_shuffle=False,
        callbacks=[ModelCheckpoint(f"{tmp_path}/{{epoch:02d}}-{{val_loss:.3f}}", every=2)],
    )  # fmt: skip
    names = sorted(os.listdir(tmp_path))
    assert [name[:3] for name in names] == ["02-", "04-"]
    assert [fastnn.load(tmp_path / name).epochs_done for name in names] == [2, 4]
    held = X[-12:], Y[-12:]
    assert f"{fastnn.load(tmp_path / names[0]).evaluate(*held):.3f}" == names[0][3:]


def test_only_the_best(tmp_path):
    saved = []
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", "mae", save_best_only=True)
    checkpoint.network = SimpleNamespace(save=saved.append)
    checkpoint.on_train_begin(SimpleNamespace(metrics=[get("mae", "real")]))
    for epoch, value in enumerate([3, 2, 2.5, math.nan, 1, 1]):
        checkpoint.on_epoch_end(epoch, {"loss": 1.0, "mae": value})
    assert [os.path.basename(path) for path in saved] == ["1", "2", "5"]
    assert (checkpoint.best, checkpoint.best_epoch) == (1, 4)


@pytest.mark.parametrize(
    ("error", "make", "message"),
    [
        (ValueError, lambda: EarlyStopping(patience=-1), "patience is -1, wanted a whole number"),
        (ValueError, lambda: EarlyStopping(ties="all"), "ties is 'all', wanted one of 'first', 'l"),
        (TypeError, lambda: EarlyStopping(patience=2.5), "patience is 2.5 (float), wanted a whole"),
        (ValueError, lambda: EarlyStopping(min_delta=-1), "min_delta is -1, wanted a finite numb"),
        (ValueError, lambda: EarlyStopping(mode="up"), "mode is 'up', wanted one of 'auto', 'min'"),
        (TypeError, lambda: EarlyStopping(monitor=3), "monitor is 3, wanted a name such as"),
        (
            TypeError,
            lambda: EarlyStopping(restore_best_weights=1),
            "restore_best_weights is 1 (int), wanted True or False",
        ),
        (ValueError, lambda: ModelCheckpoint("a", every=0), "every is 0, wanted a whole number"),
        (
            ValueError,
            lambda: ModelCheckpoint("a", save_best_only=True, every=2),
            "every is 2, wanted 1 with save_best_only=True",
        ),
        (TypeError, lambda: ModelCheckpoint(3), "expected str, bytes or os.PathLike object"),
    ],
)
def test_bad_settings(error, make, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("error", "make", "message"),
    [
        (
            ValueError,
            lambda path: EarlyStopping(),
            "EarlyStopping monitors 'val_loss', but an epoch has 'loss', 'own' only: validation",
        ),
        (
            ValueError,
            lambda path: EarlyStopping("val_los"),
            "EarlyStopping monitors 'val_los', but an epoch has 'loss', 'own' only: validation",
        ),
        (
            ValueError,
            lambda path: EarlyStopping("own"),
            "mode is 'auto', but whether more or less of 'own' is better is not known: wanted 'mi",
        ),
        (
            ValueError,
            lambda path: ModelCheckpoint(path / "a", save_best_only=True),
            "ModelCheckpoint monitors 'val_loss', but an epoch has",
        ),
        (
            ValueError,
            lambda path: ModelCheckpoint(path / "{val_loss}"),
            f"filepath is {'PATH'!r}, which names 'val_loss'; an epoch has epoch, loss, own, sec",
        ),
        (
            FileNotFoundError,
            lambda path: ModelCheckpoint(path / "nowhere" / "a"),
            "[Errno 2] No such folder",
        ),
        (IsADirectoryError, ModelCheckpoint, "[Errno 21] Is a directory: 'PATH'"),
    ],
)
def test_what_a_fit_does_not_have(error, make, message, tmp_path):
    def own(y, prediction):
        return 1.0

    network = Network([Dense(1)], metrics=[own])
    if make is ModelCheckpoint:
        message = message.replace("PATH", str(tmp_path))
    message = message.replace("'PATH'", repr(str(tmp_path / "{val_loss}")))
    with pytest.raises(error, match="^" + re.escape(message)):
        network.fit(X, Y, epochs=2, callbacks=[make(tmp_path)])
    assert network.epochs_done == 0 and os.listdir(tmp_path) == []
