"""Layers that map some columns of their inputs and pass the others on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.engine.arguments import FlatPart, High, Low, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import aligned
from fastnn.formulas import Formula
from fastnn.inputs.checks import non_negative_int
from fastnn.layers.base import Node, Parameter
from fastnn.optimizers.updater import Updater


def as_columns(columns: Any, name: str) -> list[int]:
    """Return the numbers of columns as a list; none may be there twice."""
    if isinstance(columns, str | bytes) or not isinstance(columns, Sequence | np.ndarray):
        raise TypeError(f"{name} is {columns!r}, wanted a list of columns, as in [0, 3]")
    found = [non_negative_int(column, f"{name}[{place}]") for place, column in enumerate(columns)]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{name} is {found}, wanted at least one column and none twice")
    return found


def chosen(columns: list[int] | None, n_inputs: int) -> np.ndarray:
    """Return the numbers of the columns that a layer maps: None means all.

    Raises
    ------
    ValueError
        For columns that the inputs do not have.
    """
    if columns is None:
        return np.arange(n_inputs)
    if max(columns) >= n_inputs:
        raise ValueError(f"columns has {max(columns)}, but there are {n_inputs}: 0, 1, ...")
    return np.array(columns)


def append(node: Node, passed: np.ndarray, mapped: Buffer) -> None:
    """Add the step that writes the outputs: the columns to pass on, then `mapped`."""
    index = Whole(passed)
    y = node.output(len(passed) + mapped.width)
    node.program.add("append_columns", node.x.rows, index, mapped.rows, y.rows)


def appended(x: Formula, index: np.ndarray, mapped: Formula) -> Formula:
    """Return the formula of the columns to pass on, then `mapped`, which came of those chosen."""
    passed = np.setdiff1d(np.arange(x.width), index)
    return Formula.concatenate([x.columns(passed), mapped]) if len(passed) else mapped


def split(node: Node, passed: np.ndarray, mapped: Buffer, dy: Buffer) -> tuple[Buffer, Buffer]:
    """Add the step that splits the outputs' gradient; return those of the inputs and of `mapped`.

    That of the inputs is 0 for columns that are not passed on.
    """
    dx, gradient = node.program.buffer(node.width), node.program.buffer(mapped.width)
    node.program.add("split_columns", dy.rows, Whole(passed), dx.rows, gradient.rows)
    return dx, gradient


def update_blocks(node: Node, updater: Updater, kernel: Parameter, bias: Parameter) -> None:
    """Add the steps that update the weights of the columns' outputs, and their biases.

    ``node.kept`` has `h`, what each column's outputs are made of, and `dy`, their gradient.
    """
    h, dy = node.kept["h"].batch, node.kept["dy"].batch
    for parameter, name, given in (
        (kernel, "block_gradients", (h, dy)),
        (bias, "column_sums", (dy,)),
    ):
        gradient = aligned(parameter.value.shape, node.program.dtype)
        sums = name, (*given, Low(), High(), Whole(gradient))
        calls = node.program.summed(sums, [gradient], len(gradient))
        calls += parameter.update(FlatPart(gradient), updater)
        node.program.add_group(calls, len(gradient))
