"""Layers: their shapes, their parameters, and the steps each adds to a program."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import activations, initializers, regularizers
from fastnn.activations import Activation, Kernel
from fastnn.checks import boolean, positive_int
from fastnn.engine.arrays import Buffer, Stretch, Weights, aligned
from fastnn.engine.program import Phase, Program
from fastnn.engine.steps import Arg, BatchBlock, Block, FlatSpare, High, Low, Spare
from fastnn.optimizers import Optimizer
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
        """Make the arrays that the optimizer wants, and return whether all were there."""
        complete = set(optimizer.state) <= set(self.state)
        self.state = {
            name: self.state.get(name, aligned(self.value.shape, self.value.dtype))
            for name in optimizer.state
        }
        return complete

    def update(
        self, weights: Callable[[np.ndarray], Weights], gradient: Arg, optimizer: Optimizer
    ) -> list[Call]:
        """Return the calls of the penalty's gradient and of the optimizer's update.

        `weights` tells how the program has an array, `gradient` is one vector for the rows at
        hand.
        """
        calls: list[Call] = []
        for name, strength in self.regularizer.terms() if self.regularizer else ():
            w = weights(self.value).flat
            calls.append((f"{name}_gradient", (strength, w, gradient)))
        kernel, settings = optimizer.update()
        arrays = [weights(array).flat for array in (*self.state.values(), self.value)]
        return [*calls, (kernel, (*settings, gradient, *arrays))]


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

    def owns_columns(
        self, program: Program, parameters: list[Parameter], optimizer: Optimizer
    ) -> bool:
        """Return whether each thread should have its columns of a first layer's weights.

        They stay in its core's cache then, and outputs go from core to core instead: fewer, when
        a batch has fewer rows than half the inputs.  Otherwise threads have their rows of the
        weights when these are updated, and all weights in the forward pass.
        """
        w = parameters[0].value
        return (
            program.n_threads > 1
            and optimizer.rides
            and parameters[0].regularizer is None
            and 2 * program.batch_size < len(w)
            and self.units % (64 // w.itemsize) == 0
        )

    def forward(
        self,
        program: Program,
        parameters: list[Parameter],
        x: Buffer | Stretch,
        out: Buffer | Stretch,
        *,
        fused: bool,
        columns: bool = False,
    ) -> Buffer | Stretch:
        """Add the steps from `x` to `out`; `fused` leaves f to the loss.

        Return the buffer of what f is applied to: `out` itself where f rides in the product.
        """
        slope = self.activation.slope
        rides = fused or slope is not None
        # Not in place: a loop that might read what it has written does not vectorize.
        z = out if rides else program.buffer(self.units)
        factor = 1.0 if fused or slope is None else slope
        if columns:
            self._product_by_columns(program, parameters, x, factor, z)
        else:
            w, b = program.weights(parameters[0].value), program.weights(self._bias(parameters))
            program.add("dense_forward", x.rows, w.whole, b.whole, factor, z.rows)
        if not rides:
            program.add(self.activation.forward, z.rows, out.rows)
        return z

    def _bias(self, parameters: list[Parameter]) -> np.ndarray:
        """Return the bias, or an empty one."""
        value = parameters[0].value
        return parameters[1].value if self.use_bias else np.empty(0, value.dtype)

    def _product_by_columns(
        self, program: Program, parameters: list[Parameter], x: Buffer, factor: float, z: Buffer
    ) -> None:
        """Add the steps of a product of which each thread has its columns of the weights."""
        w, b = program.blocked(parameters[0].value), Weights(self._bias(parameters))
        bias = b.part if self.use_bias else b.whole
        out = program.blocks(program.batch_size, self.units)
        arguments = x.batch, Block(w.array), bias, factor, BatchBlock(out.array)
        call: Call = ("dense_forward", arguments)
        program.add_group([call], Phase.COLUMNS, self.units, grain=w.grain, shared=True)
        for first, block in out.parts:
            part = program.seen(Buffer(block))
            program.add("copy_columns", part.rows, first, z.rows)

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
        program.add("matmul_nn", dz.rows, program.transposed(w).whole, dx.rows)
        return dz, dx

    def update(
        self,
        program: Program,
        parameters: list[Parameter],
        x: Buffer,
        dz: Buffer,
        optimizer: Optimizer,
        *,
        columns: bool = False,
    ) -> None:
        """Add the steps that change the parameters, given the gradient before f."""
        if columns:
            self._update_columns(program, parameters, x, dz, optimizer)
            return
        self._update_rows(program, parameters[0], x, dz, optimizer)
        if self.use_bias:
            gradient = program.weights(aligned((self.units,), dz.array.dtype))
            span = (0, self.units) if program.replicated else (Low(), High())
            calls: list[Call] = [("column_sums", (dz.batch, *span, gradient.whole))]
            calls += parameters[1].update(program.weights, gradient.flat, optimizer)
            program.add_group(calls, program.update_phase, self.units)

    def _update_columns(
        self,
        program: Program,
        parameters: list[Parameter],
        x: Buffer,
        dz: Buffer,
        optimizer: Optimizer,
    ) -> None:
        """Add the update of a layer of which each thread has its columns."""
        w = program.blocked(parameters[0].value)
        rate = -float(optimizer.learning_rate)
        calls: list[Call] = [("matmul_tn_add", (x.batch, dz.columns, rate, Block(w.array)))]
        if self.use_bias:
            gradient = Weights(aligned((self.units,), dz.array.dtype))
            calls.append(("column_sums", (dz.batch, Low(), High(), gradient.whole)))
            calls += parameters[1].update(Weights, gradient.flat, optimizer)
        program.add_group(calls, program.update_phase, self.units, grain=w.grain, shared=True)

    def _update_rows(
        self, program: Program, kernel: Parameter, x: Buffer, dz: Buffer, optimizer: Optimizer
    ) -> None:
        """Add the update of the weights, of which each thread has its rows."""
        w = kernel.value
        there = program.weights(w)
        inputs = x.batch if program.replicated else x.columns
        blocks = 1
        if optimizer.rides and kernel.regularizer is None:
            rate = -float(optimizer.learning_rate)
            calls: list[Call] = [("matmul_tn_add", (inputs, dz.batch, rate, there.part))]
        elif program.replicated:
            gradient = program.weights(aligned(w.shape, w.dtype))
            calls = [("matmul_tn", (inputs, dz.batch, gradient.whole))]
            calls += kernel.update(program.weights, gradient.flat, optimizer)
        else:
            share = -(-len(w) // program.n_threads)
            blocks = max(1, round(share * w[0].nbytes / _GRADIENT_BYTES))
            room = aligned((program.n_threads, -(-share // blocks) + 1, self.units), w.dtype)
            calls = [("matmul_tn", (inputs, dz.batch, Spare(room)))]
            calls += kernel.update(program.weights, FlatSpare(room), optimizer)
        copy = program.copy_of(w)
        if copy is not None:
            calls.append(("transpose", (there.part, copy.columns)))
        program.add_group(calls, program.update_phase, len(w), blocks=blocks)
