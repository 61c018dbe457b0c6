"""Show how far reading a source has come."""

import shutil
import sys
import time

from fastnn.callbacks.progress import time_left


class Progress:
    """Shows rows and time left: on a terminal in one line, elsewhere every ten seconds."""

    def __init__(self, name: str, rows: int | None, done: int, shown: bool):
        self._name, self._total, self._first, self._shown = name, rows, done, shown
        self._started = self._drawn = time.monotonic()
        self._redraws = shown and sys.stdout.isatty()
        self._every = 0.1 if self._redraws else 10.0
        self._width = 0

    def rows(self, done: int) -> None:
        """Tell that so many rows have been read."""
        if self._shown and time.monotonic() >= self._drawn + self._every:
            self._draw(done)

    def end(self, done: int) -> None:
        """Tell that these are all."""
        if self._shown:
            self._total = done
            self._draw(done)
            if self._redraws:
                print(flush=True)

    def _draw(self, done: int) -> None:
        line = f"read {done:,} rows of {self._name}"
        if self._total:
            seconds = time.monotonic() - self._started
            share = (done - self._first) / max(1, self._total - self._first)
            left = time_left(seconds, share)
            line = f"{line}, {done / self._total:.0%}{f', {left} left' if left else ''}"
        if self._redraws:
            line = line[: shutil.get_terminal_size().columns - 1]
            print("\r" + line.ljust(self._width), end="", flush=True)
            self._width = len(line)
        else:
            print(line, flush=True)
        self._drawn = time.monotonic()
