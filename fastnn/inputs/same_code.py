"""When two functions of users compile to the same code."""

import contextlib
import inspect
import types
from typing import Any

import numpy as np
from numba.extending import is_jitted

from fastnn.kernels.numba_internals import compile_options

_NUMBERS = bool, int, float, complex, str, bytes, type(None)
_TYPES = {bool, int, float, *np.sctypeDict.values()}
_MODULES = "math", "numpy"
"""Modules whose contents do not change."""


def same_code(function: Any) -> Any:
    """Return a value that compiled functions have in common if they compute the same, or None.

    It holds a function's instructions and all that these refer to, because Numba compiles the
    values of global variables and closures in.  It is None for a function that refers to anything
    but numbers, texts, tuples and lists of them, NumPy, `math` and other compiled functions, or
    that was already compiled, with values that may have changed since.

    Examples
    --------
    >>> import numba
    >>> def power(exponent):
    ...     return numba.njit(lambda x: x**exponent)
    >>> same_code(power(2)) == same_code(power(2)), same_code(power(2)) == same_code(power(2.0))
    (True, False)
    """
    own = vars(function)
    if "fastnn_code" not in own:  # it stays what it is when a global variable changes later
        own["fastnn_code"] = None
        with contextlib.suppress(TypeError, ValueError):
            own["fastnn_code"] = None if function.signatures else _code(function)
    return own["fastnn_code"]


def _meaning(value: Any) -> Any:
    if type(value) in _NUMBERS:
        return type(value), repr(value)  # tells -0.0 from 0.0, and NaN equals NaN
    if type(value) in (tuple, list, set, frozenset):
        return type(value), *map(_meaning, value)
    if isinstance(value, types.ModuleType) and value.__name__ in _MODULES:
        return value.__name__
    if isinstance(value, types.BuiltinFunctionType | np.ufunc) or value in _TYPES:
        return value
    if not is_jitted(value) or (code := same_code(value)) is None:
        raise TypeError(f"{value!r} may change")
    return code


def _code(compiled: Any) -> tuple[Any, ...]:
    function = compiled.py_func
    code, outside = function.__code__, inspect.getclosurevars(function)
    constants = [_meaning(each) for each in code.co_consts]  # none of them code
    used = {**outside.globals, **outside.nonlocals}
    return (
        *(code.co_code, code.co_exceptiontable, code.co_names, code.co_varnames),
        *(code.co_argcount, code.co_kwonlyargcount, code.co_flags, code.co_freevars),
        *constants,
        *((name, _meaning(each)) for name, each in used.items()),
        *((name, id(each)) for name, each in outside.builtins.items()),
        _meaning((function.__defaults__, tuple((function.__kwdefaults__ or {}).items()))),
        _meaning(compile_options(compiled)),
    )
