"""Penalties and constraints as kernel calls around an optimizer's update."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.constraints import Constraint
from fastnn.engine.arguments import Arg, FlatPart, High, Low, Part, Whole
from fastnn.engine.program import Call
from fastnn.regularizers import Regularizer, Term


def terms(regularizer: Regularizer | None, method: str) -> list[Term]:
    """Return the terms that use this method."""
    return [t for t in (regularizer.terms() if regularizer else ()) if t.method == method]


def acts_on_weights(regularizer: Regularizer | None, constraint: Constraint | None) -> bool:
    """Return whether either changes the weights themselves, not just their gradient."""
    changes = terms(regularizer, "shrink") or terms(regularizer, "proximal")
    return constraint is not None or bool(changes)


def on_gradient(regularizer: Regularizer | None, w: np.ndarray, gradient: Arg) -> list[Call]:
    """Return the calls that add the penalties' gradients."""
    return [
        (f"{term.name}_gradient", (*term.settings, FlatPart(w), gradient))
        for term in terms(regularizer, "gradient")
    ]


def before_update(regularizer: Regularizer | None, w: np.ndarray) -> list[Call]:
    """Return the calls that change a share of the rows of `w` before the update."""
    return [
        (f"{term.name}_shrink", (*term.settings, FlatPart(w)))
        for term in terms(regularizer, "shrink")
    ]


def after_update(
    regularizer: Regularizer | None, constraint: Constraint | None, w: np.ndarray, rate: Any
) -> list[Call]:
    """Return the calls that change a share of the rows of `w` after the update.

    `rate` is the optimizer's learning rate, as a kernel argument.
    """
    calls = _on("weight", FlatPart(w), regularizer, constraint, rate)
    before, after = FlatPart(np.empty(len(w), w.dtype)), FlatPart(np.empty(len(w), w.dtype))
    on_norms = _on("input", after, regularizer, constraint, rate)
    if on_norms:
        calls += [("row_norms", (Part(w), before, after)), *on_norms]
        calls += [("norm_ratios", (before, after)), ("scale_rows", (after, Part(w)))]
    return calls


def on_columns(
    regularizer: Regularizer | None,
    constraint: Constraint | None,
    w: np.ndarray,
    rate: Any,
    bias: np.ndarray | None = None,
) -> list[Call]:
    """Return the calls that then change a share of the columns of `w`, once all rows are done.

    A constraint that includes the `bias` changes that as well, after a penalty on the norms of the
    columns alone.
    """
    if constraint is None or not constraint.include_bias:
        return _scaled(w, regularizer, constraint, rate)
    calls = _scaled(w, regularizer, None, rate)
    return calls + _scaled(w, None, constraint, rate, bias)


def _scaled(
    w: np.ndarray,
    regularizer: Regularizer | None,
    constraint: Constraint | None,
    rate: Any,
    bias: np.ndarray | None = None,
) -> list[Call]:
    """Return the calls that scale columns to other norms; each is one longer with a `bias`."""
    before, after = np.empty(w.shape[-1], w.dtype), np.empty(w.shape[-1], w.dtype)
    on_norms = _on("unit", FlatPart(after), regularizer, constraint, rate)
    if not on_norms:
        return []
    calls: list[Call] = [("column_norms", (Whole(w), Low(), High(), Whole(before), Whole(after)))]
    changed = [w]
    if bias is not None:
        calls.append(("extend_norms", (FlatPart(bias), FlatPart(before), FlatPart(after))))
        changed.append(bias[np.newaxis])
    calls += [*on_norms, ("norm_ratios", (FlatPart(before), FlatPart(after)))]
    return calls + [
        ("scale_columns", (Whole(after), Low(), High(), Whole(array))) for array in changed
    ]


def _on(per, values: Arg, regularizer, constraint, rate) -> list[Call]:
    """Return the calls of the proximal steps and bounds, on weights or on norms of groups."""
    calls: list[Call] = [
        (f"{term.name}_proximal", (rate, *term.settings, values))
        for term in terms(regularizer, "proximal")
        if term.per == per
    ]
    if constraint is not None and constraint.per == per:
        calls.append(("bound", (*constraint.bounds, values)))
    return calls


def value(regularizer: Regularizer | None, w: np.ndarray, kernels: Mapping[str, Any]) -> float:
    """Return the sum of the penalties on `w`, computed with these kernels."""
    total = np.zeros(1)
    for term in regularizer.terms() if regularizer else ():
        values = w.reshape(-1)
        if term.per != "weight":
            before, values = np.empty((2, w.shape[0 if term.per == "input" else 1]), w.dtype)
            if term.per == "input":
                kernels["row_norms"](w, before, values)
            else:
                kernels["column_norms"](w, 0, w.shape[1], before, values)
        if term.method != "shrink":
            kernels[f"{term.name}_value"](*term.settings, values, total)
    return float(total[0])
