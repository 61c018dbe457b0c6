"""A rest for Python's garbage collector while many objects are made that stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage during the block.

    Importing Numba and compiling make a million objects, of which few are garbage in cycles; to
    look through them again and again took a tenth of a first run and a sixth of an import.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
