"""The compiled kernels, each an explicit loop.

Their NumPy twins, of the same names and signatures, are in :mod:`fastnn.reference`.
"""

from numba.core.dispatcher import Dispatcher

from fastnn.kernels import activations, losses, matmul, regularizers, rows, updates

_MODULES = (activations, losses, matmul, regularizers, rows, updates)

COMPILED = {
    name: function
    for module in _MODULES
    for name, function in vars(module).items()
    if isinstance(function, Dispatcher)
    and function.__module__ == module.__name__
    and not name.startswith("_")
}
"""Every kernel by name."""

globals().update(COMPILED)
__all__ = sorted(COMPILED)  # noqa: PLE0605
