"""The layer protocol: layers, their parameters, and their nodes in a program."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastnn import activations
from fastnn.constraints import Constraint
from fastnn.engine.arguments import Arg, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.clock import Clock
from fastnn.engine.program import Call, Program, aligned, aligned_copy
from fastnn.formulas import Formula
from fastnn.inputs.checks import non_negative_float
from fastnn.inputs.settings import Configured, optional, setting
from fastnn.layers import penalties
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer
from fastnn.optimizers.updater import Updater
from fastnn.regularizers import Regularizer
from fastnn.schedules import Rate


@dataclass
class Parameter:
    """One array of a layer, with its penalty, its constraint and its optimizer state."""

    name: str
    value: np.ndarray
    regularizer: Regularizer | None = None
    constraint: Constraint | None = None
    state: dict[str, np.ndarray] = field(default_factory=dict)
    trained: bool = True
    """Whether the optimizer changes it.  If not, the layer itself tracks a statistic in it."""
    sparse: bool = False
    """Whether a row of the data needs only a few of its rows."""
    least: float = -np.inf
    """The smallest valid value."""
    rate_factor: float = 1.0
    """What the learning rate is multiplied by."""
    decay_factor: float | None = None
    """What the weight decay is multiplied by; None means that the optimizer decides."""
    own: tuple[Regularizer | None, Constraint | None] = (None, None)
    """The penalty and the constraint that the layer gave it when it was built."""

    def __setattr__(self, name: str, given: Any) -> None:
        """Set an attribute; numbers for `value` are copied into it, where programs find them."""
        if name == "value" and name in vars(self):
            if np.shape(given) != self.value.shape:
                raise ValueError(f"{self.name} got {np.shape(given)}, wanted {self.value.shape}")
            self.value[...] = given
        else:
            object.__setattr__(self, name, given)

    def frozen(self) -> "Parameter":
        """Return a copy of it without optimizer state."""
        return replace(self, value=aligned_copy(self.value), state={})

    def keep_state(self, optimizer: Optimizer) -> bool:
        """Keep the state that the optimizer wants if it is complete; return whether it was.

        Otherwise all of it starts over: another optimizer's leftovers match no step count.
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
        """Return the calls that add the penalty's gradient and update the parameter.

        `gradient` holds the gradient of a share of the rows, as one vector.
        """
        calls = penalties.on_gradient(self.regularizer, self.value, gradient)
        update = updater.calls(self, gradient)
        return calls + self.around(update, updater)

    def around(self, update: list[Call], updater: Updater) -> list[Call]:
        """Return the update between the calls of penalty and constraint on a share of the rows.

        Neither changes what does not learn.
        """
        if not self.rate_factor:
            return update
        before = penalties.before_update(self.regularizer, self.value)
        rate = updater.rate_of(self)
        after = penalties.after_update(self.regularizer, self.constraint, self.value, rate)
        return [*before, *update, *after]

    def on_columns(self, updater: Updater, bias: np.ndarray | None = None) -> list[Call]:
        """Return the calls of penalty and constraint that then work on a share of the columns.

        `bias` is that of the columns' units, if it learns.
        """
        if not self.rate_factor:
            return []
        rate = updater.rate_of(self)
        return penalties.on_columns(self.regularizer, self.constraint, self.value, rate, bias)


@dataclass
class Node:
    """A layer in one program: what it needs to add its steps, and what its passes share."""

    program: Program
    parameters: list[Parameter]
    x: Buffer
    """The inputs."""
    number: int
    """The layer's place in the network."""
    seed: int
    training: bool
    plain_descent: bool
    """Whether the update is ``w -= rate * gradient``, which a matrix product can do itself."""
    fused: bool
    """Whether the loss contains the layer's activation; the layer then skips it."""
    before: "Node | None" = None
    """The previous layer's node; None for the first layer."""
    out: Buffer | None = None
    """Where the outputs must go; None means anywhere, even the inputs' own buffer."""
    slope: float = 1.0
    """The slope of the ReLU that produced the outputs; 1 means no ReLU."""
    slope_applied: bool = False
    """Whether the gradient passed to `backward` has already gone back through that ReLU."""
    y: Buffer = field(init=False)
    """The outputs, set by `forward`."""
    kept: dict[str, Any] = field(default_factory=dict)
    """Anything else that one pass keeps for the next."""

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.x.width

    def output(self, columns: int) -> Buffer:
        """Return the buffer for the outputs, making it if necessary."""
        self.y = self.out or self.program.buffer(columns)
        return self.y

    def slope_before(self) -> float:
        """Return the slope of the ReLU that produced the inputs; 1 means no ReLU.

        The caller must apply it to the inputs' gradient, because the previous layer then skips it.
        """
        if self.before is None or self.before.slope == 1:
            return 1.0
        self.before.slope_applied = True
        return self.before.slope

    def pass_on(self) -> None:
        """Use the inputs as the outputs, copied if they must go elsewhere."""
        if self.out is None:
            self.y = self.x
        else:
            self.program.add("identity_forward", self.x.rows, self.output(self.width).rows)

    def drop(self, rate: Rate, scale: Rate, first: Any, source: Arg, target: Arg) -> Call:
        """Return the call that drops random elements: the same ones each time it runs in an update.

        `first` is the number of the first row of `source`.
        """
        self.program.random = True
        key = self.seed, self.number, Clock.UPDATE
        return "dropout", (rate, scale, *key, first, source, target)


