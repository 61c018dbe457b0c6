"""The history of a fit."""

import math
import statistics
from typing import Any

from fastnn.callbacks.base import SPEED, Callback, Logs
from fastnn.inputs.checks import one_of
from fastnn.inputs.extras import load, pyplot


class History(Callback):
    """The losses and metrics of each epoch, and their times; ``fit`` returns it.

    Attributes
    ----------
    history : dict of str to list of float
        ``"loss"``, the metrics and, with validation data, ``"val_loss"`` and so on: a value for
        each epoch, NaN for epochs without one.
    epoch : list of int
        The epochs' numbers, from 0.
    seconds : list of float
        Training time of each epoch, without validation and callbacks.
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

    def epochs_at_once(self) -> float:
        return math.inf

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        before = len(self.epoch)
        self.epoch.append(epoch)
        self.seconds.append(float(logs["seconds"]))
        self.rows.append(int(logs["rows"]))
        for name, value in logs.items():
            if name not in SPEED:
                values = self.history.setdefault(name, [math.nan] * before)
                values.append(float(value))
        for name in self.history.keys() - logs.keys():  # a callback may change the metrics
            self.history[name].append(math.nan)

    @property
    def samples_per_second(self) -> float:
        """Rows trained per second: the median of the last ten epochs, NaN before the first."""
        speeds = [speed(r, s) for r, s in zip(self.rows[-10:], self.seconds[-10:], strict=True)]
        return statistics.median(speeds) if speeds else math.nan

    def plot(self, name: str = "loss", ax: Any = None) -> Any:
        """Plot the loss or a metric by epoch, beside that of validation; return matplotlib's axes.

        Raises
        ------
        ValueError
            If no epoch has ended, or none has an entry `name`.
        ImportError
            Without matplotlib, which the extra ``plot`` installs.
        """
        if not self.epoch:
            raise ValueError("plot() wants an epoch to show, but no epoch has ended")
        one_of(name, "name", self.history)
        if ax is None:
            ax = pyplot().figure().add_subplot()
        shown = [each for each in (name, f"val_{name}") if each in self.history]
        for each in shown:
            ax.plot(self.epoch, self.history[each], marker="." * (len(self.epoch) == 1), label=each)
        ax.set_xlabel("epoch")
        ax.set_ylabel(name)
        if len(shown) > 1:
            ax.legend()
        return ax

    def to_frame(self) -> Any:
        """Return a pandas DataFrame: a row for each epoch, with its losses, metrics and times.

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> history = History()
        >>> history.on_epoch_end(0, {"loss": 0.5, "seconds": 0.25, "rows": 1000})
        >>> history.to_frame()  # doctest: +SKIP
               loss  seconds  rows
        epoch
        0       0.5     0.25  1000
        """
        pandas = load("pandas", "to_frame()", "pandas")
        index = pandas.Index(self.epoch, name="epoch", dtype="int64")
        columns = {**self.history, "seconds": self.seconds, "rows": self.rows}
        return pandas.DataFrame(columns, index=index)

    def __repr__(self) -> str:
        parts = ["1 epoch" if len(self.epoch) == 1 else f"{len(self.epoch)} epochs"]
        parts += [f"{name}={values[-1]:.6g}" for name, values in self.history.items()]
        if self.epoch:
            parts.append(f"{self.samples_per_second:,.0f} samples/s")
        return f"History({', '.join(parts)})"


def speed(rows: float, seconds: float) -> float:
    """Return rows per second, or NaN if no time was measured."""
    return rows / seconds if seconds > 0 else math.nan
