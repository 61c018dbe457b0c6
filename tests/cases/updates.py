"""Optimizers' updates of parameters and of their own state, and what clips the gradient first."""

import numpy as np

from tests.cases.base import case, empty, of, uniform


def _above_one(rng, dtype, n):
    """Return mean squares above the square of any mean that goes with them."""
    return 1 + uniform(rng, dtype, n)


_ADAM = {"rate": 0.01, "decay": 0.3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "step": 3}
_NADAM = {
    "rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
    "on_gradient": 0.6, "on_mean": 0.7, "step": 3,
}  # fmt: skip
_RMSPROP = {"rate": 0.01, "rho": 0.9, "epsilon": 1e-4}
_CENTERED = _RMSPROP | {"square": _above_one, "mean": uniform}

CASES = (
    case("sgd_update", rate=0.1),
    case("momentum_update", rate=0.1, momentum=0.9),
    case("nesterov_update", rate=0.1, momentum=0.9),
    case("rprop_update", shrink=0.5, grow=1.2, smallest=1e-6, largest=50.0, size=uniform),
    case("store_update", tolerance="exact"),
    case("adagrad_update", rate=0.1, epsilon=1e-4, total=uniform),
    case(
        "adadelta_update", rate=0.5, rho=0.95, epsilon=1e-4, square=uniform, change=uniform
    ),
    case("rmsprop_update", **_RMSPROP, square=uniform),
    case("rmsprop_momentum_update", **_RMSPROP, momentum=0.8, square=uniform),
    case("centered_rmsprop_update", **_CENTERED),
    case("centered_rmsprop_momentum_update", **_CENTERED, momentum=0.8),
    case("adam_update", **_ADAM, v=uniform),
    case("amsgrad_update", **_ADAM, v=uniform, largest=uniform),
    case("nadam_update", **_NADAM, v=uniform),
    case("scale_gradient", tolerance="exact", scale=0.7),
    case("gradient_norms", terms="n", float64=True, norms=of(np.float64, empty)),
    case(
        "norm_scale", terms="n", float64=True, limit=0.9,
        norms=of(np.float64, uniform), scale=of(np.float64, empty),
    ),
)  # fmt: skip
