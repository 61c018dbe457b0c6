"""Layers: their shapes, their parameters, and the steps each adds to a program."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn import activations, constraints, initializers, penalties, regularizers
from fastnn.checks import boolean, fraction, positive_int
from fastnn.constraints import Constraint
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program, aligned
from fastnn.engine.steps import (
    Arg,
    Buffer,
    FlatPart,
    FlatSpare,
    High,
    Low,
    Part,
    PartColumns,
    Spare,
    Whole,
)
from fastnn.families import Configured
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer
from fastnn.optimizers.updater import Updater
from fastnn.penalties import Call
from fastnn.regularizers import Regularizer

_ALL_UPDATED = 2
"""Phases after the backward pass until all weights are updated; an update that waits for the norm
of all gradients takes the one between."""
_GRADIENT_BYTES = 2**19
"""A gradient is computed and used up in blocks of this size: it never leaves the second cache."""


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
    fused: bool
    """Whether the loss contains the layer's activation, which the layer then leaves out."""
    out: Buffer | None = None
    """Where the outputs must go; None is anywhere, the inputs' own buffer included."""
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
        key = self.seed, self.number, Clock.STEP
        return "dropout", (rate, scale, *key, first, source, target)


class Layer(Configured):
    """A layer: settings alone; what is trained lies in the network, buffers in a program.

    `forward` adds the steps from ``node.x`` to the outputs and sets ``node.y``.  `backward` adds
    those from `dy`, the gradient of the outputs, to that of the inputs, and returns its buffer, or
    any where `inputs` says that it is not needed.  `update` adds those that change the parameters.
    Steps run in the order in which they are added, each thread on its own share; one that reads
    what other threads have written goes behind a ``program.barrier()``.
    """

    activation: activations.Activation = activations.Linear()
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


def _through(function: activations.Activation, node: Node, z: Buffer, dy: Buffer) -> Buffer:
    """Add the step from `dy` to the gradient before an activation; return its buffer."""
    if node.fused or function.slope == 1:
        return dy
    dz = node.program.buffer(dy.width)
    if function.slope is None:
        settings = function.arguments
        node.program.add(function.backward, z.rows, node.y.rows, *settings, dy.rows, dz.rows)
    else:
        y = node.y.rows
        node.program.add("relu_backward", y, y, function.slope, dy.rows, dz.rows)
    return dz


