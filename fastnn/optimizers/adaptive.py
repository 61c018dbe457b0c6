"""Optimizers that scale the gradient by a running measure of its size.

All except Adadelta add `epsilon` outside the root, as PyTorch and the papers of Adam and AdamW do.
Defaults are Keras's.
"""

from functools import partial

from fastnn import schedules
from fastnn.engine.clock import Clock
from fastnn.inputs.checks import boolean, fraction, non_negative_float, positive_float
from fastnn.inputs.settings import setting
from fastnn.optimizers.base import Descent
from fastnn.schedules import Schedule


class Adagrad(Descent):
    """Adaptive gradient (Duchi, Hazan and Singer, 2011), whose steps only get smaller.

    ``total += dw**2; w -= learning_rate * dw / (sqrt(total) + epsilon)``.  This is PyTorch's form;
    its defaults are ``Adagrad(0.01, 1e-30, 1e-10)`` here (its total starts at 0).  Keras adds
    epsilon inside the root: its ``Adagrad(lr, a, e)`` is ``Adagrad(lr, a + e, 1e-30)`` here.

    Parameters
    ----------
    learning_rate : float or Schedule
    initial_accumulator_value : float of at least 0
        The starting value of `total`.
    epsilon : float
    clipvalue, global_clipnorm : float, optional
        As in :class:`~fastnn.SGD`.

    Raises
    ------
    ValueError, TypeError
        For settings out of range, or both ways of clipping.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Adagrad(0.05)
    Adagrad(learning_rate=0.05, initial_accumulator_value=0.1, epsilon=1e-07)
    """

    name = "adagrad"
    nonnegative = ("total",)

    initial_accumulator_value: float = setting(default=0.1, check=non_negative_float)
    epsilon: float = setting(default=1e-7, check=positive_float)

    @property
    def state(self):
        return {"total": self.initial_accumulator_value}

    def update(self, rate, decay, factors):
        return "adagrad_update", (rate, self.epsilon)


class Adadelta(Descent):
    """Take steps about as large as the previous ones (Zeiler, 2012).

    ``square = rho * square + (1 - rho) * dw**2``, then
    ``d = sqrt(change + epsilon) / sqrt(square + epsilon) * dw``,
    ``change = rho * change + (1 - rho) * d**2`` and ``w -= learning_rate * d``.  Epsilon is inside
    the roots, as in PyTorch and Keras.  The paper and PyTorch use a learning rate of 1, and
    PyTorch an epsilon of 1e-6.

    Parameters
    ----------
    learning_rate : float or Schedule
    rho : float in [0, 1)
    epsilon : float
    clipvalue, global_clipnorm : float, optional
        As in :class:`~fastnn.SGD`.

    Raises
    ------
    ValueError, TypeError
        For settings out of range, or both ways of clipping.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Adadelta(1.0)
    Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-07)
    """

    name = "adadelta"
    nonnegative = ("square", "change")

    rho: float = setting(default=0.95, check=fraction)
    epsilon: float = setting(default=1e-7, check=positive_float)

    @property
    def state(self):
        return {"square": 0.0, "change": 0.0}

    def update(self, rate, decay, factors):
        return "adadelta_update", (rate, self.rho, self.epsilon)


class RMSprop(Descent):
    """Divide the gradient by the root of its mean square (Tieleman and Hinton, 2012).

    ``square = rho * square + (1 - rho) * dw**2``, ``s = dw / (sqrt(square) + epsilon)`` and
    ``w -= learning_rate * s``.  With `momentum`, ``velocity = momentum * velocity + s`` and
    ``w -= learning_rate * velocity``.  `centered` replaces the mean square by the variance,
    ``square - mean**2`` (Graves, 2013).

    This is PyTorch's form, with ``rho = alpha``.  Keras adds epsilon inside the root: while
    gradients are small, 1e-7 there acts like ``epsilon=sqrt(1e-7)`` here.  Keras also includes the
    learning rate in its velocity, which is equivalent while the rate is constant.

    Parameters
    ----------
    learning_rate : float or Schedule
    rho, momentum : float in [0, 1)
    epsilon : float
    centered : bool
    clipvalue, global_clipnorm : float, optional
        As in :class:`~fastnn.SGD`.

    Raises
    ------
    ValueError, TypeError
        For settings out of range, or both ways of clipping.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.RMSprop(momentum=0.9)
    RMSprop(learning_rate=0.001, rho=0.9, momentum=0.9, epsilon=1e-07, centered=False)
    """

    name = "rmsprop"
    nonnegative = ("square",)

    rho: float = setting(default=0.9, check=fraction)
    momentum: float = setting(default=0.0, check=fraction)
    epsilon: float = setting(default=1e-7, check=positive_float)
    centered: bool = setting(default=False, check=boolean)

    @property
    def state(self):
        names = ["square", *["mean"] * self.centered, *["velocity"] * bool(self.momentum)]
        return dict.fromkeys(names, 0.0)

    def update(self, rate, decay, factors):
        center = "centered_" if self.centered else ""
        if self.momentum:
            settings = rate, self.rho, self.momentum, self.epsilon
            return f"{center}rmsprop_momentum_update", settings
        return f"{center}rmsprop_update", (rate, self.rho, self.epsilon)


