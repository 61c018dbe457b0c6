"""Networks, callbacks and workers for tests of executors, which pickle them by name."""

import concurrent.futures
import os
import pickle
import signal
import threading
import time

import numpy as np

from fastnn import SGD, Adam, Callback, Dense, Dropout, Network, fit_many

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 6), np.float32)
Y = np.abs(X[:, :1] * X[:, 1:2])
WEIGHT = np.linspace(0, 1, 90)


def networks():
    shared = Adam(0.01)
    return [
        Network([Dense(8, "relu"), Dense(1)], loss="mae", seed=1, optimizer=shared),
        Network([Dense(8, "relu"), Dropout(0.2), Dense(1)], seed=2, optimizer=shared),
        Network([Dense(1)], optimizer=SGD(0.01, 0.9), dtype="float64"),
        Network([Dense(8, "relu"), Dense(1)], dtype="mixed_bfloat16"),
        Network([Dense(8, "relu"), Dense(1)], preprocessing=["standardize"]),
        Network([Dense(3, "relu"), Dense(1)], backend="numpy"),
    ]


def state(network):
    """Return all that a later fit depends on."""
    model = network.model
    arrays = [[each.value, *each.state.values()] for each in model.all_parameters()]
    counts = model.epochs, model.updates, model.names, network.optimizer.settings()
    return [array.tobytes() for own in arrays for array in own], counts, repr(model.preprocessing)


def check_like_local(executor, make, x, y, **options):
    here, there = make(), make()
    options = {"epochs": 3, "batch_size": 16} | options
    optimizers = [each.optimizer for each in there]
    for _ in range(2):  # a second call goes on
        expected = fit_many(here, x, y, **options)
        found = fit_many(there, x, y, executor=executor, **options)
        assert [each.history for each in found] == [each.history for each in expected]
        assert list(map(state, there)) == list(map(state, here))
    assert all(map(lambda a, b: a is b.optimizer, optimizers, there))
    for mine, other in zip(here, there, strict=True):
        mine.fit(x, y, batch_size=16)
        other.fit(x, y, batch_size=16)
        assert state(mine) == state(other)
        assert mine.predict(x).tobytes() == other.predict(x).tobytes()


class Recorder(Callback):
    """Remembers losses and where it was; `action` is a name, since functions have no pickle."""

    def __init__(self, action=None, path=None):
        self.action, self.path, self.losses = action, path, []

    def on_epoch_end(self, epoch, logs):
        self.losses.append(logs["loss"])
        self.process = os.getpid()
        if self.action is not None:
            getattr(self, self.action)(epoch)

    def slow(self, epoch):
        self.network.optimizer.learning_rate = 0.5 ** (epoch + 1)
        self.network.extra["epoch"] = epoch

    def fail(self, epoch):
        raise OddError("one", 2)

    def keep_lock(self, epoch):
        self.lock = threading.Lock()

    def die(self, epoch):
        os.kill(os.getpid(), signal.SIGKILL)

    def die_once(self, epoch):
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        self.die(epoch)

    def wait(self, epoch):
        if self.process != self.path:
            time.sleep(0.02)


class OddError(Exception):
    """Has another number of arguments than it keeps, so no pickle of it can be read."""

    def __init__(self, one, two):
        super().__init__(one)


class Elsewhere:
    """Stands for an executor of any kind: its workers get what a pickle holds, one by one."""

    def __init__(self):
        self.sent = []

    def submit(self, function, *arguments):
        future = concurrent.futures.Future()
        self.sent.append(pickle.dumps((function, arguments)))
        function, arguments = pickle.loads(self.sent[-1])
        future.set_result(function(*arguments))
        return future
