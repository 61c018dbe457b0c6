"""Lowering: turn a model and its data into a program."""

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.engine.arguments import Source, ThreadRow, Whole
from fastnn.engine.buffers import Buffer, InPlace, Stretch, ThreadBuffer
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program
from fastnn.engine.shards import ShardedProgram, Shards
from fastnn.engine.steps import EVERY
from fastnn.layers.base import Node
from fastnn.optimizers import Optimizer
from fastnn.optimizers.updater import Updater
from fastnn.training.data import Data
from fastnn.training.model import Model

_IN_PLACE_BYTES = 2**21
"""Bytes up to which a batch of consecutive rows is read in place: they stay in the second-level
cache from the forward pass to the gradient.  Copying them took 6 % of an epoch of 200-64-1 and 13 %
of 500-1 in batches of 100."""


@dataclass
class Order:
    """The order in which an epoch visits the rows."""

    shuffle: bool = False
    seed: int = 0


def _fetch(program: Program, model: Model, data: Data, order: Order, *, per_thread: bool):
    """Add the steps that fetch a batch; return the buffers of its inputs, targets and weights.

    With `per_thread`, every thread fetches all rows of the inputs.  The gradients of the weights
    need all of them, and reading them again is cheaper than taking them from another core's cache.
    """

    @functools.cache
    def index() -> Buffer:
        places = program.buffer(dtype=np.int64, per_thread=True)
        program.add_rows(order.seed, len(data), order.shuffle, places)
        return places

    def fetched(source: np.ndarray, room: Buffer, chosen: np.ndarray | None = None) -> Buffer:
        """Return the batch's rows of `source`: in place if possible, else copied to `room`.

        They are those of the rows `chosen`, if given.
        """
        plain = source.flags.c_contiguous and source.flags.aligned
        small = source.nbytes // max(1, len(source)) * program.batch_size <= _IN_PLACE_BYTES
        in_order = program.in_order and not order.shuffle and chosen is None
        if in_order and plain and small and source.dtype == room.array.dtype:
            return InPlace(source)
        places = index()
        if chosen is not None:
            places = program.buffer(dtype=np.int64, per_thread=True)
            program.add("gather", Source(chosen), index().batch, places.batch, extent=EVERY)
        kernel = "gather" if source.ndim == 1 else "gather_rows"
        if isinstance(room, ThreadBuffer):
            program.add(kernel, Source(source), places.batch, room.batch, extent=EVERY)
        else:
            program.add(kernel, Source(source), places.rows, room.rows)
        return room

    program.begin("fetch")
    weight = program.buffer(per_thread=True)
    weight.array[:] = 1
    if data.weight is not None:
        weight = fetched(data.weight, weight)
    x = fetched(data.x, program.buffer(model.n_inputs, per_thread=per_thread), data.rows)
    x = _selected(program, model, x, per_thread=per_thread)
    if model.loss.target == "class":
        target = program.buffer(dtype=np.int64)
    else:
        target = program.buffer(model.loss.n_targets(model.n_outputs))
    return x, fetched(data.y, target), weight


def _selected(program: Program, model: Model, x: Any, *, per_thread: bool) -> Any:
    """Return the buffer of the columns in use, adding a step that fills it if not all are."""
    if model.selection is None:
        return x
    index = Whole(model.selection.index)
    kept = program.buffer(len(model.selection.index), per_thread=per_thread)
    if per_thread:
        program.add("gather_columns", x.batch, index, kept.batch, extent=EVERY)
    else:
        program.add("gather_columns", x.rows, index, kept.rows)
    return kept


