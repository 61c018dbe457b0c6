"""Fewer steps: what follows a matrix product goes into its weights."""

from collections import Counter
from dataclasses import replace

import numpy as np

from fastnn.formulas import Formula, Formulas, steps


def folded(given: Formulas) -> Formulas:
    """Return formulas in which no product is followed by a scaling or shifting of its columns.

    So batch normalization after a dense layer vanishes.  Products are not taken together with what
    comes before them: large numbers that cancel each other would do so only after rounding.
    """
    every = steps([*given.outputs.values()])
    uses = Counter(id(operand) for step in every for operand in step.operands)
    made: dict[int, Formula] = {}
    for step in every:
        operands = tuple(made[id(each)] for each in step.operands)
        new = replace(step, operands=operands) if operands else step
        once = all(uses[id(each)] == 1 for each in step.operands)
        made[id(step)] = (once and _into_product(new)) or new
    outputs = {name: made[id(each)] for name, each in given.outputs.items()}
    return replace(given, outputs=outputs)


def _into_product(step: Formula) -> Formula | None:
    """Return a product that does what a step after it would do, or None."""
    if step.op not in ("add", "subtract", "multiply", "divide"):
        return None
    one, two = step.operands
    if one.op == "constant" and step.op != "divide":
        product, row = two, one
    else:
        product, row = one, two
    if product.op != "dot" or row.op != "constant" or product.width != step.width:
        return None
    (w, b), number = (each.astype(np.float64) for each in product.constants), row.constants[0]
    number = number.astype(np.float64)
    if step.op == "multiply":
        w, b = w * number, b * number
    elif step.op == "divide":
        w, b = w / number, b / number
    elif step.op == "add":
        b = b + number
    else:
        w, b = (w, b - number) if product is one else (-w, number - b)
    if not all(np.isfinite(each.astype(step.dtype)).all() for each in (w, b)):
        return None
    return replace(product, constants=(w, b))
