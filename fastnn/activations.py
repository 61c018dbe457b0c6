"""Activation functions: their settings, and the kernels that compute them."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

from fastnn.formulas import Formula
from fastnn.inputs.checks import boolean, non_negative_float, positive_float
from fastnn.inputs.custom import CustomMixin, activation_kernels, n_arguments
from fastnn.inputs.settings import Configured, look_up, setting, table

Kernel = str | tuple[Callable[..., None], Callable[..., None]]
"""A kernel's name, or a compiled function and its NumPy twin."""


class Activation(Configured):
    """Base of activation functions: the settings, and the properties that layers rely on.

    Attributes
    ----------
    name : str
        Kernels ``<name>_forward(x, *arguments, out)`` and
        ``<name>_backward(x, y, *arguments, dy, dx)`` compute it.
    aliases : tuple of str
        Other names.
    slope : float or None
        Set for ``f(t) = t if t > 0 else slope * t``, which the matrix product applies itself.
    elementwise : bool
        Whether each output depends on one input only.
    range : (float, float)
        Bounds of the outputs.
    saturates : bool
        Whether the gradient vanishes near both bounds.
    kernel_initializer : str or None
        The initializer of a layer with this activation, if it wants one of its own; see
        :func:`fastnn.initializers.default_for`.

    Examples
    --------
    >>> from fastnn.activations import get
    >>> get("relu").slope
    0.0
    """

    name = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    slope: ClassVar[float | None] = None
    elementwise = True
    range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    saturates = False
    kernel_initializer: ClassVar[str | None] = None

    @property
    def forward(self) -> Kernel:
        """The kernel of the forward pass, used if `slope` is None."""
        return f"{self.name}_forward"

    @property
    def backward(self) -> Kernel:
        """The kernel of the backward pass, used if `slope` is None."""
        return f"{self.name}_backward"

    @property
    def arguments(self) -> tuple[float, ...]:
        """The kernels' own arguments: the settings, in order."""
        return tuple(self.settings().values())

    def formula(self, x: Formula) -> Formula:
        """Return what it computes of `x`, for others to compute elsewhere.

        Raises
        ------
        ValueError
            If only a kernel can say it.
        """
        if self.slope == 1:
            return x
        if self.slope == 0:
            return x.maximum(0)
        if self.slope is None:
            raise ValueError(f"activation {self.name!r} has no formula, only a kernel")
        return (x > 0).where(x, x * self.slope)


class Linear(Activation):
    """``f(t) = t``."""

    name, slope = "linear", 1.0
    aliases = ("identity",)


class ReLU(Activation):
    """``f(t) = max(t, 0)``, with gradient 0 at 0."""

    name, slope = "relu", 0.0
    range = (0.0, math.inf)


class LeakyReLU(Activation):
    """``f(t) = t if t > 0 else negative_slope * t``.

    Parameters
    ----------
    negative_slope : float
        At least 0.  The default is that of Keras's ``leaky_relu`` function.  Keras's ``LeakyReLU``
        layer has 0.3, and PyTorch has 0.01.

    Raises
    ------
    ValueError, TypeError
        If the slope is negative or not a number.

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

    negative_slope: float = setting(default=0.2, check=non_negative_float)

    @property
    def slope(self) -> float:  # type: ignore[override]
        """The slope below 0."""
        return self.negative_slope


class ELU(Activation):
    """``f(t) = t if t > 0 else alpha * (exp(t) - 1)``.

    Parameters
    ----------
    alpha : float
        Above 0.  Keras and PyTorch also default to 1.

    Raises
    ------
    ValueError, TypeError
        If `alpha` is not above 0.

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

    alpha: float = setting(default=1.0, check=positive_float)

    @property
    def range(self) -> tuple[float, float]:  # type: ignore[override]
        """Bounds of the outputs."""
        return -self.alpha, math.inf

    def formula(self, x: Formula) -> Formula:
        return (x > 0).where(x, (x.minimum(0).exp() - 1) * self.alpha)


class SELU(Activation):
    """``f(t) = 1.0507 * (t if t > 0 else 1.6733 * (exp(t) - 1))``, as in Keras and PyTorch.

    Layers start with LeCun's normal weights, for which the two numbers were chosen.

    Notes
    -----
    Source: Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", NIPS
    2017.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Dense(64, "selu").kernel_initializer
    LecunNormal()
    """

    name = "selu"
    range = (-1.7581, math.inf)
    kernel_initializer = "lecun_normal"

    def formula(self, x: Formula) -> Formula:
        scale, alpha = 1.0507009873554805, 1.6732632423543772
        return (x > 0).where(x * scale, (x.minimum(0).exp() - 1) * (scale * alpha))


