"""Show the progress of a fit on a terminal, in a file or in a notebook."""

import math
import shutil
import sys
import time
from numbers import Integral
from typing import Any, TextIO

import numpy as np

from fastnn.callbacks.base import SPEED, Callback, Logs
from fastnn.callbacks.history import speed
from fastnn.inputs.checks import positive_int
from fastnn.kernels.interrupts import uninterrupted


def as_verbose(value: Any, most: int = 2) -> int:
    """Return `verbose` as an int from 0 to `most`; True is 1.

    Examples
    --------
    >>> as_verbose(True)
    1
    """
    whole = isinstance(value, Integral | np.bool_)
    if whole and 0 <= int(value) <= most:
        return int(value)
    kind = ValueError if whole else TypeError
    raise kind(f"verbose is {value!r}, wanted {'0, 1 or 2' if most == 2 else '0 or 1'}")


def time_left(seconds: float, share: float) -> str:
    """Return how long the rest takes, as minutes and seconds; nothing while nobody can know.

    Examples
    --------
    >>> time_left(60.0, 0.25)
    '3:00'
    """
    if seconds < 1 or not 0 < share < 1:
        return ""
    left = math.ceil(seconds * (1 - share) / share)
    hours, minutes = divmod(left // 60, 60)
    return f"{hours}:{minutes:02}:{left % 60:02}" if hours else f"{minutes}:{left % 60:02}"


class ProgressBar(Callback):
    """Show a fit as it runs.

    Parameters
    ----------
    epochs : int
        The largest number of epochs that the fit may take.
    verbose : {1, 2}
        1 redraws one line on a terminal, at most ten times a second, with the time that all epochs
        will still take; elsewhere (in a file or a
        notebook) it prints about twenty lines per fit at most.  2 prints one line per epoch.
    stream : text stream, optional
        Where to write; by default standard output.
    """

    def __init__(self, epochs: int, verbose: int = 1, stream: TextIO | None = None):
        if not (verbose := as_verbose(verbose)):
            raise ValueError("verbose is 0, wanted 1 or 2")
        self.epochs = positive_int(epochs, "epochs")
        self.stream = sys.stdout if stream is None else stream
        self.redraws = verbose == 1 and self.stream.isatty()
        self.every = 1 if verbose == 2 else math.ceil(self.epochs / 20)
        self.pending = ""  # the last epoch's line if it is not yet on the screen
        self.drawn_at = -math.inf
        self.drawn_width = 0
        self.started = time.monotonic()

    def on_train_begin(self, network: Any) -> None:
        self.started = time.monotonic()

    def on_progress(self, epoch: int, rows_done: int, rows_total: int, loss: float) -> None:
        if self.redraws and self._due():
            share = rows_done / rows_total
            bar = ("=" * int(20 * share)).ljust(20, ".")
            shown = "" if math.isnan(loss) else f"  loss {loss:.5g}"
            left = self._left(epoch + share)
            self._draw(f"{self._count(epoch)} [{bar}] {share:4.0%}{shown}{left}")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        losses = [f"{name} {value:.5g}" for name, value in logs.items() if name not in SPEED]
        rate = f"{speed(logs['rows'], logs['seconds']):,.0f} samples/s"
        self.pending = "  ".join([self._count(epoch), *losses, rate])
        if self.redraws:
            if self._due():
                self._draw(self.pending + self._left(epoch + 1))
        elif (epoch + 1) % self.every == 0:
            self._write_pending()

    @uninterrupted()
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

    def _left(self, done):
        left = time_left(time.monotonic() - self.started, done / self.epochs)
        return left and f"  {left} left"

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
