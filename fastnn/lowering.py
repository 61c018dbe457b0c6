"""Lowering: a network and its data become a program."""

from dataclasses import dataclass

import numpy as np

from fastnn.engine.clock import Clock
from fastnn.engine.program import Phase, Program
from fastnn.engine.steps import Arg, Batch, FirstRow, Rows, Source, Span
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

    @property
    def n_inputs(self) -> int:
        return len(self.parameters[0][0].value)

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


def _fetch(program: Program, model: Model, data: Data, order: Order):
    """Add the steps that fetch a batch; return its buffers: inputs, targets, weights."""
    index = program.buffer(dtype=np.int64)
    # Weights are summed over the batch by every thread, so all must be there before the rest.
    first = Phase.ROWS if data.weight is None else Phase.FETCH
    key = order.seed, Clock.EPOCH, Clock.TOTAL_ROWS, int(order.shuffle), FirstRow()
    program.add("batch_rows", *key, Rows(index), phase=first)
    weight = program.buffer()
    weight[:] = 1
    if data.weight is not None:
        program.add("gather", Source(data.weight), Rows(index), Rows(weight), phase=first)
    x = program.buffer(model.n_inputs)
    program.add("gather_rows", Source(data.x), Rows(index), Rows(x))
    if model.loss.target == "class":
        target = program.buffer(dtype=np.int64)
        program.add("gather", Source(data.y), Rows(index), Rows(target))
    else:
        target = program.buffer(model.n_outputs)
        program.add("gather_rows", Source(data.y), Rows(index), Rows(target))
    return x, target, weight


def _forward(program: Program, model: Model, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Add the forward pass; return each layer's buffers before and after its activation."""
    passed: list[tuple[np.ndarray, np.ndarray]] = []
    for number, (layer, parameters) in enumerate(zip(model.layers, model.parameters, strict=True)):
        out = program.buffer(layer.units)
        fused = model.fuses and number == len(model.layers) - 1
        z = layer.forward(program, parameters, Rows(x), Rows(out), fused)
        passed.append((z, out))
        x = out
    return passed


def training(
    model: Model, optimizer: Optimizer, data: Data, order: Order, batch_size: int, n_threads: int
) -> tuple[Program, list[np.ndarray]]:
    """Return the program of training epochs, and the buffers of the layers' outputs."""
    program = Program(model.dtype, batch_size, n_threads)
    x, target, weight = _fetch(program, model, data, order)
    scale, row_loss = program.buffer(), program.buffer()
    program.add("row_scales", Batch(weight), Rows(weight), Rows(scale))
    passed = _forward(program, model, x)
    outputs = [out for _, out in passed]
    program.add(model.loss.forward, Rows(outputs[-1]), Rows(target), Rows(row_loss))
    dy = program.buffer(model.n_outputs)
    program.add(model.loss.backward, Rows(outputs[-1]), Rows(target), Rows(scale), Rows(dy))
    program.add_check(row_loss, weight)
    gradients: list[np.ndarray] = []
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
            outputs[number - 1] if number else x,
            gradients[number],
            optimizer,
        )
    return program, outputs


def evaluation(model: Model, data: Data, batch_size: int, n_threads: int) -> Program:
    """Return the program that sums the losses of the rows."""
    program = Program(model.dtype, batch_size, n_threads)
    x, target, weight = _fetch(program, model, data, Order())
    row_loss = program.buffer()
    _, out = _forward(program, model, x)[-1]
    program.add(model.loss.forward, Rows(out), Rows(target), Rows(row_loss))
    program.add_check(row_loss, weight)
    return program


def prediction(model: Model, x: np.ndarray, out: np.ndarray, batch_size: int, n_threads: int):
    """Return the program that writes the network's outputs for the rows of `x` to `out`."""
    program = Program(model.dtype, batch_size, n_threads)
    if x.dtype == model.dtype and x.flags.c_contiguous:
        here: Arg = Span(x)
    else:
        index, rows = program.buffer(dtype=np.int64), program.buffer(model.n_inputs)
        key = 0, Clock.EPOCH, Clock.TOTAL_ROWS, 0, FirstRow()
        program.add("batch_rows", *key, Rows(index))
        program.add("gather_rows", Source(x), Rows(index), Rows(rows))
        here = Rows(rows)
    for number, (layer, parameters) in enumerate(zip(model.layers, model.parameters, strict=True)):
        last = number == len(model.layers) - 1
        there: Arg = Span(out) if last else Rows(program.buffer(layer.units))
        layer.forward(program, parameters, here, there, fused=False)
        here = there
    program.add_check()
    return program


def penalty(parameters: list[Parameter], backend: str) -> float:
    """Return the sum of the penalties on the parameters."""
    total = np.zeros(1)
    for parameter in parameters:
        for name, strength in parameter.regularizer.terms() if parameter.regularizer else ():
            kernels = COMPILED if backend == "numba" else TWINS
            kernels[f"{name}_value"](strength, parameter.value.reshape(-1), total)
    return float(total[0])
