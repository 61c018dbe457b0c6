"""Lowering: a network and its data become a program."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fastnn import penalties
from fastnn.compacting import Selection
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program
from fastnn.engine.steps import EVERY, Buffer, FirstRow, Source, Stretch, Whole
from fastnn.kernels import COMPILED
from fastnn.layers import Dense, Parameter
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer
from fastnn.reference import TWINS


@dataclass
class Model:
    """What the programs of a network have in common."""

    layers: list[Dense]
    parameters: list[list[Parameter]]
    loss: Loss
    dtype: np.dtype
    selection: Selection | None = None

    @property
    def n_inputs(self) -> int:
        """The number of columns of the data."""
        return self.selection.width if self.selection else len(self.parameters[0][0].value)

    @property
    def n_outputs(self) -> int:
        return self.layers[-1].units

    @property
    def fuses(self) -> bool:
        """Whether the loss contains the last layer's activation."""
        return self.layers[-1].activation.name == self.loss.fused

    def flops(self) -> int:
        """Return the operations of a forward pass of one row."""
        return sum(2 * parameters[0].value.size for parameters in self.parameters)


@dataclass
class Data:
    """Rows as the door let them in; see :mod:`fastnn.checks`."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None


@dataclass
class Order:
    """How an epoch goes through the rows."""

    shuffle: bool = False
    seed: int = 0


def _fetch(program: Program, model: Model, data: Data, order: Order, *, own: bool):
    """Add the steps that fetch a batch; return its buffers: inputs, targets, weights.

    With `own` every thread fetches all rows of the inputs: the gradients of the weights need them
    all, and to read them again costs less than to take them out of another core's cache.
    """
    index = program.buffer(dtype=np.int64, own=True)
    key = order.seed, Clock.EPOCH, Clock.TOTAL_ROWS, int(order.shuffle), Clock.FIRST
    program.add("batch_rows", *key, index.batch, extent=EVERY)
    weight = program.buffer(own=True)
    weight.array[:] = 1
    if data.weight is not None:
        program.add("gather", Source(data.weight), index.batch, weight.batch, extent=EVERY)
    x = program.buffer(model.n_inputs, own=own)
    if own:
        program.add("gather_rows", Source(data.x), index.batch, x.batch, extent=EVERY)
    else:
        program.add("gather_rows", Source(data.x), index.rows, x.rows)
    x = _selected(program, model, x, own=own)
    if model.loss.target == "class":
        target = program.buffer(dtype=np.int64)
        program.add("gather", Source(data.y), index.rows, target.rows)
    else:
        target = program.buffer(model.n_outputs)
        program.add("gather_rows", Source(data.y), index.rows, target.rows)
    return x, target, weight


def _selected(program: Program, model: Model, x: Any, *, own: bool) -> Any:
    """Return the buffer of the columns in use; add the step that fills it where not all are."""
    if model.selection is None:
        return x
    index = Whole(model.selection.index)
    kept = program.buffer(len(model.selection.index), own=own)
    if own:
        program.add("gather_columns", x.batch, index, kept.batch, extent=EVERY)
    else:
        program.add("gather_columns", x.rows, index, kept.rows)
    return kept


def _forward(program: Program, model: Model, x: Buffer) -> list[tuple[Buffer, Buffer]]:
    """Add the forward pass; return each layer's buffers before and after its activation."""
    passed: list[tuple[Buffer, Buffer]] = []
    for number, (layer, parameters) in enumerate(zip(model.layers, model.parameters, strict=True)):
        out = program.buffer(layer.units)
        fused = model.fuses and number == len(model.layers) - 1
        z = layer.forward(program, parameters, x, out, fused=fused)
        passed.append((cast(Buffer, z), out))
        x = out
    return passed


def training(
    model: Model, optimizer: Optimizer, data: Data, order: Order, batch_size: int, n_threads: int
) -> tuple[Program, list[np.ndarray]]:
    """Return the program of training epochs, and the buffers of the layers' outputs."""
    program = Program(model.dtype, batch_size, n_threads)
    x, target, weight = _fetch(program, model, data, order, own=True)
    scale, row_loss = program.buffer(), program.buffer()
    program.add("row_scales", weight.batch, weight.rows, scale.rows)
    passed = _forward(program, model, x)
    output = passed[-1][1]
    program.add(model.loss.forward, output.rows, target.rows, row_loss.rows)
    dy = program.buffer(model.n_outputs)
    program.add(model.loss.backward, output.rows, target.rows, scale.rows, dy.rows)
    program.add_check(row_loss, weight)
    gradients: list[Buffer] = []
    for number in reversed(range(len(model.layers))):
        dz, dy = model.layers[number].backward(
            program,
            model.parameters[number],
            *passed[number],
            dy,
            fused=model.fuses and number == len(model.layers) - 1,
            inputs=number > 0,
        )
        gradients.insert(0, dz)
    for number, layer in enumerate(model.layers):
        layer.update(
            program,
            model.parameters[number],
            passed[number - 1][1] if number else x,
            gradients[number],
            optimizer,
        )
    for layer, parameters in zip(model.layers, model.parameters, strict=True):
        layer.constrain(program, parameters, optimizer)
    return program, [out.array for _, out in passed]


def evaluation(model: Model, data: Data, batch_size: int, n_threads: int) -> Program:
    """Return the program that sums the losses of the rows."""
    program = Program(model.dtype, batch_size, n_threads)
    x, target, weight = _fetch(program, model, data, Order(), own=False)
    row_loss = program.buffer()
    _, out = _forward(program, model, x)[-1]
    program.add(model.loss.forward, out.rows, target.rows, row_loss.rows)
    program.add_check(row_loss, weight)
    return program


def prediction(
    model: Model, x: np.ndarray, out: np.ndarray, batch_size: int, n_threads: int
) -> Program:
    """Return the program that writes the network's outputs for the rows of `x` to `out`."""
    program = Program(model.dtype, batch_size, n_threads)
    here: Buffer | Stretch
    if x.dtype == model.dtype and x.flags.c_contiguous:
        here = Stretch(x)
    else:
        index, here = program.buffer(dtype=np.int64), program.buffer(model.n_inputs)
        key = 0, Clock.EPOCH, Clock.TOTAL_ROWS, 0, FirstRow()
        program.add("batch_rows", *key, index.rows)
        program.add("gather_rows", Source(x), index.rows, here.rows)
    here = _selected(program, model, here, own=False)
    for number, (layer, parameters) in enumerate(zip(model.layers, model.parameters, strict=True)):
        last = number == len(model.layers) - 1
        there = Stretch(out) if last else program.buffer(layer.units)
        layer.forward(program, parameters, here, there, fused=False)
        here = there
    program.add_check()
    return program


def penalty(parameters: list[Parameter], backend: str) -> float:
    """Return the sum of the penalties on the parameters."""
    kernels = COMPILED if backend == "numba" else TWINS
    return sum((penalties.value(p.regularizer, p.value, kernels) for p in parameters), 0.0)
