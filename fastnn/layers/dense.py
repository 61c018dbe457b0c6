"""The fully-connected layer, and the steps it adds to a program."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import activations, constraints, initializers, regularizers
from fastnn.engine.arguments import Arg, FlatPart, High, Low, Part, PartColumns, Strided, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import LONG, Call, Program, aligned
from fastnn.formulas import Formula
from fastnn.inputs.checks import boolean, fraction, positive_int
from fastnn.inputs.settings import optional, setting
from fastnn.kernels.gemm.loops import MR, NR_BYTES
from fastnn.layers import penalties
from fastnn.layers.activation import through
from fastnn.layers.base import KernelFactors, Layer, Node, Parameter
from fastnn.optimizers.updater import Updater

_ALL_UPDATED = 2
"""How many phases after the backward pass the last updates run.  Updates that wait for the norm of
all gradients take the phase in between."""
_GRADIENT_BYTES = 2**19
"""Compute and use a gradient in blocks of this size, so that it never leaves the L2 cache."""
_LONG_ROWS, _LONG_FLOPS = 1024, 2**31
"""With so many rows and operations, a gradient is computed whole, before the check of the loss: up
to there a run can stop without delay.  Writing and reading it takes 1 % of the batch's time."""
_SMALL_BYTES = 2**15
"""Up to this many bytes of weights, each thread transposes them itself when it needs them.  A
shared copy would travel from core to core: with it, an epoch of 200-64-64-1 on two threads took
10.6 ms instead of 10.2."""
_MANY_ROWS = 64
"""With at least this many rows per thread it does so with weights of any size, because keeping a
copy up to date costs more.  So it does with batches of a few rows, for which the product
transposes blocks in registers."""


