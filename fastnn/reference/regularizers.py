"""Penalties on parameters and their gradients, in NumPy: see `fastnn.kernels.regularizers`."""

import numpy as np


def l1_value(strength, w, total):
    """Lasso penalty."""
    total += strength * np.abs(w).sum(dtype=np.float64)


def l1_gradient(strength, w, dw):
    """Gradient of the lasso penalty."""
    dw += w.dtype.type(strength) * np.sign(w)


def l2_value(strength, w, total):
    """Ridge penalty."""
    total += strength / 2 * np.square(w, dtype=np.float64).sum()


def l2_gradient(strength, w, dw):
    """Gradient of the ridge penalty."""
    dw += w.dtype.type(strength) * w
