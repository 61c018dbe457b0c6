"""Penalties, and the norms and bounds of constraints."""

import numpy as np

from tests.cases.base import case, constant, of, uniform


def penalty(name, *, terms="", **differences):
    """Return the cases of a penalty's value and gradient; the terms are those of the value."""
    return (
        case(
            f"{name}_value", terms=terms, float64=True, strength=0.3,
            total=of(np.float64, constant([0.7])), **differences,
        ),
        case(f"{name}_gradient", strength=0.3, splits=True, **differences),
    )  # fmt: skip


def _with_zeros(rng, dtype, n):
    norms = uniform(rng, dtype, n)
    norms[::5] = 0
    return norms


CASES = (
    *penalty("l1"),
    *penalty("l2"),
    *penalty("lq", terms="n", q=1.5),
    case("l1_shrink", strength=0.3),
    case("l1_proximal", tolerance="exact", rate=0.9, strength=0.3),
    case("bound", tolerance="exact", low=-0.5, high=1.0),
    case("column_norms", terms="m", first=0, last="n", float64=True),
    case("row_norms", terms="n", float64=True),
    case("extend_norms", tolerance="relative", before=uniform),
    case("norm_ratios", tolerance="relative", before=_with_zeros, after=uniform),
    case("scale_columns", tolerance="exact", factor=uniform, first=0, last="n"),
    case("scale_rows", tolerance="exact", factor=uniform),
)
