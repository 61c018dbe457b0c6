"""The compiled kernels, each an explicit loop.

Their NumPy twins, with the same names and signatures, are in :mod:`fastnn.reference`.  From Python,
call the names in this module: they check their arguments and use several cores for large arrays.
From other compiled code, call the functions in the submodules, which do neither.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from fastnn.kernels.contract import CONTRACTS
from fastnn.kernels.public import Kernel

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

KERNELS = {name: Kernel(contract) for name, contract in CONTRACTS.items()}
"""All kernels by name, for calls from Python."""

COMPILED = {name: contract.compiled for name, contract in CONTRACTS.items()}
"""All kernels by name, for calls from compiled code."""

if TYPE_CHECKING:

    def __getattr__(name: str) -> Kernel: ...


globals().update(KERNELS)
__all__ = sorted(KERNELS)  # noqa: PLE0605