class GELU(Activation):
    """``f(t) = t * (1 + erf(t / sqrt(2))) / 2``, exact by default.

    Parameters
    ----------
    approximate : bool
        Use ``t * (1 + tanh(sqrt(2 / pi) * (t + 0.044715 * t**3))) / 2`` instead, which is PyTorch's
        ``approximate="tanh"``.  Keras and PyTorch also default to the exact form.

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
    range = (-0.171, math.inf)

    approximate: bool = setting(default=False, check=boolean)

    @property
    def forward(self):
        return "gelu_tanh_forward" if self.approximate else "gelu_forward"

    @property
    def backward(self):
        return "gelu_tanh_backward" if self.approximate else "gelu_backward"

    @property
    def arguments(self):
        return ()

    def formula(self, x: Formula) -> Formula:
        if self.approximate:
            return x * ((x + x * x * x * 0.044715) * math.sqrt(8 / math.pi)).sigmoid()
        return x * ((x * math.sqrt(0.5)).erf() + 1) * 0.5


class Softplus(Activation):
    """``f(t) = log(1 + exp(t))``, as in Keras, and in PyTorch with ``beta=1``."""

    name = "softplus"
    range = (0.0, math.inf)

    def formula(self, x: Formula) -> Formula:
        return x.softplus()


class SiLU(Activation):
    """``f(t) = t / (1 + exp(-t))``, also called swish."""

    name = "silu"
    aliases = ("swish",)
    range = (-0.279, math.inf)

    def formula(self, x: Formula) -> Formula:
        return x * x.sigmoid()


class Mish(Activation):
    """``f(t) = t * tanh(log(1 + exp(t)))``, as in Keras and PyTorch.

    Notes
    -----
    Source: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Dense(64, "mish")
    Dense(64, activation='mish')
    """

    name = "mish"
    range = (-0.309, math.inf)

    def formula(self, x: Formula) -> Formula:
        return x * x.softplus().tanh()


class Exponential(Activation):
    """``f(t) = exp(t)``.  Use it in the last layer with a Poisson or Gamma loss, for means."""

    name = "exponential"
    range = (0.0, math.inf)

    def formula(self, x: Formula) -> Formula:
        return x.exp()


class Sigmoid(Activation):
    """``f(t) = 1 / (1 + exp(-t))``."""

    name = "sigmoid"
    range = (0.0, 1.0)
    saturates = True
    kernel_initializer = "glorot_uniform"

    def formula(self, x: Formula) -> Formula:
        return x.sigmoid()


class Tanh(Activation):
    """The hyperbolic tangent."""

    name = "tanh"
    range = (-1.0, 1.0)
    saturates = True

    def formula(self, x: Formula) -> Formula:
        return x.tanh()


class Softmax(Activation):
    """``f(t)_j = exp(t_j) / sum_k exp(t_k)`` over the units of the layer."""

    name, elementwise = "softmax", False
    range = (0.0, 1.0)

    def formula(self, x: Formula) -> Formula:
        return x.softmax()


class Custom(CustomMixin, Activation):
    """Your own activation, from functions compiled by ``numba.njit``.

    Parameters
    ----------
    forward : function compiled by ``numba.njit``
        Either ``forward(x)``, for one number, or ``forward(x, out)``, which writes the outputs for
        a matrix, (rows, n).
    backward : function compiled by ``numba.njit``
        Either ``backward(x, y)``, the derivative at one number, where ``y = forward(x)``, or
        ``backward(x, y, dy, dx)``, all matrices, which writes the gradient with respect to x given
        the gradient `dy` with respect to y.
    name : str, optional
        The name under which :func:`fastnn.load` looks for it in `custom`; by default the name of
        `forward`.

    Raises
    ------
    TypeError
        If a function is not compiled by ``numba.njit``, takes the wrong number of arguments, or
        does not compile for the arguments above.
    ValueError
        If a built-in activation has the same `name`.

    Notes
    -----
    Rows must not depend on each other, because threads share them.  Every process recompiles the
    functions.  They must not raise, because an exception cannot leave compiled training.  With
    ``backend="numpy"`` they run as plain Python.  For memory and pickling see
    :class:`fastnn.losses.Custom`.

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
        taken = {entry.name for entry in TABLE.values()}
        self._adopt(name, (forward, backward), taken, "activation")
        self._compile()
        self.elementwise = n_arguments(forward) == 1

    def _compile(self):
        self._kernels = activation_kernels(*self.functions_)

    @property
    def forward(self):
        return self._kernels[0]

    @property
    def backward(self):
        return self._kernels[1]

    @property
    def arguments(self):
        return ()


TABLE = table(Activation)


def get(activation: Any, name: str = "activation") -> Activation:
    """Return an activation given as a name, a configuration or an object; None means linear."""
    wanted = "linear" if activation is None else activation
    found: Activation = look_up(wanted, name, Activation, TABLE)
    return found
