"""The cases of all kernels: they drive the parity, gradient, edge and guard-page tests.

A case follows from the kernel's contract; the file of its family says only where it differs from
that: the values of numbers, which draws are not standard normal, the tolerance.  A kernel that no
file mentions differs in nothing.
"""

import importlib
import pkgutil

from fastnn.kernels import KERNELS
from tests.cases.base import (
    DTYPES,
    PRODUCTS,
    SIZES,
    Case,
    assert_agree,
    blank,
    case,
    copied,
    normal,
    shapes,
    uniform,
)

__all__ = [
    "BY_NAME",
    "CASES",
    "DTYPES",
    "PRODUCTS",
    "SIZES",
    "Case",
    "assert_agree",
    "blank",
    "copied",
    "normal",
    "shapes",
    "uniform",
]

_families = [
    importlib.import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
    if module.name != "base"
]
_stated = {case.name: case for family in _families for case in family.CASES}

CASES = tuple(_stated.get(name) or case(name) for name in KERNELS)
BY_NAME = {case.name: case for case in CASES}
