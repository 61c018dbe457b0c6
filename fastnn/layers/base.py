"""What a network is made of: the protocol of layers, their parameters, their place in a program."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastnn import activations
from fastnn.constraints import Constraint
from fastnn.engine.arguments import Arg, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program, aligned, aligned_copy
from fastnn.inputs.settings import Configured
from fastnn.layers import penalties
from fastnn.layers.penalties import Call
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer
from fastnn.optimizers.updater import Updater
from fastnn.regularizers import Regularizer


@dataclass
class Parameter:
    """One array of a layer, its penalty and constraint, and the optimizer's state for it."""

    name: str
    value: np.ndarray
    regularizer: Regularizer | None = None
    constraint: Constraint | None = None
    state: dict[str, np.ndarray] = field(default_factory=dict)
    trained: bool = True
    """Whether the optimizer changes it; the layer itself follows a statistic in it otherwise."""
    least: float = -np.inf
    """The least value that makes sense."""

    def copy(self) -> "Parameter":
        """Return one with arrays of its own."""
        state = {name: aligned_copy(array) for name, array in self.state.items()}
        return replace(self, value=aligned_copy(self.value), state=state)

    def keep_state(self, optimizer: Optimizer) -> bool:
        """Keep the arrays that the optimizer wants if all are there; return whether they were.

        If not, all start anew: what another optimizer has left of them fits no step count.
        """
        if not self.trained:
            return True
        start = {**optimizer.state, **dict.fromkeys(optimizer.memory, 0.0)}
        if set(start) <= set(self.state):
            self.state = {name: self.state[name] for name in start}
            return True
        self.state = {name: aligned(self.value.shape, self.value.dtype) for name in start}
        for name, array in self.state.items():
            array[...] = start[name]
        return False

    def update(self, gradient: Arg, updater: Updater) -> list[Call]:
        """Return the calls of the penalty's gradient and of the update.

        `gradient` is the gradient as one vector for the rows at hand.
        """
        calls = penalties.on_gradient(self.regularizer, self.value, gradient)
        update = updater.calls(self.name, self.value, self.state, gradient)
        return calls + self.around(update, updater)

    def around(self, update: list[Call], updater: Updater) -> list[Call]:
        """Return the optimizer's update amid what penalty and constraint do to a share of rows."""
        before = penalties.before_update(self.regularizer, self.value)
        after = penalties.after_update(self.regularizer, self.constraint, self.value, updater.rate)
        return [*before, *update, *after]

    def on_columns(self, updater: Updater) -> list[Call]:
        """Return what they then do to a share of the columns."""
        return penalties.on_columns(self.regularizer, self.constraint, self.value, updater.rate)


@dataclass
class Node:
    """A layer in one program: what it needs to add its steps, and what one pass leaves the next."""

    program: Program
    parameters: list[Parameter]
    x: Buffer
    """The inputs."""
    number: int
    """The layer's place in the network."""
    seed: int
    training: bool
    plain_descent: bool
    """Whether the optimizer only subtracts the gradient times a rate, as a product can."""
    fused: bool
    """Whether the loss contains the layer's activation, which the layer then leaves out."""
    before: "Node | None" = None
    """The node of the layer before, None for the first."""
    out: Buffer | None = None
    """Where the outputs must go; None is anywhere, the inputs' own buffer included."""
    slope: float = 1.0
    """That of the ReLU which the outputs went through; 1 is none."""
    slope_applied: bool = False
    """Whether the gradient that `backward` is given went back through that ReLU already."""
    y: Buffer = field(init=False)
    """The outputs, set by `forward`."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What else a pass leaves for the next."""

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.x.width

    def output(self, columns: int) -> Buffer:
        """Return the buffer for the outputs, made if need be."""
        self.y = self.out or self.program.buffer(columns)
        return self.y

    def slope_before(self) -> float:
        """Return the slope of the ReLU that the inputs came out of, 1 for none.

        It must be applied to their gradient: the layer before then leaves it out.
        """
        if self.before is None or self.before.slope == 1:
            return 1.0
        self.before.slope_applied = True
        return self.before.slope

    def pass_on(self) -> None:
        """Let the outputs be the inputs, copied if they must go elsewhere."""
        if self.out is None:
            self.y = self.x
        else:
            self.program.add("identity_forward", self.x.rows, self.output(self.width).rows)

    def drop(self, rate: float, scale: float, first: Any, source: Arg, target: Arg) -> Call:
        """Return the call that drops elements at random: the same ones whenever it runs in a step.

        `first` is the number of the first row of `source`.
        """
        key = self.seed, self.number, Clock.UPDATE
        return "dropout", (rate, scale, *key, first, source, target)


class Layer(Configured):
    """A layer: settings alone; what is trained lies in the network, buffers in a program.

    `forward` adds the steps from ``node.x`` to the outputs and sets ``node.y``.  `backward` adds
    those from `dy`, the gradient of the outputs, to that of the inputs, and returns its buffer, or
    any where `inputs` says that it is not needed.  `update` adds those that change the parameters.
    Steps run in the order in which they are added, each thread on its own share; one that reads
    what other threads have written goes behind a ``program.barrier()``.
    """

    activation = activations.get("linear")
    """What the layer ends with, for a loss that contains it."""
    least_rows = 1
    """The smallest batch size that makes sense."""

    @property
    def note(self) -> str:
        """What a summary says of the layer."""
        return ""

    def width(self, n_inputs: int) -> int:
        """Return the number of outputs."""
        return n_inputs

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        """Return the layer's parameters at their start."""
        return []

    def forward(self, node: Node) -> None:
        raise NotImplementedError

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        raise NotImplementedError

    def update(self, node: Node, updater: Updater) -> None:
        pass

    def check(self, last: bool, loss: Loss, penalty: Regularizer | None) -> None:
        """Refuse a network whose last layer it is or is not, with this loss and kernel penalty."""

    def loss_forward(self, node: Node, loss: Loss, target: Buffer, row_loss: Buffer) -> None:
        """Add the step to the losses of rows; for the last layer, after its `forward`."""
        given = node.y.rows, target.rows, *_loss_arguments(loss, node)
        node.program.add(loss.forward, *given, row_loss.rows)

    def loss_backward(self, node: Node, loss: Loss, target: Buffer, scale: Buffer) -> Buffer:
        """Add the step to the gradient that its `backward` takes; return its buffer."""
        dy = node.program.buffer(node.y.width)
        given = node.y.rows, target.rows, *_loss_arguments(loss, node)
        node.program.add(loss.backward, *given, scale.rows, dy.rows)
        return dy


def _loss_arguments(loss: Loss, node: Node) -> list[Any]:
    """Return the loss's own arguments."""
    settings = loss.arguments(node.y.width, node.program.dtype)
    return [Whole(value) if isinstance(value, np.ndarray) else value for value in settings]
