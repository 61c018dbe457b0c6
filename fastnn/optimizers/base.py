"""What optimizers have in common."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastnn import schedules
from fastnn.engine import team
from fastnn.engine.arguments import Number
from fastnn.engine.program import Program
from fastnn.inputs.checks import positive_float
from fastnn.inputs.settings import Configured, optional, setting
from fastnn.schedules import Schedule

Rate = float | Number
"""A learning rate as a kernel's argument: a constant, or what a step has computed."""


class Optimizer(Configured):
    """An optimizer; a new one is a subclass and its kernel.

    Attributes
    ----------
    name : str
    learning_rate : float or Schedule
        1 where it is no setting.
    clipvalue, global_clipnorm : float or None
    full_batch : bool
        Whether it wants all rows in every batch.
    searches : bool
        Whether it moves the parameters itself, between runs: then a program only finds gradients.
    memory : tuple of str
        Names of arrays that are kept and stored like :attr:`state`, but that no kernel uses.
    on_command_line : bool
        Whether ``python -m fastnn`` offers it; not inherited.
    """

    name = ""
    learning_rate = schedules.get(1.0)
    clipvalue: float | None = setting(default=None, init=False)
    global_clipnorm: float | None = setting(default=None, init=False)
    full_batch = False
    searches = False
    on_command_line = False

    @property
    def memory(self) -> tuple[str, ...]:
        return ()

    @property
    def state(self) -> Mapping[str, float]:
        """The arrays that are kept for each parameter, of its shape: names, and their start."""
        return {}

    @property
    def plain_descent(self) -> bool:
        """Whether the update is ``w -= learning_rate * dw`` and a matrix product can do it."""
        return False

    @property
    def factors(self) -> tuple[str, tuple[Any, ...], int] | None:
        """A kernel that computes numbers once for each update, its settings, and how many."""
        return None

    def update(self, rate: Rate, name: str, factors: Sequence[Rate]) -> tuple[str, tuple[Any, ...]]:
        """Return the kernel and its first arguments; `dw`, the state and `w` follow.

        `rate` stands for the learning rate, `factors` for what the kernel of :attr:`factors`
        computes, `name` is the parameter's: "kernel", "bias" ...
        """
        raise NotImplementedError

    def run(
        self, program: Program, parameters: Sequence[Any], penalty: Callable[[], float], **how: Any
    ) -> team.Outcome:
        """Run epochs of the program of training; see :func:`fastnn.engine.team.run`.

        `parameters` and the sum of their penalties are for an optimizer that moves the parameters
        itself.
        """
        return team.run(program, **how)

    def __repr__(self) -> str:
        given = {name: value for name, value in self.settings().items() if value is not None}
        settings = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{type(self).__name__}({settings})"


class Descent(Optimizer):
    """Base of optimizers that have a learning rate and may clip gradients: nearly all."""

    learning_rate: float | Schedule = setting(default=0.001, check=schedules.get)
    clipvalue: float | None = setting(default=None, check=optional(positive_float), kw_only=True)
    global_clipnorm: float | None = setting(
        default=None, check=optional(positive_float), kw_only=True
    )

    def check_settings(self) -> None:
        if self.clipvalue is not None and self.global_clipnorm is not None:
            raise ValueError("clipvalue and global_clipnorm were both given, wanted one of them")
