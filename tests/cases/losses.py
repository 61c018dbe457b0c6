"""Losses: a sum over each row, and its gradient, which may be written over the predictions."""

import numpy as np

from tests.cases.base import case, constant, normal, uniform


def loss(name, tolerance="absolute", *, terms="", float64=False, target=uniform, **differences):
    """Return the cases of a loss's two kernels; tolerance and terms are those of the gradient."""
    if target is not None:
        differences["target"] = target
    return (
        case(f"{name}_forward", terms="n", float64=float64, **differences),
        case(
            f"{name}_backward", tolerance=tolerance, terms=terms, row_scale=uniform,
            **differences,
        ),
    )  # fmt: skip


def labeled(name, tolerance="absolute", **differences):
    """Return the cases of a loss whose targets are class labels, as its contract says."""
    return loss(name, tolerance, target=None, **differences)


def _signs(rng, dtype, *shape):
    return np.where(normal(rng, dtype, *shape) > 0, 1, -1).astype(dtype)


def _costs(rng, dtype, n, _):
    return uniform(rng, dtype, n, n) * (1 - np.eye(n, dtype=dtype))


CASES = (
    *loss("mse", "relative"),
    *loss("mae", "exact"),
    *loss("half_mse", "relative"),
    *loss("signed_error", "exact", float64=True),
    *loss("huber", "relative", delta=0.6),
    *loss("smooth_l1", "relative", beta=0.6),
    *loss("log_cosh"),
    *loss("quantile", "exact", levels=constant([0.125, 0.5, 0.875]), sizes={"q": 3}),
    *loss("logistic"),
    *loss("poisson"),
    *loss("gamma", float64=True),
    *loss("gaussian_nll"),
    *loss("attribute_hinge", "exact", target=_signs),
    *labeled("softmax_cross_entropy", terms="n", label_smoothing=0.1),
    *labeled("probability_cross_entropy", "relative", prediction=uniform),
    *labeled("multiclass_hinge", terms="n", margin=0.75),
    *labeled("multiclass_squared_hinge", terms="n", margin=0.75),
    *labeled("structured_hinge", "exact", cost=_costs),
)
