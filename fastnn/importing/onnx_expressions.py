"""ONNX's operators as expressions of one number."""

from collections.abc import Callable

import numpy as np

from fastnn.importing import expressions
from fastnn.importing.expressions import Algebra, Sum
from fastnn.importing.onnx_graph import Step


def told(steps: list[Step]) -> str:
    """Return what an error says of the place of nodes."""
    if len(steps) == 1:
        return steps[0].where
    kinds = ", ".join(dict.fromkeys(each.kind for each in steps))
    return f"nodes {steps[0].place} to {steps[-1].place} of model, {kinds}"


def expression(algebra: Algebra, begin: str, steps: list[Step]) -> Sum | str:
    """Return what nodes make of the value that they begin with, or why it cannot be said."""
    values = {begin: expressions.X}
    for step in steps:
        given = _operands(algebra, step, values)
        if isinstance(given, str):
            return given
        make = _EXPRESSIONS.get(step.kind)
        made = None if make is None else make(algebra, step, given)
        if made is None:
            what = "it" if len(steps) == 1 else step.kind
            return f"fastnn has no layer that {what} could be a part of"
        values[step.output] = made
    return values[steps[-1].output]


def _operands(algebra: Algebra, step: Step, values: dict[str, Sum]) -> list[Sum] | str:
    given: list[Sum] = []
    for place, name in enumerate(step.inputs):
        array = step.constants.get(place)
        if array is None:
            if name not in values:
                return f"{step.kind} reads {name!r}"
            given.append(values[name])
        elif step.kind in ("MatMul", "ReduceMean"):
            given.append({})  # which their own function reads
        elif array.size == 1:
            given.append(expressions.number(float(array.reshape(-1)[0])))
        elif array.size == array.shape[-1]:
            given.append(algebra.vector(array.reshape(-1)))
        else:
            return f"{step.kind} has constants of shape {array.shape}"
    return given


Expression = Callable[[Algebra, Step, list[Sum]], Sum | None]


def _function(name: str) -> Expression:
    return lambda algebra, step, given: algebra.apply(name, given[0])


def _extreme(algebra: Algebra, step: Step, given: list[Sum]) -> Sum | None:
    """Return the larger or smaller of an expression and 0."""
    if len(given) != 2 or {} not in given:
        return None
    other = given[0] or given[1]
    return algebra.apply("relu", other) if step.kind == "Max" else algebra.minimum0(other)


def _power(algebra: Algebra, step: Step, given: list[Sum]) -> Sum | None:
    exponent = given[1].get((), 0.0)
    if exponent not in (2, 3):
        return None
    square = expressions.multiply(given[0], given[0])
    return square if exponent == 2 else expressions.multiply(square, given[0])


def _divided(algebra: Algebra, step: Step, given: list[Sum]) -> Sum | None:
    one, two = given
    if set(two) == {()}:
        return expressions.multiply(one, expressions.number(1 / two[()]))
    return expressions.multiply(one, algebra.apply("inverse", two)) if two else None


def _mean_of_rows(algebra: Algebra, step: Step, given: list[Sum]) -> Sum | None:
    axes = step.attributes.get("axes")
    if 1 in step.constants:
        axes = step.constants[1].tolist()
    if axes not in ([-1], [1]) or step.attributes.get("keepdims", 1) != 1:
        return None
    return algebra.apply("mean", given[0])


def _mean_by_product(algebra: Algebra, step: Step, given: list[Sum]) -> Sum | None:
    """Return the mean, which a product with a column of 1 / n is."""
    w = step.constants.get(1)
    if w is None or w.ndim != 2 or w.shape[1] != 1 or not np.array_equal(w, 0 * w + 1 / len(w)):
        return None
    return algebra.apply("mean", given[0])


def _compared(algebra: Algebra, step: Step, given: list[Sum]) -> Sum:
    one, two = given if step.kind == "Greater" else reversed(given)
    return algebra.apply("greater", expressions.add(one, two, -1.0))


_EXPRESSIONS: dict[str, Expression] = {
    "Add": lambda algebra, step, given: expressions.add(given[0], given[1]),
    "Sub": lambda algebra, step, given: expressions.add(given[0], given[1], -1.0),
    "Mul": lambda algebra, step, given: expressions.multiply(given[0], given[1]),
    "Div": _divided,
    "Pow": _power,
    "Max": _extreme,
    "Min": _extreme,
    "Greater": _compared,
    "Less": _compared,
    "Where": lambda algebra, step, given: algebra.apply("where", *given),
    "Neg": lambda algebra, step, given: expressions.add({}, given[0], -1.0),
    "ReduceMean": _mean_of_rows,
    "MatMul": _mean_by_product,
    "Identity": lambda algebra, step, given: given[0],
    **{
        kind: _function(name or kind.lower())
        for kind, name in {
            "Abs": "", "Exp": "", "Log": "", "Tanh": "", "Sigmoid": "", "Erf": "", "Sqrt": "",
            "Softplus": "", "Relu": "", "Reciprocal": "inverse",
        }.items()
    },
}  # fmt: skip
