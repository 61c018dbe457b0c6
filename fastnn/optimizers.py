"""Optimizers: which kernel updates the parameters, with which settings and state."""

from typing import Any

from fastnn.checks import boolean, fraction, positive_float
from fastnn.engine.clock import Clock
from fastnn.families import Configured, look_up


class Optimizer(Configured):
    """An optimizer; a new one is a subclass, its kernel, and an entry in TABLE."""

    learning_rate: float

    @property
    def state(self) -> tuple[str, ...]:
        """Names of the arrays that are kept for each parameter, of its shape, zero at first."""
        return ()

    @property
    def rides(self) -> bool:
        """Whether the update is ``w -= learning_rate * dw`` and can ride in the matrix product."""
        return False

    def update(self) -> tuple[str, tuple[Any, ...]]:
        """Return the kernel and its first arguments; `dw`, the state and `w` follow."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent, with momentum and Nesterov's look-ahead if wanted.

    ``v = momentum * v + dw; w -= learning_rate * v``, or with `nesterov`
    ``w -= learning_rate * (dw + momentum * v)``.  This is PyTorch's form; Keras keeps
    ``-learning_rate * v`` as its velocity, which is the same while the rate is constant.

    Parameters
    ----------
    learning_rate : float
    momentum : float in [0, 1)
    nesterov : bool

    Raises
    ------
    ValueError
        For settings out of range, or `nesterov` without momentum.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False):
        self.learning_rate = positive_float(learning_rate, "learning_rate")
        self.momentum = fraction(momentum, "momentum")
        self.nesterov = boolean(nesterov, "nesterov")
        if nesterov and not momentum:
            raise ValueError("nesterov=True wants momentum > 0, got momentum=0")

    @property
    def state(self):
        return ("velocity",) if self.momentum else ()

    @property
    def rides(self):
        return not self.momentum

    def update(self):
        if not self.momentum:
            return "sgd_update", (self.learning_rate,)
        kernel = "nesterov_update" if self.nesterov else "momentum_update"
        return kernel, (self.learning_rate, self.momentum)


class Adam(Optimizer):
    """Adaptive moments: Kingma and Ba, 2015, with epsilon outside the root as in PyTorch.

    ``m = b1 m + (1 - b1) dw``, ``v = b2 v + (1 - b2) dw**2``,
    ``w -= learning_rate * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + epsilon)``.
    Keras adds epsilon before the correction, and has 1e-7.

    Parameters
    ----------
    learning_rate : float
    beta_1, beta_2 : float in [0, 1)
    epsilon : float

    Raises
    ------
    ValueError
        For settings out of range.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Adam().learning_rate
    0.001
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ):
        self.learning_rate = positive_float(learning_rate, "learning_rate")
        self.beta_1 = fraction(beta_1, "beta_1")
        self.beta_2 = fraction(beta_2, "beta_2")
        self.epsilon = positive_float(epsilon, "epsilon")

    @property
    def state(self):
        return ("m", "v")

    def update(self):
        settings = self.learning_rate, self.beta_1, self.beta_2, self.epsilon
        return "adam_update", (*settings, Clock.STEP)


TABLE = {"sgd": SGD, "adam": Adam}


def get(optimizer: Any) -> Optimizer:
    """Return an optimizer by name, by configuration or as it is."""
    found: Optimizer = look_up(optimizer, "optimizer", Optimizer, TABLE)
    return found
