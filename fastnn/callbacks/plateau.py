"""Reduce the learning rate when training stops improving."""

import math
import numbers
from collections.abc import Collection
from typing import Any

from fastnn.callbacks.base import Callback, Logs, as_entry, check_monitor
from fastnn.inputs.checks import fraction, non_negative_float, non_negative_int, positive_int
from fastnn.inputs.settings import Stateful, among, setting


def _factor(value: Any, name: str) -> float:
    if not fraction(value, name):
        raise ValueError(f"{name} is 0, wanted a number between 0 and 1")
    return fraction(value, name)


class ReduceLROnPlateau(Stateful, Callback):
    """Reduce the learning rate when a loss stops improving.

    This works as in Keras.  After `patience` epochs in which no value beats the best one by more
    than `min_delta`, the rate is multiplied by `factor`.  The next `cooldown` epochs then do not
    count.  Keras's default `factor` is 0.1.  PyTorch's ``ReduceLROnPlateau`` waits one epoch
    longer, ``patience + 1``, and its `threshold` is relative to the best value.

    Other networks may have the same optimizer.  The reduced rate is therefore that of a copy, which
    ``network.optimizer`` is from then on, until you set a setting of the optimizer that you gave.

    Parameters
    ----------
    monitor : str
        The entry of the logs to monitor, such as "val_loss" or "loss".
    factor : float in [0, 1)
    patience : int
    min_delta : float
    cooldown : int
    min_lr : float
        A lower bound on the learning rate.
    mode : {"min", "max"}
        Whether smaller or larger values are better.

    Raises
    ------
    ValueError
        For settings out of range.  From `fit`, if the optimizer has no constant learning rate or
        the logs have no entry `monitor`.

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

    monitor: str = setting(default="val_loss", check=as_entry)
    factor: float = setting(default=0.5, check=_factor)
    patience: int = setting(default=10, check=positive_int)
    min_delta: float = setting(default=1e-4, check=non_negative_float)
    cooldown: int = setting(default=0, check=non_negative_int)
    min_lr: float = setting(default=0.0, check=non_negative_float)
    mode: str = setting(default="min", check=among("min", "max"))
    network: Any = setting(default=None, init=False)
    best: float = setting(default=math.inf, init=False)
    waited: int = setting(default=0, init=False)
    cooling: int = setting(default=0, init=False)

    def check(self, names: Collection[str]) -> None:
        check_monitor(self, self.monitor, names)

    def on_train_begin(self, network: Any) -> None:
        self.best = math.inf
        self.waited = self.cooling = 0
        rate = network.optimizer.settings().get("learning_rate")
        if not isinstance(rate, numbers.Real):
            raise ValueError(
                "ReduceLROnPlateau wants an optimizer with a constant learning rate, "
                f"got {network.optimizer}"
            )

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        check_monitor(self, self.monitor, logs)
        value = logs[self.monitor] if self.mode == "min" else -logs[self.monitor]
        if self.cooling:
            self.cooling -= 1
            self.waited = 0
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
        elif not self.cooling:
            self.waited += 1
            if self.waited >= self.patience:
                rate = self.network.optimizer.learning_rate
                reduced = max(rate * self.factor, min(self.min_lr, rate))
                self.network.model.change_optimizer(learning_rate=reduced)
                self.cooling, self.waited = self.cooldown, 0
