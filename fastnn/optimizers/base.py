"""The base classes of optimizers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from fastnn import schedules
from fastnn.engine import team
from fastnn.engine.program import Program
from fastnn.inputs.checks import positive_float
from fastnn.inputs.settings import Configured, optional, setting
from fastnn.schedules import Rate, Schedule


class Optimizer(Configured):
    """Base of optimizers; to add one, write a subclass and its kernel.

    Attributes
    ----------
    name : str
    learning_rate : float or Schedule
        1 if the optimizer has no such setting.
    weight_decay : float or Schedule
        0 if the optimizer has no such setting.
    clipvalue, global_clipnorm : float or None
    full_batch : bool
        Whether every batch must hold all rows.
    searches : bool
        Whether it moves the parameters itself, between runs.  A program then only computes the
        gradients.
    memory : tuple of str
        Names of arrays that are kept and saved like :attr:`state`, but that no kernel uses.
    nonnegative : tuple of str
        Names of arrays of :attr:`state` in which no number is below 0, such as sums of squares.
    on_command_line : bool
        Whether ``fastnn train`` offers it; not inherited.
    """

    name = ""
    learning_rate: float | Schedule = 1.0
    weight_decay: float | Schedule = 0.0
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    changes_: int = setting(default=0, init=False)
    """How often its settings were set anew."""
    full_batch = False
    searches = False
    nonnegative: ClassVar[tuple[str, ...]] = ()
    on_command_line = False

    def _assign(self, given: Mapping[str, Any]) -> None:
        anew = bool(vars(self))
        super()._assign(given)
        if anew:
            vars(self)["changes_"] = self.changes_ + 1

    @property
    def memory(self) -> tuple[str, ...]:
        return ()

    @property
    def state(self) -> Mapping[str, float]:
        """Arrays to keep for each parameter, in its shape: their names and starting values."""
        return {}

    @property
    def plain_descent(self) -> bool:
        """Whether the update is only ``w -= learning_rate * dw``, which a matrix product can do."""
        return False

    @property
    def factors(self) -> tuple[str, tuple[Any, ...], int] | None:
        """A kernel that computes numbers once per update, its settings, and how many numbers."""
        return None

    def decay_factor(self, parameter: Any) -> float:
        """Return what :attr:`weight_decay` is multiplied by for a parameter.

        A parameter has a `name`, "kernel", "bias" ..., and a `decay_factor`.
        """
        return 1.0

    def update(
        self, rate: Rate, decay: Rate, factors: Sequence[Rate]
    ) -> tuple[str, tuple[Any, ...]]:
        """Return the kernel and its first arguments; `dw`, the state and `w` follow.

        `rate` and `decay` are the parameter's learning rate and weight decay, and `factors` are the
        numbers that the kernel of :attr:`factors` computes.
        """
        raise NotImplementedError

    def run(
        self,
        program: Program,
        parameters: Sequence[Any],
        loss: Callable[[float, float], float],
        **how: Any,
    ) -> team.Outcome:
        """Run epochs of a training program; see :func:`fastnn.engine.team.run`.

        Optimizers that move the parameters themselves use `parameters`, and `loss`, which returns
        the loss with penalties from the sums of the rows' weighted losses and of their weights.
        """
        return team.run(program, **how)

    def __repr__(self) -> str:
        given = {name: value for name, value in self.settings().items() if value is not None}
        settings = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{type(self).__name__}({settings})"


class Descent(Optimizer):
    """Base of optimizers with a learning rate and optional gradient clipping."""

    learning_rate: float | Schedule = setting(default=0.001, check=schedules.get)
    clipvalue: float | None = setting(default=None, check=optional(positive_float), kw_only=True)
    global_clipnorm: float | None = setting(
        default=None, check=optional(positive_float), kw_only=True
    )

    def check_settings(self) -> None:
        if self.clipvalue is not None and self.global_clipnorm is not None:
            raise ValueError("clipvalue and global_clipnorm were both given, wanted one of them")
