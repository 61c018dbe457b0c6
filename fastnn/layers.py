"""Layers: their shapes, their parameters, and the steps each adds to a program."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import activations, constraints, initializers, penalties, regularizers
from fastnn.activations import Activation
from fastnn.checks import boolean, positive_int
from fastnn.constraints import Constraint
from fastnn.engine.program import Phase, Program, aligned
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
    Stretch,
    Whole,
)
from fastnn.optimizers import Optimizer
from fastnn.penalties import Call
from fastnn.regularizers import Regularizer

_GRADIENT_BYTES = 2**19
"""A gradient is computed and used up in blocks of this size: it never leaves the second cache."""


@dataclass
class Parameter:
    """One trained array, its penalty and constraint, and the optimizer's state for it."""

    name: str
    value: np.ndarray
    regularizer: Regularizer | None
    state: dict[str, np.ndarray]
    constraint: Constraint | None = None

    def keep_state(self, optimizer: Optimizer) -> bool:
        """Make the arrays that the optimizer wants, and return whether all were there."""
        complete = set(optimizer.state) <= set(self.state)
        self.state = {
            name: self.state.get(name, aligned(self.value.shape, self.value.dtype))
            for name in optimizer.state
        }
        return complete

    def update(self, gradient: Arg, optimizer: Optimizer) -> list[Call]:
        """Return the calls of the penalty's gradient and of the update.

        `gradient` is the gradient as one vector for the rows at hand.
        """
        calls = penalties.on_gradient(self.regularizer, self.value, gradient)
        kernel, settings = optimizer.update()
        arrays = [FlatPart(array) for array in (*self.state.values(), self.value)]
        return calls + self.around((kernel, (*settings, gradient, *arrays)), optimizer)

    def around(self, update: Call, optimizer: Optimizer) -> list[Call]:
        """Return the optimizer's update amid what penalty and constraint do to a share of rows."""
        rate = optimizer.learning_rate
        before = penalties.before_update(self.regularizer, self.value)
        after = penalties.after_update(self.regularizer, self.constraint, self.value, rate)
        return [*before, update, *after]

    def on_columns(self, optimizer: Optimizer) -> list[Call]:
        """Return what they then do to a share of the columns."""
        rate = optimizer.learning_rate
        return penalties.on_columns(self.regularizer, self.constraint, self.value, rate)


