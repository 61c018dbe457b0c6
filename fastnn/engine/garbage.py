"""Pause Python's garbage collector while many lasting objects are made."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Disable the garbage collector during the block.

    Importing Numba and compiling make a million objects, few of which are cyclic garbage.  Scanning
    them repeatedly took a tenth of a first run and a sixth of an import.
    """
    enabled = gc.isenabled()
    try:
        gc.disable()
        yield
    finally:
        if enabled:
            gc.enable()