class Adam(Descent):
    """Adaptive moment estimation (Kingma and Ba, 2015), with epsilon outside the root.

    ``m = b1 m + (1 - b1) dw``, ``v = b2 v + (1 - b2) dw**2``,
    ``w -= learning_rate * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + epsilon)``.
    This is PyTorch's form, where epsilon is 1e-8 by default.  Keras adds epsilon before the
    correction of v.

    Parameters
    ----------
    learning_rate : float or Schedule
    beta_1, beta_2 : float in [0, 1)
    epsilon : float
    amsgrad : bool
        Use the largest v so far instead of v (Reddi, Kale and Kumar, 2018).
    clipvalue, global_clipnorm : float, optional
        As in :class:`~fastnn.SGD`.

    Raises
    ------
    ValueError, TypeError
        For settings out of range, or both ways of clipping.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Adam().learning_rate
    0.001
    """

    name = "adam"
    nonnegative = ("v", "largest")
    on_command_line = True

    beta_1: float = setting(default=0.9, check=fraction)
    beta_2: float = setting(default=0.999, check=fraction)
    epsilon: float = setting(default=1e-7, check=positive_float)
    amsgrad: bool = setting(default=False, check=boolean)

    @property
    def state(self):
        return dict.fromkeys(["m", "v", *["largest"] * self.amsgrad], 0.0)

    def update(self, rate, decay, factors):
        settings = rate, decay, self.beta_1, self.beta_2, self.epsilon, Clock.UPDATE
        return "amsgrad_update" if self.amsgrad else "adam_update", settings


class _Decoupled(Descent):
    """Decoupled weight decay; as a separate class, it comes before Adam's settings."""

    weight_decay: float | Schedule = setting(
        default=0.004, check=partial(schedules.get, number=non_negative_float)
    )


class AdamW(Adam, _Decoupled):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Apply ``w -= learning_rate * weight_decay * w`` before each of :class:`Adam`'s steps, so a
    schedule of the learning rate slows the decay too.  `weight_decay` may have a schedule of its
    own; both count the same updates.  Only kernels decay.  With `decay_biases` all parameters do,
    as in PyTorch (whose default decay is 0.01) and Keras (0.004).  A layer's own factors come
    first: a parameter whose ``weight_decay_factor`` is given decays by that times `weight_decay`,
    be it a kernel or not.  `learning_rate` is the parameter's, with its ``learning_rate_factor``,
    as in PyTorch's parameter groups.

    Parameters
    ----------
    learning_rate : float or Schedule
    weight_decay : float of at least 0, or Schedule
    beta_1, beta_2 : float in [0, 1)
    epsilon : float
    amsgrad, decay_biases : bool
    clipvalue, global_clipnorm : float, optional
        As in :class:`~fastnn.SGD`; the decay is not clipped.

    Raises
    ------
    ValueError, TypeError
        For settings out of range, or both ways of clipping.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.AdamW(weight_decay=0.01).weight_decay
    0.01
    """

    name = "adamw"

    decay_biases: bool = setting(default=False, check=boolean)

    def decay_factor(self, parameter):
        if parameter.decay_factor is None:
            return float(self.decay_biases or parameter.name == "kernel")
        return parameter.decay_factor


class NAdam(Descent):
    """Adam with Nesterov momentum (Dozat, 2016).

    Let ``u(t) = beta_1 * (1 - 0.96**(t * momentum_decay) / 2)`` be the momentum, t counted from 1,
    and m and v Adam's.  The step is Adam's with the corrected mean replaced by
    ``(1 - u(t)) dw / (1 - u(1) ... u(t)) + u(t + 1) m / (1 - u(1) ... u(t + 1))``.  This is
    PyTorch's form, and the default `momentum_decay` is PyTorch's and the paper's.  Keras has no
    such factor, which corresponds to ``momentum_decay=1``.

    Parameters
    ----------
    learning_rate : float or Schedule
    beta_1, beta_2 : float in [0, 1)
    epsilon : float
    momentum_decay : float of at least 0
    clipvalue, global_clipnorm : float, optional
        As in :class:`~fastnn.SGD`.

    Raises
    ------
    ValueError, TypeError
        For settings out of range, or both ways of clipping.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.NAdam().momentum_decay
    0.004
    """

    name = "nadam"
    nonnegative = ("v",)

    beta_1: float = setting(default=0.9, check=fraction)
    beta_2: float = setting(default=0.999, check=fraction)
    epsilon: float = setting(default=1e-7, check=positive_float)
    momentum_decay: float = setting(default=0.004, check=non_negative_float)

    @property
    def state(self):
        return {"m": 0.0, "v": 0.0}

    @property
    def factors(self):
        return "nadam_factors", (self.beta_1, self.momentum_decay, Clock.UPDATE), 2

    def update(self, rate, decay, factors):
        settings = rate, self.beta_1, self.beta_2, self.epsilon, *factors, Clock.UPDATE
        return "nadam_update", settings
