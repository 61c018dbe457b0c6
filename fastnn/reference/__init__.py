"""The kernels in NumPy: independent definitions of what each compiled kernel must compute.

Files, names and signatures are those of :mod:`fastnn.kernels`.
"""

import importlib
import pkgutil
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING

import numpy as np

_MODULES = [
    importlib.import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
]

TWINS = {
    name: np.errstate(all="ignore")(function)
    for module in _MODULES
    for name, function in vars(module).items()
    if isinstance(function, FunctionType) and not name.startswith("_")
}
"""All reference kernels by name; like compiled ones, they heed no error state of the caller's."""

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., None]: ...


globals().update(TWINS)
__all__ = sorted(TWINS)  # noqa: PLE0605
