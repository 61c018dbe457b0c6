"""Delay Ctrl-C, and other signals whose handlers may raise, while nothing may be cut short.

Python runs the handlers of signals between any two instructions of the main thread.  Where one
raises, a lock may stay locked and what several statements change together is half changed.
"""

# The functions of `signal` convert to enums and back, which takes ten times as long.
import _signal  # type: ignore[import-not-found]
import signal
import threading
from contextlib import ContextDecorator
from typing import Any

_NAMES = "SIGINT SIGBREAK SIGTERM SIGHUP SIGQUIT SIGALRM SIGUSR1 SIGUSR2".split()
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_handlers: dict[int, Any] = {}
"""The handlers of the signals that are delayed now."""
_pending: list[int] = []
"""The signals that came meanwhile."""


class uninterrupted(ContextDecorator):  # noqa: N801
    """Delay signals with handlers in Python until the end of the block.

    Not a generator: one that an interrupt leaves before its end would end at any later time.
    """

    def __init__(self) -> None:
        self._delays = False

    def _recreate_cm(self) -> "uninterrupted":
        return uninterrupted()

    def __enter__(self) -> None:
        if not _handlers and threading.current_thread() is threading.main_thread():
            self._delays = True
            try:
                _delay()
            except BaseException:
                _deliver()
                raise

    def __exit__(self, *error: Any) -> None:
        if self._delays:
            _deliver()


class interruptible:  # noqa: N801
    """Within a block of :class:`uninterrupted`, handle signals, also those that came before."""

    def __init__(self) -> None:
        self._lets = False

    def __enter__(self) -> None:
        if _handlers and threading.current_thread() is threading.main_thread():
            self._lets = True
            try:
                _deliver()
            except BaseException:
                _delay()
                raise

    def __exit__(self, *error: Any) -> None:
        if self._lets:
            _delay()


def let_interrupt() -> None:
    """Within a block of :class:`uninterrupted`, handle the signals that came until now."""
    if _pending:
        with interruptible():
            pass


def _delay() -> None:
    for number in _SIGNALS:
        handler = _signal.getsignal(number)
        if callable(handler):  # not the system's, which end the process, nor another language's
            _handlers[number] = handler
            _signal.signal(number, _remember)


def _remember(number: int, frame: Any) -> None:
    if number not in _pending:
        _pending.append(number)


def _deliver() -> None:
    """Install the handlers again, all of them whatever one raises, and call those that waited."""
    raised = None
    while _handlers or _pending:
        try:
            for number, handler in [*_handlers.items()]:
                _signal.signal(number, handler)
                del _handlers[number]
            while _pending:
                signal.raise_signal(_pending.pop(0))
        except BaseException as error:
            raised = error
    if raised is not None:
        raise raised
