"""The history of a fit."""

import math
import statistics

from fastnn.callbacks.base import SPEED, Callback, Logs


class History(Callback):
    """The losses and metrics of each epoch, and their times; ``fit`` returns it.

    Attributes
    ----------
    history : dict of str to list of float
        ``"loss"``, the metrics and, with validation data, ``"val_loss"`` and so on.
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

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.epoch.append(epoch)
        self.seconds.append(float(logs["seconds"]))
        self.rows.append(int(logs["rows"]))
        for name, value in logs.items():
            if name not in SPEED:
                self.history.setdefault(name, []).append(float(value))

    @property
    def samples_per_second(self) -> float:
        """Rows trained per second: the median of the last ten epochs, NaN before the first."""
        speeds = [speed(r, s) for r, s in zip(self.rows[-10:], self.seconds[-10:], strict=True)]
        return statistics.median(speeds) if speeds else math.nan

    def __repr__(self) -> str:
        parts = ["1 epoch" if len(self.epoch) == 1 else f"{len(self.epoch)} epochs"]
        parts += [f"{name}={values[-1]:.6g}" for name, values in self.history.items()]
        if self.epoch:
            parts.append(f"{self.samples_per_second:,.0f} samples/s")
        return f"History({', '.join(parts)})"


def speed(rows: float, seconds: float) -> float:
    """Return rows per second, or NaN if no time was measured."""
    return rows / seconds if seconds > 0 else math.nan
