"""Optimizers that scale the gradient by what they have seen of its size.

All add `epsilon` outside the root, as the papers of Adam and AdamW and PyTorch do, but for
Adadelta.  Defaults are Keras's.
"""

from fastnn.engine.clock import Clock
from fastnn.inputs.checks import boolean, fraction, non_negative_float, positive_float
from fastnn.inputs.settings import setting
from fastnn.optimizers.base import Descent


class Adagrad(Descent):
    """Adaptive gradient (Duchi, Hazan and Singer, 2011): ever smaller steps.

    ``total += dw**2; w -= learning_rate * dw / (sqrt(total) + epsilon)``.  PyTorch's form, whose
    defaults are ``Adagrad(0.01, 1e-30, 1e-10)`` (its total starts at 0).  Keras has epsilon inside
    the root: its ``Adagrad(lr, a, e)`` is ``Adagrad(lr, a + e, 1e-30)``.

    Parameters
    ----------
    learning_rate : float or Schedule
    initial_accumulator_value : float of at least 0
        Where `total` starts.
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

    initial_accumulator_value: float = setting(default=0.1, check=non_negative_float)
    epsilon: float = setting(default=1e-7, check=positive_float)

    @property
    def state(self):
        return {"total": self.initial_accumulator_value}

    def update(self, rate, name, factors):
        return "adagrad_update", (rate, self.epsilon)


class Adadelta(Descent):
    """Steps of the size of earlier steps (Zeiler, 2012).

    ``square = rho * square + (1 - rho) * dw**2``, then
    ``d = sqrt(change + epsilon) / sqrt(square + epsilon) * dw``,
    ``change = rho * change + (1 - rho) * d**2`` and ``w -= learning_rate * d``: epsilon is inside
    the roots, in PyTorch and Keras too.  The paper's learning rate, and PyTorch's default, is 1,
    with epsilon 1e-6.

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

    rho: float = setting(default=0.95, check=fraction)
    epsilon: float = setting(default=1e-7, check=positive_float)

    @property
    def state(self):
        return {"square": 0.0, "change": 0.0}

    def update(self, rate, name, factors):
        return "adadelta_update", (rate, self.rho, self.epsilon)


class RMSprop(Descent):
    """The gradient over the root of its mean square (Tieleman and Hinton, 2012).

    ``square = rho * square + (1 - rho) * dw**2``, ``s = dw / (sqrt(square) + epsilon)`` and
    ``w -= learning_rate * s``.  With `momentum` it is ``velocity = momentum * velocity + s`` and
    ``w -= learning_rate * velocity``; `centered` puts the variance, ``square - mean**2``, in place
    of the mean square (Graves, 2013).

    PyTorch's form, with ``rho = alpha``.  Keras adds its epsilon inside the root, where 1e-7 is
    as much as ``epsilon=sqrt(1e-7)`` here while gradients are small, and has the learning rate
    inside its velocity, which is the same while the rate is constant.

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

    rho: float = setting(default=0.9, check=fraction)
    momentum: float = setting(default=0.0, check=fraction)
    epsilon: float = setting(default=1e-7, check=positive_float)
    centered: bool = setting(default=False, check=boolean)

    @property
    def state(self):
        names = ["square", *["mean"] * self.centered, *["velocity"] * bool(self.momentum)]
        return dict.fromkeys(names, 0.0)

    def update(self, rate, name, factors):
        center = "centered_" if self.centered else ""
        if self.momentum:
            settings = rate, self.rho, self.momentum, self.epsilon
            return f"{center}rmsprop_momentum_update", settings
        return f"{center}rmsprop_update", (rate, self.rho, self.epsilon)


class Adam(Descent):
    """Adaptive moments: Kingma and Ba, 2015, with epsilon outside the root as in PyTorch.

    ``m = b1 m + (1 - b1) dw``, ``v = b2 v + (1 - b2) dw**2``,
    ``w -= learning_rate * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + epsilon)``.
    Keras adds epsilon before the correction of v; PyTorch's default is 1e-8.

    Parameters
    ----------
    learning_rate : float or Schedule
    beta_1, beta_2 : float in [0, 1)
    epsilon : float
    amsgrad : bool
        Whether the largest v so far takes the place of v (Reddi, Kale and Kumar, 2018).
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
    on_command_line = True

    beta_1: float = setting(default=0.9, check=fraction)
    beta_2: float = setting(default=0.999, check=fraction)
    epsilon: float = setting(default=1e-7, check=positive_float)
    amsgrad: bool = setting(default=False, check=boolean)

    @property
    def state(self):
        return dict.fromkeys(["m", "v", *["largest"] * self.amsgrad], 0.0)

    def _decay(self, name: str) -> float:
        """Return the weight decay of a parameter."""
        return 0.0

    def update(self, rate, name, factors):
        settings = rate, self._decay(name), self.beta_1, self.beta_2, self.epsilon, Clock.UPDATE
        return "amsgrad_update" if self.amsgrad else "adam_update", settings


class _Decoupled(Descent):
    """Decoupled weight decay; as a base of its own, its setting comes before Adam's."""

    weight_decay: float = setting(default=0.004, check=non_negative_float)


class AdamW(Adam, _Decoupled):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Before each of :class:`Adam`'s steps ``w -= learning_rate * weight_decay * w``, so a schedule
    slows the decay too.  Only the weights of layers decay; with `decay_biases` all parameters do,
    as in PyTorch (default 0.01) and Keras (0.004).

    Parameters
    ----------
    learning_rate : float or Schedule
    weight_decay : float of at least 0
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

    def _decay(self, name):
        return self.weight_decay if self.decay_biases or name == "kernel" else 0.0


class NAdam(Descent):
    """Adam with Nesterov momentum (Dozat, 2016).

    With the momentum ``u(t) = beta_1 * (1 - 0.96**(t * momentum_decay) / 2)``, t counted from 1,
    and Adam's m and v the step is that of Adam with
    ``(1 - u(t)) dw / (1 - u(1) ... u(t)) + u(t + 1) m / (1 - u(1) ... u(t + 1))`` in place of the
    corrected mean.  PyTorch's form and, in `momentum_decay`, its default and the paper's; Keras
    leaves this factor out, which is ``momentum_decay=1``.

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

    def update(self, rate, name, factors):
        settings = rate, self.beta_1, self.beta_2, self.epsilon, *factors, Clock.UPDATE
        return "nadam_update", settings
