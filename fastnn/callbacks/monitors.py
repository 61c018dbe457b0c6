"""Callbacks that monitor a loss or a metric: early stopping and checkpoints."""

import errno
import math
import os
from collections.abc import Collection
from typing import Any

from fastnn.callbacks.base import Callback, Logs, as_entry, check_monitor
from fastnn.inputs.checks import boolean, non_negative_float, non_negative_int, one_of, positive_int
from fastnn.inputs.settings import Stateful, among, optional, setting

_MODES = among("auto", "min", "max")


class Monitor(Stateful, Callback):
    """Base of callbacks that monitor one entry of the logs and remember its best value.

    A subclass may declare these parameters, and others, as its settings.

    Parameters
    ----------
    monitor : str
        The entry: "loss", "val_loss", or a metric's name, with or without ``val_``.
    min_delta : float
        How much better than the best a value must be to count as an improvement.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better.  "auto" knows for losses and built-in metrics.

    Attributes
    ----------
    best : float or None
        The best value of this fit.
    best_epoch : int or None
        Its epoch, from 0.
    """

    monitor = "val_loss"
    min_delta = 0.0
    mode = "auto"
    network: Any = setting(default=None, init=False)
    best: float | None = setting(default=None, init=False)
    best_epoch: int | None = setting(default=None, init=False)

    def __init__(self, monitor: str, min_delta: float, mode: str):
        self.monitor = as_entry(monitor, "monitor")
        self.min_delta = non_negative_float(min_delta, "min_delta")
        self.mode = _MODES(mode, "mode")

    def check(self, names: Collection[str]) -> None:
        check_monitor(self, self.monitor, names)

    def on_train_begin(self, network: Any) -> None:
        self.best, self.best_epoch, self._metrics = None, None, network.metrics
        self._larger_is_better()

    def _larger_is_better(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        known = {"loss": False} | {metric.name: metric.maximize for metric in self._metrics}
        name = one_of(self.monitor.removeprefix("val_"), "monitor (without 'val_')", known)
        if known[name] is None:
            raise ValueError(
                f"mode is 'auto', but whether more or less of {name!r} is better is not known: "
                "wanted 'min' or 'max'"
            )
        return bool(known[name])

    def improved(self, epoch: int, logs: Logs) -> bool:
        """Return whether this epoch is the best so far, and remember it if so.  NaN never is."""
        check_monitor(self, self.monitor, logs)
        value = logs[self.monitor]
        if math.isnan(value):
            return False
        if self.best is not None:
            gain = value - self.best if self._larger_is_better() else self.best - value
            if not gain > self.min_delta:
                return False
        self.best, self.best_epoch = float(value), epoch
        return True


class EarlyStopping(Monitor):
    """Stop when a loss or metric stops improving, and restore the best weights.

    Parameters
    ----------
    monitor : str
        "loss", "val_loss", or a metric's name, with or without ``val_``.
    min_delta : float
        How much better than the best so far a value must be to count as an improvement.
    patience : int or None
        Stop after this many epochs in a row without improvement; 0 acts like 1.  None never stops,
        so that a schedule reaches its end, and leaves the choice of the best weights.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better.  "auto" knows for losses and built-in metrics.
    restore_best_weights : bool
        When the fit ends, for whatever reason, set the weights to those of the best epoch, bit for
        bit.  The optimizer keeps the last epoch's state.  Keras's default is False.
    ties : {"first", "last"}
        Which of several epochs with the best value is the best one.  Only the first of them is an
        improvement.

    Attributes
    ----------
    best, best_epoch : float and int, or None
        The best value and its epoch, from 0.
    stopped_epoch : int or None
        The epoch after which it stopped the fit; None if it did not.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.  When the fit begins, for "auto" with a metric of unknown
        direction, or if the fit's logs have no entry `monitor`.

    Notes
    -----
    Source: L. Prechelt, "Early Stopping - But When?", 1998.  Each fit counts from scratch.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> network = fastnn.Network([fastnn.Dense(1)])
    >>> stop = EarlyStopping("loss", patience=3, min_delta=1e-3)
    >>> history = network.fit(x, 2 * x, epochs=1000, callbacks=[stop])
    >>> stop.stopped_epoch - stop.best_epoch, len(history.epoch) < 1000
    (3, True)

    All epochs, and then the weights of the last of the best:

    >>> best = EarlyStopping("loss", patience=None, ties="last")
    >>> history = network.fit(x, 2 * x, epochs=10, callbacks=[best])
    >>> len(history.epoch), best.stopped_epoch
    (10, None)
    """

    monitor: str = setting(default="val_loss", check=as_entry)
    min_delta: float = setting(default=0.0, check=non_negative_float)
    patience: int | None = setting(default=0, check=optional(non_negative_int))
    mode: str = setting(default="auto", check=_MODES)
    restore_best_weights: bool = setting(default=True, check=boolean)
    ties: str = setting(default="first", check=among("first", "last"))
    stopped_epoch: int | None = setting(default=None, init=False)
    _weights: list[Any] | None = setting(default=None, init=False)
    _waited: int = setting(default=0, init=False)

    def on_train_begin(self, network: Any) -> None:
        super().on_train_begin(network)
        self.stopped_epoch, self._weights, self._waited = None, None, 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        improved = self.improved(epoch, logs)
        if not improved and self.ties == "last" and logs[self.monitor] == self.best:
            self.best_epoch = epoch
        if self.best_epoch == epoch and self.restore_best_weights:
            self._weights = self.network.get_weights()
        self._waited = 0 if improved else self._waited + 1
        if self.patience is not None and self._waited >= max(1, self.patience):
            self.stopped_epoch = epoch
            self.network.stop_training = True

    def on_train_end(self, logs: Logs) -> None:
        if self._weights is not None and self.restore_best_weights:
            self.network.set_weights(self._weights)
            self._weights = None


class ModelCheckpoint(Monitor):
    """Save the network during a fit, so that an interrupted fit can continue.

    A file appears whole or not at all.  It holds everything that training depends on, so
    ``fastnn.load(path).fit(...)`` with the same data and settings continues exactly as the fit
    would have, bit for bit.

    Parameters
    ----------
    filepath : path
        May contain the epoch, counted from 1, and logs: ``"net-{epoch:03d}-{val_loss:.3f}"``.  In a
        fit on several processes, rank 0 writes it.
    monitor, mode : str
        As in :class:`EarlyStopping`; used only with `save_best_only`.
    save_best_only : bool
        Save only after epochs that are better than all before.
    every : int
        Save after every `every` epochs; cannot be combined with `save_best_only`.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.  When the fit begins, as in :class:`EarlyStopping`, or if
        `filepath` names an entry that the logs lack.  After an epoch, if the network cannot be
        saved.
    OSError
        If the folder does not exist or `filepath` is one, when the fit begins, or if a file cannot
        be written.

    Examples
    --------
    >>> import os, tempfile, numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.fastnn")
    ...     network = fastnn.Network([fastnn.Dense(1)])
    ...     history = network.fit(x, 2 * x, epochs=3, callbacks=[ModelCheckpoint(path)])
    ...     again = fastnn.load(path)
    >>> history = again.fit(x, 2 * x, epochs=10 - again.epochs_done)
    >>> again.epochs_done
    10
    """

    filepath: Any = setting(check=lambda value, name: os.fspath(value))
    monitor: str = setting(default="val_loss", check=as_entry)
    save_best_only: bool = setting(default=False, check=boolean)
    mode: str = setting(default="auto", check=_MODES)
    every: int = setting(default=1, check=positive_int)

    def check_settings(self) -> None:
        if self.save_best_only and self.every > 1:
            raise ValueError(f"every is {self.every}, wanted 1 with save_best_only=True")

    def check(self, names: Collection[str]) -> None:
        if self.save_best_only:
            super().check(names)
        self._path(0, dict.fromkeys(names, 0.0))

    def on_train_begin(self, network: Any) -> None:
        if self.save_best_only:
            super().on_train_begin(network)
        folder = os.path.dirname(self.filepath)
        if "{" not in folder and not os.path.isdir(folder or "."):
            raise FileNotFoundError(errno.ENOENT, "No such folder", folder)
        if "{" not in self.filepath and os.path.isdir(self.filepath):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.filepath)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.improved(epoch, logs) if self.save_best_only else (epoch + 1) % self.every == 0:
            self.network.save(self._path(epoch, logs))

    def _path(self, epoch: int, logs: Logs) -> str:
        try:
            return self.filepath.format(**{**logs, "epoch": epoch + 1})
        except (KeyError, IndexError) as error:
            known = ", ".join(["epoch", *logs])
            raise ValueError(
                f"filepath is {self.filepath!r}, which names {error}; an epoch has {known}"
            ) from None