class Dense(Layer, KernelFactors):
    """A fully-connected layer: ``activation(x @ W + b)``, W of shape (n_inputs, units).

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or Activation or None
        "relu", "leaky_relu", "elu", "selu", "gelu", "softplus", "silu", "mish", "exponential",
        "sigmoid", "tanh", "softmax" or "linear" (None), or an object from
        :mod:`fastnn.activations`, such as ``ELU(0.5)`` or ``Custom`` with your own functions.
    use_bias : bool
    kernel_initializer : str or Initializer or None
        Initial W.  None means uniform with variance 0.6 / n_inputs, Glorot's for sigmoid, and
        LeCun's for SELU; see :func:`fastnn.initializers.default_for`.
    bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer : str or Regularizer or None
        Penalties: "l1", "l2", "l1l2", "lq", "group_l1", or objects with settings.
    kernel_constraint, bias_constraint : str or Constraint or None
        Conditions enforced after every update: "max_norm", "unit_norm", "non_neg", or objects with
        settings.
    drop_connect : float in [0, 1)
        DropConnect: drop this share of W, chosen at random, in each training step.  The rest is
        divided by ``1 - drop_connect``, so its mean is W, which prediction uses.  The bias is never
        dropped.  Wan et al. draw a mask for each row; here all rows of a batch share one, which
        keeps the layer a single matrix product.
    kernel_learning_rate_factor, bias_learning_rate_factor : float of at least 0
        What the optimizer's learning rate is multiplied by for W, for b.  With Adam and a start by
        LeCun, ``1 / sqrt(n_inputs)`` for W does what ``x @ W / sqrt(n_inputs)`` with a standard
        normal start does.  0 keeps them: neither penalties nor constraints change them.
    kernel_weight_decay_factor, bias_weight_decay_factor : float of at least 0, optional
        What :class:`~fastnn.AdamW`'s decay is multiplied by for W, for b; see there.

    Raises
    ------
    ValueError, TypeError
        For `units` below 1, unknown names, objects of the wrong kind, a share outside [0, 1), a
        penalty or constraint on groups for the bias, or one that includes a bias without any.

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

    units: int = setting(check=positive_int, building=True)
    activation: Any = setting(default=None, check=activations.get)
    use_bias: bool = setting(default=True, check=boolean, building=True)
    kernel_initializer: Any = setting(default=None, check=optional(initializers.get), building=True)
    bias_initializer: Any = setting(default="zeros", check=initializers.get, building=True)
    kernel_regularizer: Any = setting(default=None, check=regularizers.get)
    bias_regularizer: Any = setting(default=None, check=regularizers.get_for_bias)
    kernel_constraint: Any = setting(default=None, check=constraints.get)
    bias_constraint: Any = setting(default=None, check=constraints.get_for_bias)
    drop_connect: float = setting(default=0.0, check=fraction)

    def check_settings(self) -> None:
        if self.kernel_initializer is None:
            self.kernel_initializer = initializers.default_for(self.activation)
        constraint = self.kernel_constraint
        if constraint is not None and constraint.include_bias and not self.use_bias:
            raise ValueError(f"kernel_constraint is {constraint}, but use_bias is False")

    def __repr__(self) -> str:
        dropped = f", drop_connect={self.drop_connect}" if self.drop_connect else ""
        return f"Dense({self.units}, activation={self.activation.name!r}{dropped})"

    @property
    def note(self) -> str:
        dropped = f", drop_connect {self.drop_connect}" if self.drop_connect else ""
        return f"{self.activation.name}{dropped}"

    def width(self, n_inputs: int) -> int:
        return self.units

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"kernel": (n_inputs, self.units)}
        return {**shapes, "bias": (self.units,)} if self.use_bias else shapes

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        shapes = self.shapes(n_inputs)
        kernel = aligned(shapes["kernel"], dtype)
        kernel[...] = self.kernel_initializer(kernel.shape, rng, dtype)
        built = [Parameter("kernel", kernel, self.kernel_regularizer, self.kernel_constraint)]
        if self.use_bias:
            bias = aligned(shapes["bias"], dtype)
            bias[...] = self.bias_initializer(bias.shape, rng, dtype)
            built.append(Parameter("bias", bias, self.bias_regularizer, self.bias_constraint))
        return built

    def forward(self, node: Node) -> None:
        w = node.parameters[0].value
        b = node.parameters[1].value if self.use_bias else w[0, :0]
        if node.training and self.drop_connect:
            w = self._dropped(node, w)
        slope = self.activation.slope
        in_product = node.fused or slope is not None
        y = node.output(self.units)
        # Not in place: a loop that might read its own results does not vectorize.
        z = node.kept["z"] = y if in_product else node.program.buffer(self.units)
        node.slope = 1.0 if node.fused or slope is None else slope
        how = node.slope, node.x.ahead
        if self._by_columns(node):
            bias = Part(b) if self.use_bias else Whole(b)
            product = node.x.batch, PartColumns(w), bias, *how, z.columns
            node.program.add("dense_forward", *product, extent=self.units)
            node.program.barrier()
        else:
            node.program.add("dense_forward", node.x.rows, Whole(w), Whole(b), *how, z.rows)
        if not in_product:
            node.program.add(self.activation.forward, z.rows, *self.activation.arguments, y.rows)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        return self.activation.formula(x.dot(own["kernel"], own.get("bias", 0)))

    def _updates_in_product(self, node: Node) -> bool:
        """Return whether the matrix product adds the gradient to W as it computes it."""
        penalty = node.parameters[0].regularizer
        return (
            node.plain_descent
            and not self._is_long(node)
            and not penalties.terms(penalty, "gradient")
            and not self.drop_connect
        )

    def _by_columns(self, node: Node) -> bool:
        """Return whether threads share the columns of W instead of the rows of the batch.

        Each thread then is the only one to read and write its share of W, and outputs and their
        gradients travel from core to core instead.  This works only for the first layer (the
        inputs' gradient would be a sum over all columns), if nothing else changes W, and if every
        thread gets tiles of full width.
        """
        kernel, threads = node.parameters[0], node.program.n_threads
        alone = self._updates_in_product(node) and not (kernel.regularizer or kernel.constraint)
        wide = kernel.value[0].nbytes % (threads * NR_BYTES) == 0
        fewer = 2 * node.program.batch_size < len(kernel.value)
        return threads > 1 and node.before is None and alone and wide and fewer

    def _dropped(self, node: Node, w: np.ndarray) -> np.ndarray:
        """Return the array for W after DropConnect, adding the step that fills it."""
        dropped = node.kept["dropped"] = aligned(w.shape, w.dtype)
        call = self._drop(node, Part(w), Part(dropped))
        node.program.add_group([call], len(w))
        node.program.barrier()
        return dropped

    def _drop(self, node: Node, source: Arg, target: Arg) -> Call:
        """Return the call that applies the current mask to a share of the rows of W."""
        rate = self.drop_connect
        return node.drop(rate, 1 / (1 - rate), Low(), source, target)

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        dz = node.kept["dz"] = through(self.activation, node, node.kept["z"], dy)
        if self._is_long(node):
            self._whole_gradient(node, dz)
        if not inputs:
            return dy
        w = node.parameters[0].value
        dx = node.program.buffer(len(w))
        rows = node.program.batch_size
        copies = MR < rows < _MANY_ROWS * node.program.n_threads and w.nbytes > _SMALL_BYTES
        if self.drop_connect:
            w = node.kept["dropped"]
        elif len(w[0]) > 1 and copies:
            w = node.program.transposed(w).T
        slope = node.slope_before()
        node.program.add("dense_backward", dz.rows, Strided(w), node.x.rows, slope, dx.rows)
        return dx

    def _is_long(self, node: Node) -> bool:
        """Return whether the gradient of W is computed before the update begins."""
        rows, size = node.program.batch_size, node.parameters[0].value.size
        if node.program.sums_first:
            return False
        return rows >= _LONG_ROWS and 2 * rows * size >= _LONG_FLOPS

    def _whole_gradient(self, node: Node, dz: Buffer) -> None:
        program, w = node.program, node.parameters[0].value
        gradient = node.kept["gradient"] = aligned(w.shape, w.dtype)
        pieces = max(1, 2 * program.batch_size * w.size // program.n_threads // LONG)
        parts = program.n_threads * pieces
        product = "matmul_tn", (node.x.columns, dz.batch, Part(gradient))
        program.barrier()
        program.add_group([product], len(w), parts=parts)

    def update(self, node: Node, updater: Updater) -> None:
        program, dz = node.program, node.kept["dz"]
        if self._by_columns(node):
            kernel = node.parameters[0]
            rate, w = updater.rate_of(kernel), PartColumns(kernel.value)
            program.add("matmul_tn_add", node.x.batch, dz.columns, -rate, w, extent=self.units)
        else:
            self._update_kernel(node, updater)
        if self.use_bias:
            gradient = aligned((self.units,), program.dtype)
            sums = "column_sums", (dz.batch, Low(), High(), Whole(gradient))
            calls = program.summed(sums, [gradient], self.units)
            calls += node.parameters[1].update(FlatPart(gradient), updater)
            program.add_group(calls, self.units)

    def _update_kernel(self, node: Node, updater: Updater) -> None:
        """Add the steps that update W, with its rows shared among the threads."""
        program, dz, kernel = node.program, node.kept["dz"], node.parameters[0]
        w, parts = kernel.value, 0
        if self._updates_in_product(node):
            product = node.x.columns, dz.batch, -updater.rate_of(kernel), Part(w)
            calls = kernel.around([("matmul_tn_add", product)], updater)
        else:
            blocks = max(1, round(w.nbytes / program.n_threads / _GRADIENT_BYTES))
            parts = program.n_threads * blocks
            room = program, w, updater, -(-len(w) // parts)
            calls = []
            rows: Arg
            flat: Arg
            if "gradient" in node.kept:
                whole = node.kept["gradient"]
                rows, flat = Part(whole), FlatPart(whole)
            else:
                rows, flat = self._gradient(*room)
                sums = "matmul_tn", (node.x.columns, dz.batch, rows)
                calls += program.summed(sums, [rows.array], len(w), parts)
            if self.drop_connect:
                kept, flat = self._gradient(*room)
                calls.append(self._drop(node, rows, kept))
            calls += kernel.update(flat, updater)
        copy = program.copy_of(w)
        learns = self.use_bias and node.parameters[1].rate_factor
        bias = node.parameters[1].value if learns else None
        on_columns = kernel.on_columns(updater, bias)
        if copy is not None and not on_columns:
            calls.append(("transpose", (Part(w), PartColumns(copy))))
        program.add_group(calls, len(w), parts=parts)
        if on_columns:
            if copy is not None:
                on_columns.append(("transpose", (PartColumns(w), Part(copy))))
            program.add_group(on_columns, self.units, after=_ALL_UPDATED)

    def _gradient(
        self, program: Program, w: np.ndarray, updater: Updater, rows: int
    ) -> tuple[Arg, Arg]:
        """Return the gradient of `w`, or of a block of `rows` of it, by rows and as one vector."""
        if updater.whole or program.sums_first:
            whole = aligned(w.shape, w.dtype)
            return Part(whole), FlatPart(whole)
        room = aligned((program.n_threads, rows, self.units), w.dtype)
        return Part(room, per_thread=True), FlatPart(room, per_thread=True)
