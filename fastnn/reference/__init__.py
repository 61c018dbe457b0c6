"""The kernels in NumPy: what each compiled kernel must compute, written independently.

File for file, name for name and signature for signature as in :mod:`fastnn.kernels`.
"""

from types import FunctionType

from fastnn.reference import (
    activations,
    adaptive,
    clipping,
    dropout,
    hierarchical,
    hinges,
    likelihoods,
    losses,
    matmul,
    normalization,
    norms,
    regularizers,
    robust_losses,
    rows,
    schedules,
    smooth_activations,
    updates,
)

_MODULES = (
    activations,
    adaptive,
    clipping,
    dropout,
    hierarchical,
    hinges,
    likelihoods,
    losses,
    matmul,
    normalization,
    norms,
    regularizers,
    robust_losses,
    rows,
    schedules,
    smooth_activations,
    updates,
)

TWINS = {
    name: function
    for module in _MODULES
    for name, function in vars(module).items()
    if isinstance(function, FunctionType) and not name.startswith("_")
}
"""Every reference kernel by name."""

globals().update(TWINS)
__all__ = sorted(TWINS)  # noqa: PLE0605
