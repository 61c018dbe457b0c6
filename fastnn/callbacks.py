"""What may watch a fit: the callback protocol, the history and the progress bar.

Every callback is told of the start, of progress within an epoch, of each epoch's end and of the
end.  ``logs`` is a dict: ``"loss"`` and the network's metrics by name, the same with ``"val_"``
before the name where there is validation data, and the two entries about speed, ``"seconds"`` (the
epoch's training time) and ``"rows"`` (rows trained on).
"""

import math
import numbers
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TextIO

from fastnn.checks import fraction, non_negative_float, non_negative_int, one_of, positive_int

Logs = Mapping[str, float]
SPEED = ("seconds", "rows")


class Callback:
    """Base of callbacks: override what is of interest, set ``network.stop_training`` to stop.

    ``self.network`` is the network being fitted, from before ``on_train_begin`` on.  `logs` has the
    epoch's "loss" and metrics, "val_loss" and so on where there is validation data, "seconds" and
    "rows".

    Examples
    --------
    >>> class StopWhenGood(Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         if logs["loss"] < 0.1:
    ...             self.network.stop_training = True
    """

    network: Any = None

    def check(self, names: Collection[str]) -> None:
        """Before anything else: raise ValueError if `names`, the logs' entries, lack one."""

    def on_train_begin(self, network: Any) -> None:
        """Before the first epoch."""

    def on_progress(self, epoch: int, rows_done: int, rows_total: int, loss: float) -> None:
        """Now and then within an epoch; `loss` is the mean so far, NaN while none is known."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After every epoch, counted from 0."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch, also of a fit that was stopped; `logs` are the last epoch's."""


def check_monitor(callback: Callback, monitor: str, names: Collection[str]) -> None:
    """Raise ValueError if logs with these entries lack the one that a callback follows."""
    if monitor not in names:
        there = ", ".join(repr(name) for name in names if name not in SPEED)
        raise ValueError(
            f"{type(callback).__name__} monitors {monitor!r}, but an epoch has {there} only: "
            "validation data or a metric is missing"
        )


class FunctionCallback(Callback):
    """Call ``function(epoch, logs)`` after every epoch."""

    def __init__(self, function: Callable[[int, Logs], Any]):
        self.function = function

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.function(epoch, logs)


class CallbackList(Callback):
    """Tell several callbacks, in order.

    Parameters
    ----------
    callbacks : iterable of Callback or function, Callback, function or None
        A plain function is called as ``function(epoch, logs)`` after every epoch.

    Raises
    ------
    TypeError
        If one of them is neither a :class:`Callback` nor callable.
    """

    def __init__(self, callbacks: Any = None):
        if callbacks is None:
            callbacks = []
        elif isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
            callbacks = [callbacks]
        self.callbacks = [_as_callback(callback) for callback in callbacks]

    def check(self, names: Collection[str]) -> None:
        for callback in self.callbacks:
            callback.check(names)

    def on_train_begin(self, network: Any) -> None:
        for callback in self.callbacks:
            callback.network = network
            callback.on_train_begin(network)

    def on_progress(self, epoch: int, rows_done: int, rows_total: int, loss: float) -> None:
        for callback in self.callbacks:
            callback.on_progress(epoch, rows_done, rows_total, loss)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Logs) -> None:
        for callback in self.callbacks:
            callback.on_train_end(logs)


def _as_callback(callback):
    if isinstance(callback, type):
        name = callback.__name__
        raise TypeError(f"callbacks has the class {name}, wanted an object: {name}()")
    if isinstance(callback, Callback):
        return callback
    if callable(callback):
        return FunctionCallback(callback)
    raise TypeError(
        f"callbacks has {callback!r} ({type(callback).__name__}), "
        "wanted a Callback or a function of (epoch, logs)"
    )