class Dense(Layer):
    """A fully-connected layer: ``activation(x @ W + b)``, W of shape (n_inputs, units).

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or Activation or None
        "relu", "leaky_relu", "elu", "gelu", "softplus", "silu", "exponential", "sigmoid", "tanh",
        "softmax" or "linear" (None), or an object of :mod:`fastnn.activations`: with settings, or
        ``Custom`` of functions of your own.
    use_bias : bool
    kernel_initializer : str or Initializer or None
        Start of W.  None is He's for the ReLU family and Glorot's for the rest.
    bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer : str or Regularizer or None
        Penalties: "l1", "l2", "l1l2", "lq", "group_l1", or objects with settings.
    kernel_constraint, bias_constraint : str or Constraint or None
        What holds after every update: "max_norm", "unit_norm", "non_neg", or objects.
    drop_connect : float in [0, 1)
        DropConnect: the share of W that each training step leaves out, at random.  The rest is
        divided by ``1 - drop_connect``, so prediction uses W, the mean of what training uses.  The
        bias is not dropped.  Wan et al. draw weights anew for each row; here all rows of a batch
        share them, which keeps the layer one matrix product.

    Raises
    ------
    ValueError, TypeError
        For `units` below 1, unknown names, objects of the wrong kind, a share outside [0, 1), or a
        penalty or constraint on groups for the bias.

    References
    ----------
    L. Wan, M. Zeiler, S. Zhang, Y. LeCun and R. Fergus, "Regularization of Neural Networks using
    DropConnect", ICML 2013.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Dense(64, activation="relu")
    Dense(64, activation='relu')
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        drop_connect: float = 0.0,
    ):
        self.units = positive_int(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = boolean(use_bias, "use_bias")
        if kernel_initializer is None:
            self.kernel_initializer = initializers.default_for(self.activation.name)
        else:
            self.kernel_initializer = initializers.get(kernel_initializer, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, "bias_initializer")
        self.kernel_regularizer = regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = regularizers.get_for_bias(bias_regularizer, "bias_regularizer")
        self.kernel_constraint = constraints.get(kernel_constraint, "kernel_constraint")
        self.bias_constraint = constraints.get_for_bias(bias_constraint, "bias_constraint")
        self.drop_connect = fraction(drop_connect, "drop_connect")

    def __repr__(self) -> str:
        dropped = f", drop_connect={self.drop_connect}" if self.drop_connect else ""
        return f"Dense({self.units}, activation={self.activation.name!r}{dropped})"

    @property
    def note(self) -> str:
        dropped = f", drop_connect {self.drop_connect}" if self.drop_connect else ""
        return f"{self.activation.name}{dropped}"

    def to_config(self) -> dict[str, Any]:
        """Return what :class:`Dense` takes, as JSON can hold it."""
        optional = (
            "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint"
        )  # fmt: skip
        found = {name: getattr(self, name) for name in optional}
        return {
            "name": "Dense",
            "units": self.units,
            "activation": self.activation.to_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.to_config(),
            "bias_initializer": self.bias_initializer.to_config(),
            **{name: setting and setting.to_config() for name, setting in found.items()},
            "drop_connect": self.drop_connect,
        }

    def width(self, n_inputs: int) -> int:
        return self.units

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        kernel = aligned((n_inputs, self.units), dtype)
        kernel[...] = self.kernel_initializer(kernel.shape, rng, dtype)
        built = [Parameter("kernel", kernel, self.kernel_regularizer, self.kernel_constraint)]
        if self.use_bias:
            bias = aligned((self.units,), dtype)
            bias[...] = self.bias_initializer(bias.shape, rng, dtype)
            built.append(Parameter("bias", bias, self.bias_regularizer, self.bias_constraint))
        return built

    def forward(self, node: Node) -> None:
        w = node.parameters[0].value
        b = node.parameters[1].value if self.use_bias else w[0, :0]
        if node.training and self.drop_connect:
            w = self._dropped(node, w)
        slope = self.activation.slope
        rides = node.fused or slope is not None
        y = node.output(self.units)
        # Not in place: a loop that might read what it has written does not vectorize.
        z = node.kept["z"] = y if rides else node.program.buffer(self.units)
        factor = 1.0 if node.fused or slope is None else slope
        node.program.add("dense_forward", node.x.rows, Whole(w), Whole(b), factor, z.rows)
        if not rides:
            node.program.add(self.activation.forward, z.rows, *self.activation.arguments, y.rows)

    def _dropped(self, node: Node, w: np.ndarray) -> np.ndarray:
        """Return the array for what DropConnect leaves of W; add the step that writes it."""
        dropped = node.kept["dropped"] = aligned(w.shape, w.dtype)
        call = self._drop(node, Part(w), Part(dropped))
        node.program.add_group([call], len(w))
        node.program.barrier()
        return dropped

    def _drop(self, node: Node, source: Arg, target: Arg) -> Call:
        """Return the call that applies the step's mask to a share of the rows of W."""
        rate = self.drop_connect
        return node.drop(rate, 1 / (1 - rate), Low(), source, target)

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        dz = node.kept["dz"] = _through(self.activation, node, node.kept["z"], dy)
        if not inputs:
            return dy
        w = node.parameters[0].value
        dx = node.program.buffer(len(w))
        if self.drop_connect:
            node.program.add("matmul_nt", dz.rows, Whole(node.kept["dropped"]), dx.rows)
        else:
            copy = Whole(node.program.transposed(w))
            node.program.add("matmul_nn", dz.rows, copy, dx.rows)
        return dx

    def update(self, node: Node, updater: Updater) -> None:
        program, dz, kernel = node.program, node.kept["dz"], node.parameters[0]
        w = kernel.value
        blocks = 1
        if (
            updater.rides
            and not penalties.terms(kernel.regularizer, "gradient")
            and not self.drop_connect
        ):
            product = node.x.columns, dz.batch, -updater.rate, Part(w)
            calls = kernel.around([("matmul_tn_add", product)], updater)
        else:
            share = -(-len(w) // program.n_threads)
            blocks = max(1, round(share * w[0].nbytes / _GRADIENT_BYTES))
            room = program, w, updater, -(-share // blocks) + 1
            rows, flat = self._gradient(*room)
            calls = [("matmul_tn", (node.x.columns, dz.batch, rows))]
            if self.drop_connect:
                kept, flat = self._gradient(*room)
                calls.append(self._drop(node, rows, kept))
            calls += kernel.update(flat, updater)
        copy = program.copy_of(w)
        on_columns = kernel.on_columns(updater)
        if copy is not None and not on_columns:
            calls.append(("transpose", (Part(w), PartColumns(copy))))
        program.add_group(calls, len(w), blocks=blocks)
        if self.use_bias:
            gradient = aligned((self.units,), w.dtype)
            calls = [("column_sums", (dz.batch, Low(), High(), Whole(gradient)))]
            calls += node.parameters[1].update(FlatPart(gradient), updater)
            program.add_group(calls, self.units)
        if on_columns:
            if copy is not None:
                on_columns.append(("transpose", (PartColumns(w), Part(copy))))
            program.add_group(on_columns, self.units, after=_ALL_UPDATED)

    def _gradient(
        self, program: Program, w: np.ndarray, updater: Updater, rows: int
    ) -> tuple[Arg, Arg]:
        """Return the gradient of `w`, by rows and as one vector: of a block of `rows` or whole."""
        if updater.whole:
            whole = aligned(w.shape, w.dtype)
            return Part(whole), FlatPart(whole)
        room = aligned((program.n_threads, rows, self.units), w.dtype)
        return Spare(room), FlatSpare(room)


class Activation(Layer):
    """An activation by itself: ``f(x)``, for what comes between it and a layer without one.

    ``Dense(64), BatchNormalization(), Activation("relu")`` is Keras's order.  The start of a
    :class:`Dense` follows its own activation alone; name He's where a ReLU comes later.

    Parameters
    ----------
    activation : str or fastnn.activations.Activation
        "relu", "sigmoid", "tanh", "softmax" or "linear".

    Raises
    ------
    ValueError, TypeError
        For unknown names or objects of the wrong kind.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Activation("relu")
    Activation('relu')
    """

    def __init__(self, activation: Any):
        self.activation = activations.get(activation)

    def __repr__(self) -> str:
        return f"Activation({self.activation.name!r})"

    @property
    def note(self) -> str:
        return self.activation.name

    def to_config(self) -> dict[str, Any]:
        """Return what :class:`Activation` takes, as JSON can hold it."""
        return {"name": "Activation", "activation": self.activation.to_config()}

    def forward(self, node: Node) -> None:
        slope = self.activation.slope
        if node.fused or slope == 1:
            node.pass_on()
            return
        y = node.output(node.width)
        if slope is None:
            node.program.add(
                self.activation.forward, node.x.rows, *self.activation.arguments, y.rows
            )
        else:
            node.program.add("relu_forward", node.x.rows, slope, y.rows)

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        return _through(self.activation, node, node.x, dy) if inputs else dy
