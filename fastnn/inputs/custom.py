"""Users' own compiled functions: check them when they arrive, and make kernels of them."""

import inspect
import pickle
from collections.abc import Callable, Mapping, Set
from typing import Any, Self

import numba
import numpy as np
from numba import types
from numba.extending import is_jitted

from fastnn.inputs.same_code import same_code
from fastnn.kernels.interrupts import uninterrupted
from fastnn.kernels.jit import njit
from fastnn.kernels.numba_internals import NumbaError, compile_for, dumps

Pair = tuple[Callable[..., None], Callable[..., None]]
"""A compiled kernel and its twin, which runs as plain Python."""

_FLOATS = (types.float32, types.float64)


class CustomMixin:
    """Mixin for a user's own activation or loss, which has a name and saves no settings."""

    name: str

    functions_: tuple[Any, Any]
    """The user's own, forward and backward."""

    def _adopt(self, name: str | None, functions: Any, taken: Set[str], what: str) -> None:
        self.functions_ = functions
        if name is None:
            name = getattr(functions[0], "__name__", "")
        if not isinstance(name, str) or not name:
            raise TypeError(f"name is {name!r}, wanted a text that is not empty")
        if name in taken:
            raise ValueError(f"name is {name!r}, which is a built-in {what}: wanted another one")
        self.name = name

    def to_config(self) -> dict[str, Any]:
        """Return what a file holds for it: only its name, because files contain no code."""
        return {"name": "Custom", "key": self.name}

    def __copy__(self) -> Self:
        return self  # as functions do

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = vars(self).copy()
        del state["_kernels"]
        pickled(self.functions_, repr(self))  # or says why not
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._compile()

    def _compile(self) -> None:
        """Make the kernels from the functions."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"Custom({self.name!r})"


def pickled(functions: Any, name: str) -> bytes:
    """Return functions as bytes for `pickle.loads`, also those that no import would find.

    Raises
    ------
    PicklingError
        If they refer to something that cannot be pickled.
    """
    try:
        return dumps(functions)
    except Exception as error:
        raise pickle.PicklingError(
            f"{name} cannot be pickled, because it uses something that cannot: {error}; it may use "
            "numbers, arrays, modules and other functions"
        ) from error


def restored(config: Any, custom: Mapping[str, Any] | None) -> Any:
    """Return a configuration with custom names replaced by the objects in `custom`.

    Raises
    ------
    ValueError
        If `custom` lacks a name.
    """
    root = [config]
    waiting: list[Any] = [root]  # no recursion: old files have class trees of any depth
    while waiting:
        here = waiting.pop()
        for key, value in list(here.items() if isinstance(here, dict) else enumerate(here)):
            if isinstance(value, dict) and value.get("name") == "Custom":
                here[key] = _found(value["key"], custom)
            elif isinstance(value, dict | list):
                here[key] = value.copy()
                waiting.append(here[key])
    return root[0]


def _found(key: Any, custom: Mapping[str, Any] | None) -> Any:
    if not isinstance(key, str) or key not in (custom or {}):
        raise ValueError(
            f"the network uses {key!r}, whose code is not stored: "
            f"load(path, custom={{{key!r}: ...}}) wants the Custom object it was trained with"
        )
    return custom[key]  # type: ignore[index]


def activation_kernels(forward: Any, backward: Any) -> tuple[Pair, Pair]:
    """Return the kernels of an activation; see :class:`fastnn.activations.Custom`."""
    _check_functions(forward=(forward, (1, 2)), backward=(backward, (2, 4)))
    ahead = _elementwise_forward(forward) if n_arguments(forward) == 1 else _as_pair(forward)
    back = _elementwise_backward(backward) if n_arguments(backward) == 2 else _as_pair(backward)
    for dtype in _FLOATS:
        matrix = types.Array(dtype, 2, "C")
        _check_compiles(ahead[0], (matrix,) * 2, "forward", dtype)
        _check_compiles(back[0], (matrix,) * 4, "backward", dtype)
    return ahead, back


def loss_kernels(forward: Any, backward: Any, labels: bool) -> tuple[Pair, Pair]:
    """Return the kernels of a loss; see :class:`fastnn.losses.Custom`."""
    _check_functions(forward=(forward, (2,)), backward=(backward, (3,)))
    ahead, back = _loss_forward(forward), _loss_backward(backward)
    for dtype in _FLOATS:
        matrix, vector = types.Array(dtype, 2, "C"), types.Array(dtype, 1, "C")
        target = types.Array(types.int64, 1, "C") if labels else matrix
        _check_compiles(ahead[0], (matrix, target, vector), "forward", dtype)
        _check_compiles(back[0], (matrix, target, vector, matrix), "backward", dtype)
    return ahead, back


def n_arguments(function):
    """Return how many arguments a compiled function takes."""
    return len(inspect.signature(function.py_func).parameters)


def _check_functions(**given):
    for name, (function, counts) in given.items():
        if not is_jitted(function):
            kind = type(function).__name__
            advice = "put @numba.njit above it"
            if numba.config.DISABLE_JIT:
                advice = "unset NUMBA_DISABLE_JIT, with which it compiles nothing"
            raise TypeError(
                f"{name} is a {kind}, wanted a function compiled by numba.njit: {advice}"
            )
        if n_arguments(function) not in counts:
            wanted = " or ".join(map(str, counts))
            raise TypeError(f"{name} takes {n_arguments(function)} arguments, wanted {wanted}")


def _check_compiles(kernel, arguments, name, dtype):
    try:
        with uninterrupted():
            compile_for(kernel, arguments)
    except NumbaError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if not line.startswith("Failed in")), lines[0])
        raise TypeError(f"{name} does not compile for {dtype}: {reason}") from error


# Numba cannot cache closures over compiled functions, and hardly frees what it has compiled.  Equal
# functions therefore share kernels, for as long as the process lives; a function that cannot be
# compared keeps its own.
_kernels: dict[Any, Any] = {}


def _shared(function):
    """Return what replaces a kernel made of a function by that made of an equal one before."""
    code = same_code(function)
    known = vars(function).setdefault("fastnn_kernels", {}) if code is None else _kernels
    return lambda kernel: known.setdefault((kernel.__qualname__, code), kernel)


def _as_pair(function):
    return _shared(function)(function), function.py_func


def _elementwise_forward(function):
    @_shared(function)
    @njit(cached=False)
    def custom_forward(x, out):
        for k in range(x.size):
            out.flat[k] = function(x.flat[k])

    def twin(x, out):
        for k in np.ndindex(x.shape):
            out[k] = function.py_func(x[k])

    return custom_forward, twin


def _elementwise_backward(function):
    @_shared(function)
    @njit(cached=False)
    def custom_backward(x, y, dy, dx):
        for k in range(dy.size):
            dx.flat[k] = dy.flat[k] * function(x.flat[k], y.flat[k])

    def twin(x, y, dy, dx):
        for k in np.ndindex(dy.shape):
            dx[k] = dy[k] * function.py_func(x[k], y[k])

    return custom_backward, twin


def _loss_forward(function):
    @_shared(function)
    @njit(cached=False)
    def custom_forward(prediction, target, row_loss):
        for i in range(prediction.shape[0]):
            row_loss[i] = function(prediction[i], target[i])

    def twin(prediction, target, row_loss):
        for i in range(len(prediction)):
            row_loss[i] = function.py_func(prediction[i], target[i])

    return custom_forward, twin


def _loss_backward(function):
    @_shared(function)
    @njit(cached=False)
    def custom_backward(prediction, target, row_scale, d):
        for i in range(prediction.shape[0]):
            function(prediction[i], target[i], d[i])
            for j in range(d.shape[1]):
                d[i, j] *= row_scale[i]

    def twin(prediction, target, row_scale, d):
        for i in range(len(prediction)):
            function.py_func(prediction[i], target[i], d[i])
        d *= row_scale[:, np.newaxis]

    return custom_backward, twin