class History(Callback):
    """What ``fit`` returns: losses by epoch, and how long the epochs took.

    Attributes
    ----------
    history : dict of str to list of float
        ``"loss"``, the metrics, and with validation data ``"val_loss"`` and so on.
    epoch : list of int
        The epochs' numbers, from 0.
    seconds : list of float
        Training time of each epoch, validation and callbacks not included.
    rows : list of int
        Rows trained on in each epoch.

    Examples
    --------
    >>> history = History()
    >>> history.on_epoch_end(0, {"loss": 0.5, "seconds": 0.25, "rows": 1000})
    >>> history
    History(1 epoch, loss=0.5, 4,000 samples/s)
    >>> history.history
    {'loss': [0.5]}
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.seconds: list[float] = []
        self.rows: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.epoch.append(epoch)
        self.seconds.append(float(logs["seconds"]))
        self.rows.append(int(logs["rows"]))
        for name, value in logs.items():
            if name not in SPEED:
                self.history.setdefault(name, []).append(float(value))

    @property
    def samples_per_second(self) -> float:
        """Rows trained on per second: the median of the last ten epochs, NaN before the first."""
        speeds = [_speed(r, s) for r, s in zip(self.rows[-10:], self.seconds[-10:], strict=True)]
        return statistics.median(speeds) if speeds else math.nan

    def __repr__(self) -> str:
        parts = ["1 epoch" if len(self.epoch) == 1 else f"{len(self.epoch)} epochs"]
        parts += [f"{name}={values[-1]:.6g}" for name, values in self.history.items()]
        if self.epoch:
            parts.append(f"{self.samples_per_second:,.0f} samples/s")
        return f"History({', '.join(parts)})"


class ReduceLROnPlateau(Callback):
    """Lower the learning rate when a loss has stopped improving.

    As in Keras: after `patience` epochs without a value that is better than the best one by more
    than `min_delta`, the rate is multiplied by `factor`; for `cooldown` epochs after that no epoch
    is counted.  Keras's `factor` is 0.1; 0.5 halves the rate.  PyTorch's ``ReduceLROnPlateau``
    waits for one epoch more, ``patience + 1``, and its `threshold` is a share of the best value.

    Parameters
    ----------
    monitor : str
        The entry of the logs to watch, such as "val_loss" or "loss".
    factor : float in [0, 1)
    patience : int
    min_delta : float
    cooldown : int
    min_lr : float
        The rate is not made smaller than this.
    mode : {"min", "max"}
        Whether smaller or larger values are better.

    Raises
    ------
    ValueError
        For settings out of range; from `fit`, if the optimizer has no constant learning rate or
        if the logs have no entry `monitor`.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> network = fastnn.Network([fastnn.Dense(1)], optimizer=fastnn.SGD(0.5))
    >>> halve = fastnn.ReduceLROnPlateau("loss", patience=2)
    >>> history = network.fit(x, x, epochs=60, callbacks=[halve])
    >>> network.optimizer.learning_rate < 0.5
    True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.5,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "min",
    ):
        self.monitor = monitor
        self.factor = fraction(factor, "factor")
        if not self.factor:
            raise ValueError("factor is 0, wanted a number between 0 and 1")
        self.patience = positive_int(patience, "patience")
        self.min_delta = non_negative_float(min_delta, "min_delta")
        self.cooldown = non_negative_int(cooldown, "cooldown")
        self.min_lr = non_negative_float(min_lr, "min_lr")
        self.mode = one_of(mode, "mode", ("min", "max"))

    def check(self, names: Collection[str]) -> None:
        check_monitor(self, self.monitor, names)

    def on_train_begin(self, network: Any) -> None:
        self.best = math.inf
        self.waited = self.cooling = 0
        rate = vars(network.optimizer).get("learning_rate")
        if not isinstance(rate, numbers.Real):
            raise ValueError(
                "ReduceLROnPlateau wants an optimizer with a constant learning rate, "
                f"got {network.optimizer}"
            )

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        value = logs[self.monitor] if self.mode == "min" else -logs[self.monitor]
        if self.cooling:
            self.cooling -= 1
            self.waited = 0
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
        elif not self.cooling:
            self.waited += 1
            if self.waited >= self.patience:
                optimizer = self.network.optimizer
                least = min(self.min_lr, optimizer.learning_rate)
                optimizer.learning_rate = max(optimizer.learning_rate * self.factor, least)
                self.cooling, self.waited = self.cooldown, 0


class ProgressBar(Callback):
    """Show a fit as it runs.

    Parameters
    ----------
    epochs : int
        How many epochs the fit has at most.
    verbose : {1, 2}
        1: on a terminal one line that is redrawn at most ten times a second; elsewhere (a file, a
        notebook) at most about twenty lines a fit.  2: one line for every epoch.
    stream : text stream, optional
        Where to write; standard output without it.
    """

    def __init__(self, epochs: int, verbose: int = 1, stream: TextIO | None = None):
        if type(verbose) is not int or verbose not in (1, 2):
            raise ValueError(f"verbose is {verbose!r}, wanted 0, 1 or 2")
        self.epochs = positive_int(epochs, "epochs")
        self.stream = sys.stdout if stream is None else stream
        self.redraws = verbose == 1 and self.stream.isatty()
        self.every = 1 if verbose == 2 else math.ceil(self.epochs / 20)
        self.pending = ""  # the last epoch's line, while it is not yet on the screen
        self.drawn_at = -math.inf
        self.drawn_width = 0

    def on_progress(self, epoch: int, rows_done: int, rows_total: int, loss: float) -> None:
        if self.redraws and self._due():
            share = rows_done / rows_total
            bar = ("=" * int(20 * share)).ljust(20, ".")
            shown = "" if math.isnan(loss) else f"  loss {loss:.5g}"
            self._draw(f"{self._count(epoch)} [{bar}] {share:4.0%}{shown}")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        losses = [f"{name} {value:.5g}" for name, value in logs.items() if name not in SPEED]
        speed = f"{_speed(logs['rows'], logs['seconds']):,.0f} samples/s"
        self.pending = "  ".join([self._count(epoch), *losses, speed])
        if self.redraws:
            if self._due():
                self._draw(self.pending)
        elif (epoch + 1) % self.every == 0:
            self._write_pending()

    def on_train_end(self, logs: Logs) -> None:
        if self.redraws:
            if self.pending:
                self._draw(self.pending)
            if self.drawn_width:
                self.stream.write("\n")
                self.stream.flush()
        elif self.pending:
            self._write_pending()

    def _count(self, epoch):
        return f"epoch {epoch + 1:{len(str(self.epochs))}d}/{self.epochs}"

    def _due(self):
        return time.monotonic() >= self.drawn_at + 0.1

    def _draw(self, line):
        line = line[: shutil.get_terminal_size().columns - 1]
        self.stream.write("\r" + line.ljust(self.drawn_width))
        self.stream.flush()
        self.drawn_at, self.drawn_width = time.monotonic(), len(line)

    def _write_pending(self):
        self.stream.write(self.pending + "\n")
        self.stream.flush()
        self.pending = ""


def _speed(rows, seconds):
    return rows / seconds if seconds > 0 else math.nan
