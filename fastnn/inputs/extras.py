"""Libraries that only a few functions want, and that need not be installed."""

import importlib
from typing import Any


def load(module: str, what: str, install: str) -> Any:
    """Return an imported module for `what`, or raise ImportError that says how to `install` it.

    Examples
    --------
    >>> load("no_such_library", "plot()", "no-such-library")
    Traceback (most recent call last):
    ImportError: plot() wants no_such_library: pip install no-such-library
    """
    name = module.partition(".")[0]
    try:
        importlib.import_module(name)
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} wants {name}: pip install {install}") from error


def pyplot() -> Any:
    """Return matplotlib's pyplot, for the methods called `plot`."""
    return load("matplotlib.pyplot", "plot()", "matplotlib, or fastnn-kernels[plot]")
