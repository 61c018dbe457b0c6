"""Activation functions by name: which kernels compute them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastnn.families import look_up

Kernel = str | tuple[Callable[..., None], Callable[..., None]]
"""The name of a kernel, or a compiled function and its NumPy twin."""


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Attributes
    ----------
    name : str
    slope : float or None
        For ``f(t) = t if t > 0 else slope * t``, which the matrix product applies itself.
    forward, backward : kernel
        ``forward(x, out)`` and ``backward(x, y, dy, dx)``, used where `slope` is None: names in
        `fastnn.kernels`, or pairs of a function compiled with ``numba.njit`` and its NumPy twin.
    elementwise : bool
        Whether an output depends on one input alone.

    Examples
    --------
    >>> from fastnn.activations import get
    >>> get("relu").slope
    0.0
    """

    name: str
    slope: float | None = None
    forward: Kernel = ""
    backward: Kernel = ""
    elementwise: bool = True


TABLE = {
    "linear": Activation("linear", slope=1.0),
    "relu": Activation("relu", slope=0.0),
    "sigmoid": Activation("sigmoid", None, "sigmoid_forward", "sigmoid_backward"),
    "tanh": Activation("tanh", None, "tanh_forward", "tanh_backward"),
    "softmax": Activation("softmax", None, "softmax_forward", "softmax_backward", False),
}
TABLE["identity"] = TABLE["linear"]


def get(activation: Any) -> Activation:
    """Return an activation by name or as it is; None is linear."""
    found: Activation = look_up(
        "linear" if activation is None else activation, "activation", Activation, TABLE
    )
    return found