def _forward(
    program: Program,
    model: Model,
    x: Buffer,
    *,
    seed: int = 0,
    training: bool | list[bool] = False,
    plain_descent: bool = False,
    out: Buffer | None = None,
) -> list[Node]:
    """Add the forward pass; return the layers' nodes.

    `training` is for all layers, or for each.
    With `out`, the last activation is applied and the outputs go there.  Otherwise they are what
    the loss wants, which may apply the last activation itself.
    """
    nodes: list[Node] = []
    last = len(model.layers) - 1
    for number, (layer, parameters) in enumerate(zip(model.layers, model.parameters, strict=True)):
        fused = out is None and model.fuses and number == last
        there = out if number == last else None
        before = nodes[-1] if nodes else None
        trains = training if isinstance(training, bool) else training[number]
        how = trains, plain_descent, fused
        program.begin("forward", number)
        nodes.append(Node(program, parameters, x, number, seed, *how, before, there))
        layer.forward(nodes[-1])
        x = nodes[-1].y
    return nodes


def training(
    model: Model,
    optimizer: Optimizer,
    data: Data,
    order: Order,
    batch_size: int,
    n_threads: int,
    shards: Shards | None = None,
) -> tuple[Program, list[np.ndarray]]:
    """Return the program of a training epoch, and the buffers of the layers' outputs."""
    how = model.dtype, batch_size, n_threads, model.products
    program = Program(*how) if shards is None else ShardedProgram(*how, shards)
    x, target, weight = _fetch(program, model, data, order, per_thread=True)
    scale, row_loss = program.buffer(), program.buffer()
    program.begin("loss")
    rows = 1 if model.loss.sums else Clock.ALL_ROWS
    program.add("row_scales", rows, weight.rows, scale.rows)
    plain = optimizer.plain_descent and shards is None
    nodes = _forward(program, model, x, seed=order.seed, training=True, plain_descent=plain)
    last = model.layers[-1]
    program.begin("loss")
    last.loss_forward(nodes[-1], model.loss, target, row_loss)
    dy = last.loss_backward(nodes[-1], model.loss, target, scale)
    for node in reversed(nodes):
        inputs = model.trains_before(node.number)
        program.begin("backward", node.number)
        dy = model.layers[node.number].backward(node, dy, inputs)
        if not inputs:
            break
    program.begin("loss")
    program.add_check(row_loss, weight)
    program.begin("update")
    pairs = list(zip(model.layers, nodes, strict=True))
    values = [array for layer, node in pairs for array in layer.updated(node)]
    updater = Updater(program, optimizer, values)
    for layer, node in pairs:
        program.begin("update", node.number)
        layer.update(node, updater)
    return program, [node.y.array for node in nodes]


def evaluation(
    model: Model, data: Data, row_loss: np.ndarray, batch_size: int, n_threads: int
) -> Program:
    """Return the program that writes the loss of each row to `row_loss`."""
    program = Program(model.dtype, batch_size, n_threads, model.products)
    x, target, _ = _fetch(program, model, replace(data, weight=None), Order(), per_thread=False)
    node = _forward(program, model, x)[-1]
    program.begin("loss")
    model.layers[-1].loss_forward(node, model.loss, target, InPlace(row_loss))
    program.add_check()
    return program


def prediction(model: Model, batch_size: int) -> Program:
    """Return the program that writes the network's outputs for the rows of a run, on one thread.

    A number that is not finite ends the run.  Checking the rows also brings them into the cache for
    the first layer.
    """
    program = Program(model.dtype, batch_size, 1, model.products)
    x = Stretch(np.empty((0, model.n_inputs), model.dtype), Clock.INPUT)
    out = Stretch(np.empty((0, model.n_outputs), model.dtype), Clock.OUTPUT)
    program.begin("fetch")
    program.add("flag_not_finite", x.rows, ThreadRow(program.loss))
    here = _selected(program, model, x, per_thread=False)
    _forward(program, model, here, out=out)
    program.add_check()
    return program


def sampling(
    model: Model,
    x: Buffer,
    out: Buffer,
    noisy: list[bool],
    seed: int,
    batch_size: int,
    n_threads: int,
) -> Program:
    """Return the program that predicts with the noise of training on in some layers."""
    program = Program(model.dtype, batch_size, n_threads, model.products)
    program.begin("fetch")
    x = _selected(program, model, x, per_thread=False)
    _forward(program, model, x, seed=seed, training=noisy, out=out)
    program.add_check()
    return program