class Layer(Configured):
    """Base of layers.

    A layer holds settings only: the network owns its parameters, and a program owns its buffers.

    `forward` adds the steps that compute the outputs from ``node.x``, and sets ``node.y``.
    `backward` adds the steps that compute the inputs' gradient from `dy`, the outputs' gradient,
    and returns its buffer; if `inputs` is False nobody needs that gradient, and any buffer will do.
    `update` adds the steps that change the parameters.  Steps run in the order in which they are
    added, each thread on its own share.  Before a step that reads what other threads have written,
    call ``program.barrier()``.
    """

    activation = activations.get("linear")
    """The activation at the end of the layer, which a loss may contain."""
    least_rows = 1
    """The smallest batch size that the layer can train with."""

    def __repr__(self) -> str:
        usual = {name: each.default for name, each in self._declared.items() if each.kw_only}
        told = (
            f"{name}={value!r}"
            for name, value in self.settings().items()
            if name not in usual or value != usual[name]
        )
        return f"{type(self).__name__}({', '.join(told)})"

    @property
    def note(self) -> str:
        """What a summary says about the layer."""
        return ""

    def width(self, n_inputs: int) -> int:
        """Return the number of outputs."""
        return n_inputs

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the layer's parameters by name, in order, without making any."""
        return {}

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        """Return the layer's newly initialized parameters."""
        return []

    def forward(self, node: Node) -> None:
        raise NotImplementedError

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        raise NotImplementedError

    def rows_read(self, x: np.ndarray) -> np.ndarray:
        """Return which rows of its sparse parameters the inputs `x` need, -1 for none."""
        raise NotImplementedError

    def updated(self, node: Node) -> list[np.ndarray]:
        """Return the arrays on which an update works, after `backward`."""
        return [each.value for each in node.parameters if each.trained]

    def update(self, node: Node, updater: Updater) -> None:
        pass

    def check(self, last: bool, loss: Loss, penalty: Regularizer | None) -> None:
        """Raise ValueError if the layer cannot be in this place or with this loss and penalty."""

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        """Return what it predicts of inputs, with its parameters by name, to compute elsewhere.

        Raises
        ------
        ValueError
            If only kernels can say it.
        """
        raise ValueError(f"{self!r} has no formula, only kernels")

    def loss_forward(self, node: Node, loss: Loss, target: Buffer, row_loss: Buffer) -> None:
        """Add the step that computes the rows' losses, after the last layer's `forward`."""
        given = node.y.rows, target.rows, *_loss_arguments(loss, node)
        node.program.add(loss.forward, *given, row_loss.rows)

    def loss_backward(self, node: Node, loss: Loss, target: Buffer, scale: Buffer) -> Buffer:
        """Add the step that computes the gradient for `backward`; return its buffer."""
        dy = node.program.buffer(node.y.width)
        given = node.y.rows, target.rows, *_loss_arguments(loss, node)
        node.program.add(loss.backward, *given, scale.rows, dy.rows)
        return dy


class Factors(Configured):
    """Settings of a layer for how fast its parameters learn, beside those of other layers."""

    learning_rate_factor: float = setting(default=1.0, check=non_negative_float, kw_only=True)
    weight_decay_factor: float | None = setting(
        default=None, check=optional(non_negative_float), kw_only=True
    )


class KernelFactors(Configured):
    """The same for layers with a kernel and a bias."""

    kernel_learning_rate_factor: float = setting(
        default=1.0, check=non_negative_float, kw_only=True
    )
    bias_learning_rate_factor: float = setting(default=1.0, check=non_negative_float, kw_only=True)
    kernel_weight_decay_factor: float | None = setting(
        default=None, check=optional(non_negative_float), kw_only=True
    )
    bias_weight_decay_factor: float | None = setting(
        default=None, check=optional(non_negative_float), kw_only=True
    )


def _loss_arguments(loss: Loss, node: Node) -> list[Any]:
    """Return the loss's own arguments, as a step takes them."""
    settings = loss.arguments(node.y.width, node.program.dtype)
    return [Whole(value) if isinstance(value, np.ndarray) else value for value in settings]
