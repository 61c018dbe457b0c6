"""Layers: their shapes, their parameters, and the steps each adds to a program."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import activations, initializers, regularizers
from fastnn.activations import Activation, Kernel
from fastnn.checks import boolean, positive_int
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
from fastnn.optimizers.updater import Updater
from fastnn.regularizers import Regularizer

Call = tuple[Kernel, tuple[Any, ...]]
"""A kernel and its arguments, as :meth:`Program.add_group` takes them."""

_GRADIENT_BYTES = 2**19
"""A gradient is computed and used up in blocks of this size: it never leaves the second cache."""


@dataclass
class Parameter:
    """One trained array, its penalty, and the optimizer's state for it."""

    name: str
    value: np.ndarray
    regularizer: Regularizer | None
    state: dict[str, np.ndarray]

    def keep_state(self, optimizer: Optimizer) -> bool:
        """Keep the arrays that the optimizer wants if all are there; return whether they were.

        If not, all start anew: what another optimizer has left of them fits no step count.
        """
        start = {**optimizer.state, **dict.fromkeys(optimizer.memory, 0.0)}
        if set(start) <= set(self.state):
            self.state = {name: self.state[name] for name in start}
            return True
        self.state = {name: aligned(self.value.shape, self.value.dtype) for name in start}
        for name, array in self.state.items():
            array[...] = start[name]
        return False

    def update(self, gradient: Arg, updater: Updater) -> list[Call]:
        """Return the calls of the penalty's gradient and of the optimizer's update.

        `gradient` is the gradient as one vector for the rows at hand.
        """
        calls: list[Call] = []
        for name, strength in self.regularizer.terms() if self.regularizer else ():
            calls.append((f"{name}_gradient", (strength, FlatPart(self.value), gradient)))
        return calls + updater.calls(self.name, self.value, self.state, gradient)


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

    Raises
    ------
    ValueError, TypeError
        For `units` below 1, unknown names, or objects of the wrong kind.

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
        self.bias_regularizer = regularizers.get(bias_regularizer, "bias_regularizer")

    def __repr__(self) -> str:
        return f"Dense({self.units}, activation={self.activation.name!r})"

    def to_config(self) -> dict[str, Any]:
        """Return what :class:`Dense` takes, as JSON can hold it."""
        penalties = self.kernel_regularizer, self.bias_regularizer
        return {
            "units": self.units,
            "activation": self.activation.name,
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.to_config(),
            "bias_initializer": self.bias_initializer.to_config(),
            "kernel_regularizer": penalties[0] and penalties[0].to_config(),
            "bias_regularizer": penalties[1] and penalties[1].to_config(),
        }

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        """Return the layer's parameters at their start."""
        kernel = aligned((n_inputs, self.units), dtype)
        kernel[...] = self.kernel_initializer(kernel.shape, rng, dtype)
        built = [Parameter("kernel", kernel, self.kernel_regularizer, {})]
        if self.use_bias:
            bias = aligned((self.units,), dtype)
            bias[...] = self.bias_initializer(bias.shape, rng, dtype)
            built.append(Parameter("bias", bias, self.bias_regularizer, {}))
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
        updater: Updater,
    ) -> None:
        """Add the steps that change the parameters, given the gradient before f."""
        kernel = parameters[0]
        w = kernel.value
        blocks = 1
        if updater.rides and kernel.regularizer is None:
            product = x.columns, dz.batch, -updater.rate, Part(w)
            calls: list[Call] = [("matmul_tn_add", product)]
        else:
            share = -(-len(w) // program.n_threads)
            blocks = max(1, round(share * w[0].nbytes / _GRADIENT_BYTES))
            rows, flat = self._gradient(program, w, updater, -(-share // blocks) + 1)
            calls = [("matmul_tn", (x.columns, dz.batch, rows))]
            calls += kernel.update(flat, updater)
        copy = program.copy_of(w)
        if copy is not None:
            calls.append(("transpose", (Part(w), PartColumns(copy))))
        program.add_group(calls, Phase.UPDATE, len(w), blocks=blocks)
        if self.use_bias:
            gradient = aligned((self.units,), w.dtype)
            calls = [("column_sums", (dz.batch, Low(), High(), Whole(gradient)))]
            calls += parameters[1].update(FlatPart(gradient), updater)
            program.add_group(calls, Phase.UPDATE, self.units)

    def _gradient(
        self, program: Program, w: np.ndarray, updater: Updater, rows: int
    ) -> tuple[Arg, Arg]:
        """Return the gradient of `w`, by rows and as one vector: of a block of `rows` or whole."""
        if updater.whole:
            whole = aligned(w.shape, w.dtype)
            return Part(whole), FlatPart(whole)
        room = aligned((program.n_threads, rows, self.units), w.dtype)
        return Spare(room), FlatSpare(room)
