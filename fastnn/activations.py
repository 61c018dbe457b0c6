"""Activation functions: which kernels compute them, with which settings."""

from collections.abc import Callable
from typing import Any

from fastnn.inputs.checks import boolean, non_negative_float, positive_float
from fastnn.inputs.custom import CustomMixin, activation_kernels, n_arguments
from fastnn.inputs.settings import Configured, look_up

Kernel = str | tuple[Callable[..., None], Callable[..., None]]
"""The name of a kernel, or a compiled function and its NumPy twin."""


class Activation(Configured):
    """An activation function; the attributes of an object are its settings.

    Attributes
    ----------
    name : str
        Kernels ``<name>_forward(x, *arguments, out)`` and
        ``<name>_backward(x, y, *arguments, dy, dx)`` compute it.
    slope : float or None
        For ``f(t) = t if t > 0 else slope * t``, which the matrix product applies itself.
    elementwise : bool
        Whether an output depends on one input alone.

    Examples
    --------
    >>> from fastnn.activations import get
    >>> get("relu").slope
    0.0
    """

    name: str = ""
    slope: float | None = None

    elementwise: bool = True

    @property
    def forward(self) -> Kernel:
        """The kernel of the forward pass; used where `slope` is None."""
        return f"{self.name}_forward"

    @property
    def backward(self) -> Kernel:
        """The kernel of the backward pass; used where `slope` is None."""
        return f"{self.name}_backward"

    @property
    def arguments(self) -> tuple[float, ...]:
        """The kernels' arguments: the settings in their order."""
        return tuple(vars(self).values())


class Linear(Activation):
    """``f(t) = t``."""

    name, slope = "linear", 1.0


class ReLU(Activation):
    """``f(t) = max(t, 0)``, with slope 0 at 0."""

    name, slope = "relu", 0.0


class LeakyReLU(Activation):
    """``f(t) = t if t > 0 else negative_slope * t``.

    Parameters
    ----------
    negative_slope : float
        At least 0.  The default is that of Keras's ``leaky_relu``; Keras's layer of that name has
        0.3, PyTorch 0.01.

    Raises
    ------
    ValueError, TypeError
        For a slope that is negative or no number.

    Notes
    -----
    Source: Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
    ICML 2013.

    Examples
    --------
    >>> LeakyReLU(0.01)
    LeakyReLU(negative_slope=0.01)
    """

    name = "leaky_relu"

    def __init__(self, negative_slope: float = 0.2):
        self.negative_slope = non_negative_float(negative_slope, "negative_slope")

    @property
    def slope(self) -> float:  # type: ignore[override]
        """The slope below 0."""
        return self.negative_slope


class ELU(Activation):
    """``f(t) = t if t > 0 else alpha * (exp(t) - 1)``.

    Parameters
    ----------
    alpha : float
        Above 0; 1 in Keras and PyTorch too.

    Raises
    ------
    ValueError, TypeError
        For an alpha that is not above 0.

    Notes
    -----
    Source: Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by
    Exponential Linear Units (ELUs)", ICLR 2016.

    Examples
    --------
    >>> ELU(0.5)
    ELU(alpha=0.5)
    """

    name = "elu"

    def __init__(self, alpha: float = 1.0):
        self.alpha = positive_float(alpha, "alpha")


class GELU(Activation):
    """``f(t) = t * (1 + erf(t / sqrt(2))) / 2``, exact unless told.

    Parameters
    ----------
    approximate : bool
        Whether to use ``t * (1 + tanh(sqrt(2 / pi) * (t + 0.044715 * t**3))) / 2`` instead, which
        is PyTorch's ``approximate="tanh"``.  Like Keras and PyTorch, not unless told.

    Raises
    ------
    TypeError
        If `approximate` is not True or False.

    Notes
    -----
    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, arXiv:1606.08415.

    Examples
    --------
    >>> GELU(approximate=True).forward
    'gelu_tanh_forward'
    """

    name = "gelu"

    def __init__(self, approximate: bool = False):
        self.approximate = boolean(approximate, "approximate")

    @property
    def forward(self):
        return "gelu_tanh_forward" if self.approximate else "gelu_forward"

    @property
    def backward(self):
        return "gelu_tanh_backward" if self.approximate else "gelu_backward"

    @property
    def arguments(self):
        return ()


class Softplus(Activation):
    """``f(t) = log(1 + exp(t))``: PyTorch's with ``beta=1``, and Keras's."""

    name = "softplus"


class SiLU(Activation):
    """``f(t) = t / (1 + exp(-t))``, also called swish."""

    name = "silu"


class Exponential(Activation):
    """``f(t) = exp(t)``: the last layer's for the Poisson loss, to predict rates."""

    name = "exponential"


class Sigmoid(Activation):
    """``f(t) = 1 / (1 + exp(-t))``."""

    name = "sigmoid"


class Tanh(Activation):
    """The hyperbolic tangent."""

    name = "tanh"


class Softmax(Activation):
    """``f(t)_j = exp(t_j) / sum_k exp(t_k)`` over the units of the layer."""

    name, elementwise = "softmax", False


class Custom(CustomMixin, Activation):
    """An activation of your own, of functions compiled by ``numba.njit``.

    Parameters
    ----------
    forward : function compiled by ``numba.njit``
        ``forward(x)`` of one number; or ``forward(x, out)``, which writes a matrix (rows, n).
    backward : function compiled by ``numba.njit``
        The derivative ``backward(x, y)`` of one number, where ``y = forward(x)``; or
        ``backward(x, y, dy, dx)``, which writes the gradient with respect to x, given that with
        respect to y as `dy`, all matrices.
    name : str, optional
        By which a saved network asks for it again, see :func:`fastnn.load`; by default that of
        `forward`.

    Raises
    ------
    TypeError
        If a function is not compiled by ``numba.njit``, takes another number of arguments, or
        does not compile for the arguments above.
    ValueError
        If `name` is that of a built-in activation.

    Notes
    -----
    Rows must not depend on each other: threads share them.  The start of the weights is Glorot's
    unless the layer says otherwise.  The code is compiled anew in every process, and must not
    raise: an exception cannot leave compiled training.  With ``backend="numpy"`` the functions run
    as plain Python.

    Examples
    --------
    >>> import numba, fastnn
    >>> @numba.njit
    ... def square(x):
    ...     return x * x
    >>> @numba.njit
    ... def slope(x, y):
    ...     return 2 * x
    >>> fastnn.Dense(8, fastnn.activations.Custom(square, slope))
    Dense(8, activation='square')
    """

    def __init__(self, forward, backward, name: str | None = None):
        self._adopt(name, forward, {entry.name for entry in TABLE.values()}, "activation")
        self._kernels = activation_kernels(forward, backward)
        self.elementwise = n_arguments(forward) == 1

    @property
    def forward(self):
        return self._kernels[0]

    @property
    def backward(self):
        return self._kernels[1]

    @property
    def arguments(self):
        return ()


_CLASSES: tuple[type[Activation], ...] = (
    Linear,
    ReLU,
    LeakyReLU,
    ELU,
    GELU,
    Softplus,
    SiLU,
    Exponential,
    Sigmoid,
    Tanh,
    Softmax,
)
TABLE = {kind.name: kind for kind in _CLASSES} | {"identity": Linear, "swish": SiLU}


def get(activation: Any) -> Activation:
    """Return an activation by name, by configuration or as it is; None is linear."""
    found: Activation = look_up(
        "linear" if activation is None else activation, "activation", Activation, TABLE
    )
    return found
