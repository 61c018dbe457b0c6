"""Optimizers that do not adapt to the gradient's size: gradient descent, momentum and Rprop."""

from typing import Any

from fastnn import schedules
from fastnn.inputs.checks import boolean, fraction, positive_float
from fastnn.inputs.settings import setting
from fastnn.optimizers.base import Descent, Optimizer


class SGD(Descent):
    """Gradient descent, with optional momentum.

    ``v = momentum * v + dw; w -= learning_rate * v``, or with `nesterov`
    ``w -= learning_rate * (dw + momentum * v)``.  This is PyTorch's form.  Keras keeps
    ``-learning_rate * v`` as its velocity, which is equivalent while the rate is constant.

    Parameters
    ----------
    learning_rate : float or Schedule
    momentum : float in [0, 1)
    nesterov : bool
    clipvalue : float, optional
        Clip every element of the gradient (penalties included) to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Scale the gradient of all parameters together down to this norm if it is longer, as in
        Keras.  PyTorch's ``clip_grad_norm_`` adds 1e-6 to the norm.

    Raises
    ------
    ValueError, TypeError
        For settings out of range, `nesterov` without momentum, or both ways of clipping.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
    """

    name = "sgd"
    on_command_line = True

    learning_rate: float | schedules.Schedule = setting(default=0.01, check=schedules.get)
    momentum: float = setting(default=0.0, check=fraction)
    nesterov: bool = setting(default=False, check=boolean)

    def check_settings(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True wants momentum > 0, got momentum=0")
        super().check_settings()

    @property
    def state(self):
        return {"velocity": 0.0} if self.momentum else {}

    @property
    def plain_descent(self):
        return not (self.momentum or self.clipvalue or self.global_clipnorm)

    def update(self, rate, decay, factors):
        if not self.momentum:
            return "sgd_update", (rate,)
        kernel = "nesterov_update" if self.nesterov else "momentum_update"
        return kernel, (rate, self.momentum)


class GD(SGD):
    """Full-batch gradient descent: :class:`SGD` with all rows in every batch.

    `fit` then makes one update per epoch, and its buffers hold all rows of every layer.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.GD(0.1)
    GD(learning_rate=0.1, momentum=0.0, nesterov=False)
    """

    name, full_batch = "gd", True


def _pair(values: Any, name: str) -> tuple[float, float]:
    """Return two positive numbers."""
    if not isinstance(values, tuple | list) or len(values) != 2:
        raise TypeError(f"{name} is {values!r}, wanted two numbers")
    return positive_float(values[0], f"{name}[0]"), positive_float(values[1], f"{name}[1]")


class Rprop(Optimizer):
    """Resilient propagation: uses only the gradient's signs, and all rows at once.

    Each parameter has its own step size.  It grows while the parameter's gradient keeps its sign;
    when the sign changes, it shrinks and that step is skipped.  This is PyTorch's variant (iRprop-,
    Igel and Huesken, 2000), with its defaults; Keras has none.  There is no learning rate to
    schedule and no gradient norm to clip.

    Parameters
    ----------
    initial_step : float
        `lr` in PyTorch.
    etas : (float between 0 and 1, float above 1)
        Factors that shrink and grow the step sizes.
    step_sizes : (float, float)
        The smallest and the largest step size.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Rprop()
    Rprop(initial_step=0.01, etas=(0.5, 1.2), step_sizes=(1e-06, 50.0))
    """

    name, full_batch = "rprop", True
    nonnegative = ("size",)

    initial_step: float = setting(default=0.01, check=positive_float)
    etas: tuple[float, float] = setting(default=(0.5, 1.2), check=_pair)
    step_sizes: tuple[float, float] = setting(default=(1e-6, 50.0), check=_pair)

    def check_settings(self) -> None:
        if not self.etas[0] < 1 < self.etas[1]:
            raise ValueError(f"etas is {self.etas}, wanted one below 1 and one above 1")
        if self.step_sizes[0] > self.step_sizes[1]:
            raise ValueError(f"step_sizes is {self.step_sizes}, wanted the smallest first")

    @property
    def state(self):
        return {"previous": 0.0, "size": self.initial_step}

    def update(self, rate, decay, factors):
        return "rprop_update", (*self.etas, *self.step_sizes)