class Dense:
    """A fully-connected layer: ``activation(x @ W + b)``, W of shape (n_inputs, units).

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or Activation or None
        "relu", "sigmoid", "tanh", "softmax", or "linear" (None).
    use_bias : bool
    kernel_initializer : str or Initializer or None
        Start of W.  None is He's for the ReLU family and Glorot's for the rest.
    bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer : str or Regularizer or None
        Penalties: "l1", "l2", "l1l2", "lq", "group_l1", or objects with settings.
    kernel_constraint, bias_constraint : str or Constraint or None
        What holds after every update: "max_norm", "unit_norm", "non_neg", or objects.

    Raises
    ------
    ValueError, TypeError
        For `units` below 1, unknown names, objects of the wrong kind, or a penalty or constraint
        on groups for the bias.

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
    ):
        self.units = positive_int(units, "units")
        self.activation: Activation = activations.get(activation)
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

    def __repr__(self) -> str:
        return f"Dense({self.units}, activation={self.activation.name!r})"

    def to_config(self) -> dict[str, Any]:
        """Return what :class:`Dense` takes, as JSON can hold it."""
        optional = (
            "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint"
        )  # fmt: skip
        found = {name: getattr(self, name) for name in optional}
        return {
            "units": self.units,
            "activation": self.activation.name,
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.to_config(),
            "bias_initializer": self.bias_initializer.to_config(),
            **{name: setting and setting.to_config() for name, setting in found.items()},
        }

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        """Return the layer's parameters at their start."""
        kernel = aligned((n_inputs, self.units), dtype)
        kernel[...] = self.kernel_initializer(kernel.shape, rng, dtype)
        built = [Parameter("kernel", kernel, self.kernel_regularizer, {}, self.kernel_constraint)]
        if self.use_bias:
            bias = aligned((self.units,), dtype)
            bias[...] = self.bias_initializer(bias.shape, rng, dtype)
            built.append(Parameter("bias", bias, self.bias_regularizer, {}, self.bias_constraint))
        return built

    def forward(
        self,
        program: Program,
        parameters: list[Parameter],
        x: Buffer | Stretch,
        out: Buffer | Stretch,
        *,
        fused: bool,
    ) -> Buffer | Stretch:
        """Add the steps from `x` to `out`; `fused` leaves f to the loss.

        Return the buffer of what f is applied to: `out` itself where f rides in the product.
        """
        w = parameters[0].value
        b = parameters[1].value if self.use_bias else w[0, :0]
        slope = self.activation.slope
        rides = fused or slope is not None
        # Not in place: a loop that might read what it has written does not vectorize.
        z = out if rides else program.buffer(self.units)
        factor = 1.0 if fused or slope is None else slope
        program.add("dense_forward", x.rows, Whole(w), Whole(b), factor, z.rows)
        if not rides:
            program.add(self.activation.forward, z.rows, out.rows)
        return z

    def backward(
        self,
        program: Program,
        parameters: list[Parameter],
        z: Buffer,
        y: Buffer,
        dy: Buffer,
        *,
        fused: bool,
        inputs: bool,
    ) -> tuple[Buffer, Buffer]:
        """Add the steps from `dy`, the gradient of the output, back to the inputs'.

        Return the buffers of the gradient before f and of that of the inputs; where `inputs` says
        that the latter is not needed, it is `dy` again.
        """
        slope = self.activation.slope
        dz = dy if fused or slope == 1 else program.buffer(self.units)
        if dz is not dy and slope is None:
            program.add(self.activation.backward, z.rows, y.rows, dy.rows, dz.rows)
        elif dz is not dy:
            program.add("relu_backward", y.rows, y.rows, slope, dy.rows, dz.rows)
        if not inputs:
            return dz, dy
        w = parameters[0].value
        dx = program.buffer(w.shape[0])
        program.add("matmul_nn", dz.rows, Whole(program.transposed(w)), dx.rows)
        return dz, dx

    def update(
        self,
        program: Program,
        parameters: list[Parameter],
        x: Buffer,
        dz: Buffer,
        optimizer: Optimizer,
    ) -> None:
        """Add the steps that change the parameters, given the gradient before f."""
        kernel = parameters[0]
        w = kernel.value
        blocks = 1
        if optimizer.rides and not penalties.terms(kernel.regularizer, "gradient"):
            rate = -float(optimizer.learning_rate)
            update: Call = ("matmul_tn_add", (x.columns, dz.batch, rate, Part(w)))
            calls = kernel.around(update, optimizer)
        else:
            share = -(-len(w) // program.n_threads)
            blocks = max(1, round(share * w[0].nbytes / _GRADIENT_BYTES))
            room = aligned((program.n_threads, -(-share // blocks) + 1, self.units), w.dtype)
            calls = [("matmul_tn", (x.columns, dz.batch, Spare(room)))]
            calls += kernel.update(FlatSpare(room), optimizer)
        copy = program.copy_of(w)
        if copy is not None and not kernel.on_columns(optimizer):
            calls.append(("transpose", (Part(w), PartColumns(copy))))
        program.add_group(calls, Phase.UPDATE, len(w), blocks=blocks)
        if self.use_bias:
            gradient = aligned((self.units,), w.dtype)
            calls = [("column_sums", (dz.batch, Low(), High(), Whole(gradient)))]
            calls += parameters[1].update(FlatPart(gradient), optimizer)
            program.add_group(calls, Phase.UPDATE, self.units)

    def constrain(
        self, program: Program, parameters: list[Parameter], optimizer: Optimizer
    ) -> None:
        """Add the steps that change whole columns of the weights, all of them being updated."""
        w = parameters[0].value
        calls = parameters[0].on_columns(optimizer)
        if calls:
            copy = program.copy_of(w)
            if copy is not None:
                calls.append(("transpose", (PartColumns(w), Part(copy))))
            program.add_group(calls, Phase.COLUMNS, self.units)
