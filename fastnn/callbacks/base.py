"""The callback protocol: what a fit reports, and when.

`fit` calls its callbacks when it starts, during epochs, after each epoch and when it ends.
``logs`` is a dict.  It holds ``"loss"`` and the network's metrics by name, the same with the prefix
``"val_"`` if there is validation data, ``"seconds"`` (the epoch's training time) and ``"rows"``
(the rows trained on).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

Logs = Mapping[str, float]
SPEED = ("seconds", "rows")


class Callback:
    """Base of callbacks: override the methods you need; set ``network.stop_training`` to stop.

    ``self.network`` is the network being fitted; it is set before ``on_train_begin``.  `logs` has
    the epoch's "loss" and metrics, "val_loss" and so on if there is validation data, "seconds" and
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
        """First of all.  Raise ValueError if `names`, the logs' entries, lack a needed one."""

    def on_train_begin(self, network: Any) -> None:
        """Before the first epoch."""

    def epochs_at_once(self) -> float:
        """Return how many epochs may pass before it is told of them, one by one.

        More save time where epochs are short.  The losses then have the penalties on the weights
        after the last of them.  With metrics or validation data, it is always one.
        """
        return 1

    def on_progress(self, epoch: int, rows_done: int, rows_total: int, loss: float) -> None:
        """Now and then during an epoch; `loss` is that so far, or NaN if not yet known."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After every epoch; `epoch` counts from 0."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch, even if the fit was stopped; `logs` are the last epoch's."""


def as_entry(value: Any, name: str) -> str:
    """Return the name of a logs entry, checked."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, wanted a name such as 'val_loss'")
    return value


def check_monitor(callback: Callback, monitor: str, names: Collection[str]) -> None:
    """Raise ValueError if the logs' entries lack the one that a callback monitors."""
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
    """Call several callbacks, in order.

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
        elif isinstance(callbacks, Callback | str) or not isinstance(callbacks, Iterable):
            callbacks = [callbacks]
        self.callbacks = [_as_callback(callback) for callback in callbacks]

    def epochs_at_once(self) -> float:
        return min((callback.epochs_at_once() for callback in self.callbacks), default=1)

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
