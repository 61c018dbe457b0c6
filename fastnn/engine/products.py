"""Matrix products, compiled in another process while this one compiles the rest of a program."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fastnn.engine import cores
from fastnn.kernels.gemm.table import compile_gemm, gemm_is_lacking

_COMMAND = """
import gc, sys
gc.disable()
sys.path[:] = {path!r}
from fastnn.kernels.gemm.table import compile_gemm
compile_gemm({operands!r})
"""


@contextmanager
def compiled_apart(operands: str) -> Iterator[None]:
    """Have those of such operands compiled while the block runs.

    That needs a cache that lacks them and a core that is free.  They take nearly half of a first
    run, and Numba compiles in one thread at a time.  Whatever goes wrong in the other process, this
    one compiles what is missing afterwards.
    """
    process = None
    frozen = hasattr(sys, "frozen")  # then the executable is a program, not Python
    if gemm_is_lacking(operands) and cores.unused() > 1 and sys.executable and not frozen:
        command = _COMMAND.format(path=sys.path, operands=operands)
        none = subprocess.DEVNULL
        with suppress(OSError):
            process = subprocess.Popen(
                [sys.executable, "-c", command], stdin=none, stdout=none, stderr=none
            )
    try:
        yield
    except BaseException:
        if process is not None:
            process.kill()
        raise
    finally:
        if process is not None:
            process.wait()
    compile_gemm(operands)
